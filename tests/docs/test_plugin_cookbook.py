"""Every recipe of the plugin cookbook is loaded as a plugin, and what stands below it is run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from sortgate.plugins import ComponentSpec, create_registry

COOKBOOK = Path(__file__).parents[2] / "docs" / "plugin-cookbook.md"
RECIPES = COOKBOOK.read_text(encoding="utf-8").split("\n## ")[1:]


def title(recipe: str) -> str:
    return recipe.partition("\n")[0]


@pytest.mark.parametrize("recipe", RECIPES, ids=title)
def test_recipe(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILURES", "")  # put back when the test ends
    (plugin,) = re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)
    (shown,) = re.findall(r"```pycon\n(.*?)```", recipe, re.DOTALL)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "recipe.py").write_text(plugin, encoding="utf-8")
    registry = create_registry(plugins_dir=tmp_path / "plugins", only={"recipe.py"})

    def make(kind: Any, name: str, **params: Any) -> Any:
        return registry.create(kind, ComponentSpec(name, params))

    names = {"make": make, "registry": registry, "folder": tmp_path}
    test = doctest.DocTestParser().get_doctest(shown, names, title(recipe), str(COOKBOOK), 0)
    assert test.examples
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


def test_there_is_a_recipe_of_every_kind() -> None:
    page = COOKBOOK.read_text(encoding="utf-8")
    for hook in ("normalizers", "tokenizers", "postprocessors", "commands", "readers"):
        assert f"def sortgate_register_{hook}(register)" in page
    for part in ("register.filter(", "def fit(", "wants_text = True", "compatible=", "def sortgate_text_failed"):
        assert part in page
