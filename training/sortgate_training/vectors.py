"""Pretrained word vectors from a text file: GloVe's format, or fastText's and word2vec's, which has a header line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch

from sortgate.errors import ConfigurationError, DataError
from sortgate.vocabulary import FIRST_ID, Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.embedding import TokenEmbedding
from sortgate_training.readers.files import open_text_file, sha256_of

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def start_from_vectors(
    embedding: TokenEmbedding, path: Path, vocabulary: Vocabulary, learned: EncodedTexts, say: Callable[[str], None]
) -> dict[str, Any]:
    """Put a file's vectors in the place of random ones; returns what the bundle keeps of it.

    They are scaled to the standard deviation of the random ones, so that the vectors of characters that are added to
    them weigh neither more nor less than before.

    Raises:
        ConfigurationError: the vectors are not as wide as the embedding.
        DataError: see :func:`read_vectors`.
    """
    weight = embedding.words.weight
    ids, values = read_vectors(path, vocabulary, weight.shape[1])
    spread = float(values.std())
    if not spread > 0:
        raise DataError(f"{path}: all its numbers are the same")
    with torch.no_grad():
        values *= float(weight[FIRST_ID:].std()) / spread
        weight[torch.from_numpy(ids)] = torch.from_numpy(values)
    return coverage(path, sha256_of(path), ids, vocabulary, learned, say)


def coverage(
    path: Path, sha256: str, ids: IntArray, vocabulary: Vocabulary, learned: EncodedTexts, say: Callable[[str], None]
) -> dict[str, Any]:
    """Say how many tokens have a vector, these ``ids``; returns that, and which file they are from."""
    covered = float(np.isin(learned.flat(), ids).mean())
    say(
        f"{path.name}: vectors for {len(ids):,} of {len(vocabulary) - FIRST_ID:,} tokens "
        f"({100 * covered:.0f} % of occurrences)"
    )
    return {"file": path.name, "sha256": sha256, "tokens": len(ids), "occurrences": round(covered, 4)}


def read_vectors(path: Path, vocabulary: Vocabulary, width: int) -> tuple[IntArray, FloatArray]:
    """Return the ids ``[found]`` of the tokens that have a vector, and the vectors ``[found, width]``.

    The file is read line by line, plain, .gz or .zst, and nothing else of it is kept. Of equal tokens the first counts.

    Raises:
        ConfigurationError: the vectors have another width.
        DataError: the file is missing, damaged, empty or of another format (names the line), or has none of the tokens.
    """
    wanted = {token.encode("utf-8", "surrogatepass"): number for number, token in enumerate(vocabulary, FIRST_ID)}
    found: dict[int, FloatArray] = {}
    with open_text_file(path) as file:
        _read_lines(path, file, wanted, width, found)
    if not found:
        raise DataError(
            f"{path}: none of the {len(vocabulary) - FIRST_ID:,} tokens of the training texts has a vector in it; "
            "is it of another language, or are its words not lowercased?"
        )
    return np.fromiter(found, dtype=np.int64, count=len(found)), np.stack(list(found.values()))


def _read_lines(path: Path, file: BinaryIO, wanted: dict[bytes, int], width: int, found: dict[int, FloatArray]) -> None:
    lines = 0
    for number, line in enumerate(file, 1):
        content = line.strip(b" \r\n\t")
        if not content:
            continue
        fields = content.count(b" ")
        if number == 1 and fields == 1 and all(part.isdigit() for part in content.split()):
            _check_width(path, int(content.split()[1]), width)
            continue
        if not lines:
            _check_width(path, fields, width)
        lines += 1
        token = content.partition(b" ")[0] if fields == width else _long_token(path, number, content, width)
        at = wanted.get(token)
        if at is not None and at not in found:
            found[at] = _numbers(path, number, content, width)
    if not lines:
        raise DataError(f"{path}: no vectors in it")


def _check_width(path: Path, there: int, width: int) -> None:
    if there == 0:
        raise DataError(
            f"{path}: line 1 is no word with numbers, each after a space, as in GloVe's or fastText's files"
        )
    if there != width:
        raise ConfigurationError(
            f"{path}: its vectors have {there} numbers, and model.embedding is {width}: set model.embedding={there}"
        )


def _long_token(path: Path, number: int, content: bytes, width: int) -> bytes:
    """Return a token that has spaces in it, as some of GloVe's have.

    Raises:
        DataError: there are too few fields, or it is the numbers that are too many.
    """
    token, *numbers = content.rsplit(b" ", width)
    if len(numbers) < width or any(map(_is_number, token.split(b" ")[1:])):
        raise DataError(f"{path}: line {number} has {content.count(b' ')} numbers where others have {width}")
    return token


def _numbers(path: Path, number: int, content: bytes, width: int) -> FloatArray:
    try:
        values = np.array([float(part) for part in content.rsplit(b" ", width)[1:]], dtype=np.float32)
    except ValueError:
        values = np.array([np.nan], dtype=np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: line {number}: what follows the word are not all numbers")
    return values


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True
