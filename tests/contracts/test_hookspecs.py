"""Every hook is typed and documented; the guide's example runs and its tables say what the registry says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from sortgate.plugins import ComponentSpec, create_registry, specs
from sortgate.plugins.observers import OBSERVER_HOOKS

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
REGISTERED = ("normalizers", "tokenizers", "postprocessors", "commands", "readers")
HOOKS = sorted(name for name in vars(specs) if name.startswith("sortgate_"))


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading of the guide."""
    section = GUIDE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_hook_registers_something_or_is_an_observer() -> None:
    registering = {name for name in HOOKS if name.startswith("sortgate_register_")}
    assert registering == {f"sortgate_register_{what}" for what in REGISTERED}
    assert set(HOOKS) - registering == set(OBSERVER_HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_documented_and_typed(name: str) -> None:
    hook = getattr(specs, name)
    assert inspect.getdoc(hook)
    parameters = inspect.signature(hook).parameters
    hints = get_type_hints(hook)
    assert set(hints) == {*parameters, "return"}
    signature = f"`{name}({', '.join(parameters)})`"
    assert [row for row in rows("Hooks") if row[0] == signature], f"docs/plugins.md lacks {signature}"


def test_guide_documents_no_hook_that_is_not_there() -> None:
    assert sorted(re.match(r"`(\w+)", row[0])[1] for row in rows("Hooks")) == HOOKS  # type: ignore[index]


def test_guide_lists_the_built_in_components_with_kind_and_parameters() -> None:
    documented = {row[0].strip("`"): (row[1], re.findall(r"`(\w+)`", row[2])) for row in rows("Built-in components")}
    registered = {c.name: (c.kind, list(c.params)) for c in create_registry(only=()).components()}
    assert documented == registered


def test_every_built_in_component_says_what_it_does() -> None:
    assert [c.name for c in create_registry(only=()).components() if not c.doc] == []


def test_the_example_is_twenty_lines_and_runs(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    (tmp_path / "phones.py").write_text(code, encoding="utf-8")
    registry = create_registry(plugins_dir=tmp_path, only={"phones.py"})
    mask = registry.create("normalizer", ComponentSpec("example.mask_phones.v1", {"mask": "tel"}))
    assert mask("call +49 30 1234567 now") == "call tel now"
