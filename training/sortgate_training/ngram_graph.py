"""The n-gram path's nodes: pairs found by their exact keys, repeats damped, table rows summed up."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from sortgate.vocabulary import UNKNOWN_ID
from sortgate_training.nodes import Nodes
from sortgate_training.pairs import MULTIPLIERS, NO_KEY
from sortgate_training.tables import LEAST_NORM, STEP, STEPS, NgramTables

#: Where a slice ends that goes to the end.
_END = int(np.iinfo(np.int64).max)


def ngram_logits(graph: Nodes, tables: NgramTables) -> str:
    """Add the n-gram path; returns the name of its logits. Rows of padding are 0, so nothing need be masked."""
    count = tables.labels
    for name, table in (("words", tables.words), ("pairs", tables.pairs), ("bias", tables.bias)):
        graph.constant(f"ngram.{name}", table)
    graph.constant("ngram.slots", tables.keys.slots)
    graph.constant("ngram.numbers", tables.keys.numbers)
    whole = {"size": tables.keys.size, "slot_count": len(tables.keys.slots), "no_key": NO_KEY, "unknown": UNKNOWN_ID}
    for name, number in whole.items():
        graph.constant(f"ngram.{name}", np.array(number, dtype=np.int64))
    graph.constant("ngram.least", np.array(LEAST_NORM, dtype=np.float32))
    for position in (count, count + 1, 2 * count + 1, _END):
        graph.constant(f"at.{position}", np.array([position], dtype=np.int64))

    ids = graph.node("Cast", ["ids"], "ngram.left", to=TensorProto.INT64)
    pairs = _pair_rows(graph, ids)
    graph.node("Unsqueeze", [ids, "time_axis"], "ngram.word_rows")
    graph.node("Unsqueeze", [pairs, "time_axis"], "ngram.pair_rows")
    both = graph.node("Concat", ["ngram.word_rows", "ngram.pair_rows"], "ngram.both", axis=0)  # [2, batch, time]
    numbers, factors = _damped(graph, both)
    sums = {}
    for name, rows_of, factor in zip(("words", "pairs"), numbers, factors, strict=True):
        graph.node("Gather", [f"ngram.{name}", rows_of], f"ngram.{name}.each")
        sums[name] = graph.node("MatMul", [factor, f"ngram.{name}.each"], f"ngram.{name}.sums")  # [batch, 2, columns]

    def columns(sums: str, power: int, start: str, end: str, output: str) -> str:
        """Return columns of the sums of ``f`` times a row, or of ``f²`` times: ``[batch, columns]``."""
        graph.node("Gather", [sums, ("zero", "one")[power - 1]], f"{output}.of", axis=1)
        return graph.node("Slice", [f"{output}.of", start, end, "batch_axis"], output)

    word = {}
    for what, power, start, stop in (
        ("weights", 1, "time_axis", f"at.{count}"),
        ("square", 2, f"at.{count}", f"at.{count + 1}"),
    ):
        parts = [columns(sums[name], power, start, stop, f"ngram.{name}.{what}") for name in ("words", "pairs")]
        word[what] = graph.node("Add", parts, f"ngram.word.{what}")
    characters = {
        "weights": columns(sums["words"], 1, f"at.{count + 1}", f"at.{2 * count + 1}", "ngram.character.weights"),
        "square": columns(sums["words"], 1, f"at.{2 * count + 1}", f"at.{_END}", "ngram.character.square"),
    }
    logits = "ngram.bias"
    for name, found in (("word", word), ("character", characters)):
        graph.node("Max", [found["square"], "ngram.least"], f"ngram.{name}.bounded")
        graph.node("Sqrt", [f"ngram.{name}.bounded"], f"ngram.{name}.norm")
        graph.node("Div", [found["weights"], f"ngram.{name}.norm"], f"ngram.{name}.logits")
        logits = graph.node("Add", [f"ngram.{name}.logits", logits], f"ngram.{name}.total")
    return logits


def _pair_rows(graph: Nodes, ids: str) -> str:
    """Add what finds each token's pair with the next one; returns the name of rows ``[batch, time]``, 0 for none."""
    # each token beside the next one, [batch, time]; beside the last one stands 0, the padding
    column = graph.node("Slice", [ids, "time_axis", "batch_axis", "batch_axis"], "ngram.column")
    graph.node("Sub", [column, column], "ngram.nothing")
    graph.node("Slice", [ids, "batch_axis", f"at.{_END}", "batch_axis"], "ngram.rest")
    after = graph.node("Concat", ["ngram.rest", "ngram.nothing"], "ngram.right", axis=1)
    graph.node("Greater", [ids, "ngram.unknown"], "ngram.left.known")
    graph.node("Greater", [after, "ngram.unknown"], "ngram.right.known")
    graph.node("And", ["ngram.left.known", "ngram.right.known"], "ngram.known")
    graph.node("Mul", [ids, "ngram.size"], "ngram.left.part")
    graph.node("Add", ["ngram.left.part", after], "ngram.any_key")
    graph.node("Where", ["ngram.known", "ngram.any_key", "ngram.no_key"], "ngram.key")
    rows = []
    for number, (left, right) in enumerate(MULTIPLIERS):
        name = f"ngram.choice{number}"
        graph.constant(f"{name}.a", np.array(left, dtype=np.int64))
        graph.constant(f"{name}.b", np.array(right, dtype=np.int64))
        graph.node("Mul", [ids, f"{name}.a"], f"{name}.left")
        graph.node("Mul", [after, f"{name}.b"], f"{name}.right")
        graph.node("Add", [f"{name}.left", f"{name}.right"], f"{name}.hash")
        graph.node("Mod", [f"{name}.hash", "ngram.slot_count"], f"{name}.slot")
        graph.node("Gather", ["ngram.slots", f"{name}.slot"], f"{name}.found")
        graph.node("Equal", [f"{name}.found", "ngram.key"], f"{name}.hit")
        graph.node("Gather", ["ngram.numbers", f"{name}.slot"], f"{name}.number")
        rows.append(graph.node("Where", [f"{name}.hit", f"{name}.number", "zero"], f"{name}.row"))
    return graph.node("Max", rows, "ngram.row")  # both choices may be one slot


