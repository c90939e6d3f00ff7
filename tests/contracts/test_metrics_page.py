"""docs/metrics.md names only metrics and labels that a worker tells; its tables are checked with the other pages."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sortgate.worker.metrics import OWN, WHOLE, WORKER

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/metrics.md").read_text()
METRICS = {metric.name: metric for metric in (*OWN, *WHOLE, *WORKER)}


def series() -> dict[str, set[str]]:
    """Every name that may stand in an expression, with its labels."""
    found = {}
    for metric in METRICS.values():
        labels = {*metric.labels, "instance"}
        if metric.kind == "histogram":
            found |= {f"{metric.name}_{part}": labels for part in ("sum", "count")}
            found[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            found[metric.name] = labels
    return found


def test_every_metric_is_on_the_page_and_no_other() -> None:
    named = set(re.findall(r"\bsortgate_[a-z_]+[a-z]\b", PAGE))
    assert named <= series().keys() | METRICS.keys()
    assert METRICS.keys() <= named


def test_expressions_use_labels_that_the_series_have() -> None:
    known = series()
    expressions = [code for code in re.findall(r"`([^`\n]+)`", PAGE) if re.search(r"sortgate_\w+[\[{ )]", code)]
    expressions = [code for code in expressions if not code.startswith("sortgate worker") and "=" not in code[:12]]
    assert len(expressions) >= 14
    for code in expressions:
        names = set(re.findall(r"\bsortgate_[a-z_]+[a-z]\b", code))
        assert names <= known.keys(), code
        by = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", code) for label in group.split(",")}
        chosen = set(re.findall(r"[{,](\w+)=", code))
        for name in names:
            assert by | chosen <= known[name], code


def test_metrics_follow_prometheus_conventions() -> None:
    """https://prometheus.io/docs/practices/naming/: base units, a counter ends in _total, and nothing else does."""
    for name, metric in METRICS.items():
        assert re.fullmatch(r"sortgate_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|bytes_total|sum|count|bucket)$", name), name
        assert metric.text.endswith("."), name


def test_the_scaled_object_asks_for_the_lag() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    spec = yaml.safe_load(block)["spec"]
    [trigger] = spec["triggers"]
    assert re.fullmatch(r'max\(sortgate_queue_lag_seconds\{queue="[a-z]+"\}\)', trigger["metadata"]["query"])
    assert spec["minReplicaCount"] >= 1
    deployment = yaml.safe_load((ROOT / "docker/kubernetes/worker.yaml").read_text())
    assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
