"""Celery's consumer: it survives a broker that refuses, comes back to one that is back, and no message can end it.

Celery logs messages that it cannot use with all they hold, and a list entry that is no message at all ends its worker.
Here both are dropped and counted, and the line about them holds nothing of theirs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR
from typing import Any

from celery import signals
from celery.exceptions import InvalidTaskError, NotRegistered
from celery.utils.log import get_logger
from celery.utils.objects import Bunch
from celery.utils.time import maybe_iso8601
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.transport import redis

logger = get_logger(__name__)

#: Longest pause between two attempts, in seconds. Celery's own goes up to 30, and while it waits no stream is read.
MAX_PAUSE_S = 2.0
#: Pause after a broker that is there has refused a command: it would be refused again at once.
REFUSED_PAUSE_S = 1.0
#: What Celery and kombu raise on a message that is not built as they expect. A lost link is none of these.
MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
#: Longest time limit that a message may ask for: some thirty years.
MAX_LIMIT_S = 1e9
#: What a message may say of itself for the log, which is the caller's to choose.
_REPEATED = ("argsrepr", "kwargsrepr", "shadow")


class _Guard:
    """Mixed into kombu's channel: an entry of a queue's list that is no message is dropped."""

    sortgate_dropped: Callable[[BaseException], None]

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # of the channel that this is mixed into
        except MALFORMED as error:
            self.sortgate_dropped(error)
            return True


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery is untyped
    """Retries a broken broker link every two seconds at the latest, and survives any message.

    With ``broker_channel_error_retry`` it also comes here when the broker refuses a command, since it was made a
    replica, cannot write to its disk, or its rights were changed. Celery's default is to end the worker then.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, and keep trying."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=MAX_PAUSE_S
        )
        channel = conn.transport.Channel
        if issubclass(channel, redis.Channel):
            guard = {"sortgate_dropped": staticmethod(lambda error: self._refuse("no message", error))}
            conn.transport.Channel = type("Channel", (_Guard, channel), guard)
        return super().ensure_connected(conn)

    def update_strategies(self) -> None:
        """Let every registered task look at its message's arguments first."""
        super().update_strategies()
        for name, strategy in self.strategies.items():
            self.strategies[name] = _checked(strategy)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return Celery's handler, which by itself lets some malformed messages end the worker."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> Any:
            try:
                return handle(message)
            except MALFORMED as error:
                self._refuse("no task message", error)
                return message.reject_log_error(logger, self.connection_errors)

        return on_task_received

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        """Drop a message whose body cannot be decoded, or may not be: only JSON is."""
        self._refuse("not readable as JSON", exc)
        message.ack()

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Drop a message that names no task."""
        self._refuse("no task message", None)
        message.reject_log_error(logger, self.connection_errors)
        signals.task_rejected.send(sender=self, message=message, exc=None)

    def on_invalid_task(self, body: Any, message: Any, exc: BaseException) -> None:  # noqa: ARG002 - Celery's signature
        """Drop a task message of another form, or with another content type than JSON."""
        self._refuse("no valid task message", None if isinstance(exc, InvalidTaskError) else exc)
        message.reject_log_error(logger, self.connection_errors)
        signals.task_rejected.send(sender=self, message=message, exc=exc)

    def on_unknown_task(self, body: Any, message: Any, exc: BaseException) -> None:  # noqa: ARG002 - Celery's signature
        """Answer a task that is not registered here, as Celery does; but Celery logs its name, and all the rest."""
        named = message.headers if "task" in message.headers else message.payload
        name, task_id = named["task"], named["id"]
        request = Bunch(
            name=name,
            chord=None,
            root_id=message.headers.get("root_id"),
            correlation_id=message.properties.get("correlation_id"),
            reply_to=message.properties.get("reply_to"),
            errbacks=None,
        )
        # before it is rejected, unlike Celery: an id that is none fails here, and is dropped like all that is malformed
        self.app.backend.mark_as_failure(task_id, NotRegistered(name), request=request)
        self._refuse("a task that is not registered here", None)
        message.reject_log_error(logger, self.connection_errors)
        if self.event_dispatcher:
            self.event_dispatcher.send("task-failed", uuid=task_id, exception=f"NotRegistered({name!r})")
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=task_id)

    def _refuse(self, what: str, error: BaseException | None) -> None:
        monitor = self.controller.sortgate.dispatcher.monitor
        monitor.celery_dropped += 1
        why = f" ({type(error).__name__})" if error is not None else ""
        logger.error("dropped an entry of a Celery queue: %s%s; %d so far", what, why, monitor.celery_dropped)

    def on_connection_error_before_connected(self, exc: BaseException) -> None:
        """Wait a little: the broker answers and refuses, or connecting would have gone on."""
        super().on_connection_error_before_connected(exc)
        self._pause()

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Let go of the connection; when it was refused rather than lost, wait a little."""
        super().on_connection_error_after_connected(exc)
        if not isinstance(exc, self.connection_errors):
            self._pause()

    def _pause(self) -> None:
        ends = time.monotonic() + REFUSED_PAUSE_S
        while time.monotonic() < ends:
            state.maybe_shutdown()
            time.sleep(0.1)


def _checked(strategy: Callable[..., Any]) -> Callable[..., Any]:
    """Return Celery's strategy for a task, which by itself takes values of any type, and logs some that callers chose.

    It breaks on them later, where no handler of messages sees it: in a callback of the pool, or as a timer is set.
    https://docs.celeryq.dev/en/latest/internals/protocol.html
    """

    def check(message: Any, *rest: Any) -> Any:
        body: Any = message.payload
        headers: dict[str, Any] = message.headers
        if isinstance(body, dict):  # protocol 1, or a mixture
            headers = {**body, **headers}
            body = [body.get("args", []), body.get("kwargs", {}), body] if {"args", "kwargs"} & body.keys() else None
        match body, headers.get("id"), headers.get("timelimit"):
            case (
                [list(), dict(), dict() | None as embed],
                str(task_id),
                None | [_, _] as limits,
            ) if (
                task_id
                and task_id.encode()  # which raises on a lone surrogate, as the result backend would
                and all(map(_is_limit, limits or ()))
                and all(_is_moment(headers.get(name)) for name in ("eta", "expires"))
                and _names_tasks(embed or {})
            ):
                for chosen in (message.headers, message.payload):
                    if isinstance(chosen, dict):
                        for name in _REPEATED:
                            chosen.pop(name, None)
                return strategy(message, *rest)
        raise InvalidTaskError("not as Celery's message protocol says")

    return check


def _is_limit(value: Any) -> bool:
    """Whether Celery can set a timer by it."""
    return value is None or (isinstance(value, int | float) and 0 <= value <= MAX_LIMIT_S)


def _is_moment(value: Any) -> bool:
    """Whether it is a time that can be told in every time zone."""
    return value is None or (isinstance(value, str) and MINYEAR < maybe_iso8601(value).year < MAXYEAR)


def _names_tasks(embed: dict[str, Any]) -> bool:
    """Whether what is to be done afterwards is lists of tasks."""
    after = [embed.get("chord")] if embed.get("chord") is not None else []
    for name in ("callbacks", "errbacks", "chain"):
        listed = embed.get(name)
        if not isinstance(listed, list | None):
            return False
        after += listed or []
    return all(isinstance(each, dict) and isinstance(each.get("task"), str) for each in after)
