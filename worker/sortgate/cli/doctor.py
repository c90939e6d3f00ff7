"""``sortgate doctor``: what the live Redis really guarantees, in words; status 1 when it can lose texts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import click
import msgspec
import redis

from sortgate import keys
from sortgate.cli.broker import connected, redis_option
from sortgate.cli.output import json_option, print_json, print_table
from sortgate.settings import Settings
from sortgate.streams.admin import list_queues, queue_stats
from sortgate.streams.connection import without_password

_PINGS = 20
_ALIVE_S = 30.0
_LOCAL = {"127.0.0.1", "localhost", "::1", ""}

Level = Literal["ok", "note", "risk"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; ``risk`` means that texts can be lost or read by others."""

    level: Level
    subject: str
    text: str


@click.command(
    epilog="""\b
Examples:
  sortgate doctor
  sortgate doctor --queue tickets --json"""
)
@click.option("--queue", "chosen", multiple=True, help="Only this queue; may be given several times.")
@redis_option
@json_option
def doctor(chosen: tuple[str, ...], redis_url: str | None, as_json: bool) -> int:
    """Say what the live Redis really guarantees, and whether workers are there.

    Ends with status 1 when something can lose texts.
    """
    names = [keys.check_queue(name) for name in chosen]
    with connected(redis_url, names[0] if names else "") as (link, settings):
        findings = list(examine(link, settings, names))
    if as_json:
        print_json(findings)
    else:
        print_table(("", "WHAT", "FINDING"), [(f.level.upper(), f.subject, f.text) for f in findings])
    return int(any(finding.level == "risk" for finding in findings))


def examine(link: redis.Redis, settings: Settings, queues: list[str]) -> Iterator[Finding]:
    """Look at the server, then at the queues (all of them when none is named)."""
    client: Any = link
    info: dict[str, Any] = client.info()
    yield from _server(info, settings)
    yield from _latency(client)
    yield from _persistence(info, _config(client, "appendfsync"), _config(client, "save"))
    yield from _slow_disk(info, _config(client, "appendfsync"), _config(client, "no-appendfsync-on-rewrite"))
    yield from _memory(info)
    yield from _replication(info)
    yield Finding(
        "note", "bounds",
        f"clients and the enqueue script keep a queue to {settings.requests_limit:,} texts; a raw XADD is bounded by "
        "Redis's memory alone",
    )  # fmt: skip
    found = queues or list_queues(link)
    if not found:
        yield Finding("note", "queues", "no queue on this Redis yet")
    for queue in found:
        yield from _queue(link, queue, settings)


