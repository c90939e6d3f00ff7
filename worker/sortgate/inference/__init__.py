"""Text in, label out: the bundle's pipeline on ONNX Runtime. Needs ``sortgate[inference]``."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("numpy") is None:
    raise ModuleNotFoundError(
        'classifying needs numpy and ONNX Runtime: pip install "sortgate[inference]"', name="numpy"
    )

from sortgate.inference.classifier import Classifier

__all__ = ["Classifier"]
