"""Writes docs/reference from the sources, and the index of the decisions. ``make docs`` runs it."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from sortgate import settings
from sortgate.cli import main as group
from sortgate.plugins import components, events, specs
from sortgate.settings import Settings
from sortgate.worker import metrics

DOCS = Path(__file__).parent


def cli_page() -> str:
    """Return the help of every command as one page."""
    parts = ["# Command line", "", "Written by `make docs` from `--help`; every listing also has `--json`."]
    for name, text in _help(group, "sortgate"):
        parts += ["", f"## `{name}`", "", "```text", text, "```"]
    return "\n".join(parts) + "\n"


def _help(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    # a fixed width: the page must not depend on the terminal it was written in
    options: dict[str, Any] = {**command.context_settings, "terminal_width": 100, "max_content_width": 100}
    with click.Context(command, info_name=path, **options) as context:
        yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines()).strip()
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None:
                    yield from _help(child, f"{path} {name}")


def settings_page() -> str:
    """Return a table of the environment variables, with the comment that stands above each in the source."""
    notes = _comments(Path(settings.__file__).read_text(encoding="utf-8"))
    rows = [
        "# Settings",
        "",
        "Written by `make docs` from `sortgate.settings`. A worker and a client read them once, when they start.",
        "",
    ]
    rows += ["| Variable | Default | What it is |", "| --- | --- | --- |"]
    for field in fields(Settings):
        default = field.default
        shown = "" if default in (None, "", ()) else str(int(default)) if isinstance(default, bool) else f"{default}"
        rows.append(
            f"| `SORTGATE_{field.name.upper()}` | {f'`{shown}`' if shown else ''} | {notes.get(field.name, '')} |"
        )
    return "\n".join(rows) + "\n"


def _comments(source: str) -> dict[str, str]:
    """Return field name → the ``#:`` comment above it."""
    found = re.findall(r"((?:    #: .*\n)+)    (\w+):", source)
    return {
        name: " ".join(line.strip().removeprefix("#: ") for line in text.splitlines()).replace("``", "`")
        for text, name in found
    }


def decisions_page() -> str:
    """Return the list of decisions, by their headings."""
    rows = [
        "# Decisions",
        "",
        "One page each: the context, the options with what was measured, the choice. Listed by `make docs`.",
        "",
    ]
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        heading = path.read_text(encoding="utf-8").partition("\n")[0]
        rows.append(f"- [{heading.removeprefix('# ')}]({path.name})")
    return "\n".join(rows) + "\n"


def metrics_page() -> str:
    """Return docs/metrics.md as it is, with the tables between its markers written from ``sortgate.worker.metrics``."""
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    for name in ("OWN", "WHOLE", "WORKER"):
        rows = ["| Metric | Type | Labels | What it is |", "| --- | --- | --- | --- |"]
        for metric in getattr(metrics, name):
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
        before, begin, rest = page.partition(f"<!-- {name}: written by `make docs` -->\n")
        page = before + begin + "\n".join(rows) + "\n" + "".join(rest.partition("<!-- end -->")[1:])
    return page


def hooks_page() -> str:
    """Return the hooks, and all that they hand over or expect, from their signatures and docstrings."""
    rows = [
        "# Hooks",
        "",
        "Written by `make docs` from `sortgate.plugins`. [plugins.md](../plugins.md) says how to write a plugin.",
    ]
    hooks = [value for name, value in vars(specs).items() if name.startswith("sortgate_")]
    for hook in hooks:
        arguments = ", ".join(f"{name}: {hint}" for name, hint in hook.__annotations__.items() if name != "return")
        rows += ["", f"## `{hook.__name__}`", "", "```python", f"def {hook.__name__}({arguments}) -> None: ...", "```"]
        rows += ["", _plain(hook)]
    rows += ["", "# What hooks are handed"]
    for kind in (specs.Register, specs.RegisterTokenizers, specs.RegisterCommand, specs.RegisterReader):
        rows += ["", f"## `{kind.__name__}`", "", _plain(kind), *_methods(kind)]
    for event in (events.BatchDone, events.TextFailed, events.EpochEnd):
        rows += ["", f"## `{event.__name__}`", "", _plain(event)]
    rows += ["", "# What components are"]
    for protocol in (
        components.Normalizer, components.Tokenizer, components.TokenFilter, components.Postprocessor,
        components.Learned, components.LearnedFromLabels,
    ):  # fmt: skip
        rows += ["", f"## `{protocol.__name__}`", "", _plain(protocol), *_methods(protocol)]
    return "\n".join(rows) + "\n"


def _methods(kind: type) -> list[str]:
    """Return the methods of a protocol with their signatures and docstrings."""
    rows = []
    for name, method in vars(kind).items():
        if inspect.isfunction(method) and (name == "__call__" or not name.startswith("_")) and method.__doc__:
            hints = method.__annotations__
            arguments = ", ".join(
                f"{each.name}: {hints[each.name]}" + ("" if each.default is each.empty else f" = {each.default!r}")
                for each in list(inspect.signature(method).parameters.values())[1:]
            )
            rows += ["", "```python", f"def {name}(self, {arguments}) -> {hints['return']}: ...".replace(", )", ")")]
            rows += ["```", "", _plain(method)]
    return rows


def _plain(documented: object) -> str:
    """Return a docstring as Markdown."""
    text = (inspect.getdoc(documented) or "").replace("``", "`")
    text = re.sub(r":(?:class|func|meth|mod|attr):`~?([^`]+)`", r"`\1`", text)
    head, marker, listed = text.partition("\nAttributes:\n")
    if not marker:
        return text
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    return head + "\n" + "\n".join(f"- `{name}`: {' '.join(about.split())}" for name, about in entries)


PAGES = {
    "reference/hooks.md": hooks_page,
    "metrics.md": metrics_page,
    "reference/cli.md": cli_page,
    "reference/settings.md": settings_page,
    "decisions/README.md": decisions_page,
}


def main() -> None:
    """Write every page; with ``--check`` only say which ones are out of date, and exit with 1 then."""
    os.environ.pop("COLUMNS", None)
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(f"docs/{name}")
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}: run `make docs`")


if __name__ == "__main__":
    main()
