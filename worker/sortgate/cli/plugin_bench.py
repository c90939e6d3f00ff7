"""``sortgate plugins bench``: microseconds a text in each component."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sortgate.cli.lines import open_lines, read_lines
from sortgate.cli.output import json_option, print_json, print_table
from sortgate.errors import DataError
from sortgate.settings import Settings

if TYPE_CHECKING:
    from sortgate.conformance.bench import Bench

#: Texts that are generated, and most that are read of a file.
_GENERATED, _MOST_TEXTS = 256, 2_000


@click.command(
    epilog="""\b
Examples:
  sortgate plugins bench
  sortgate plugins bench sortgate.words.v1 'sortgate.top_k.v1={"k": 3}'
  sortgate plugins bench --bundle models/tickets --texts texts.txt

A component without the parameters that it needs is left out, unless NAME='{"parameter": value}' gives them. Learned
components learn from the texts first. The time that counts is that of the batch form, where there is one."""
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--texts", metavar="FILE", help="Texts to measure with, one a line, or *.jsonl.  [default: 40-word ones]")
@click.option("--bundle", type=click.Path(path_type=Path), help="Measure this bundle's components, as it chains them.")
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), default=100.0, show_default=True, metavar="US",
    help="Microseconds a text; components that take longer are marked.",
)  # fmt: skip
@click.option(
    "--plugins-dir",
    type=click.Path(path_type=Path),
    help="Folder of one-file plugins.  [env: SORTGATE_PLUGINS_DIR]",
)
@json_option
def bench(
    names: tuple[str, ...],
    texts: str | None,
    bundle: Path | None,
    budget: float,
    plugins_dir: Path | None,
    as_json: bool,
) -> None:
    """Measure what a text costs in each component, in microseconds on one core."""
    from sortgate.conformance.bench import bench_bundle, bench_components
    from sortgate.conformance.samples import forty_words

    options = Settings.from_env(plugins_dir=plugins_dir).plugin_options()
    chosen = forty_words(_GENERATED) if texts is None else _read(texts)
    found = bench_bundle(bundle, names, chosen, options) if bundle else bench_components(names, chosen, options)
    if as_json:
        print_json([_as_dict(each, budget) for each in found])
        return
    rows = [
        (
            each.kind,
            each.name,
            _shown(each.served_us),
            _shown(each.single_us),
            _shown(each.batch_us),
            _note(each, budget),
        )
        for each in found
    ]
    print_table(("kind", "name", "µs a text", "one by one", "in batches", "note"), rows)


def _read(source: str) -> list[str]:
    found: list[str] = []
    with open_lines(source) as file:
        for chunk in read_lines(file, "jsonl" if source.endswith(".jsonl") else "text"):
            found += [line.text for line in chunk if line.text is not None and line.text.strip()]
            if len(found) >= _MOST_TEXTS:
                break
    if not found:
        raise DataError(f"{source}: no text to measure with; write one a line")
    return found[:_MOST_TEXTS]


def _as_dict(each: Bench, budget: float) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "name": each.name,
        "us": each.served_us,
        "single_us": each.single_us,
        "batch_us": each.batch_us,
        "over_budget": each.served_us is not None and each.served_us > budget,
        "left_out": each.left_out,
    }


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _note(each: Bench, budget: float) -> str:
    if each.left_out is not None:
        return each.left_out
    return f"over {budget:g} µs" if each.served_us is not None and each.served_us > budget else ""
