"""Checks of LSTM and GRU nodes: their weights are stored in the file and fit the node's ``hidden_size``.

ONNX Runtime has read past such weights (onnxruntime pull request 29595), so nothing is left for it to find out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sortgate.bundle.onnx_tensors import Tensor
from sortgate.bundle.wire import refuse, signed

GATES = {"LSTM": 4, "GRU": 3, "DynamicQuantizeLSTM": 4}
MAX_HIDDEN = 65_536
_ATTRIBUTES = {"hidden_size", "direction", "linear_before_reset", "layout", "input_forget"}
_DIRECTIONS = {b"forward": 1, b"reverse": 1, b"bidirectional": 2}

#: Positions of the inputs: X, W, R, B, sequence_lens, then initial states and peepholes, which no bundle needs.
_W, _R, _B, _LENGTHS = 1, 2, 3, 4
_UNUSED = range(5, 8)
_QUANTIZATION = {8: _W, 9: _W, 10: _R, 11: _R}  # scales and zero points of DynamicQuantizeLSTM


def check_recurrent(
    operator: str, inputs: Sequence[str], attributes: Mapping[str, Mapping[int, Any]], stored: Mapping[str, Tensor]
) -> None:
    """Check one node; ``stored`` holds the graph's initializers.

    Raises:
        UnsafeModelError: weights that are computed, missing, or do not fit; or an option no bundle needs.
    """
    unknown = attributes.keys() - _ATTRIBUTES
    if unknown:
        refuse(f"has an {operator} with the attribute {min(unknown)!r}, which no bundle needs")
    if _int(attributes, "layout") or _int(attributes, "input_forget"):
        refuse(f"has an {operator} with a layout that no bundle needs")
    hidden = _int(attributes, "hidden_size")
    if not 0 < hidden <= MAX_HIDDEN:
        refuse(f"has an {operator} without a proper hidden_size")
    direction = attributes.get("direction", {}).get(4, b"forward")
    directions = _DIRECTIONS.get(bytes(direction))
    if directions is None:
        refuse(f"has an {operator} of an unknown direction")
    names = [*inputs, *[""] * (12 - len(inputs))]
    if not names[0] or not names[_LENGTHS]:
        refuse(f"has an {operator} without input or lengths")
    if any(names[index] for index in _UNUSED):
        refuse(f"has an {operator} with initial states or peepholes, which no bundle needs")
    quantized = operator == "DynamicQuantizeLSTM"
    _check_weights(operator, names, directions, GATES[operator] * hidden, hidden, stored, quantized)


def _check_weights(
    operator: str,
    names: Sequence[str],
    directions: int,
    gates: int,
    hidden: int,
    stored: Mapping[str, Tensor],
    quantized: bool,
) -> None:
    weight_kinds = {"int8", "uint8"} if quantized else {"float"}
    w = _stored(operator, names[_W], stored, weight_kinds)
    r = _stored(operator, names[_R], stored, weight_kinds)
    if len(w) != 3 or w[2 if quantized else 1] != gates or w[0] != directions or 0 in w:
        refuse(f"has an {operator} whose weights {list(w)} do not fit its hidden_size {hidden}")
    if r != ((directions, hidden, gates) if quantized else (directions, gates, hidden)):
        refuse(f"has an {operator} whose weights {list(r)} do not fit its hidden_size {hidden}")
    if names[_B] and _stored(operator, names[_B], stored, {"float"}) != (directions, 2 * gates):
        refuse(f"has an {operator} whose bias does not fit its hidden_size {hidden}")
    if not quantized:
        if any(names[8:]):
            refuse(f"has an {operator} with too many inputs")
        return
    for index in _QUANTIZATION:
        kinds = {"float"} if index in {8, 10} else weight_kinds
        if _stored(operator, names[index], stored, kinds) not in {(directions,), (directions, gates)}:
            refuse(f"has an {operator} whose scales do not fit its weights")


def _stored(operator: str, name: str, stored: Mapping[str, Tensor], kinds: set[str]) -> tuple[int, ...]:
    tensor = stored.get(name)
    if tensor is None or tensor.kind not in kinds:
        refuse(f"has an {operator} whose weights are not stored in the file")
    return tensor.dims


def _int(attributes: Mapping[str, Mapping[int, Any]], name: str) -> int:
    return signed(attributes.get(name, {}).get(3, 0))
