"""What the README tells people to type works: its Python runs, its commands exist, its targets are in the Makefile."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from sortgate.cli import main as group
from sortgate.plugins import create_registry
from sortgate.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: A block's section and text, by language.
SECTIONS = re.split(r"^## ", README, flags=re.MULTILINE)


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (section, text) of every fenced block in that language."""
    return [
        (section.partition("\n")[0], text)
        for section in SECTIONS
        for text in re.findall(rf"^```{language}\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    ]


def python_block(section: str, position: int = 0) -> str:
    return [text for name, text in blocks("python") if name == section][position]


def commands() -> list[str]:
    """Return every command line of the console blocks."""
    return [line for _, text in blocks("console") for line in text.splitlines() if line.strip()]


def run_python(code: str, folder: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_four_kinds_of_people_each_have_an_example_of_twenty_lines() -> None:
    for who in ("service author", "operator", "model author", "plugin author"):
        found = [text for language in ("python", "console") for name, text in blocks(language) if who in name]
        assert found, who
        assert all(len(text.splitlines()) <= 20 for text in found), who


def test_introduction_has_five_lines() -> None:
    introduction = SECTIONS[0].strip().splitlines()
    assert introduction[0] == "# Sortgate"
    assert len([line for line in introduction[1:] if line]) == 5


def test_service_author_gets_labels(start_worker: Callable[..., Any], redis_url: str, tmp_path: Path) -> None:
    start_worker("tickets=toy")
    code = python_block("For the service author").replace("range(1000)", "range(50)")
    lines = run_python(code, tmp_path, SORTGATE_REDIS_URL=redis_url).splitlines()
    assert sorted(line.split()[0] for line in lines[1:]) == ["ticket-17", "ticket-18"]
    assert lines[0].split()[0] in {"billing", "login", "other"}


def test_celery_task_is_called_by_name(start_worker: Callable[..., Any], redis_url: str, tmp_path: Path) -> None:
    start_worker("tickets=toy")
    code = f"REDIS_URL = {redis_url!r}\n" + python_block("For the service author", 1)
    assert "sortgate" not in re.findall(r"^(?:import|from) (\w+)", code, flags=re.MULTILINE)
    assert run_python(code, tmp_path).split()[0] in {"billing", "login", "other"}


def test_model_author_classifies_without_redis(toy_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_bundle, tmp_path / "models/tickets")
    label, error = run_python(python_block("For the model author"), tmp_path).splitlines()
    assert label.split()[0] in {"billing", "login", "other"}
    assert error.startswith("nothing is left")


def test_plugin_author_s_file_registers_what_it_says(tmp_path: Path) -> None:
    code = python_block("For the plugin author")
    name = re.search(r'"""plugins/(\w+\.py)', code)
    assert name
    (tmp_path / name[1]).write_text(code)
    registry = create_registry(plugins_dir=tmp_path)
    assert "acme.mask_orders.v1" in {component.name for component in registry.components()}
    # the line that chooses it names components that exist
    chosen = re.search(r"--set 'text\.normalizers=(\[.*?\])'", README)
    assert chosen
    names = tomllib.loads(f"names = {chosen[1]}")["names"]
    assert set(names) <= {component.name for component in registry.components()}


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("sortgate ")])
def test_commands_exist_with_the_options_used(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = group
    with click.Context(command) as context:
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None, line
            command = found
    # parses options and arguments as the command would, without running it
    command.make_context("sortgate", words, resilient_parsing=True)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    if "--set" in words:
        config = pytest.importorskip("sortgate_training.config")
        config.load_config(None, [words[i + 1] for i, word in enumerate(words) if word == "--set"])


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = set(re.findall(r"`make ([a-z-]+)", README)) | {
        line.split()[1] for line in commands() if line.startswith("make ")
    }
    assert used
    assert used <= targets
    promised = {"demo", "test", "test-all", "lint", "bench", "docs", "soak"}
    assert promised <= targets


def test_distributions_and_extras_exist() -> None:
    projects = [ROOT / "pyproject.toml", ROOT / "training/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    tables = [tomllib.loads(path.read_text())["project"] for path in projects]
    names = {table["name"]: set(table.get("optional-dependencies", ())) for table in tables}
    for line in commands():
        if line.startswith("pip install"):
            name, _, extra = shlex.split(line)[2].rstrip("]").partition("[")
            assert name in names
            assert not extra or extra in names[name]


def test_environment_variables_exist() -> None:
    known = {f"SORTGATE_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"SORTGATE_[A-Z_]+", README)) <= known


def test_scripts_named_exist() -> None:
    named = re.findall(r"`python (\S+\.py)", README)
    assert all((ROOT / name).is_file() for name in named)
