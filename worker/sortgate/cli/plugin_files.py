"""The files that ``sortgate plugins new`` writes."""

from __future__ import annotations

from pathlib import PurePosixPath

from sortgate import __version__
from sortgate.cli.plugin_kinds import EXAMPLES
from sortgate.plugins import Kind

_MODULE = '''\
"""@ABOUT@."""

from __future__ import annotations

@IMPORTS@


@CODE@


@hookimpl
def @HOOK@(register: @REGISTER@) -> None:
    """Register @NAME@."""
    @CALL@("@NAME@", @CLS@)
'''

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "@DIST@"
# A bundle records it: raise it with each change, and give new behaviour a new component name (v2).
version = "0.1.0"
description = "@DOES@"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["sortgate>=@VERSION@"]

[project.optional-dependencies]
dev = ["mypy>=1.14", "pytest>=8.3", "ruff>=0.9"]

[project.entry-points.sortgate]
@OWNER@ = "@MODULE@"

[tool.hatch.build.targets.wheel]
packages = ["@MODULE@"]

[tool.ruff]
line-length = 120

[tool.ruff.lint]
select = ["B", "D", "E", "F", "I", "RUF", "UP", "W"]
ignore = ["D107"] # __init__ is described by its class

[tool.ruff.lint.pydocstyle]
convention = "google"

[tool.mypy]
strict = true

[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-ra"]
testpaths = ["tests"]
"""

_README = """\
# @DIST@

@DOES@

```console
pip install @DIST@
sortgate plugins show @NAME@
```

Choose it when training; the bundle then names it, and a worker that lacks it says what to install:

```console
sortgate train tickets.csv --out models/tickets --set '@SETTING@'
```

To work on it: `pip install -e ".[dev]"`, then `pytest`. The tests hold Sortgate's conformance kit;
`sortgate plugins bench @NAME@` says what a text costs.
"""

_TEST = '''\
"""The plugin keeps what Sortgate expects of every component, and does what it says."""

from __future__ import annotations

@PATHLIB@from sortgate.plugins import ComponentSpec, create_registry
from sortgate.testing import conformance
@IMPORTS@
@PLUGIN@


def test_example() -> None:
    """What it is for, in one example."""
    registry = create_registry(@WHERE@)
    component = registry.create("@KIND@", ComponentSpec("@NAME@", @PARAMS@))
@CHECK@
'''

_GITIGNORE = "__pycache__/\n*.egg-info/\n.venv/\nbuild/\ndist/\n.mypy_cache/\n.pytest_cache/\n.ruff_cache/\n"


def distribution_files(owner: str, kind: Kind) -> dict[PurePosixPath, str]:
    """Return path inside the folder → content, for a distribution ``sortgate-<owner>``."""
    example, module, dist = EXAMPLES[kind], f"sortgate_{owner.replace('-', '_')}", f"sortgate-{owner}"
    name = component_name(owner, kind)
    values = {
        "DIST": dist,
        "MODULE": module,
        "OWNER": owner,
        "DOES": example.does,
        "NAME": name,
        "VERSION": __version__,
        "SETTING": example.setting.format(name=name),
    }
    return {
        PurePosixPath("pyproject.toml"): _filled(_PYPROJECT, values),
        PurePosixPath("README.md"): _filled(_README, values),
        PurePosixPath(".gitignore"): _GITIGNORE,
        PurePosixPath(module, "__init__.py"): _module(owner, kind),
        PurePosixPath(module, "py.typed"): "",
        PurePosixPath("tests", f"test_{module}.py"): _tests(
            owner, kind, "", f'test_conformance = conformance("{dist}")', f'only=["{dist}"]'
        ),
    }


def single_files(owner: str, kind: Kind) -> dict[PurePosixPath, str]:
    """Return path inside the plugins folder → content, for a plugin of one file and its test."""
    module = owner.replace("-", "_")
    plugin = f'PLUGIN = Path(__file__).parents[1] / "{module}.py"\ntest_conformance = conformance(PLUGIN)'
    where = "plugins_dir=PLUGIN.parent, only=[PLUGIN.name]"
    return {
        PurePosixPath(f"{module}.py"): _module(owner, kind),
        # a folder below: every file of the plugins folder itself is taken for a plugin
        PurePosixPath("tests", f"test_{module}.py"): _tests(owner, kind, "from pathlib import Path\n\n", plugin, where),
    }


def component_name(owner: str, kind: Kind) -> str:
    """Return the example component's name."""
    return f"{owner}.{EXAMPLES[kind].thing}.v1"


def _module(owner: str, kind: Kind) -> str:
    example = EXAMPLES[kind]
    hook, register, call = example.hook
    noun = {"filter": "token filter", "postprocessor": "label post-processor"}.get(kind, kind)
    return _filled(
        _MODULE,
        {
            "ABOUT": f"A {noun} for Sortgate: {example.does[0].lower()}{example.does[1:].removesuffix('.')}",
            "IMPORTS": example.imports,
            "CODE": example.code.strip(),
            "HOOK": hook,
            "REGISTER": register,
            "CALL": call,
            "NAME": component_name(owner, kind),
            "CLS": example.cls,
        },
    )


def _tests(owner: str, kind: Kind, pathlib: str, plugin: str, where: str) -> str:
    example = EXAMPLES[kind]
    return _filled(
        _TEST,
        {
            "PATHLIB": pathlib,
            "IMPORTS": example.check_imports,
            "PLUGIN": plugin,
            "WHERE": where,
            "KIND": kind,
            "NAME": component_name(owner, kind),
            "PARAMS": example.params,
            "CHECK": example.check,
        },
    )


def _filled(template: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template
