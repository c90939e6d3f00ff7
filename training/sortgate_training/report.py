"""``report.html``: one self-contained page that says how good the classifier is, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from sortgate_training.loop import History
from sortgate_training.metrics import Metrics

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #8884}th:first-child,td:first-child{text-align:left}
.figures{display:flex;flex-wrap:wrap;gap:2rem}.figures b{display:block;font-size:2rem}.scroll{overflow-x:auto}
"""


def render_report(
    name: str, metrics: Metrics, judged_on: str, history: History, facts: Mapping[str, object], notes: Sequence[str]
) -> bytes:
    """Return the page, UTF-8.

    Args:
        name: of the bundle.
        metrics: figures to report.
        judged_on: which texts they are of, such as ``test``.
        history: the epochs.
        facts: further things to know, name to value.
        notes: sentences about the data and the run.
    """
    figures = {"accuracy": metrics.accuracy, "macro-F1": metrics.macro_f1}
    headline = "".join(f"<div><b>{value:.1%}</b>{label}</div>" for label, value in figures.items())
    labels = [[row.label, *_decimals(row.precision, row.recall, row.f1), str(row.support)] for row in metrics.labels]
    average = _decimals(metrics.macro_precision, metrics.macro_recall, metrics.macro_f1)
    epochs = [
        [
            f"{epoch.number}{' (kept)' if epoch.number == history.best else ''}",
            *_decimals(epoch.train_loss, epoch.validation_loss, epoch.validation_accuracy, epoch.validation_macro_f1),
        ]
        for epoch in history.epochs
    ]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    body = [
        f"<h1>{escape(name)}</h1><p>On {metrics.texts} {escape(judged_on)} texts:</p>",
        f"<div class=figures>{headline}</div>",
        f"<h2>Notes</h2><ul>{listed}</ul>" if listed else "",
        "<h2>By label</h2>",
        _table(["label", "precision", "recall", "F1", "texts"], [*labels, ["macro average", *average, ""]]),
        "<h2>Training</h2>",
        _table(["epoch", "loss", "validation loss", "validation accuracy", "validation macro-F1"], epochs),
        f"<p>Ended: {escape(history.stopped)}.</p><h2>Facts</h2>",
        _table(["what", "value"], [[key, str(value)] for key, value in facts.items()]),
    ]
    page = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(name)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    return page.encode("utf-8", "replace")


def _decimals(*values: float) -> list[str]:
    return [f"{value:.4f}" for value in values]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"
