"""``manifest.json``: what a bundle is, which components it needs, and the digest of every other file."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from sortgate.errors import BundleFormatError
from sortgate.textpath import TextLimits, TextRecords

#: Version of the bundle's format. To change the format: (1) raise this number; (2) keep reading every older one, in
#: `read_manifest`, by upgrading its JSON step by step; (3) commit a small bundle of the version left behind under
#: tests/bundle/data/format-<n>, which a test loads for ever; (4) say in CHANGELOG.md what the new version adds.
FORMAT_VERSION = 1

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model file.

    Attributes:
        file: its name in the bundle.
        precision: what it computes in.
        cell: recurrent cell, for people.
        opset: ONNX operator set.
        flip_rate: int8 only: share of labels that differ between a text alone and in a batch.
        logit_margin: int8 only: largest change of a logit by the batch; golden labels are compared above it.
    """

    file: str = "model.onnx"
    precision: Literal["float32", "int8"] = "float32"
    cell: str = "lstm"
    opset: int = 17
    flip_rate: float | None = None
    logit_margin: float | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a bundle says of itself. ``version`` and ``files`` are filled in by :func:`write_bundle`.

    Attributes:
        name: the bundle's name, the folder that holds its versions.
        version: UTC time of writing, ``YYYYMMDDTHHMMSSZ``.
        labels: in the order of the model's logits.
        text: the components of the text path, in order.
        temperature: logits are divided by it before softmax or sigmoid (Guo et al. 2017, arXiv 1706.04599).
        thresholds: multi-label: least probability of each label; 0.5 where absent.
        provided_by: versions of the libraries that wrote the bundle.
        files: SHA-256 (hex) of every other file, by its path in the bundle.
    """

    name: str
    labels: list[str]
    text: TextRecords
    format_version: int = FORMAT_VERSION
    version: str = ""
    task: Literal["single_label", "multi_label"] = "single_label"
    limits: TextLimits = TextLimits()
    vocabulary: str = "vocabulary.txt"
    model: ModelInfo = ModelInfo()
    temperature: float = 1.0
    thresholds: dict[str, float] = {}
    golden: str = "golden.jsonl"
    metrics: dict[str, Any] = {}
    data: dict[str, Any] = {}
    training: dict[str, Any] = {}
    provided_by: dict[str, str] = {}
    files: dict[str, str] = {}


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the file's bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n"


def decode_manifest(data: bytes, where: str) -> Manifest:
    """Read the file's bytes; ``where`` is named in errors.

    Raises:
        BundleFormatError: not JSON, another format version, or fields missing, unknown or of another type.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleFormatError(f"{where}: manifest.json is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        version = msgspec.json.decode(data, type=_Versioned).format_version
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleFormatError(f"{where}: manifest.json cannot be read: {error}") from None
    if version != FORMAT_VERSION:
        raise BundleFormatError(
            f"{where}: bundle format {version} is unknown to this version, which reads format {FORMAT_VERSION}: "
            "upgrade sortgate, or train the bundle again"
        )
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleFormatError(f"{where}: manifest.json cannot be read: {error}") from None
    if len(set(manifest.labels)) != len(manifest.labels) or len(manifest.labels) < 2:
        raise BundleFormatError(f"{where}: manifest.json needs two or more distinct labels")
    if not 0.0 < manifest.temperature < float("inf"):
        raise BundleFormatError(f"{where}: manifest.json: temperature must be above 0")
    return manifest


def fingerprint_of(manifest_bytes: bytes) -> str:
    """Return the fingerprint: 32 hex digits of the manifest's SHA-256, and so of every file it names."""
    return hashlib.sha256(manifest_bytes).hexdigest()[:32]


class _Versioned(msgspec.Struct):
    format_version: int
