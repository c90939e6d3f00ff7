"""Follows a queue to the node of a Redis Cluster that serves it.

All keys of a queue have one hash tag and so lie in one slot (https://redis.io/docs/latest/operate/oss_and_stack/
reference/cluster-spec/): a connection to the node that has the slot is all that a queue needs. The URL names any node;
which one has the slot is learned from the first ``MOVED``, and again when the slot moves or its node fails. Nothing is
asked beforehand, so a plain Redis is talked to as ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any, NamedTuple

import redis

#: How often a call is sent to another node before its error is taken for one.
REDIRECTS = 5
_MOVED = re.compile(r"\bMOVED \d+ (\S*):(\d+)$")


class Node(NamedTuple):
    """Where a slot is served; the host is empty where Redis means the one that was asked."""

    host: str
    port: int


def node_of(error: object) -> Node | None:
    """Return the node that an error of redis-py, hiredis, or of ours that quotes one, points to; None for any other."""
    if isinstance(error, redis.exceptions.MovedError):
        return Node(error.host, error.port)
    found = _MOVED.search(str(error)) if isinstance(error, Exception) else None
    return None if found is None else Node(found[1], int(found[2]))


def node_in(replies: Iterable[object]) -> Node | None:
    """Return the node that the first redirection among these replies points to."""
    return next(filter(None, map(node_of, replies)), None)


def point(options: MutableMapping[str, Any], node: Node) -> None:
    """Let connections that redis-py makes with ``options`` go to ``node``."""
    if node.host:
        options["host"] = node.host
    options["port"] = node.port
