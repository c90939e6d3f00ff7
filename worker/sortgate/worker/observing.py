"""Tells observers what a worker does, from a thread of its own: a slow or hanging one holds up no text."""

from __future__ import annotations

import queue
import threading
from typing import Any

from celery.utils.log import get_logger

from sortgate.plugins import create_registry_for
from sortgate.plugins.observers import Observers
from sortgate.settings import Settings

logger = get_logger(__name__)

#: What may wait to be told; what comes on top is dropped and counted.
MOST_WAITING = 10_000


class WorkerObservers:
    """Hands events to the observers' thread; never blocks, and costs nothing when there are no observers.

    Args:
        observers: of the plugins that the allow-list names.

    Attributes:
        dropped: events that were told nobody, since too many waited.
    """

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        self._waiting: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue(MOST_WAITING)
        self.dropped = 0
        if observers:
            # a daemon: an observer that hangs must not keep the worker from ending
            threading.Thread(target=self._run, name="sortgate-observers", daemon=True).start()

    @classmethod
    def from_settings(cls, settings: Settings) -> WorkerObservers:
        """Load the plugins that ``SORTGATE_PLUGINS`` names; a worker runs no others that its bundles do not need.

        Raises:
            ConfigurationError: the plugins folder cannot be read.
        """
        if not settings.plugins:
            return cls(Observers())
        registry = create_registry_for([], **settings.plugin_options())
        for broken in registry.broken:
            logger.warning("%s; the worker goes on without it", broken.error)
        for name in registry.unmatched:
            logger.warning(
                "no plugin here is called %s, which SORTGATE_PLUGINS or SORTGATE_PLUGINS_BLOCKED names", name
            )
        return cls(registry.observers)

    @property
    def failures(self) -> dict[tuple[str, ...], float]:
        """How often an observer failed, by hook and plugin."""
        return {key: float(count) for key, count in self._observers.failures.items()}

    def tell(self, hook: str, **told: Any) -> None:
        """Have the observers told, soon."""
        if not self._observers.of(hook):
            return
        try:
            self._waiting.put_nowait((hook, told))
        except queue.Full:
            if not self.dropped:
                logger.warning("observers are too slow: events are dropped from here on, and counted")
            self.dropped += 1

    def _run(self) -> None:
        while True:
            hook, told = self._waiting.get()
            self._observers.tell(hook, **told)
