"""Follows a queue to the node of a Redis Cluster that serves it.

All keys of a queue have one hash tag and so lie in one slot (https://redis.io/docs/latest/operate/oss_and_stack/
reference/cluster-spec/): a connection to the node that has the slot is all that a queue needs. The URL names any node;
which one has the slot is learned from the first ``MOVED``, and again when the slot moves or its node fails. Nothing is
asked beforehand, so a plain Redis is talked to as ever.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any, NamedTuple

import redis

from sortgate import keys
from sortgate.errors import BrokerError

_MOVED = re.compile(r"\bMOVED \d+ (\S*):(\d+)$")


class Node(NamedTuple):
    """Where a slot is served; the host is empty where Redis means the one that was asked."""

    host: str
    port: int


class Route:
    """Where a queue's connections go.

    Attributes:
        node: of a cluster; None for the one that the URL names.
    """

    def __init__(self) -> None:
        self.node: Node | None = None
        self._before: Node | None = None

    def follow(self, node: Node) -> None:
        """Go where the node that was asked sends us."""
        if not node.host and self.node is not None:
            node = Node(self.node.host, node.port)
        self.node, self._before = node, None

    def leave(self) -> None:
        """Go back to where we came from: the node cannot be reached, or does not serve the queue.

        So the URL's node and the last one that was followed are tried in turn, until one answers.
        """
        self.node, self._before = self._before, self.node


def node_of(error: object) -> Node | None:
    """Return the node that an error of redis-py, hiredis, or of ours that quotes one, points to; None for any other."""
    if isinstance(error, redis.exceptions.MovedError):
        return Node(_host(error.host), error.port)
    found = _MOVED.search(str(error)) if isinstance(error, Exception) else None
    return None if found is None else Node(_host(found[1]), int(found[2]))


def _host(name: str) -> str:
    return "" if name == "?" else name  # Redis 7: it does not know its own


def point(options: MutableMapping[str, Any], node: Node | None) -> None:
    """Let connections that redis-py makes with ``options`` go to ``node``, for None where the URL says.

    Raises:
        BrokerError: the URL is a Unix socket's.
    """
    if node is None:
        return
    if "path" in options:
        raise BrokerError(f"Redis at {options['path']} is one of a cluster: give a node's redis:// URL, not a socket's")
    if node.host:
        options["host"] = node.host
    options["port"] = node.port


def node_serving(link: redis.Redis, queue: str) -> Node | None:
    """Return the node that serves a queue, None where that is the one asked.

    Raises:
        redis.RedisError: see redis-py.
    """
    try:
        link.xlen(keys.requests(queue))
    except redis.exceptions.MovedError as error:
        return node_of(error)
    return None
