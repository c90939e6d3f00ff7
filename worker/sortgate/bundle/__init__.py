"""The bundle: one folder that holds a model and everything needed to serve it exactly as it was trained."""

from __future__ import annotations

from sortgate.bundle.manifest import FORMAT_VERSION, Manifest, ModelInfo
from sortgate.bundle.onnx_check import check_onnx
from sortgate.bundle.reader import Bundle
from sortgate.bundle.versions import newest_version, version_folders
from sortgate.bundle.writer import write_bundle

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "Manifest",
    "ModelInfo",
    "check_onnx",
    "newest_version",
    "version_folders",
    "write_bundle",
]
