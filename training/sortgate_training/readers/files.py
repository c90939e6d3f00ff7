"""Opens data files, plain, gzip or Zstandard, told apart by their first bytes, and reads them line by line."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from sortgate.errors import DataError

_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
#: Compressed bytes unpacked at a time.
_CHUNK = 16 * 2**10


class BadLineError(Exception):
    """A line that is not UTF-8; its number is the argument."""


@contextmanager
def open_text_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked.

    Raises:
        DataError: it cannot be read, or is damaged; also for what the reader inside the ``with`` finds of that.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
            raw.seek(0)
            if start.startswith(_GZIP):
                with gzip.open(raw) as file:
                    yield cast("BinaryIO", file)
            elif start == _ZSTANDARD:
                with io.BufferedReader(cast("io.RawIOBase", _Unpacked(raw))) as file:
                    yield cast("BinaryIO", file)
            else:
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: damaged or cut short: not a complete gzip file") from None
    except zstandard.ZstdError:
        raise DataError(f"{path}: damaged or cut short: not a complete Zstandard file") from None
    except csv.Error as error:
        raise DataError(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}") from None


def decoded_lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines, each with its line break, without a byte order mark.

    Raises:
        BadLineError: not UTF-8.
    """
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise BadLineError(number) from None


def not_utf8(path: Path, row: int, line: int) -> DataError:
    """Return the error for a :class:`BadLineError`; row 0 is the header."""
    where = f"row {row}" if row else "the header"
    return DataError(f"{path}: {where} (line {line}) is not UTF-8; save the file as UTF-8")


class _Unpacked(io.RawIOBase):
    """Zstandard frames, unpacked; unlike the library's own stream it takes a file cut short for an error."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            packed = (self._frame.unused_data if self._frame.eof else b"") or self._raw.read(_CHUNK)
            if not packed:
                if self._begun and not self._frame.eof:
                    raise zstandard.ZstdError("cut short")
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun = True
            self._ready = self._frame.decompress(packed)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
