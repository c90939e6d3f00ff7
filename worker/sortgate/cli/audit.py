"""``sortgate audit``: what producers put in, compared with what came out; status 1 when a text is lost or doubled."""

from __future__ import annotations

import time
from pathlib import Path

import click
import redis

from sortgate import keys
from sortgate.cli.broker import connected, queue_option, redis_option
from sortgate.cli.output import json_option, print_json, print_table, printable
from sortgate.streams.outcome import Outcome, audit_queue

_MEANING = {
    "attempted": "ids that the journal says were sent",
    "acknowledged": "of these, enqueued for certain",
    "ok": "came out, whatever their status",
    "lost": "acknowledged, and neither came out nor in flight",
    "unexpected": "came out, though nobody sent them",
    "duplicated": "answers over one an id",
    "recovered": "of unknown outcome, and came out",
    "in_flight": "still enqueued, or with a worker",
}
_FAULTS = ("lost", "unexpected", "duplicated")
_NAMED = 10
#: A collector may delete a result between two looks at it; what is wrong stays wrong when looked at again.
_LOOKS = 3
_PAUSE_S = 0.5


@click.command(
    epilog="""\b
Producers keep a journal with `sortgate submit --journal FILE`, `Client(journal=Journal(FILE))`, or by writing the
lines that docs/audit.md shows.

\b
Examples:
  sortgate submit tickets.txt --queue tickets --journal tickets.journal
  sortgate results --queue tickets > answers.jsonl
  sortgate audit tickets.journal --queue tickets --results answers.jsonl
  sortgate audit a.journal b.journal --queue tickets --wait 60 --json"""
)
@click.argument("journals", nargs=-1, required=True, metavar="JOURNAL...", type=click.Path(path_type=Path))
@queue_option
@click.option(
    "--results",
    "collected",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Output of `sortgate results`; may be given several times. Without it, only answers still in Redis count.",
)
@click.option("--shared", is_flag=True, help="Other producers use the queue: ids that no journal holds are theirs.")
@click.option("--wait", type=click.FloatRange(0), default=0.0, help="Seconds to wait until nothing is in flight.")
@redis_option
@json_option
def audit(
    journals: tuple[Path, ...],
    queue: str,
    collected: tuple[Path, ...],
    shared: bool,
    wait: float,
    redis_url: str | None,
    as_json: bool,
) -> int:
    """Compare what producers put into a queue with what came out of it.

    Reads only, also while the queue works: texts still in flight are not lost. Ends with status 1 when a text is
    lost, unexpected or duplicated.
    """
    keys.check_queue(queue)
    ends = time.monotonic() + wait
    with connected(redis_url, queue) as (link, _):
        found = _look(link, queue, journals, collected, shared)
        while found.counts.in_flight and time.monotonic() < ends:
            time.sleep(_PAUSE_S)
            found = _look(link, queue, journals, collected, shared)
    counts = found.counts
    if as_json:
        print_json({"queue": queue, "valid": counts.valid, **_flat(found)})
        return int(not counts.valid)
    print_table(("COUNTER", "TEXTS", "MEANING"), [(n, getattr(counts, n), text) for n, text in _MEANING.items()])
    for name in _FAULTS:
        for ident in getattr(found.suspects, name)[:_NAMED]:
            click.echo(f"{name}: {printable(ident)}")
    for hint in _hints(found, bool(collected)):
        click.echo(hint)
    return int(not counts.valid)


def _look(
    link: redis.Redis, queue: str, journals: tuple[Path, ...], collected: tuple[Path, ...], shared: bool
) -> Outcome:
    found = audit_queue(link, queue, journals, collected, shared=shared)
    for _ in range(_LOOKS - 1):
        if found.counts.valid:
            break
        time.sleep(_PAUSE_S)
        found = audit_queue(link, queue, journals, collected, shared=shared)
    return found


def _flat(found: Outcome) -> dict[str, object]:
    counters = {name: getattr(found.counts, name) for name in _MEANING}
    rest = {"others": found.others, "refused": found.refused, "uncollected": found.uncollected}
    ids = {f"{name}_ids": getattr(found.suspects, name) for name in _FAULTS}
    return {**counters, **rest, "only_dead_letters": found.dead_letters, **ids}


def _hints(found: Outcome, files: bool) -> list[str]:
    """Say in words what the counters do not."""
    counts = found.counts
    hints = []
    if counts.lost and found.answered_ever > found.uncollected and not files:
        hints.append(
            f"the queue has given {found.answered_ever:,} answers so far, of which {found.uncollected:,} are in Redis: "
            "give what was collected with --results FILE"
        )
    if counts.unexpected:
        hints.append("if other producers use this queue, give their journals, too, or --shared")
    if found.dead_letters:
        hints.append(f"{found.dead_letters:,} answers are known from their dead letters only")
    if found.others:
        hints.append(f"{found.others:,} answers belong to other producers")
    if counts.valid:
        left = f"; {counts.in_flight:,} still in flight" if counts.in_flight else ""
        hints.append(f"valid: nothing lost, nothing unexpected, nothing duplicated{left}")
    return hints
