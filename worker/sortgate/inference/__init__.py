"""Text in, label out: the bundle's pipeline on ONNX Runtime."""

from __future__ import annotations

from sortgate.inference.classifier import Classifier

__all__ = ["Classifier"]
