"""``sortgate check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from sortgate.cli.output import json_option, print_json, print_table, printable
from sortgate_training.checks.findings import DataReport, Example, Finding, PartReport, SetFigures, Spread, count_of
from sortgate_training.cli.options import (
    LABEL_COLUMN,
    LABEL_SEPARATOR,
    PATH,
    PLUGINS_DIR,
    TEST,
    TEXT_COLUMN,
    VALIDATION,
    load_plugins,
)
from sortgate_training.datafiles import find_files
from sortgate_training.loading import load_config

#: Labels listed at most; the smallest are left out.
MOST_LABELS = 20
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


@click.command(
    epilog="""\b
Examples:
  sortgate check tickets.csv
  sortgate check data/ --json | jq .findings                          # data/train.csv, data/test.csv
  sortgate check mail.jsonl.gz --set limits.max_tokens=200
  sortgate check posts.csv --label-separator '|'                      # several labels a text

DATA is what `sortgate train` takes. The exit status is 0 when it can be trained on, 1 when an error would stop that."""
)
@click.argument("data", type=PATH, nargs=-1, required=True)
@VALIDATION
@TEST
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@click.option("--config", type=PATH, metavar="FILE", help="Configuration whose text path and limits are meant.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One setting; the value is TOML.")
@PLUGINS_DIR
@json_option
def check(
    data: tuple[Path, ...],
    validation: tuple[Path, ...],
    test: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    plugins_dir: Path | None,
    as_json: bool,
) -> int:
    """Look for what is wrong with labelled texts before training on them."""
    settled = load_config(config, assignments)
    files = find_files(data, validation, test)
    registry = load_plugins(plugins_dir)
    from sortgate_training.checks.run import check_data  # numpy: not for --help

    with Console(stderr=True).status("reading") as status:
        report = check_data(
            files, settled, registry, text_column, label_column, label_separator, lambda words: status.update(words)
        )
    if as_json:
        print_json(report)
    else:
        print_report(report)
    return int(not report.trainable)


def print_report(report: DataReport) -> None:
    """Print figures, findings by weight, settings to try, and the verdict."""
    console = Console(highlight=False, soft_wrap=False)
    wrap = console.is_terminal
    print_table(("", *(part.part for part in report.parts)), _figures(report))
    click.echo()
    print_table(("label", *(part.part for part in report.parts)), _labels(report.parts))
    for level in _STYLES:
        for finding in report.findings:
            if finding.level == level:
                click.echo()
                _print_finding(console, finding, wrap=wrap)
    if report.suggestions:
        click.echo("\nSettings to try (`sortgate init` writes them into a file):")
        for suggestion in report.suggestions:
            value = msgspec.json.encode(suggestion.value).decode()
            _print(console, Text(f"--set '{suggestion.key}={value}'"), indent=2, wrap=wrap)
            _print(console, Text(suggestion.reason, style="dim"), indent=6, wrap=wrap)
    counts = Counter(finding.level for finding in report.findings)
    errors, warnings = count_of(counts["error"], "error"), count_of(counts["warning"], "warning")
    verdict = "ready to train" if report.trainable else "cannot be trained on as it is"
    click.echo(f"\n{verdict}: {errors}, {warnings}, {count_of(counts['note'], 'note')}")


def _print_finding(console: Console, finding: Finding, *, wrap: bool) -> None:
    head = Text(f"{finding.level} ", style=_STYLES[finding.level])
    head.append(f"{finding.part}: {finding.topic}: ", style="bold")
    _print(console, head.append(printable(finding.what), style="not bold"), wrap=wrap)
    if finding.advice:
        _print(console, Text(f"→ {finding.advice}", style="green"), indent=4, wrap=wrap)
    for example in finding.examples:
        _print(console, Text(_example(example), style="dim"), indent=4, wrap=wrap)


def _example(example: Example) -> str:
    rows = ", ".join(map(str, example.rows))
    detail = f"  [{printable(example.detail)}]" if example.detail else ""
    return f"row{'s' * (len(example.rows) > 1)} {rows}: {printable(example.text)}{detail}"


def _print(console: Console, text: Text, *, indent: int = 0, wrap: bool) -> None:
    """Print a paragraph that keeps its indentation on a terminal, one line elsewhere."""
    if wrap:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        click.echo(" " * indent + text.plain)


def _figures(report: DataReport) -> Iterator[list[Any]]:
    """Yield the rows of the table of figures: a name, then a value for each part."""
    parts = report.parts
    yield ["file", *(part.file for part in parts)]
    yield ["columns", *(", ".join(part.columns) for part in parts)]
    yield ["text, label", *(f"{part.text_column}, {part.label_column}" for part in parts)]
    yield ["rows", *(part.rows for part in parts)]
    yield ["usable texts", *(part.texts for part in parts)]
    yield ["labels", *(len(part.labels) for part in parts)]
    if sets := [part.sets for part in parts if part.sets is not None]:
        yield ["labels of a text, on average", *(f"{each.cardinality:.2f}" for each in sets)]
        yield ["texts with 0, 1, 2, … labels", *(_sizes(each) for each in sets)]
        yield ["different sets of labels", *(each.distinct for each in sets)]
    for name in ("words", "characters", "tokens"):
        yield [f"{name}: median, p95, longest", *(_spread(getattr(part, name)) for part in parts)]
    yield [f"cut to {report.max_tokens} tokens", *(f"{part.cut:,} ({_share(part.cut, part.texts)})" for part in parts)]
    if any(part.unknown_tokens is not None for part in parts):
        name = "unknown tokens" if len(parts) > 1 else "unknown tokens, held out"
        rates = [part.unknown_tokens for part in parts]
        yield [name, *(None if rate is None else f"{rate:.1%}" for rate in rates)]
    yield ["scripts", *(_shares(part.scripts) for part in parts)]
    if any(part.languages for part in parts):
        yield ["likely languages", *(_shares(part.languages) or None for part in parts)]


def _labels(parts: list[PartReport]) -> Iterator[list[Any]]:
    """Yield the rows of the table of labels, largest first."""
    names = list(dict.fromkeys(label for part in parts for label in part.labels))
    for label in names[:MOST_LABELS]:
        yield [label, *(_label(part, label) for part in parts)]
    rest = names[MOST_LABELS:]
    if rest:
        yield [f"{len(rest):,} more", *(_sum(part, rest) for part in parts)]


def _label(part: PartReport, label: str) -> str:
    count = part.labels.get(label, 0)
    return f"{count:,} ({_share(count, part.texts)})"


def _sum(part: PartReport, labels: list[str]) -> str:
    counts = [part.labels.get(label, 0) for label in labels]
    return f"{sum(counts):,} ({_share(sum(counts), part.texts)}), each {min(counts):,} to {max(counts):,}"


def _spread(spread: Spread) -> str:
    return f"{spread.median:,}, {spread.p95:,}, {spread.longest:,}"


def _share(count: int, total: int) -> str:
    return f"{count / max(total, 1):.1%}"


def _shares(shares: dict[str, float]) -> str:
    shown = [f"{name} {share:.1%}" for name, share in shares.items() if share >= 0.001][:5]
    return ", ".join(shown)


def _sizes(sets: SetFigures, most: int = 6) -> str:
    largest = max(sets.sizes)
    counts = [f"{sets.sizes.get(size, 0):,}" for size in range(min(largest, most - 1) + 1)]
    return " ".join([*counts, *(["…"] if largest >= most else [])])
