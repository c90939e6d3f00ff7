"""What both clients share: arguments checked, requests packed, and every conversation written once as steps.

A *steps* generator decides what to say to Redis and reads the replies, but does no input or output itself: it
yields a :class:`Commands`, :class:`Pull`, :class:`Sleep` or :class:`Note` and is sent the outcome, or yields a
:class:`~sortgate.types.Result` for the caller. ``sync.py`` and ``aio.py`` only carry the steps out.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from sortgate import keys
from sortgate.client.connection import broker_error
from sortgate.errors import BrokerError, ClientError, ConfigurationError, MessageError, QueueFullError
from sortgate.journal import Journal, Op
from sortgate.messages import MAX_DEADLINE_S, MAX_FIELD_BYTES, MAX_ID_BYTES, MAX_META_BYTES, WIRE_VERSION, parse_result
from sortgate.settings import Settings
from sortgate.streams.connection import without_password
from sortgate.streams.scripts import load_script
from sortgate.types import PRIORITIES, Priority, Result

T = TypeVar("T")

#: Most texts and bytes that one call of enqueue.lua adds: about 2 ms of Redis's time.
CHUNK_TEXTS = 500
CHUNK_BYTES = 1_000_000
#: Attempts of a call whose link breaks. Repeating is safe: requests carry ids, and the commit answers an id once.
ATTEMPTS = 2

_pack = msgspec.msgpack.Encoder().encode

Command = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """Send these commands in one go; the outcome is the list of replies, error replies as exception objects."""

    commands: list[Command]


@dataclass(frozen=True, slots=True)
class Pull:
    """Take at most ``limit`` texts from the caller's iterable; the outcome is ``(texts, exhausted)``.

    With ``wait`` false an asynchronous source may give none although it is not exhausted.
    """

    limit: int
    wait: bool


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let ``seconds`` pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Write a line to the producer's journal, if it keeps one."""

    op: Op
    ids: list[str]


Step = Commands | Pull | Sleep | Note | Result
Steps = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Item:
    """One request on its way out; ``size`` is the text's length in UTF-8 bytes."""

    id: str
    text: str
    meta: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all requests of one call have in common; ``slots`` are the producer's, 0 for no such bound."""

    stream: str
    fields: bytes
    deadline_ms: int | None
    slots: int = 0


