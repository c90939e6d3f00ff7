"""Version folders: names, order, and which one is the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from sortgate.bundle.versions import list_versions, newest_version, version_key, version_name, version_stamp


def test_stamp_is_utc_whatever_the_time_zone() -> None:
    moment = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert version_stamp(moment) == "20260228T233000Z"
    assert version_stamp(datetime(2026, 3, 1, tzinfo=UTC)) == "20260301T000000Z"


def test_suffixes_are_ordered_as_numbers(tmp_path: Path) -> None:
    stamp = "20260301T000000Z"
    names = [version_name(stamp, attempt) for attempt in (10, 2, 1)] + ["20260301T000001Z", "20251231T235959Z"]
    for name in [*names, ".tmp-20990101T000000Z-1-aa", "notes", "20260301T000002Z-0", "20260301T000002Z-02"]:
        (tmp_path / name).mkdir()
    assert list_versions(tmp_path) == [
        "20251231T235959Z", stamp, f"{stamp}-2", f"{stamp}-10", "20260301T000001Z",
    ]  # fmt: skip
    assert newest_version(tmp_path) == "20260301T000001Z"


def test_no_version(tmp_path: Path) -> None:
    assert newest_version(tmp_path) is None
    with pytest.raises(ValueError):
        version_key("latest")
