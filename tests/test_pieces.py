"""Pieces of texts are tokenized once, and never more of them kept than may be."""

from __future__ import annotations

import pytest

from sortgate import pieces
from sortgate.encoded import ID_BYTES, pack_ids
from sortgate.pieces import LONGEST_PIECE, Pieces
from sortgate.vocabulary import Vocabulary


def test_ids_are_packed_as_numpy_reads_them() -> None:
    np = pytest.importorskip("numpy")
    ids = [1, 2, 70_000]
    assert np.frombuffer(pack_ids(ids), dtype=np.int32).tolist() == ids
    assert len(pack_ids(ids)) == 3 * ID_BYTES


def test_long_pieces_are_not_kept() -> None:
    found = Pieces(str.split, Vocabulary(["a"]))
    assert found["a"] == pack_ids([2])
    assert found["b" * (LONGEST_PIECE + 1)] == pack_ids([1])
    assert list(found) == ["a"]


def test_all_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_PIECES", 3)
    found = Pieces(str.split, Vocabulary(["a"]))
    for piece in ("a", "b", "c", "a", "d"):
        assert found[piece] == pack_ids([2 if piece == "a" else 1])
    assert list(found) == ["d"]
