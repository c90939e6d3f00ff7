"""Calls observers: plugins that are told what happens and have no say in it, so that none can stop the work."""

from __future__ import annotations

import logging
from typing import Any

import pluggy

from sortgate.errors import FOREIGN

logger = logging.getLogger(__name__)

#: Hooks that tell, in place of registering something.
OBSERVER_HOOKS = (
    "sortgate_worker_ready",
    "sortgate_batch_done",
    "sortgate_text_failed",
    "sortgate_epoch_end",
    "sortgate_bundle_written",
)
#: Failures in a row after which an observer is told nothing more.
MOST_FAILURES = 10


class Observers:
    """The observers among a manager's plugins.

    Each is called by itself. What it raises is logged, by type alone since the message may hold anything, and stops
    neither the others nor the caller; one that fails ten times in a row is left out from then on.

    Attributes:
        failures: by hook, and plugin as the manager names it.
    """

    def __init__(self, manager: pluggy.PluginManager | None = None) -> None:
        self._manager = manager
        self._streaks: dict[str, int] = {}
        self.failures: dict[tuple[str, str], int] = {}

    def of(self, hook: str) -> bool:
        """Return whether anybody wants to be told of ``hook``."""
        return any(True for _ in self._implementations(hook))

    def listed(self) -> list[tuple[str, str]]:
        """Return hook and plugin of each observer, the plugin as the manager names it."""
        return [(hook, each.plugin_name) for hook in OBSERVER_HOOKS for each in self._implementations(hook)]

    def __bool__(self) -> bool:
        return any(map(self.of, OBSERVER_HOOKS))

    def tell(self, hook: str, **told: Any) -> None:
        """Tell everybody who wants to know; raises nothing."""
        for implementation in list(self._implementations(hook)):
            plugin = implementation.plugin_name
            try:
                implementation.function(*(told[name] for name in implementation.argnames))
            except FOREIGN as exc:  # one that wants to end the process ends nothing, either
                self._failed(hook, plugin, exc)
            else:
                self._streaks[plugin] = 0

    def _implementations(self, hook: str) -> list[Any]:
        if self._manager is None:
            return []
        found = getattr(self._manager.hook, hook).get_hookimpls()
        return [each for each in found if self._streaks.get(each.plugin_name, 0) < MOST_FAILURES]

    def _failed(self, hook: str, plugin: str, exc: BaseException) -> None:
        self.failures[hook, plugin] = self.failures.get((hook, plugin), 0) + 1
        self._streaks[plugin] = self._streaks.get(plugin, 0) + 1
        logger.warning("plugin %s failed in %s: %s", plugin, hook, type(exc).__name__)
        if self._streaks[plugin] >= MOST_FAILURES:
            logger.error("plugin %s failed %d times in a row: it is told nothing more", plugin, MOST_FAILURES)
