"""How commands print: tables for people, tab-separated lines for pipes, JSON for programs, progress on terminals."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import msgspec

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: Labels and ids come from other people's files and messages: what could steer a terminal is shown as ``\x1b``.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def closed_stdout() -> bool:
    """Whether the caller has closed standard output, in whose place the null device then is."""
    return getattr(sys.stdout, "name", None) == os.devnull


def json_option(command: _Command) -> _Command:
    """Give a command the option ``--json``, its argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def print_json(value: Any) -> None:
    """Print ``value`` (anything msgspec encodes) as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_json_line(value: Any) -> None:
    """Print ``value`` as one line of JSON, UTF-8."""
    click.echo(msgspec.json.encode(value))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, empty: str = "nothing to show"
) -> None:
    """Print a table to a terminal, tab-separated lines with a header elsewhere; numbers are set to the right.

    ``title`` is for terminals only; ``empty`` is printed there when there are no rows.
    """
    lines = [[_cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*columns], *lines):
            click.echo("\t".join(line))
        return
    if not lines:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    numeric = [all(re.fullmatch(r"|–|-?[\d,.]+ ?(%|s|ms)?", line[i]) for line in lines) for i in range(len(columns))]
    table = Table(title=title, title_justify="left")
    for name, number in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(value) for value in line))  # Text: brackets in a label are no markup
    Console().print(table)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr; yields a function that is told how many more items are done.

    Shown only when stderr is a terminal and stdout is not the same one, so that the bar never mixes with the output.
    """
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count: bar.advance(task, count)


def printable(text: str) -> str:
    """Return ``text`` with everything that could steer a terminal or break a line written out."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    return f"{value:,}" if type(value) is int else printable(str(value))
