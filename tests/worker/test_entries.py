"""How failed texts are isolated, and that packing keeps what it is given."""

from __future__ import annotations

import msgspec
import pytest

from sortgate.worker.entries import Entry, PackedBatch, batch_bound, pack_batch, pack_keys


@pytest.mark.parametrize("batch_texts", [1, 8, 128, 1000])
def test_a_text_is_alone_before_its_deliveries_are_exhausted(batch_texts: int) -> None:
    bounds = [batch_bound(failures, batch_texts) for failures in range(5)]
    assert bounds[0] == batch_texts
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[4] == 1, "the last of five deliveries is never shared"


def test_packing_round_trip() -> None:
    entries = [Entry(1, "1-0", [b"text", b"\xff\x00"]), Entry(3, "2-0", [])]
    batch = msgspec.msgpack.decode(pack_batch("q", 7, entries), type=PackedBatch)
    assert batch == PackedBatch("q", 7, [(1, "1-0", [b"text", b"\xff\x00"]), (3, "2-0", [])])
    assert msgspec.msgpack.decode(pack_keys(entries)) == [["1-0"], [], ["2-0"]]
