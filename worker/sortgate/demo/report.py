"""What the demo measured, and how it is printed."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sortgate.audit import QueueAudit
from sortgate.cli.output import printable


class Sample(msgspec.Struct, frozen=True):
    """One streamed text with its true label and the one it got."""

    text: str
    truth: str
    label: str | None
    score: float


class Report(msgspec.Struct, frozen=True):
    """What the demo measured.

    Attributes:
        first_label_s: from starting the workers to the first label.
        p50_ms, p99_ms: round trip of one text at a time, seen by the client on an idle queue.
        loaded_p50_ms, loaded_p99_ms: from enqueueing to result while all texts were waiting at once.
        by_worker: texts that each worker answered, by its own count (heartbeats lag a little).
        identical: texts whose label is the one ``sortgate classify`` gives; None when that was not compared.
    """

    data: str
    texts: int
    accuracy: float
    macro_f1: float
    texts_per_s: float
    first_label_s: float
    train_s: float
    p50_ms: float
    p99_ms: float
    loaded_p50_ms: float
    loaded_p99_ms: float
    queue: QueueAudit
    by_worker: list[int]
    identical: int | None
    samples: list[Sample]

    @property
    def passed(self) -> bool:
        """Whether every text was answered once and no label differs from the classifier's own."""
        return self.queue.valid and self.identical in (None, self.texts)


def show_report(console: Console, report: Report) -> None:
    """Print what was measured, each figure with what it means."""
    table = Table(title="What came of it", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    audit = report.queue
    rows = [
        ("texts streamed", f"{audit.attempted:,}", "attempted"),
        ("answered", f"{audit.ok:,}", "distinct texts with a result"),
        ("lost", f"{audit.lost:,}", "accepted by Redis, never answered"),
        ("duplicated", f"{audit.duplicated:,}", "answered more than once"),
        ("unexpected", f"{audit.unexpected:,}", "results that nobody asked for"),
        ("accuracy", f"{report.accuracy:.4f}", "of the streamed texts"),
        ("macro-F1", f"{report.macro_f1:.4f}", "mean over the labels"),
        ("throughput", f"{report.texts_per_s:,.0f} texts/s", "first enqueue to last result"),
        ("latency p50", f"{report.p50_ms:.1f} ms", "round trip of one text at a time, seen by the client"),
        ("latency p99", f"{report.p99_ms:.1f} ms", "the same"),
        ("waiting p50", f"{report.loaded_p50_ms:,.0f} ms", "enqueue to result while all texts queued at once"),
        ("waiting p99", f"{report.loaded_p99_ms:,.0f} ms", "the same"),
        ("first label", f"{report.first_label_s:.1f} s", "after the workers' start"),
        ("training", f"{report.train_s:.0f} s", ""),
    ]
    if report.by_worker:
        total = sum(report.by_worker) or 1
        rows.append(("by worker", " + ".join(f"{done / total:.0%}" for done in report.by_worker), "share of the texts"))
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if report.identical is not None:
        verdict = "yes" if report.identical == report.texts else "NO"
        console.print(
            f"labels identical to `sortgate classify`: {verdict} ({report.identical} of {report.texts})",
            highlight=False,
        )
    samples = Table(title="Ten of the texts", title_justify="left")
    for name in ("label", "score", "true label", "text"):
        samples.add_column(name, no_wrap=True)
    labels = max((len(sample.label or "") + len(sample.truth) for sample in report.samples), default=0)
    for sample in report.samples:
        text = Text(printable(" ".join(sample.text.split())))
        # What the other columns and the frame leave: the table itself would shorten the labels instead.
        text.truncate(max(20, console.width - labels - 25), overflow="ellipsis")
        # Text, not str: a bracket in somebody's text is no markup
        right = "" if sample.truth == sample.label else "red"
        label, truth = Text(printable(sample.label or "–")), Text(printable(sample.truth), style=right)
        samples.add_row(label, f"{sample.score:.3f}", truth, text)
    console.print(samples)
