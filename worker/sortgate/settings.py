"""Settings of a process, read once from ``SORTGATE_*`` environment variables."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from sortgate.errors import ConfigurationError
from sortgate.keys import QUEUE_NAME

#: Least values of the numbers below; any other may be 0.
_LEAST = {
    "batch_texts": 1,
    "batch_timeout_s": 0.1,
    "batch_memory_bytes": 0,
    "lease_s": 0.5,
    "breaker_failures": 0,
    "sweep_s": 0.1,
    "max_deliveries": 1,
    "dedupe_limit": 1,
    "dedupe_window_s": 0,
    "requests_limit": 1,
    "producer_slots": 0,
    "results_limit": 1,
    "reply_limit": 1,
    "max_text_bytes": 1,
    "cache_texts": 0,
    "socket_timeout_s": 0.1,
    "metrics_port": 0,
    "health_timeout_s": 0,
}

#: An empty value means something else than an unset one: no plugin at all, and a mistake.
_MAY_BE_EMPTY = {"plugins", "trusted_keys"}

#: Of a batch: with less, nearly every text would fail; with more, no limit of the kernel can be said.
_LEAST_MEMORY, _MOST_MEMORY = 64 * 2**20, 2**60
#: Texts a second.
_LEAST_RATE = 0.001

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


class PluginOptions(TypedDict):
    """Which plugins may be loaded, from where, and how exactly they must be those of a bundle."""

    plugins_dir: Path | None
    allow: tuple[str, ...] | None
    block: tuple[str, ...]
    strict: bool


@dataclass(frozen=True)
class Settings:
    """Everything a client or worker can be told from outside; the variable is ``SORTGATE_`` + the name in capitals.

    Times end in ``_s`` (seconds), sizes in ``_bytes``.
    """

    #: Redis of the streams, and of Celery's broker and result backend unless ``broker_url`` is set.
    redis_url: str = DEFAULT_REDIS_URL
    #: Celery's broker when it is not the streams' Redis (a Redis Cluster cannot be one).
    broker_url: str = ""
    #: Folder of bundles, each in ``<name>/<version>``.
    models_dir: Path = Path("models")
    #: Folder of one-file plugins; empty for none.
    plugins_dir: Path | None = None
    #: Comma-separated distributions and plugin files that may be loaded; None allows all.
    plugins: tuple[str, ...] | None = None
    #: Comma-separated distributions and plugin files that are never loaded, whatever else allows them.
    plugins_blocked: tuple[str, ...] = ()
    #: Refuse a bundle whose plugins here do not have the very source that it was made with.
    plugins_strict: bool = False
    #: Comma-separated files of public keys, or folders of ``*.pub`` files: a bundle that none of these keys has signed
    #: is refused. Unset: signatures are not looked at.
    trusted_keys: tuple[str, ...] | None = None
    #: ``a,b=name``: queue a serves bundle a, queue b serves bundle ``name``.
    queues: tuple[str, ...] = ()
    #: ``a=100,b=0.5``: all workers together read at most so many texts a second of a queue; give each of them the same.
    rate_limits: tuple[str, ...] = ()
    #: Most texts that one pool process gets at a time. More than 256 it gets only while a batch takes a quarter of a
    #: second at most.
    batch_texts: int = 512
    #: Texts of a batch with the same token ids go through the model once.
    coalesce: bool = True
    #: Texts whose scores each pool process keeps, a bundle, for when they come again; 0 for none. Needs `coalesce`. One
    #: takes 200 bytes, 4 for each of its tokens and 4 for each label. With int8 they are those of its first batch.
    cache_texts: int = 0
    #: A batch that takes longer is stopped by killing its process.
    batch_timeout_s: float = 30.0
    #: Memory that a batch may take beyond what its process has when it begins; a text that needs more fails, by itself.
    #: 64 MiB at least, or 0 for no limit.
    batch_memory_bytes: int = 2_147_483_648
    #: A worker that has not renewed a text's lease for this long has lost it.
    lease_s: float = 15.0
    #: How often leases of others are looked at.
    sweep_s: float = 5.0
    #: Texts in a row on which a component fails before the bundle's golden texts are tried: when it fails on them, too,
    #: this worker leaves the queue to others and says so in `/readyz`; 0 turns that off.
    breaker_failures: int = 20
    #: A text that took down its process this many times is answered ``dead``; so is one that took down two copies of
    #: a process, each by itself.
    max_deliveries: int = 5
    #: Window in which a second text with the same id is not answered again; 0 turns it off.
    dedupe_window_s: float = 600.0
    #: Most ids remembered in that window.
    dedupe_limit: int = 1_000_000
    #: Bound of a request stream, kept by the client.
    requests_limit: int = 1_000_000
    #: Texts of normal priority that a producer with a name may have waiting, or up to twice as many; those beyond have
    #: low priority. Kept by the client; 0 for no such bound.
    producer_slots: int = 1000
    #: Bound of a result stream; workers stop reading the queue while it is full.
    results_limit: int = 1_000_000
    #: Bound of a private reply stream.
    reply_limit: int = 100_000
    #: Texts of more UTF-8 bytes are answered ``rejected``.
    max_text_bytes: int = 65_536
    #: Start although Redis may evict keys when memory is full (texts can then be lost).
    allow_eviction: bool = False
    #: Seconds without a byte from Redis, while one is owed, after which the link is given up.
    socket_timeout_s: float = 5.0
    #: Port of a worker's `/metrics`, `/healthz` and `/readyz`; 0 for none.
    metrics_port: int = 0
    #: Address on which that port is opened; whoever reaches it may read the figures.
    metrics_host: str = "127.0.0.1"
    #: Seconds without a completed text, while there is work, after which `/healthz` says so; 0 for a batch's time
    #: limit, a lease and 15 seconds more.
    health_timeout_s: float = 0.0

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Read the environment; ``overrides`` that are not None win.

        Raises:
            ConfigurationError: a variable's value cannot be read; names variable, value and type.
        """
        source = os.environ if env is None else env
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in fields(cls):
            if overrides.get(field.name) is not None:
                values[field.name] = overrides[field.name]
                continue
            key = f"SORTGATE_{field.name.upper()}"
            raw = source.get(key)
            if raw is not None and (raw.strip() or field.name in _MAY_BE_EMPTY):
                values[field.name] = _parse(key, raw.strip(), hints[field.name])
        settings = cls(**values)
        settings.check()
        return settings

    @classmethod
    def mistyped(cls, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return variables of the environment that are no setting but look like one, and the one that they look like.

        Others are left alone: Kubernetes, say, sets ``SORTGATE_WORKER_SERVICE_HOST`` where a service is called so.
        """
        known = [f"SORTGATE_{field.name.upper()}" for field in fields(cls)]
        strangers = {name for name in (os.environ if env is None else env) if name.startswith("SORTGATE_")} - {*known}
        near = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.9) for name in sorted(strangers)}
        return {name: found[0] for name, found in near.items() if found}

    def check(self) -> None:
        """Raise :class:`ConfigurationError` for values that would stall or lose texts."""
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise ConfigurationError(f"SORTGATE_{name.upper()}={value}: use {least} or more")
        if 0 < self.health_timeout_s < 1:
            raise ConfigurationError(f"SORTGATE_HEALTH_TIMEOUT_S={self.health_timeout_s}: use 1 or more, or 0")
        if not (self.batch_memory_bytes == 0 or _LEAST_MEMORY <= self.batch_memory_bytes <= _MOST_MEMORY):
            raise ConfigurationError(
                f"SORTGATE_BATCH_MEMORY_BYTES={self.batch_memory_bytes}: use {_LEAST_MEMORY} (64 MiB) or more, or 0"
            )
        if self.cache_texts and not self.coalesce:
            raise ConfigurationError(
                f"SORTGATE_CACHE_TEXTS={self.cache_texts} needs SORTGATE_COALESCE=1, since it shares scores likewise"
            )
        if self.metrics_port > 65_535:
            raise ConfigurationError(
                f"SORTGATE_METRICS_PORT={self.metrics_port}: use a port up to 65535, or 0 for none"
            )
        if self.trusted_keys is not None and not self.trusted_keys:
            raise ConfigurationError(
                "SORTGATE_TRUSTED_KEYS is set and empty: name files of public keys, or unset it to take any bundle"
            )
        if len(self.rates) < len(self.rate_limits):
            raise ConfigurationError(f"SORTGATE_RATE_LIMITS={','.join(self.rate_limits)} names a queue twice")
        if self.batch_texts >> (3 * (self.max_deliveries - 1)) > 1:
            raise ConfigurationError(
                f"SORTGATE_MAX_DELIVERIES={self.max_deliveries} is too few to isolate one text of a batch of "
                f"{self.batch_texts}: each delivery divides the batch by 8, so raise it or lower SORTGATE_BATCH_TEXTS"
            )

    def plugin_options(self) -> PluginOptions:
        """Return what :func:`sortgate.plugins.create_registry` is to be given."""
        return {
            "plugins_dir": self.plugins_dir,
            "allow": self.plugins,
            "block": self.plugins_blocked,
            "strict": self.plugins_strict,
        }

    @property
    def rates(self) -> dict[str, float]:
        """Texts a second that may be read of each queue that has a rate limit."""
        return dict(map(_rate_limit, self.rate_limits))

    @property
    def health_limit_s(self) -> float:
        """Seconds without progress that are too long.

        A batch may take its whole time limit, and texts of a worker that died wait for their lease to run out: neither
        is a standstill, and then a killed process's successor still has to load its bundles.
        """
        return self.health_timeout_s or self.batch_timeout_s + self.lease_s + 15.0

    @property
    def broker(self) -> str:
        """Celery's broker: ``broker_url``, or the streams' Redis."""
        return self.broker_url or self.redis_url


def _rate_limit(item: str) -> tuple[str, float]:
    """Return queue and texts a second of ``queue=rate``."""
    queue, _, value = item.partition("=")
    try:
        rate = float(value)
    except ValueError:
        rate = math.nan
    if not QUEUE_NAME.fullmatch(queue.strip()) or not _LEAST_RATE <= rate < math.inf:
        raise ConfigurationError(
            f"SORTGATE_RATE_LIMITS={item!r}: write queue=rate, with {_LEAST_RATE:g} texts a second or more, such as "
            "tickets=100"
        )
    return queue.strip(), rate


def _parse(key: str, raw: str, kind: Any) -> Any:
    if kind in (tuple[str, ...], tuple[str, ...] | None):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if kind in (Path, Path | None):
        return Path(raw)
    if kind is bool:
        if raw.lower() in {"1", "true", "yes", "on"}:
            return True
        if raw.lower() in {"0", "false", "no", "off"}:
            return False
        raise ConfigurationError(f"{key}={raw!r}: use 1 or 0")
    if kind is str:
        return raw
    try:
        value = kind(raw)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise ConfigurationError(f"{key}={raw!r}: use {noun}") from None
    if value < 0:
        raise ConfigurationError(f"{key}={raw!r}: use a number that is not negative")
    return value
