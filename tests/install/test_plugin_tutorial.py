"""The plugin tutorial, followed word by word in an empty environment."""

from __future__ import annotations

import doctest
import itertools
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from distributions import ROOT

PAGE = (ROOT / "docs" / "plugin-tutorial.md").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block: what it is, what it holds, and the file that the line before it names."""

    kind: str
    text: str
    file: str


def blocks() -> list[Block]:
    found = re.finditer(r"(?:`([\w./-]+)`:\n\n)?^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [Block(match[2], match[3], match[1] or "") for match in found]


def test_every_file_and_every_output_has_its_place() -> None:
    kinds = [block.kind for block in blocks()]
    assert set(kinds) == {"console", "python", "text"}
    assert all(block.file for block in blocks() if block.kind == "python")
    assert all(before == "console" for before, kind in itertools.pairwise(kinds) if kind == "text")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tutorial(create_environment: Callable[..., Any], redis_url: str) -> None:
    environment = create_environment("sortgate[worker]", "sortgate_training")
    folder: Path = environment.folder / "work"
    folder.mkdir()
    said = ""
    for block in blocks()[1:]:  # the first installs what is installed
        if block.kind == "python":
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "text":
            shown = block.text.replace("…", "...")
            assert doctest.OutputChecker().check_output(shown, said, doctest.ELLIPSIS), f"{said}\nis not\n{shown}"
        else:
            done = subprocess.run(
                ["bash", "-c", f"set -m -o pipefail\n{block.text}"],
                cwd=folder,
                env=environment.environ | {"SORTGATE_REDIS_URL": redis_url},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=400,
            )
            said = done.stdout
            assert done.returncode == 0, f"{block.text}\n{said}"
            if "results" in block.text:
                assert '"status":"ok"' in said.replace(" ", ""), said
            if "pytest" in block.text:
                assert " passed" in said, said
