"""A client's connections, by the node of a Redis Cluster that they go to; a plain Redis is the only node it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import redis
import redis.asyncio

from sortgate.streams.redirect import Node, Route, node_of

#: How often a step is said to another node before its error is taken for one, with a pause from the second time on.
REDIRECTS, PAUSE_S = 5, 0.1
#: What a node says that does not serve the queue, and knows of no other that does.
_LOST = (redis.exceptions.ClusterDownError, redis.exceptions.BusyLoadingError)

Link = TypeVar("Link", redis.Redis, redis.asyncio.Redis)


class Nodes(Generic[Link]):
    """Shared by threads, or by tasks: whoever notices first that a node is the wrong one turns all of them.

    Args:
        connect: makes the pool of connections to a node, to the one that the URL names for None.

    Attributes:
        current: to use for the next step. One that was left stays open: others may still be at it.
    """

    def __init__(self, connect: Callable[[Node | None], Link]) -> None:
        self._connect: Callable[[Node | None], Link] = connect
        self._route = Route()
        self._opened: dict[Node | None, Link] = {}
        self._turning = threading.Lock()
        self.current: Link = self._open()

    def _open(self) -> Link:
        node = self._route.node
        if node not in self._opened:
            self._opened[node] = self._connect(node)
            # raw replies have one shape, whatever the release of redis-py
            self._opened[node].response_callbacks.clear()
        return self._opened[node]

    def opened(self) -> list[Link]:
        """Return all of them, to be closed."""
        return list(self._opened.values())

    def turn(self, link: Link, node: Node | None = None) -> None:
        """Go to ``node`` from ``link`` on, without one to where we were before; unless that has been done meanwhile."""
        with self._turning:
            if self.current is not link:
                return
            if node is None:
                self._route.leave()
            else:
                self._route.follow(node)
            self.current = self._open()

    def learn(self, link: Link, replies: Iterable[object]) -> bool:
        """Look through the replies to a step for errors that are about the node; returns whether to say it again."""
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        if (node := next(filter(None, map(node_of, errors)), None)) is not None:
            self.turn(link, node)
            return True
        if any(isinstance(error, _LOST) for error in errors):
            self.turn(link)
        # a node that was made a replica while a command was blocked says so, and closes the connection
        return any(str(error).startswith("UNBLOCKED") for error in errors)