def _damped(graph: Nodes, numbers: str) -> tuple[list[str], list[str]]:
    """Add what counts the same numbers along the last axis of ``[2, batch, time]``; returns names for both halves.

    Of numbers in order, the last of its kind stands for all: ``c`` or more there are where the one ``c − 1`` before it
    is the same. The others become 0, which looks up nothing.

    Returns:
        The numbers ``[batch, time]`` of each half, and their factors ``[batch, 2, time]``, ``f`` and ``f²``.
    """
    name, margin = "ngram.sorted", STEPS[-1] - 1
    graph.constant("ngram.-1", np.array(-1, dtype=np.int64))
    graph.node("Shape", [numbers], f"{name}.shape")
    graph.node("Gather", [f"{name}.shape", "feature_axis"], f"{name}.time")
    values = graph.node("TopK", [numbers, f"{name}.time"], f"{name}.values", more=[f"{name}.places"], axis=2)
    # a margin of what no number is, wide enough to look beyond both ends
    graph.node("Gather", [values, "time_axis"], f"{name}.column", axis=2)  # [2, batch, 1]
    none = graph.node("Min", [f"{name}.column", "ngram.-1"], f"{name}.none")
    graph.node("Concat", [none] * margin + [values, none], f"{name}.margins", axis=2)

    def neighbour(by: int) -> str:
        """Return what stands ``by`` after each number."""
        start, stop = margin + by, by - 1 or _END
        for position in (start, stop):
            graph.constant(f"at.{position}", np.array([position], dtype=np.int64))
        return graph.node("Slice", [f"{name}.margins", f"at.{start}", f"at.{stop}", "feature_axis"], f"{name}.by{by}")

    graph.node("Equal", [values, neighbour(1)], f"{name}.goes_on")
    graph.node("Where", [f"{name}.goes_on", "zero", values], f"{name}.last")
    graph.constant(f"{name}.step", np.array(STEP, dtype=np.float32))
    graph.constant(f"{name}.once", np.array(1.0, dtype=np.float32))
    factor = f"{name}.once"
    for count in STEPS:
        graph.node("Equal", [values, neighbour(1 - count)], f"{name}.is{count}")
        graph.node("Cast", [f"{name}.is{count}"], f"{name}.is{count}.float", to=TensorProto.FLOAT)
        graph.node("Mul", [f"{name}.is{count}.float", f"{name}.step"], f"{name}.more{count}")
        factor = graph.node("Add", [f"{name}.more{count}", factor], f"{name}.f{count}")
    graph.node("Mul", [factor, factor], f"{name}.square")
    for part in (factor, f"{name}.square"):
        graph.node("Unsqueeze", [part, "feature_axis"], f"{part}.row")
    graph.node("Concat", [f"{factor}.row", f"{name}.square.row"], f"{name}.factors", axis=2)  # [2, batch, 2, time]
    last, factors = (
        [graph.node("Gather", [f"{name}.{what}", at], f"{name}.{what}.{at}") for at in ("zero", "one")]
        for what in ("last", "factors")
    )
    return last, factors
