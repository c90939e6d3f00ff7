"""The manifest of a bundle: its fields, its checks, and the number of its format."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from sortgate.bundle.versions import VERSION_NAME
from sortgate.errors import BundleFormatError
from sortgate.textconfig import TextLimits, TextRecords

#: The bundle format written and read here. To change the format:
#:
#: 1. Commit a tiny bundle written by the *old* code as ``tests/bundle/data/format-<old>/`` before changing anything:
#:    ``tests/bundle/test_formats.py`` keeps loading every folder there. (Formats 1 to 3 are there already.)
#: 2. Add 1 here and to ``READABLE_VERSIONS``, for a new field as well: readers refuse fields they do not know, since
#:    ignoring one could change a prediction. What may grow freely is inside ``metrics``, ``data`` and ``training``.
#: 3. Teach ``decode_manifest`` to turn the older manifest into a ``Manifest``. Dropping an old number from
#:    ``READABLE_VERSIONS`` is a breaking release.
#: 4. Say in CHANGELOG.md which release reads which numbers: workers are updated before training.
#:
#: Format 2 added ``limits.truncation`` and ``limits.head_share``; their defaults are what format 1 did.
#: Format 3 lets the graph use ``TopK``.
#: Format 4 records the digest of a distribution's source, too.
FORMAT_VERSION = 4
READABLE_VERSIONS = frozenset({1, 2, 3, 4})

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 2**20
MAX_FILES = 1_000
MAX_LABELS = 100_000

#: A file with a signature of the manifest, which therefore does not name it; the group is the id of the key.
SIGNATURE_FILE = re.compile(r"signature-([0-9a-f]{16})\.ed25519")
MAX_SIGNATURES = 16

BUNDLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ONNX model.

    Attributes:
        file: its file in the bundle.
        precision: the one precision that the bundle serves.
        cell: the recurrent cell.
        opset: version of the default ONNX operator set.
        flip_rate: int8 only: share of held-out texts that batches answer otherwise than one text at a time, 0 to 1.
        logit_margin: int8 only: largest change of a logit seen between batches; golden labels are compared only
            where the best logit leads by more.
    """

    file: str = "model.onnx"
    precision: Literal["float32", "int8"] = "float32"
    cell: Literal["lstm", "gru"] = "lstm"
    opset: int = 17
    flip_rate: float | None = None
    logit_margin: float | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a bundle that is not a file of its own; ``write_bundle`` fills ``version`` and ``files``.

    Attributes:
        format_version: see ``FORMAT_VERSION``.
        name: the bundle's name, the folder above its versions.
        version: UTC time of writing, ``YYYYMMDDTHHMMSSZ``, with ``-2``, ``-3``, … after a clash.
        task: one label a text, or any number of them.
        labels: label names, in the order of the model's logits.
        text: the components of the text path.
        limits: bounds on one text.
        vocabulary: file of the vocabulary.
        model: the ONNX model.
        temperature: logits are divided by it before softmax or sigmoid (Guo et al. 2017); > 0.
        thresholds: multi-label only: probability from which a label is given, 0.5 where not named.
        golden: file of texts with their expected ids, logits and labels.
        metrics: quality on the test split, free form.
        data: files trained on, with counts and digests, free form.
        training: the configuration trained with, free form.
        provided_by: library name to version, at training time.
        files: path of every other file of the bundle to its SHA-256 in hexadecimal.
    """

    format_version: int = FORMAT_VERSION
    name: str
    version: str = ""
    task: Literal["single_label", "multi_label"] = "single_label"
    labels: list[str]
    text: TextRecords
    limits: TextLimits = msgspec.field(default_factory=TextLimits)
    vocabulary: str = "vocabulary.txt"
    model: ModelInfo = msgspec.field(default_factory=ModelInfo)
    temperature: float = 1.0
    thresholds: dict[str, float] = {}
    golden: str = "golden.jsonl"
    metrics: dict[str, Any] = {}
    data: dict[str, Any] = {}
    training: dict[str, Any] = {}
    provided_by: dict[str, str] = {}
    files: dict[str, str] = {}


class _Head(msgspec.Struct):
    """What is read before the format is known."""

    format_version: int


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON, UTF-8, ending in a line break."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(raw: bytes, where: str = MANIFEST_FILE) -> Manifest:
    """Parse and check a manifest; ``where`` names it in errors.

    Raises:
        BundleFormatError: not JSON, an unknown format version, or a field that is missing or impossible.
    """
    if len(raw) > MAX_MANIFEST_BYTES:
        raise BundleFormatError(f"{where}: over {MAX_MANIFEST_BYTES} bytes; this is no bundle's manifest")
    try:
        version = msgspec.json.decode(raw, type=_Head).format_version
        if version not in READABLE_VERSIONS:
            known = ", ".join(str(number) for number in sorted(READABLE_VERSIONS))
            raise BundleFormatError(
                f"{where}: bundle format {version} is not known here (known: {known}); upgrade sortgate or export again"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleFormatError(f"{where}: {_one_line(error)}; export the bundle again") from None
    problem = _problem(manifest)
    if problem:
        raise BundleFormatError(f"{where}: {problem}; export the bundle again")
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Check a manifest that is about to be written.

    Raises:
        BundleFormatError: a field is impossible, so that no reader would take the bundle.
    """
    problem = _problem(manifest)
    if problem:
        raise BundleFormatError(f"manifest of {manifest.name!r}: {problem}")