def _server(info: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    version = str(info["redis_version"])
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < (6, 2):
        yield Finding("risk", "version", f"Redis {version}: 6.2 or newer is needed")
    else:
        yield Finding("ok", "version", f"Redis {version} at {without_password(settings.redis_url)}")
    try:
        parts = urlsplit(settings.redis_url)
        host, open_to_all = parts.hostname or "", not parts.password and "password=" not in parts.query
    except ValueError:
        return
    if open_to_all and host not in _LOCAL and parts.scheme != "unix":
        yield Finding("note", "access", f"{host} asks for no password: whoever reaches it can read and delete texts")


def _latency(client: Any) -> Iterator[Finding]:
    trips = []
    for _ in range(_PINGS):
        started = time.perf_counter()
        client.ping()
        trips.append((time.perf_counter() - started) * 1000.0)
    trips.sort()
    slow = trips[len(trips) // 2] > 20.0
    text = f"PING takes {trips[len(trips) // 2]:.2f} ms (median of {_PINGS}), {trips[-1]:.2f} ms at worst"
    yield Finding("note" if slow else "ok", "latency", text)


def _persistence(info: dict[str, Any], fsync: str | None, save: str | None) -> Iterator[Finding]:
    if info.get("loading"):
        yield Finding("note", "loading", "Redis is still loading its data")
    if info.get("aof_enabled"):
        words: dict[str | None, tuple[Level, str]] = {
            "always": ("ok", "command: an accepted text survives a crash of Redis and of the machine"),
            "everysec": ("ok", "second: a crash of Redis loses nothing, one of the machine about the last second"),
            "no": ("risk", "half a minute or so: a crash of the machine loses half a minute; set appendfsync everysec"),
        }
        level, text = words.get(fsync, ("note", "(how often cannot be asked here)"))
        yield Finding(level, "persistence", f"append-only file, written through every {text}")
        if info.get("aof_last_write_status", "ok") != "ok":
            yield Finding("risk", "persistence", "the last write to the append-only file failed: is the disk full?")
    elif save:
        yield Finding(
            "risk", "persistence",
            f"snapshots only (save {save}): a crash of Redis loses everything since the last one, "
            f"{int(info.get('rdb_changes_since_last_save', 0)):,} changes now; set appendonly yes",
        )  # fmt: skip
    elif save is None:
        yield Finding("risk", "persistence", "no append-only file; whether snapshots are made cannot be asked here")
    else:
        yield Finding("risk", "persistence", "none: a restart of Redis loses every text and result; set appendonly yes")
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding("risk", "persistence", "the last snapshot failed: Redis may refuse to accept texts (MISCONF)")


def _slow_disk(info: dict[str, Any], fsync: str | None, paused: str | None) -> Iterator[Finding]:
    """Say when a write a second is really less often."""
    if not info.get("aof_enabled") or fsync == "no":
        return
    if paused == "yes":
        yield Finding(
            "note", "persistence",
            "nothing is written through while Redis rewrites its file: a crash of the machine then loses what came "
            "since the rewrite began; set no-appendfsync-on-rewrite no",
        )  # fmt: skip
    if fsync == "everysec" and (late := int(info.get("aof_delayed_fsync", 0))):
        yield Finding(
            "note", "persistence",
            f"the disk has been too slow for a write a second {late:,} times: a crash then loses up to two seconds",
        )  # fmt: skip


def _memory(info: dict[str, Any]) -> Iterator[Finding]:
    policy, limit = str(info.get("maxmemory_policy", "")), int(info.get("maxmemory", 0))
    used = int(info["used_memory"])
    if policy == "noeviction":
        bound = f"{used / 2**20:,.0f} of {limit / 2**20:,.0f} MiB used" if limit else "no limit set (maxmemory 0)"
        yield Finding("ok", "memory", f"noeviction, {bound}: when memory is full, submitting fails and nothing is lost")
        if limit and used > 0.8 * limit:
            yield Finding("note", "memory", "more than 80 % of maxmemory is used")
    else:
        yield Finding(
            "risk", "memory",
            f"maxmemory-policy {policy}: Redis {'drops' if limit else 'would drop'} keys, and queues with them, when "
            "memory is full; set maxmemory-policy noeviction",
        )  # fmt: skip
    if int(info.get("evicted_keys", 0)):
        yield Finding("risk", "memory", f"{int(info['evicted_keys']):,} keys have been evicted since Redis started")


def _replication(info: dict[str, Any]) -> Iterator[Finding]:
    if info.get("role") != "master":
        yield Finding("risk", "replication", "this is a read-only replica: it takes no texts; use the primary")
    elif int(info.get("connected_slaves", 0)):
        yield Finding(
            "note", "replication",
            f"{info['connected_slaves']} replicas, copied to asynchronously: they outlive this machine, and a failover "
            "to one can lose texts accepted just before it",
        )  # fmt: skip


def _queue(link: redis.Redis, queue: str, settings: Settings) -> Iterator[Finding]:
    stats = queue_stats(link, queue)
    subject = f"queue {queue}"
    alive = [beat for beat in stats.workers if beat.age_s < max(_ALIVE_S, 2 * settings.lease_s)]
    waiting = sum(stats.backlog.values())
    if alive:
        yield Finding("ok", subject, f"{len(alive)} workers, {waiting:,} texts waiting, lag {stats.lag_s:.1f} s")
    else:
        yield Finding("note", subject, f"no worker; {waiting:,} texts waiting")
    if stats.oldest_pending_s > 10 * settings.lease_s:
        yield Finding("note", subject, f"a text has been in hand for {stats.oldest_pending_s:,.0f} s without an answer")
    if stats.results >= settings.results_limit:
        yield Finding("note", subject, "the results are at their bound: workers wait until someone collects them")
    if stats.dead:
        yield Finding("note", subject, f"{stats.dead:,} dead letters: sortgate dead list --queue {queue}")


def _config(client: Any, name: str) -> str | None:
    """Return a directive of the server, None where ``CONFIG`` may not be used (managed servers)."""
    try:
        value = client.config_get(name).get(name)
    except redis.ResponseError:
        return None
    return None if value is None else str(value)
