"""The manifest: what is written is read back, and what is impossible is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sortgate.bundle import Bundle, decode_manifest, encode_manifest
from sortgate.bundle.manifest import MAX_MANIFEST_BYTES, safe_file_name
from sortgate.errors import BundleFormatError


@pytest.fixture
def fields(toy_bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode_manifest(Bundle.open(toy_bundle).manifest))
    return found


def test_round_trip(toy_bundle: Path) -> None:
    manifest = Bundle.open(toy_bundle).manifest
    assert decode_manifest(encode_manifest(manifest)) == manifest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": 5}, "bundle format 5 is not known here (known: 1, 2, 3, 4)"),
        ({"format_version": "1"}, "format_version"),
        ({"format_version": None}, "format_version"),
        ({"name": "../up"}, "name"),
        ({"name": ""}, "name"),
        ({"version": "newest"}, "version"),
        ({"version": "20260101T000000Z/.."}, "version"),
        ({"task": "regression"}, "task"),
        ({"labels": ["a"]}, "labels"),
        ({"labels": ["a", "a"]}, "twice"),
        ({"labels": ["a", ""]}, "empty label"),
        ({"labels": "ab"}, "labels"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": 1e300}, "temperature"),
        ({"thresholds": {"nowhere": 0.5}}, "nowhere"),
        ({"thresholds": {"other": 1.5}}, "threshold"),
        ({"limits": {"max_tokens": 0}}, "limit"),
        ({"limits": {"max_tokens": 1e3}}, "max_tokens"),
        ({"limits": {"truncation": "tail"}}, "tail"),
        ({"limits": {"head_share": 1.5}}, "head_share must be a number from 0 to 1, not 1.5"),
        ({"limits": {"head_share": "half"}}, "head_share"),
        ({"model": {"precision": "float16"}}, "precision"),
        ({"model": {"precision": "int8"}}, "flip_rate"),
        ({"model": {"file": "../model.onnx"}}, "plain path"),
        ({"model": {"file": "/etc/passwd"}}, "plain path"),
        ({"model": {"file": "other.onnx"}}, "no digest"),
        ({"vocabulary": "manifest.json"}, "plain path"),
        ({"golden": "a//b"}, "plain path"),
        ({"files": {"model.onnx": "00"}}, "digest"),
        ({"files": {}}, "digest"),
        ({"text": {}}, "normalizers"),
        ({"new_in_format_5": 1}, "unknown field"),
    ],
)
def test_impossible_fields_are_refused(fields: dict[str, Any], change: dict[str, Any], says: str) -> None:
    with pytest.raises(BundleFormatError) as caught:
        decode_manifest(json.dumps(fields | change).encode(), "here/manifest.json")
    message = str(caught.value)
    assert message.startswith("here/manifest.json: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format_version": 1e400}', b"[" * 100_000, b'{"format_version": 1}',
     b'{"format_version": 99999999999999999999999}', b'{"a":' * 50_000],
)  # fmt: skip
def test_hard_to_parse_values_are_refused(raw: bytes) -> None:
    with pytest.raises(BundleFormatError):
        decode_manifest(raw)


def test_huge_manifest_is_refused_before_parsing() -> None:
    with pytest.raises(BundleFormatError, match="bytes"):
        decode_manifest(b" " * (MAX_MANIFEST_BYTES + 1))


@pytest.mark.parametrize("name", ["model.onnx", "state/filter-0.bin", "report.html", "a/b/c"])
def test_safe_names(name: str) -> None:
    assert safe_file_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../b", "/a", "a/", "a//b", "./a", ".hidden", "a\\b", "a\0b", "a b", "a/b/c/d", "é"],
)
def test_unsafe_names(name: str) -> None:
    assert not safe_file_name(name)
