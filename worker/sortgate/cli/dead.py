"""``sortgate dead``: the texts that failed; look at them, try them again, throw them away."""

from __future__ import annotations

import datetime

import click

from sortgate import keys
from sortgate.cli.broker import connected, queue_option, redis_option
from sortgate.cli.output import json_option, print_json, print_table, printable
from sortgate.errors import ConfigurationError, MessageError
from sortgate.streams.admin import DeadLetter, dead_letter, dead_letters, purge, requeue

_COLUMNS = ("ENTRY", "FAILED AT", "STATUS", "CODE", "ID", "BYTES", "REASON")


@click.group(
    epilog="""\b
Examples:
  sortgate dead list --queue tickets
  sortgate dead show --queue tickets 1763890000000-0
  sortgate dead requeue --queue tickets --all
  sortgate dead purge --queue tickets --all"""
)
def dead() -> None:
    """List, show, requeue or purge texts that failed.

    A text that a component could not handle (`error`), or that took down its worker again and again (`dead`), was
    answered; a copy is kept here for 7 days.
    """


@dead.command(
    "list",
    epilog="""\b
Examples:
  sortgate dead list --queue tickets
  sortgate dead list --queue tickets --max 1000 --json | jq '.[].code' | sort | uniq -c""",
)
@queue_option
@click.option("--max", "most", type=click.IntRange(1), default=100, show_default=True, help="Show at most so many.")
@redis_option
@json_option
def list_letters(queue: str, most: int, redis_url: str | None, as_json: bool) -> None:
    """List dead letters, oldest first; their texts are left out."""
    keys.check_queue(queue)
    with connected(redis_url, queue) as (link, _):
        letters = list(dead_letters(link, queue, limit=most))
    if as_json:
        print_json([{**_outline(letter), "bytes": _size(letter)} for letter in letters])
        return
    rows = [(*_outline(letter).values(), _size(letter), letter.message) for letter in letters]
    print_table(_COLUMNS, rows, empty=f"no dead letters on queue {queue}")


@dead.command("show")
@queue_option
@click.argument("entry")
@redis_option
@json_option
def show_letter(queue: str, entry: str, redis_url: str | None, as_json: bool) -> None:
    """Show one dead letter, its text included."""
    keys.check_queue(queue)
    with connected(redis_url, queue) as (link, _):
        letter = dead_letter(link, queue, entry)
    if letter is None:
        raise ConfigurationError(f"queue {queue} has no dead letter {entry}")
    if as_json:
        print_json({**_outline(letter), "message": letter.message, "fields": letter.fields})
        return
    for name, value in {**_outline(letter), "message": letter.message, **letter.fields}.items():
        click.echo(f"{name:>12}  {printable(value)}")


@dead.command("requeue")
@queue_option
@click.argument("entries", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters there are now.")
@redis_option
@json_option
def requeue_letters(
    queue: str, entries: tuple[str, ...], everything: bool, redis_url: str | None, as_json: bool
) -> None:
    """Enqueue dead letters again; each is answered anew, on the queue's results."""
    keys.check_queue(queue)
    _check_choice(entries, everything)
    moved: dict[str, str] = {}
    missing: list[str] = []
    with connected(redis_url, queue) as (link, settings):
        # listed first: a letter that fails again while we are at it comes back at the end of the list
        chosen = [letter.entry for letter in dead_letters(link, queue)] if everything else list(dict.fromkeys(entries))
        for entry in chosen:
            try:
                added = requeue(link, queue, entry, requests_limit=settings.requests_limit)
            except MessageError:
                added = None
            if added is None:
                missing.append(entry)
            else:
                moved[entry] = added
    if as_json:
        print_json({"queue": queue, "requeued": moved, "missing": missing})
    else:
        click.echo(
            f"{len(moved):,} requeued on {queue}" + (f", {len(missing):,} not found or without text" if missing else "")
        )
    if missing and not everything:
        raise ConfigurationError(f"not requeued: {', '.join(missing[:10])}")


@dead.command("purge")
@queue_option
@click.argument("entries", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@redis_option
@json_option
def purge_letters(queue: str, entries: tuple[str, ...], everything: bool, redis_url: str | None, as_json: bool) -> None:
    """Delete dead letters for good."""
    keys.check_queue(queue)
    _check_choice(entries, everything)
    with connected(redis_url, queue) as (link, _):
        gone = purge(link, queue, None if everything else entries)
    if as_json:
        print_json({"queue": queue, "purged": gone})
    else:
        click.echo(f"{gone:,} deleted from {queue}")


def _check_choice(entries: tuple[str, ...], everything: bool) -> None:
    if bool(entries) == everything:
        raise click.UsageError("name the entries, or give --all")


def _outline(letter: DeadLetter) -> dict[str, str]:
    failed = datetime.datetime.fromtimestamp(int(letter.entry.partition("-")[0]) / 1000.0, datetime.UTC)
    return {
        "entry": letter.entry,
        "failed_at": failed.isoformat(timespec="seconds"),
        "status": letter.status,
        "code": letter.code,
        "id": letter.fields.get("id", ""),
    }


def _size(letter: DeadLetter) -> int:
    return len(letter.fields.get("text", "").encode())