def safe_file_name(name: str) -> bool:
    """Whether ``name`` is a plain relative path such as ``model.onnx`` or ``state/filter-0.bin``."""
    parts = name.split("/")
    return len(parts) <= 3 and all(_FILE_PART.fullmatch(part) for part in parts) and str(PurePosixPath(name)) == name


def shown(text: str) -> str:
    """Return foreign text as a message may hold it: what would break its line or command a terminal is escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


def _problem(manifest: Manifest) -> str | None:
    """Say what is impossible about the manifest, None when nothing is."""
    return _fields_problem(manifest) or _labels_problem(manifest) or _files_problem(manifest)


def _fields_problem(manifest: Manifest) -> str | None:
    if not BUNDLE_NAME.fullmatch(manifest.name):
        return f"name {manifest.name[:80]!r} is not 1 to 64 of letters, digits, '.', '_' and '-'"
    if manifest.version and not VERSION_NAME.fullmatch(manifest.version):
        return f"version {manifest.version[:80]!r} is not of the form YYYYMMDDTHHMMSSZ"
    if not 1e-3 <= manifest.temperature <= 1e3:
        return f"temperature {manifest.temperature} is not between 0.001 and 1000"
    model = manifest.model
    if model.precision == "int8" and (model.flip_rate is None or model.logit_margin is None):
        return "an int8 model without flip_rate and logit_margin"
    for name, value in (("flip_rate", model.flip_rate), ("logit_margin", model.logit_margin)):
        if value is not None and not 0 <= value <= 1e6:
            return f"model.{name} {value} is out of range"
    limits = manifest.limits
    if min(limits.max_text_bytes, limits.max_characters, limits.max_tokens) < 1:
        return "a limit below 1"
    return None


def _labels_problem(manifest: Manifest) -> str | None:
    least = 2 if manifest.task == "single_label" else 1
    if not least <= len(manifest.labels) <= MAX_LABELS:
        return f"{len(manifest.labels)} labels where {least} to {MAX_LABELS} are possible"
    if len(set(manifest.labels)) != len(manifest.labels):
        return "a label is listed twice"
    if "" in manifest.labels:
        return "an empty label"
    unknown = set(manifest.thresholds) - set(manifest.labels)
    if unknown:
        return f"a threshold for {min(unknown)[:80]!r}, which is no label"
    if not all(0 <= value <= 1 for value in manifest.thresholds.values()):
        return "a threshold that is not between 0 and 1"
    return None


def _files_problem(manifest: Manifest) -> str | None:
    if len(manifest.files) > MAX_FILES:
        return f"more than {MAX_FILES} files"
    states = [record.state for record in manifest.text if record.state is not None]
    for name in (*manifest.files, manifest.model.file, manifest.vocabulary, manifest.golden, *states):
        if not safe_file_name(name) or name == MANIFEST_FILE or SIGNATURE_FILE.fullmatch(name):
            return f"file name {name[:80]!r} is not a plain path inside the bundle"
    if manifest.version:
        for name in (manifest.model.file, manifest.vocabulary, manifest.golden, *states):
            if name not in manifest.files:
                return f"no digest for {name!r}"
    for name, digest in manifest.files.items():
        if not _DIGEST.fullmatch(digest):
            return f"the digest of {name!r} is not a SHA-256 in hexadecimal"
    return None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return shown(text[:200]) or type(error).__name__
