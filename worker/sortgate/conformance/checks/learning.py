"""Learned components: what they learn is data, comes back whole, and is the same whenever the texts are."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable, Iterator

from sortgate.conformance.checks.processes import process
from sortgate.conformance.findings import CheckError, apart, raised, shown
from sortgate.conformance.subject import Subject
from sortgate.errors import FOREIGN

_UNPACK: tuple[Callable[[bytes], bytes], ...] = (
    zlib.decompress,
    gzip.decompress,
    bz2.decompress,
    lzma.decompress,
    lambda data: base64.b64decode(data, validate=True),
)
_PICKLED_NONE = b"\x80\x04N."


def state_format(subject: Subject) -> None:
    """The state is bytes, and no pickle, packed or not."""
    subject.must_learn()
    given = "generated texts to learn from, then state()"
    try:
        state = subject.component.state()
    except FOREIGN as error:
        raise CheckError(given, raised(error), "return what fit has learned, as bytes") from None
    if type(state) is not bytes:
        raise CheckError(given, type(state).__name__, "return bytes: JSON in UTF-8, say")
    if is_pickle(state):
        advice = "write JSON, msgpack or plain lines: who loads a pickle runs whatever its writer wanted"
        raise CheckError(given, f"a pickle, {shown(state[:20])}", advice)


def is_pickle(data: bytes) -> bool:
    """Whether these bytes are a pickle, hold one as an archive of PyTorch or NumPy does, or unpack to one."""
    if _reads_as_pickle(data):
        return True
    if data.startswith(b"\x93NUMPY"):
        return b"'|O'" in data[:128]
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    for unpack in _UNPACK:
        try:
            inner = unpack(data)
        except FOREIGN:
            continue
        if inner and _reads_as_pickle(inner):
            return True
    return False


def _reads_as_pickle(data: bytes) -> bool:
    try:
        steps = [opcode.name for opcode, _, _ in pickletools.genops(data)]
    except FOREIGN:  # whatever bytes that are none lead to
        return False
    return data[:1] == b"\x80" or len(steps) > 2


def state(subject: Subject) -> None:
    """``restore(state())`` makes one that answers alike, and has the same state."""
    subject.must_learn()
    given = "state() of one that has learned, then restore() of a new one"
    first = subject.component.state()
    if subject.component.state() != first:
        raise CheckError("state() twice", "other bytes the second time", "write the state in a fixed order")
    try:
        other = subject.another(first)
    except FOREIGN as error:
        raise CheckError(given, raised(error), "let restore take what state returns") from None
    for index, answer in subject.steady.items():
        made = subject.answer(other, subject.core[index])
        if made != answer:
            came = f"for {shown(subject.core[index])} {apart(made, answer, 'before')}"
            raise CheckError(given, came, "put all that fit learns into state(), and take all of it back in restore()")
    again = other.state()
    if again != first:
        came = f"another state: {shown(again)}, but {shown(first)} before"
        raise CheckError(given, came, "restore all of the state, and write it in a fixed order")


def damage(subject: Subject) -> None:
    """``restore`` raises on bytes that ``state()`` cannot have written."""
    subject.must_learn()
    whole = subject.component.state()
    advice = (
        "check in restore that the bytes are whole (a length, a digest, a parser that is strict) and raise ValueError"
    )
    for what, data in _damaged(whole):
        if data == whole:
            continue
        component = subject.make()
        try:
            component.restore(data)
        except FOREIGN:
            continue
        try:
            written = component.state()
        except FOREIGN as error:
            raise CheckError(what, f"no error; later state() says {raised(error)}", advice) from None
        if written != data:
            raise CheckError(what, "no error, and a component with another state than those bytes", advice)
        for index, answer in subject.steady.items():
            if not answer.startswith("raised") and (made := subject.answer(component, subject.core[index])).startswith(
                "raised"
            ):
                raise CheckError(what, f"no error, but {made} for {shown(subject.core[index])}", advice)


def _damaged(whole: bytes) -> Iterator[tuple[str, bytes]]:
    yield "no bytes to restore", b""
    yield "the first half of a state to restore", whole[: len(whole) // 2]
    yield "a state without its last byte to restore", whole[:-1]
    yield "a state with more behind it to restore", whole + b"\x00\xff more"
    yield "61 arbitrary bytes to restore", (hashlib.sha512(b"sortgate").digest() + b"\xff\xfe")[5:]
    yield "a pickle to restore", _PICKLED_NONE
    for share in (0.1, 0.5, 0.9):
        at = int(len(whole) * share)
        yield f"a state with byte {at} damaged to restore", whole[:at] + b"\xff" + whole[at + 1 :]


def learning(subject: Subject) -> None:
    """The same texts give the same state: a second time, and in processes with another PYTHONHASHSEED."""
    subject.must_learn()
    subject.must_be_pure()
    given = "the same texts to learn from"
    advice = "sort what comes out of sets and counters (by count, then by text), and draw no random numbers"
    first = subject.component.state()
    second = subject.teach(subject.make()).state()
    if first != second:
        raise CheckError(given, f"{shown(first)}, but {shown(second)} a second time", advice)
    one, two = (process(subject, seed).result("fitted") for seed in (1, 2))
    if one != two:
        raise CheckError(given, "another state in a process with another PYTHONHASHSEED", advice)
    again = subject.teach(subject.another(first)).state()
    if again != first:
        raise CheckError(f"{given}, after restore()", "another state", "let fit forget what was learned before")
