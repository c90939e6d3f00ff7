"""What ``sortgate check --json`` found."""

from __future__ import annotations

from typing import Any


def topics(report: dict[str, Any], level: str | None = None) -> set[tuple[str, str]]:
    return {(f["part"], f["topic"]) for f in report["findings"] if level in (None, f["level"])}


def finding(report: dict[str, Any], part: str, topic: str) -> dict[str, Any]:
    found = [f for f in report["findings"] if (f["part"], f["topic"]) == (part, topic)]
    assert len(found) == 1, report["findings"]
    only: dict[str, Any] = found[0]
    return only
