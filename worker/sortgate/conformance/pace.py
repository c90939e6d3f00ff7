"""Whether a component's time grows with the text and not with its square; runs where a hang can be ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from sortgate.conformance import samples
from sortgate.conformance.findings import raised, shown
from sortgate.conformance.predictions import wide
from sortgate.conformance.subject import Subject
from sortgate.errors import FOREIGN

#: Bytes of the texts that are compared. Linear code takes 8 times as long for the large one, quadratic code 64 times.
SMALL, LARGE = 8_192, 65_536
#: Largest growth that counts as linear: three times what it should be leaves room for caches and a busy machine.
GROWTH = 3.0 * LARGE / SMALL
#: Seconds; where the largest text is done sooner, no growth can hold up a batch.
_HARMLESS_S = 0.1
#: Bytes of text that stand for one label of a post-processor's prediction.
_BYTES_A_LABEL = 64


class Say(Protocol):
    """Tells what is begun, and ends the process when it takes longer than that many seconds."""

    def __call__(self, what: str, limit_s: float = ...) -> None:
        """Begin something."""


class Pace(msgspec.Struct, frozen=True):
    """Processor seconds for the small and for the large text, and what went wrong with the large one."""

    what: str
    small_s: float
    large_s: float
    failed: str | None = None

    @property
    def linear(self) -> bool:
        """Whether the time grew with the text."""
        return self.large_s < _HARMLESS_S or self.large_s <= GROWTH * self.small_s


def items(subject: Subject, size: int) -> Iterator[tuple[str, Any]]:
    """Yield what the component gets for texts of ``size`` bytes, and what to call it."""
    if subject.kind == "filter":
        yield "the tokens of an ordinary text", samples.filled("a word of the text 12 ", size).split()
        yield "one token", ["a" * size]
        yield "the token 'a' again and again", ["a"] * (size // 2)
        yield "tokens that all differ", [f"w{index}" for index in range(size // 6)]
        return
    for piece in samples.REPEATED:
        text = samples.filled(piece, size)
        if subject.kind != "postprocessor":
            yield f"{shown(piece)} repeated", text
        elif getattr(subject.component, "wants_text", False):
            yield f"a prediction and {shown(piece)} repeated", (wide(size // _BYTES_A_LABEL), text)
        else:
            yield f"a prediction with a label for each {_BYTES_A_LABEL} bytes", (wide(size // _BYTES_A_LABEL), text)
            return


def measure(subject: Subject, component: Any, say: Say) -> list[Pace]:
    """Return the pace of each kind of text, up to the first that is too slow."""
    found: list[Pace] = []
    for (what, small), (_, large) in zip(items(subject, SMALL), items(subject, LARGE), strict=True):
        say(f"{what} to 8 KiB and to 64 KiB", 5.0 * subject.settings.huge_s)
        small_s, _ = _best(subject, component, small, 3)
        large_s, failed = _best(subject, component, large, 2)
        pace = Pace(what, small_s, large_s, failed)
        for _ in range(3):  # a busy machine slows down one of them, but not three times
            if pace.linear or pace.large_s > subject.settings.huge_s:
                break
            small_s = min(small_s, _best(subject, component, small, 3)[0])
            pace = Pace(what, small_s, min(pace.large_s, _best(subject, component, large, 3)[0]), failed)
        found.append(pace)
        if not pace.linear or pace.large_s > subject.settings.huge_s:
            break
    return found


def _best(subject: Subject, component: Any, item: Any, repeats: int) -> tuple[float, str | None]:
    """Return the processor's seconds of the fastest of some calls, and what went wrong; a long one is not repeated.

    Its time and not the clock's: a machine that is busy with other things shall not be taken for a slow component.
    """
    best, failed = float("inf"), None
    for _ in range(repeats):
        arguments = subject.arguments(component, item)
        started = time.process_time()
        try:
            made = component(*arguments)
        except FOREIGN as error:
            failed = raised(error)
        else:
            failed = None if subject.form.fits(made) else f"{type(made).__name__}, not {subject.form.noun}"
        best = min(best, time.process_time() - started)
        if best > _HARMLESS_S:
            break
    return best, failed
