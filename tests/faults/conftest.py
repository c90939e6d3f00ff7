"""The fault matrix: what every row shares, and the table of counters at the end of a run.

Each test is named after its row; ``SORTGATE_FAULT_SEEDS`` says with how many seeds the rows with chance in them run
(3 by default, the first of them also in ``make test`` where a row is part of it). The server is the ``redis-server`` of
the PATH, else the wheel's: both 6.2 and 7 serve.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from faultrun import FaultRun
from sortgate.embedded import EmbeddedRedis

COLUMNS = (
    "attempted", "acknowledged", "ok", "lost", "unexpected", "duplicated", "recovered", "computed_twice", "reclaimed",
    "healed_s",
)  # fmt: skip


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Everything random in a row comes from here, so a seed repeats it."""
    print(f"{request.node.nodeid}: seed {seed}")
    return random.Random(seed)


@pytest.fixture
def fault_run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], FaultRun]]:
    """Start runs on a Redis; their counters go into the table."""
    runs: list[FaultRun] = []

    def start(url: str) -> FaultRun:
        run = FaultRun(url, tmp_path)
        runs.append(run)
        return run

    yield start
    for run in runs:
        if run.found is not None:
            counts = {name: getattr(run.found.counts, name, None) for name in COLUMNS}
            request.node.user_properties.append(("fault", {**counts, **run.figures}))
        run.close()


@pytest.fixture
def run(fault_run: Callable[[str], FaultRun], redis_url: str) -> FaultRun:
    """A run on the shared, empty Redis."""
    return fault_run(redis_url)


@pytest.fixture
def own_redis() -> Iterator[Callable[..., EmbeddedRedis]]:
    """Start servers that the test may stop, starve, kill and misconfigure."""
    servers: list[EmbeddedRedis] = []

    def start(config: Mapping[str, str] | None = None, **options: Any) -> EmbeddedRedis:
        server = EmbeddedRedis(config=config, **options)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print one line of counters a row."""
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    lines: dict[str, dict[str, Any]] = {}
    for report in reports:
        if found := dict(getattr(report, "user_properties", ())).get("fault"):
            lines[re.sub(r"^.*::test_", "", report.nodeid)] = found
    if not lines:
        return
    terminalreporter.section("faults: the total-queue check")
    width = max(map(len, lines))
    terminalreporter.write_line(f"{'row':<{width}} " + " ".join(f"{name:>14}" for name in COLUMNS))
    for name, counters in sorted(lines.items()):
        cells = ("" if counters.get(key) is None else f"{counters[key]:,}" for key in COLUMNS)
        terminalreporter.write_line(f"{name:<{width}} " + " ".join(f"{cell:>14}" for cell in cells))
