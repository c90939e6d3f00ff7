"""The bundle: one folder that holds a trained classifier and everything needed to serve it.

Needs neither numpy nor ONNX Runtime, so a bundle can be inspected and written anywhere.
"""

from __future__ import annotations

from sortgate.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    Manifest,
    ModelInfo,
    decode_manifest,
    encode_manifest,
)
from sortgate.bundle.onnx_check import GraphFacts, check_onnx
from sortgate.bundle.reader import Bundle
from sortgate.bundle.signing import ANYONE, Trust, sign_bundle, signers
from sortgate.bundle.users import bundles_by_component
from sortgate.bundle.versions import list_versions, newest_version
from sortgate.bundle.writer import write_bundle

__all__ = [
    "ANYONE",
    "FORMAT_VERSION",
    "MANIFEST_FILE",
    "Bundle",
    "GraphFacts",
    "Manifest",
    "ModelInfo",
    "Trust",
    "bundles_by_component",
    "check_onnx",
    "decode_manifest",
    "encode_manifest",
    "list_versions",
    "newest_version",
    "sign_bundle",
    "signers",
    "write_bundle",
]
