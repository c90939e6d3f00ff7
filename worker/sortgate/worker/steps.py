"""Boot steps that put Sortgate's stream consumer into a Celery worker.

The :class:`StreamService` belongs to the *worker* blueprint and lives as long as the worker. The
:class:`StreamReader` belongs to the *consumer* blueprint, which Celery stops and starts again whenever the broker's
link breaks; it only registers the service with the event loop, whose readers that restart has dropped.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from celery import bootsteps, signals
from celery.concurrency.prefork import TaskPool
from celery.platforms import EX_FAILURE
from celery.utils.log import get_logger
from celery.worker import state

from sortgate.errors import ConfigurationError, SortgateError
from sortgate.settings import Settings
from sortgate.worker.child import load
from sortgate.worker.dispatch import Dispatcher
from sortgate.worker.endpoint import Endpoint
from sortgate.worker.served import preflight, served_bundles

logger = get_logger(__name__)

TICK_S = 0.25


class StreamService(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery is untyped
    """Owns the queues, the batches in flight and their commits."""

    requires = ("celery.worker.components:Hub", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._app = worker.app
        self.dispatcher: Dispatcher | None = None
        self._endpoint: Endpoint | None = getattr(worker, "sortgate_endpoint", None)
        worker.sortgate = self

    def start(self, worker: Any) -> None:
        """Build the dispatcher; the pool exists, the event loop does not run yet."""
        settings: Settings = worker.app.conf.sortgate_settings
        for name, meant in Settings.mistyped().items():
            logger.warning("%s is no setting; did you mean %s?", name, meant)
        queues = list(served_bundles(settings.queues, settings.models_dir))
        self.dispatcher = Dispatcher(worker.pool, settings, queues, self._on_fatal)
        if self._endpoint is not None:
            self._endpoint.serve(self.dispatcher.monitor)
        # Celery's own handler waits for busy processes, which is what this signal is there to avoid.
        signal.signal(signal.SIGQUIT, self._on_quit)

    @staticmethod
    def _on_quit(*_: Any) -> None:
        """Have the event loop call :meth:`terminate`."""
        state.should_terminate = EX_FAILURE

    def _on_fatal(self, error: SortgateError) -> None:
        if not hasattr(self._app, "sortgate_fatal"):
            self._app.sortgate_fatal = error  # `sortgate worker` ends with it
            logger.critical("%s", error)
            state.should_stop = error.exit_code

    def stop(self, worker: Any) -> None:
        """Read no more; the pool, which stops next, still finishes what its processes have started.

        Celery does not look at a further signal while it waits for them: from here on it is ours.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda *_: self._kill(worker))
        if self.dispatcher is not None:
            self.dispatcher.close()

    def _kill(self, worker: Any) -> None:
        """Kill the processes; their texts are handed back by ``finish``."""
        logger.warning("stopping at once: texts in hand are handed back")
        for process in getattr(getattr(worker.pool, "_pool", None), "_pool", None) or ():
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)

    def terminate(self, worker: Any) -> None:
        """Stop at once: processes ignore SIGTERM, so they are killed; their texts are handed back by ``finish``."""
        self.stop(worker)
        self._kill(worker)

    def finish(self) -> None:
        """Commit the last answers and leave the queues; the pool is gone."""
        dispatcher, self.dispatcher = self.dispatcher, None
        if dispatcher is not None:
            dispatcher.finish()
        if self._endpoint is not None:
            self._endpoint.close()


class StreamReader(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery is untyped
    """Registers the service's links with the event loop, each time that Celery's consumer starts."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._probed = False

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Called by Celery's event loop once the pool is registered with it."""
        dispatcher = consumer.controller.sortgate.dispatcher
        for queue in dispatcher.consumers.values():
            queue.attach(hub)
        # Celery cancels this timer with the connection, so each start of the consumer needs a new one
        hub.call_repeatedly(TICK_S, dispatcher.tick)
        if not self._probed:
            self._probed = True
            dispatcher.probe()
        dispatcher.open(hub)

    def start(self, consumer: Any) -> None:
        """Nothing to do before the event loop is there."""

    def stop(self, consumer: Any) -> None:
        """Leave the event loop; batches that Celery forgot on the way are taken back."""
        dispatcher = consumer.controller.sortgate.dispatcher
        if dispatcher is not None:
            for queue in dispatcher.consumers.values():
                queue.detach()
            dispatcher.monitor.detached()
            dispatcher.take_back()

    def shutdown(self, consumer: Any) -> None:
        """Called last, after the pool is gone, whether the worker stops or is terminated."""
        consumer.controller.sortgate.finish()


def _preflight(sender: Any, **_: Any) -> None:
    """Refuse to start in one line, before a process is forked or a text is taken."""
    try:
        if sender.pool_cls not in ("prefork", "celery.concurrency.prefork:TaskPool", TaskPool):
            raise ConfigurationError(
                f"pool {sender.pool_cls!r} cannot be used: texts that hang or crash need processes; "
                "start with --pool prefork"
            )
        settings: Settings = sender.app.conf.sortgate_settings
        preflight(settings)
        sender.sortgate_endpoint = Endpoint.from_settings(settings)
    except SortgateError as error:
        print(f"sortgate: error: {error}", file=sys.stderr)  # noqa: T201 - logging is not set up yet
        raise SystemExit(error.exit_code) from None


def _load_bundles(**_: Any) -> None:
    from celery import current_app

    settings: Settings = current_app.conf.sortgate_settings
    load(served_bundles(settings.queues, settings.models_dir), settings)


def _note_status(sender: Any, **_: Any) -> None:
    # `sortgate worker` ends with it, since Celery's entry point drops it; a warm stop by Ctrl-C is no failure either
    warm = state.should_stop is not None and state.should_terminate is None
    sender.app.sortgate_status = 0 if warm else sender.exitcode


def install(app: Any) -> None:
    """Add the steps to ``app`` and connect the worker's signals."""
    app.steps["worker"].add(StreamService)
    app.steps["consumer"].add(StreamReader)
    signals.worker_init.connect(_preflight, weak=False)
    signals.worker_process_init.connect(_load_bundles, weak=False)
    signals.worker_shutdown.connect(_note_status, weak=False)
