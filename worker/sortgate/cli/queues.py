"""``sortgate queues``: backlog, lag and workers of every queue."""

from __future__ import annotations

import time
from typing import Any

import click
import redis

from sortgate import keys
from sortgate.cli.broker import connected, open_at, redis_option
from sortgate.cli.output import json_option, print_json, print_json_line, print_table
from sortgate.client.connection import broker_error
from sortgate.settings import Settings
from sortgate.streams.admin import QueueStats, list_queues, queue_stats

_COLUMNS = ("QUEUE", "HIGH", "NORMAL", "LOW", "LAG S", "PENDING", "OLDEST S", "RESULTS", "DEAD", "WORKERS", "ANSWERED")
_ALIVE_S = 30.0


@click.command(
    epilog="""\b
HIGH, NORMAL and LOW count texts nobody has read yet; LAG is the age of the oldest of them, PENDING what workers
have in hand, RESULTS what nobody has collected.

\b
Examples:
  sortgate queues
  sortgate queues --queue tickets --watch
  sortgate queues --json | jq '.[].lag_s'"""
)
@click.option("--queue", "chosen", multiple=True, help="Only this queue; may be given several times.")
@click.option("--watch", is_flag=True, help="Go on until interrupted, also while Redis is away.")
@click.option("--interval", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds, for --watch.")
@redis_option
@json_option
def queues(chosen: tuple[str, ...], watch: bool, interval: float, redis_url: str | None, as_json: bool) -> None:
    """Show the queues: backlog, lag, workers."""
    names = [keys.check_queue(name) for name in chosen]
    with connected(redis_url) as (link, settings):
        shown = False
        while True:
            try:
                found = _stats(link, settings, names)
            except (redis.RedisError, OSError) as error:
                problem = broker_error(error, settings)
                if not (shown and problem.retriable):
                    raise
                click.echo(f"sortgate: warning: {problem}; trying again", err=True)
                time.sleep(interval)
                continue
            shown = True
            if watch and as_json:
                print_json_line(found)
            elif as_json:
                print_json(found)
            else:
                if watch:
                    click.clear()
                print_table(_COLUMNS, [_row(stats) for stats in found], empty="no queues on this Redis yet")
            if not watch:
                return
            time.sleep(interval)


def _stats(link: redis.Redis, settings: Settings, names: list[str]) -> list[QueueStats]:
    found = []
    for name in names or list_queues(link):
        try:
            found.append(queue_stats(link, name))
        except redis.exceptions.MovedError:  # a replica lists its primary's queues
            with open_at(settings, name) as other:
                found.append(queue_stats(other, name))
    return found


def _row(stats: QueueStats) -> tuple[Any, ...]:
    alive = sum(1 for beat in stats.workers if beat.age_s < _ALIVE_S)
    answered = sum(stats.totals.get(status, 0) for status in ("ok", "error", "dead", "rejected", "expired"))
    return (
        stats.queue, stats.backlog["high"], stats.backlog["normal"], stats.backlog["low"], round(stats.lag_s, 1),
        stats.pending, round(stats.oldest_pending_s, 1), stats.results, stats.dead, alive, answered,
    )  # fmt: skip
