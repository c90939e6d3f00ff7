"""What a configuration costs to serve, measured before it is trained, and what it may cost."""

from __future__ import annotations

import re
import time
from typing import Literal

import msgspec
import numpy as np

from sortgate.errors import ConfigurationError
from sortgate.inference.session import Session
from sortgate_training.batches import EncodedTexts
from sortgate_training.export import export_graph
from sortgate_training.model import HybridClassifier
from sortgate_training.precision import quantize

#: Texts of a batch, as a worker makes them, and tokens of each.
BATCH, TOKENS = 32, 40
#: Runs of which the fastest counts: the one that other processes disturbed least.
_RUNS = 25
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Cost(msgspec.Struct, frozen=True):
    """Milliseconds a text of 40 tokens in batches of 32 on one core, without preprocessing; bytes of the model file."""

    ms: float
    bytes: int

    def __str__(self) -> str:
        """In words."""
        return f"{self.ms:.3g} ms, {in_words(self.bytes)}"


class Limits(msgspec.Struct, frozen=True):
    """Most of each, None for any."""

    max_ms: float | None = None
    max_bytes: int | None = None

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.max_ms is not None or self.max_bytes is not None

    def missed(self, cost: Cost) -> str:
        """Say what is over, empty for nothing."""
        parts = []
        if self.max_ms is not None and cost.ms > self.max_ms:
            parts.append(f"{cost.ms:.3g} ms > {self.max_ms:g} ms")
        if self.max_bytes is not None and cost.bytes > self.max_bytes:
            parts.append(f"{in_words(cost.bytes)} > {in_words(self.max_bytes)}")
        return ", ".join(parts)


def in_words(size: int) -> str:
    """Return bytes as kB or MB."""
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"


def parse_size(text: str) -> int:
    """Return the bytes of ``20MB``, ``500kB`` or ``1.5 GiB``.

    Raises:
        ConfigurationError: it is nothing like that.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmg]?)b|([kmg])ib)", text.strip().lower())
    size = 0 if found is None else int(float(found[1]) * (_BINARY[found[3]] if found[3] else _UNITS[found[2]]))
    if size < 1:
        raise ConfigurationError(f"--max-size: {text!r} is no size: write 500kB, 20MB or 1GiB")
    return size


def measure(
    module: HybridClassifier, texts: EncodedTexts, precision: Literal["float32", "int8", "auto"] = "float32"
) -> Cost:
    """Return what the module costs, trained or not.

    Args:
        module: on the CPU.
        texts: whose tokens are read, joined: unknown tokens and known pairs are as frequent as there.
        precision: ``auto`` is measured as float32, which may be what it comes to.
    """
    graph = export_graph(module)
    model = quantize(graph) if precision == "int8" else graph.SerializeToString()
    session = Session(model)
    ids = np.resize(texts.flat(), (BATCH, TOKENS)).astype(np.int32)
    lengths = np.full(BATCH, TOKENS, dtype=np.int32)
    session.run(ids, lengths)  # starts ONNX Runtime
    fastest = float("inf")
    for _ in range(_RUNS):
        started = time.perf_counter()
        session.run(ids, lengths)
        fastest = min(fastest, time.perf_counter() - started)
    return Cost(1000 * fastest / BATCH, len(model))
