"""``sortgate submit``: enqueue a file of texts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from sortgate.cli.broker import queue_option, redis_option
from sortgate.cli.lines import Format, Line, format_of, open_lines, read_lines
from sortgate.cli.outfiles import check_no_input
from sortgate.cli.output import json_option, print_json, progress
from sortgate.client import Client
from sortgate.client.base import measure
from sortgate.errors import BrokerError, DataError, MessageError, QueueFullError
from sortgate.journal import Journal
from sortgate.messages import MAX_DEADLINE_S, MAX_ID_BYTES, MAX_META_BYTES
from sortgate.types import PRIORITIES, Priority

#: Ids among which one that repeats is found: as many as Redis remembers by default, and at most twice as many.
MOST_IDS = 1_000_000


@click.command(
    epilog="""\b
Examples:
  sortgate submit tickets.txt --queue tickets
  zcat old.jsonl.gz | sortgate submit - --format jsonl --queue tickets --priority low
  sortgate submit tickets.txt --queue tickets --json | jq -r '.ids[]'"""
)
@click.argument("file", default="-")
@queue_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "jsonl"]),
    help='text: one a line, empty lines skipped. jsonl: {"text": …} a line, with "id" and "meta" if you like.  '
    "[default: jsonl for *.jsonl and *.ndjson, else text]",
)
@click.option("--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True)
@click.option(
    "--deadline",
    type=click.FloatRange(0, MAX_DEADLINE_S, min_open=True),
    help="Seconds after which no answer is wanted.",
)
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(path_type=Path),
    help="Append every id and what became of it to this file, for `sortgate audit`.",
)
@redis_option
@json_option
def submit(
    file: str,
    queue: str,
    form: Format | None,
    priority: Priority,
    deadline: float | None,
    journal_path: Path | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Enqueue the texts of FILE, or of standard input; `sortgate results` collects the answers.

    What a pipe delivers is enqueued as it comes. A bad line or a full queue ends the command with status 1 and says
    how many texts are enqueued.
    """
    name = "standard input" if file == "-" else file
    form = format_of(file, form)
    if journal_path is not None and file != "-":
        check_no_input(f"--journal {journal_path}", journal_path, [file])
    ids: list[str] = []
    count = 0
    seen: tuple[dict[str, int], dict[str, int]] = ({}, {})  # id and line of the latest, and of those before
    with (
        ExitStack() as closing,
        open_lines(file) as stream,
        progress("texts") as done,
    ):
        journal = None if journal_path is None else closing.enter_context(Journal(journal_path))
        client = closing.enter_context(
            Client(redis_url, queue, priority=priority, producer="sortgate submit", journal=journal)
        )
        for lines in read_lines(stream, form):
            # of a file of texts; a JSON line without a text is answered as one
            part = [line for line in lines if form == "jsonl" or line.error is not None or (line.text or "").strip()]
            if len(seen[0]) >= MOST_IDS:
                seen = ({}, seen[0])
            for line in part:
                if problem := _problem(line, client.settings.max_text_bytes):
                    raise DataError(f"{name}, line {line.number}: {problem}; {count:,} texts before it are enqueued")
                if line.id is None:
                    continue
                before = seen[1].get(line.id) or seen[0].setdefault(line.id, line.number)
                if before != line.number:
                    raise DataError(
                        f"{name}, line {line.number}: id {line.id!r} is that of line {before}; {count:,} texts before "
                        "this part are enqueued"
                    )
            try:
                added = client.submit(
                    [line.text or "" for line in part],
                    _column(part, "id", name),
                    deadline_s=deadline,
                    meta=_column(part, "meta", name),
                )
            except (QueueFullError, BrokerError) as error:
                count += len(error.submitted)
                what = str(error).removesuffix("; nothing was enqueued")
                raise type(error)(f"{what}; the first {count:,} texts of {name} are enqueued") from None
            except (DataError, MessageError) as error:
                raise DataError(f"{error}; {count:,} texts of {name} before this part are enqueued") from None
            except KeyboardInterrupt:
                click.echo(f"\nsortgate: stopped; at least the first {count:,} texts of {name} are enqueued", err=True)
                raise SystemExit(130) from None
            count += len(added)
            if as_json:
                ids += added
            done(len(added))
    if as_json:
        print_json({"queue": queue, "submitted": count, "ids": ids})
    else:
        click.echo(f"{count:,} texts enqueued on {queue}")


def _problem(line: Line, max_text_bytes: int) -> str | None:
    """Return what keeps a line from being sent."""
    if line.error is not None:
        return line.error.message.partition(": ")[2]
    for field, least, most in (("id", 1, MAX_ID_BYTES), ("meta", 0, MAX_META_BYTES)):
        value = getattr(line, field)
        if not isinstance(value, str | None):
            return f"field {field!r} is not a string"
        if value is not None and not least <= len(value.encode("utf-8", "surrogatepass")) <= most:
            return f"field {field!r} must have {least} to {most:,} bytes"
    _, problem = measure(line.text, max_text_bytes)
    return problem[1] if problem else None


def _column(part: list[Line], field: str, name: str) -> list[str] | None:
    """Return the ids, or metas, of all lines; None when no line has one."""
    values = [getattr(line, field) for line in part]
    if all(value is None for value in values):
        return None
    if None in values:
        first = part[values.index(None)].number
        raise DataError(f"{name}, line {first}: no {field!r}, but other lines have one; give it to all or to none")
    return values
