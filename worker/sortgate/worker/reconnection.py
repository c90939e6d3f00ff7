"""When and where a queue's links are opened again after they were lost."""

from __future__ import annotations

import time

from celery.utils.log import get_logger

from sortgate.streams.redirect import Route, node_of

logger = get_logger(__name__)

#: Seconds before each attempt, the last one for all that follow.
PAUSES_S = (0.0, 0.1, 0.25, 0.5, 1.0)


class Reconnection:
    """Pauses that grow until a whole read has succeeded: connecting alone proves little.

    Args:
        queue: its name, for the log.

    Attributes:
        route: the node to connect to.
    """

    def __init__(self, queue: str) -> None:
        self.route = Route()
        self._queue = queue
        self._attempts = 0
        #: sent to another node since a read has succeeded; if again, nodes do not agree, which takes time
        self._moved = False
        self._due_at = 0.0

    @property
    def due(self) -> bool:
        """Whether to connect now."""
        return time.monotonic() >= self._due_at

    def lost(self, error: Exception) -> None:
        """Take note that the links are gone."""
        if (node := node_of(error)) is not None:
            self.route.follow(node)
            if not self._moved:
                self._moved = True
                logger.info("queue %s: its node of the cluster is %s:%d", self._queue, *node)
                return  # and connect at once
        else:
            self.route.leave()
        if self._attempts == 0:
            logger.warning("queue %s: link to Redis lost (%s), reconnecting", self._queue, error)
        self._due_at = time.monotonic() + PAUSES_S[min(self._attempts, len(PAUSES_S) - 1)]
        self._attempts += 1

    def succeeded(self) -> None:
        """Take note that a whole read has succeeded."""
        if self._attempts:
            logger.warning("queue %s: link to Redis is back", self._queue)
        self._attempts, self._moved = 0, False