class BaseClient:
    """Configuration and conversations of a client of one queue, without any input or output."""

    def __init__(
        self,
        url: str | None = None,
        queue: str = "",
        *,
        priority: Priority = "normal",
        producer: str | None = None,
        reconnect_s: float = 30.0,
        settings: Settings | None = None,
        journal: Journal | None = None,
    ) -> None:
        """Prepare a client; it connects with the first call.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://`` URL; default ``SORTGATE_REDIS_URL``, else this machine's.
            queue: name of the queue, the one a worker was started with.
            priority: ``high``, ``normal`` or ``low``, unless a call says otherwise.
            producer: name of the sending service, a field of every request. Of the texts that one producer has
                waiting, those beyond ``SORTGATE_PRODUCER_SLOTS`` have low priority, so its flood delays no other's; a
                call that says ``priority="normal"`` is not counted.
            reconnect_s: how long ``stream`` and ``results`` try to reach Redis again before they raise.
            settings: bounds and time-outs; read from the environment by default. ``url`` wins over its URL.
            journal: where ``submit`` notes every id before it is sent and what became of it, for ``sortgate audit``.
                The caller closes it.

        Raises:
            ConfigurationError: the URL, the queue name or the priority cannot be used.
        """
        if settings is None:
            settings = Settings.from_env(redis_url=url)
        elif url is not None:
            settings = replace(settings, redis_url=url)
        self.settings = settings
        self.queue = keys.check_queue(queue)
        self.priority = check_priority(priority)
        self.producer = producer
        self.reconnect_s = reconnect_s
        self.journal = journal
        #: Reply streams that are no longer needed; deleted along with the next call, or by ``close``.
        self._spent: deque[str] = deque()
        #: Entries of results that the caller has, which Redis was not there to delete; the next ``results`` does.
        self._given: list[str] = []
        self._prepare()

    def _prepare(self) -> None:
        """Prepare the connections, of which a client of either kind knows the kind."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({without_password(self.settings.redis_url)!r}, queue={self.queue!r})"

    @property
    def undeleted(self) -> int:
        """Results of an iteration over ``results`` that has ended, which Redis was not there to delete.

        The client's next iteration deletes them first. Where there is none, another client is given them again.
        """
        return len(self._given)

    def error_from(self, error: BaseException) -> ClientError:
        """Return the typed error for one of redis-py's."""
        return broker_error(error, self.settings)

    def _envelope(
        self,
        priority: Priority | None = None,
        reply: str | None = None,
        model: str | None = None,
        deadline_s: float | None = None,
        meta: str | None = None,
        explain: bool = False,
    ) -> Envelope:
        fields = ["v", WIRE_VERSION]
        flag = "1" if explain else None
        given = (("reply", reply), ("model", model), ("producer", self.producer), ("meta", meta), ("explain", flag))
        for name, value in given:
            if value is not None:
                _check_field(name, value, MAX_META_BYTES if name == "meta" else MAX_FIELD_BYTES)
                fields += (name, value)
        if deadline_s is not None and not 0 < deadline_s <= MAX_DEADLINE_S:
            raise MessageError(
                "bad_field",
                f"deadline_s {deadline_s!r}: use more than 0 and at most {MAX_DEADLINE_S:,} seconds",
            )
        stream = keys.requests(self.queue, self.priority if priority is None else check_priority(priority))
        # a call that says its priority gets it
        shares = self.producer and priority is None and stream == keys.requests(self.queue)
        deadline_ms = None if deadline_s is None else max(1, round(deadline_s * 1000))
        return Envelope(stream, _pack(fields), deadline_ms, self.settings.producer_slots if shares else 0)

    def _items(self, texts: Iterable[str], ids: Sequence[str] | None, metas: Sequence[str] | None) -> list[Item]:
        """Check every text, id and meta before anything is sent.

        Raises:
            MessageError: one of them cannot be sent; names its position.
        """
        texts = list(as_source(texts))
        for name, values in (("ids", ids), ("meta", metas)):
            if values is not None and len(values) != len(texts):
                raise MessageError("bad_field", f"{len(values)} {name} for {len(texts)} texts")
        if ids is None:
            ids = new_ids(len(texts))
        else:
            for position, ident in enumerate(ids):
                _check_field(f"id of text {position}", ident, MAX_ID_BYTES, least=1)
            if len(set(ids)) != len(ids):
                first, second = _same(ids)
                raise MessageError("bad_field", f"texts {first} and {second} have the same id {ids[first]!r}")
        items = []
        for position, text in enumerate(texts):
            size, problem = measure(text, self.settings.max_text_bytes)
            if problem is not None:
                raise MessageError(problem[0], f"text {position}: {problem[1]}")
            if metas is not None:
                _check_field(f"meta of text {position}", metas[position], MAX_META_BYTES)
            items.append(Item(ids[position], text, None if metas is None else metas[position], size))
        return items

    def _chunks(self, items: list[Item]) -> Generator[list[Item], None, None]:
        most = max(1, min(CHUNK_TEXTS, self.settings.requests_limit))
        chunk: list[Item] = []
        size = 0
        for item in items:
            if chunk and (len(chunk) >= most or size + item.size > CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(item)
            size += item.size
        if chunk:
            yield chunk

    def _enqueue_command(self, envelope: Envelope, chunk: list[Item], reply: str | None = None) -> Command:
        deadline = "" if envelope.deadline_ms is None else envelope.deadline_ms
        packed = _pack([(i.id, i.text) if i.meta is None else (i.id, i.text, i.meta) for i in chunk])
        # EVAL, not EVALSHA: the script is small beside a chunk, and a restarted Redis needs no second round trip.
        used = [envelope.stream]
        if envelope.slots and self.producer:
            used += (keys.requests(self.queue, "low"), keys.producer(self.queue, self.producer))
        if reply is not None:
            used.append(reply)
        return (
            "EVAL", load_script("enqueue"), len(used), *used,
            self.settings.requests_limit, deadline, envelope.fields, packed, envelope.slots,
        )  # fmt: skip

    def _full(self, length: int) -> QueueFullError:
        return QueueFullError(
            f"queue {self.queue!r} holds {length:,} texts of at most {self.settings.requests_limit:,}; "
            "try again later, start more workers, or raise SORTGATE_REQUESTS_LIMIT"
        )

    def _read_enqueue(self, reply: Any) -> None:
        """Return when a chunk was added.

        Raises:
            QueueFullError: the queue, or Redis's memory, is full; nothing of the chunk was added.
            BrokerError: Redis refused.
        """
        if isinstance(reply, Exception):
            raise self.error_from(reply)
        added, length = reply
        if not added:
            raise self._full(length)

    def _submit(self, items: list[Item], envelope: Envelope) -> Steps[list[str]]:
        submitted: list[str] = []
        for chunk in self._chunks(items):
            idents = [item.id for item in chunk]
            command = self._enqueue_command(envelope, chunk)
            unknown = False
            yield Note("invoke", idents)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    (reply,) = yield Commands([command])
                    self._read_enqueue(reply)
                    break
                except BrokerError as error:
                    error.submitted = submitted
                    error.unknown = idents
                    if not error.retriable or attempt == ATTEMPTS:
                        yield Note("unknown", idents)
                        raise
                    unknown = True
                except QueueFullError as error:
                    error.submitted = submitted
                    # after a broken attempt the queue may be full of this very chunk
                    error.unknown = idents if unknown else []
                    yield Note("unknown" if unknown else "refused", idents)
                    raise
            yield Note("ok", idents)
            submitted += idents
        return submitted


def new_ids(number: int) -> list[str]:
    """Return ids that no other call gets: 96 random bits of this call and a running number."""
    token = secrets.token_hex(12)
    return [f"{token}-{position}" for position in range(number)]


def measure(text: object, limit: int) -> tuple[int, tuple[str, str] | None]:
    """Return a text's UTF-8 size in bytes, and code and sentence of what keeps it from being sent."""
    if not isinstance(text, str):
        return 0, ("bad_field", f"a text must be a str, not {type(text).__name__}")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        return 0, ("not_utf8", "holds a lone surrogate, which UTF-8 cannot carry")
    if size > limit:
        return size, ("text_too_long", f"{size:,} bytes, the limit is {limit:,}")
    return size, None


def _same(ids: Sequence[str]) -> tuple[int, int]:
    """Return the positions of two that are the same; there are two."""
    seen: dict[str, int] = {}
    return next((seen[ident], at) for at, ident in enumerate(ids) if seen.setdefault(ident, at) != at)


def check_priority(priority: Priority) -> Priority:
    """Return ``priority`` when there is such a one, else raise :class:`ConfigurationError`."""
    if priority not in PRIORITIES:
        raise ConfigurationError(f"priority {priority!r}: use one of {', '.join(PRIORITIES)}")
    return priority


def _check_field(name: str, value: object, most: int, least: int = 0) -> None:
    if not isinstance(value, str):
        raise MessageError("bad_field", f"{name} must be a str, not {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise MessageError("not_utf8", f"{name} holds a lone surrogate, which UTF-8 cannot carry") from None
    if not least <= size <= most:
        raise MessageError("bad_field", f"{name} has {size:,} bytes; {least} to {most:,} are allowed")


def as_source(texts: Iterable[T]) -> Iterable[T]:
    """Return ``texts``; a single str, whose characters would be taken for texts, is refused."""
    if isinstance(texts, str):
        raise MessageError("bad_field", "give a list of texts, not one str")
    return texts


def read_result(entry: str, fields: Sequence[str]) -> Result:
    """Return the result that an entry's flat field list holds; one that holds none gets code ``bad_result``."""
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    try:
        return parse_result(values)
    except MessageError as error:
        return Result(values.get("id", entry), "error", code=error.code, message=str(error))
