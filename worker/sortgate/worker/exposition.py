"""The table of metrics as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from sortgate.worker.figures import Distribution
from sortgate.worker.metrics import OWN, WHOLE, WORKER, Metric
from sortgate.worker.report import Monitor

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


class WorkerCollector(Collector):
    """Makes the families of one scrape from what the monitor was told last; waits for nothing."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Family]:
        """Yield every family."""
        monitor = copy(self._monitor)  # the loop goes on meanwhile, and the figures of one scrape belong together
        for metric in (*OWN, *WHOLE, *WORKER):
            yield _family(metric, monitor)


def _family(metric: Metric, monitor: Monitor) -> Family:
    family: Any = _FAMILIES[metric.kind](metric.name, metric.text, labels=metric.labels)
    for labels, value in metric.values(monitor).items():
        if isinstance(value, Distribution):
            family.add_metric(labels, *_cumulated(value))
        else:
            family.add_metric(labels, float(value))
    made: Family = family
    return made


def _cumulated(distribution: Distribution) -> tuple[list[tuple[str, float]], float]:
    """Return Prometheus's buckets, each counting all that is not above its bound, and the sum."""
    buckets, below = [], 0
    for bound, count in zip((*distribution.bounds, None), distribution.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound is None else str(float(bound)), float(below)))
    return buckets, distribution.total


def create_registry(monitor: Monitor) -> CollectorRegistry:
    """Return a registry of the worker's metrics, and of the main process's memory, time and descriptors."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(monitor))
    ProcessCollector(registry=registry)
    return registry
