"""For the tests of services and plugins: a private Redis, a worker that needs no model, and the conformance kit.

Installed with Sortgate as a pytest plugin, so the fixture ``sortgate_redis`` is simply there::

    def test_routing(sortgate_redis):
        with FakeWorker(sortgate_redis, "tickets", lambda text: "billing"):
            assert route("My invoice is wrong", redis_url=sortgate_redis) == "billing desk"

A plugin is checked by one line in a test file::

    test_conformance = sortgate.testing.conformance("sortgate-phones")

Nothing of Sortgate is imported before a fixture, the fake or the kit is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sortgate.conformance import Case
    from sortgate.testing.fake_worker import FakeWorker

__all__ = ["FakeWorker", "conformance", "sortgate_redis"]


def __getattr__(name: str) -> Any:
    if name != "FakeWorker":
        raise AttributeError(f"module 'sortgate.testing' has no attribute {name!r}")
    from sortgate.testing.fake_worker import FakeWorker

    return FakeWorker


@pytest.fixture(scope="session")
def _sortgate_redis_server() -> Iterator[Any]:
    from sortgate.embedded import EmbeddedRedis

    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def sortgate_redis(_sortgate_redis_server: Any) -> str:
    """URL of a private Redis server, empty at the start of each test and gone at the end of the run."""
    import redis

    url: str = _sortgate_redis_server.url
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


def conformance(
    plugin: str | Path,
    *,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    labels: Sequence[str] | None = None,
    budget_us: float = 1_000.0,
    import_s: float = 0.5,
    huge_s: float = 2.0,
    excused: Mapping[str, str] | None = None,
) -> Callable[..., None]:
    """Return a test with one case for each component and check, ``phones.mask.v1-determinism``.

    The plugin is imported in a process of its own when the tests are collected, and here when its first case runs.

    Args:
        plugin: distribution, or path of a plugin of one file.
        params: component to the parameters it is checked with; the others get none.
        labels: of the predictions that post-processors get; five of a support desk by default.
        budget_us: microseconds that a text of forty words may cost in each component.
        import_s: processor seconds that importing the plugin may take.
        huge_s: processor seconds that one text of 64 KiB may take in each component.
        excused: case to the reason why it may fail; it is then reported as an expected failure.

    Raises:
        ConfigurationError: there is no such plugin, or ``params`` or ``excused`` name what it lacks.
    """
    from sortgate.conformance import plan
    from sortgate.errors import ConfigurationError

    more = {} if labels is None else {"labels": labels}
    cases = plan(plugin, params=params, budget_us=budget_us, import_s=import_s, huge_s=huge_s, **more)
    reasons = dict(excused or {})
    loaded = all(case.judge().finding is None for case in cases[:2])  # otherwise that is what the author must read
    if loaded and (unknown := sorted(set(reasons) - {case.id for case in cases})):
        raise ConfigurationError(f"excused names {', '.join(unknown)}, which is no case of {plugin}")

    @pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])
    def test(case: Case) -> None:
        verdict = case.judge()
        if verdict.left_out is not None:
            pytest.skip(verdict.left_out)
        if verdict.finding is None:
            return
        if case.id in reasons:
            pytest.xfail(reasons[case.id])
        pytest.fail(str(verdict.finding), pytrace=False)

    return test
