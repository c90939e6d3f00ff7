"""``sortgate classify``: a file of texts in, a line of JSON for each out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from sortgate.cli.lines import Format, Line, format_of, open_lines, read_lines
from sortgate.cli.output import progress
from sortgate.errors import DataError
from sortgate.types import Prediction


@click.command(
    epilog="""\b
Examples:
  sortgate classify models/tickets texts.txt > labels.jsonl
  echo "I cannot log in" | sortgate classify models/tickets
  sortgate classify models/tickets/20260101T120000Z tickets.jsonl --format jsonl --text-field body

Prints one JSON object a line, in the order of the input: label, score, labels; a line that cannot be classified has
"error" and "line" (its number), and the others are classified all the same. An "id" of a JSON line is repeated."""
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("source", metavar="[FILE|-]", default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "jsonl"]),
    help="text: one text a line; jsonl: one JSON object or string a line.  "
    "[default: jsonl for *.jsonl and *.ndjson, else text]",
)
@click.option("--text-field", default="text", show_default=True, help="Field of a JSON object that holds the text.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of the model.")
@click.option("--plugins-dir", type=click.Path(path_type=Path), help="Folder of one-file plugins.")
def classify(
    bundle: Path, source: str, form: Format | None, text_field: str, threads: int, plugins_dir: Path | None
) -> None:
    """Classify the texts of a file, or of standard input, with a bundle."""
    chosen = format_of(source, form)
    with open_lines(source) as file:
        from sortgate.inference import Classifier  # takes half a second: not for --help

        classifier = Classifier.load(bundle, threads=threads, plugins_dir=plugins_dir)
        lines = readable = 0
        with progress("classifying") as advance:
            for chunk in read_lines(file, chosen, text_field):
                predictions = iter(classifier([line.text for line in chunk if line.text is not None]))
                answers = [_answer(line, predictions) for line in chunk]
                sys.stdout.buffer.write(b"".join(answers))
                sys.stdout.buffer.flush()
                lines += len(chunk)
                readable += sum(line.text is not None for line in chunk)
                advance(len(chunk))
    if not readable:
        what = f"none of the {lines} lines could be read; is --format {chosen} right?" if lines else "no lines"
        raise DataError(f"{'standard input' if source == '-' else source}: {what}")


def _answer(line: Line, predictions: Iterator[Prediction]) -> bytes:
    """Return one line of output; a failing line says which one it was."""
    prediction = Prediction(None, error=line.error) if line.text is None else next(predictions)
    answer: dict[str, Any] = {} if line.id is None else {"id": line.id}
    answer |= {"label": prediction.label, "score": prediction.score, "labels": prediction.labels}
    if prediction.truncated:
        answer["truncated"] = prediction.truncated
    if prediction.error is not None:
        answer |= {"error": _without_none(prediction.error), "line": line.number}
    return msgspec.json.encode(answer) + b"\n"


def _without_none(error: Any) -> dict[str, Any]:
    return {key: value for key, value in msgspec.structs.asdict(error).items() if value is not None}
