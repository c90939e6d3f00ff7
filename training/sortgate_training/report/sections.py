"""The page's sections, one function each; an empty string where there is nothing to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

import numpy as np

from sortgate.cli.output import printable
from sortgate_training.history import History
from sortgate_training.report.charts import COLOURS, Axis, Line, line_chart, span
from sortgate_training.report.figures import Calibration, Figures, by_frequency, by_length, confused_pairs
from sortgate_training.report.judged import Judged
from sortgate_training.report.statistics import (
    Interval,
    coverage_curve,
    precision_recall,
    probabilities,
    suspects,
    wilson,
)

#: Up to so many labels the whole confusion matrix is shown, else only so many of the most confused.
MATRIX_LABELS, CONFUSED_LABELS = 30, 12
_SHOWN = 240


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Return a table; the first ``words`` columns are text, the others numbers."""
    kinds = [' class="w"' if column < words else "" for column in range(len(header))]
    head = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, header, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def shown(text: str, most: int = _SHOWN) -> str:
    """Return the beginning of a text on one line; a lone surrogate, which no page can hold, as ``�``."""
    start = " ".join(text[: 4 * most].split())
    cut = start if len(start) <= most else start[: most - 1] + "…"
    return printable("".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in cut))


def ranged(value: float, bounds: Interval) -> str:
    """Return a share with its interval, in per cent."""
    return f"{100 * value:.1f} ({100 * bounds.low:.1f}–{100 * bounds.high:.1f})"


def standing_names(figures: Figures) -> list[str]:
    """Return the names of the figures of :func:`standings`."""
    return ["accuracy", "macro-F1"] if figures.micro_f1 is None else ["exact match", "micro-F1", "macro-F1"]


def standings(figures: Figures) -> list[list[str]]:
    """Return the figures of the classifier, then of each baseline, with intervals; a name comes first."""
    metrics = figures.metrics
    mine = [
        "this classifier", ranged(metrics.accuracy, figures.accuracy), *_micro(metrics.micro_f1, figures.micro_f1),
        ranged(metrics.macro_f1, figures.macro_f1),
    ]  # fmt: skip
    return [mine] + [
        [f"{rival.name}: {rival.about}", ranged(rival.accuracy, rival.accuracy_interval),
         *_micro(rival.micro_f1, rival.micro_f1_interval), ranged(rival.macro_f1, rival.macro_f1_interval)]
        for rival in figures.rivals
    ]  # fmt: skip


def _micro(value: float | None, bounds: Interval | None) -> list[str]:
    return [] if value is None or bounds is None else [ranged(value, bounds)]


def learning(history: History) -> str:
    """Return loss and figures over the epochs."""
    epochs = history.epochs
    if not epochs:
        return ""
    x = Axis("epoch", 1, max(2, len(epochs)))
    losses = [[(epoch.number, epoch.train_loss) for epoch in epochs], [(e.number, e.validation_loss) for e in epochs]]
    rates = [
        [(epoch.number, epoch.validation_accuracy) for epoch in epochs],
        [(epoch.number, epoch.validation_macro_f1) for epoch in epochs],
    ]
    low, high = span([value for line in rates for _, value in line])
    charts = [
        line_chart(
            "Loss",
            x,
            Axis("loss", *span([value for line in losses for _, value in line])),
            [Line("training", losses[0], dots=True), Line("validation", losses[1], dots=True)],
        ),
        line_chart(
            "Validation",
            x,
            Axis("share", max(0.0, low), min(1.0, high), percent=True),
            [Line("accuracy", rates[0], dots=True), Line("macro-F1", rates[1], dots=True)],
        ),
    ]
    end = (
        "The training loss is the recurrent network's, under dropout; the validation figures are those of all that is "
        f"served, the n-gram path included. Epoch {history.best} is kept; {history.stopped}."
    )
    return f'<div class="charts">{"".join(charts)}</div><p>{escape(end)}</p>'


def labels(figures: Figures, judged: Judged, learned: Counter[str] | None) -> str:
    """Return the figures by label."""
    single = ([(name,) for name in judged.truth], [None if name is None else (name,) for name in judged.answers])
    truth, answers = judged.sets or single
    right = Counter(name for one, other in zip(truth, answers, strict=True) for name in {*one} & {*(other or ())})
    given = Counter(name for names in answers for name in names or ())
    rows = []
    for row, bounds in zip(figures.metrics.labels, figures.f1, strict=True):
        cells = [
            row.label,
            ranged(row.precision, wilson(right[row.label], given[row.label])),
            ranged(row.recall, wilson(right[row.label], row.support)),
            ranged(row.f1, bounds),
            f"{row.support:,}",
        ]
        rows.append(cells if learned is None else [*cells, f"{learned[row.label]:,}"])
    header = ["label", "precision", "recall", "F1", "texts"] + ([] if learned is None else ["learned from"])
    return "<p>Per cent, with 95 % intervals.</p>" + table(header, rows)


def confusions(judged: Judged, *, examples: bool) -> str:
    """Return the confusion matrix and the most confused pairs."""
    pairs = confused_pairs(judged)
    names = [name for name in judged.labels if name in {*judged.truth, *judged.answers}]
    names += sorted({*judged.truth, *(answer for answer in judged.answers if answer is not None)} - set(names))
    note = ""
    if len(names) > MATRIX_LABELS:
        chosen = dict.fromkeys(name for truth, answer, _ in confused_pairs(judged, 50) for name in (truth, answer))
        kept = set(list(chosen)[:CONFUSED_LABELS])
        note = f"<p>Of {len(names)} labels, the most confused ones.</p>"
        names = [name for name in names if name in kept]
    counts = Counter(zip(judged.truth, judged.answers, strict=True))
    support = Counter(judged.truth)
    head = "".join(f'<th class="turned"><span>{escape(shown(name))}</span></th>' for name in names)
    body = ""
    for truth in names:
        cells = ""
        for answer in names:
            count = counts[truth, answer]
            share = round(70 * count / support[truth]) if support[truth] else 0
            kind = "hit" if truth == answer else "miss"
            cells += f'<td class="{kind}" style="--v:{share}%">{count or ""}</td>'
        body += f'<tr><th class="w">{escape(shown(truth))}</th>{cells}</tr>'
    matrix = (
        f'{note}<p>A row for each true label, a column for each answer.</p><div class="scroll"><table class="matrix">'
        f'<thead><tr><th class="w"></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    if not pairs:
        return matrix + "<p>Nothing was confused.</p>"
    listed = ""
    for truth, answer, rows in pairs:
        quotes = "".join(f"<li>{escape(shown(judged.texts[row]))}</li>" for row in rows[:3]) if examples else ""
        listed += (
            f"<li><b>{escape(shown(truth))}</b> taken for <b>{escape(shown(answer))}</b>: {len(rows)} of "
            f"{support[truth]}{f'<ul>{quotes}</ul>' if quotes else ''}</li>"
        )
    return f"{matrix}<h3>Most confused</h3><ol>{listed}</ol>"


def curves(judged: Judged, temperature: float) -> str:
    """Return precision over recall of the hardest labels, and accuracy over the share of texts answered."""
    if not len(judged.rows):
        return ""
    chances, targets = probabilities(judged.logits, temperature), judged.targets()
    drawn = []
    for number, label in enumerate(judged.labels):
        points, average = precision_recall(chances[:, number], targets == number)
        if points:
            drawn.append((average, label, points))
    drawn.sort(key=lambda item: item[:2])
    lines = [Line(f"{shown(name)} ({average:.2f})", points) for average, name, points in drawn[:COLOURS]]
    which = "each label" if len(drawn) <= COLOURS else f"the {COLOURS} hardest labels"
    covered = coverage_curve(chances.max(axis=1), chances.argmax(axis=1) == targets)
    low = min(accuracy for _, accuracy, _ in covered)
    share = Axis("", 0, 1, percent=True)
    charts = line_chart(
        f"Precision and recall of {which} (average precision)", share._replace(name="recall"),
        share._replace(name="precision"), lines,
    ) + line_chart(
        "Accuracy if only the surest texts are answered", share._replace(name="share of texts answered"),
        Axis("accuracy", max(0.0, min(low, 0.98) - 0.02), 1.0, percent=True),
        [Line("accuracy of those", [(part, accuracy) for part, accuracy, _ in covered])],
    )  # fmt: skip
    rows = []
    for wanted in (1.0, 0.95, 0.9, 0.8, 0.7, 0.5):
        part, accuracy, score = min(covered, key=lambda item: abs(item[0] - wanted))
        rows.append([f"{part:.0%}", f"{100 * accuracy:.1f} %", f"{score:.3f}"])
    return f'<div class="charts">{charts}</div>' + table(["answered", "accuracy", "score from"], rows)


def calibrated(calibration: Calibration | None) -> str:
    """Return the reliability diagram and the calibration errors."""
    if calibration is None:
        return ""
    share = Axis("", 0, 1, percent=True)
    chart = line_chart(
        "Reliability", share._replace(name="mean score"), share._replace(name="share that is right"),
        [Line(name, [(part.confidence, part.accuracy) for part in bins], dots=True)
         for name, bins in (("served", calibration.bins_after), ("without temperature", calibration.bins_before))],
        diagonal=True,
    )  # fmt: skip
    rows = [["these texts", f"{calibration.before:.4f}", f"{calibration.after:.4f}"]]
    if calibration.fitted_before is not None:
        fitted = (calibration.fitted_before, calibration.fitted_after or 0.0)
        rows.insert(0, ["validation texts (fitted to)", *(f"{value:.4f}" for value in fitted)])
    about = (
        f"Expected calibration error over {len(calibration.bins_after)} bins of equally many texts: how far a score "
        f"is, on average, from the share of answers that are right. The temperature is {calibration.temperature:g}."
    )
    if abs(calibration.temperature - 1.0) < 0.005:
        about += (
            " (The weights of a bundle's two paths are fitted to the validation texts too, and leave it little to do.)"
        )
    numbers = table(["calibration error", "without temperature", "served"], rows)
    return f'<p>{about}</p>{numbers}<div class="charts">{chart}</div>'


def breakdown(figures: Figures, judged: Judged, learned: Counter[str] | None) -> str:
    """Return the figures by length of the texts and by frequency of the labels."""
    rows = [
        [f"{low}–{high}" if low < high else str(low), f"{part.texts:,}", f"{100 * part.accuracy:.1f}",
         f"{100 * part.macro_f1:.1f}"]
        for low, high, part in by_length(judged)
    ]  # fmt: skip
    made = "<h3>By length</h3>" + table(["tokens", "texts", "accuracy", "macro-F1"], rows) if rows else ""
    if learned is not None:
        rows = [
            [f"{low:,}–{high:,}" if low < high else f"{low:,}", str(count), f"{100 * mean:.1f}"]
            for low, high, count, mean in by_frequency(figures.metrics, learned)
        ]
        made += "<h3>By frequency of the label</h3>" + table(["texts learned from", "labels", "mean F1"], rows)
    return made


def hardest(judged: Judged, temperature: float, most: int = 10) -> str:
    """Return the texts with the highest loss, and the longest ones."""
    if not len(judged.rows):
        return ""
    chances, targets = probabilities(judged.logits, temperature), judged.targets()
    loss = -np.log(np.maximum(chances[np.arange(len(targets)), np.maximum(targets, 0)], 1e-300))
    loss[targets < 0] = -1.0
    rows = []
    for at in np.argsort(-loss, kind="stable")[:most]:
        row = int(judged.rows[at])
        if loss[at] > np.log(2):
            cells = [shown(judged.texts[row]), shown(judged.truth[row]), shown(judged.answers[row] or "–")]
            rows.append([*cells, f"{loss[at]:.2f}"])
    hard = table(["text", "label", "answer", "loss"], rows, words=3) if rows else "<p>No text is hard.</p>"
    rows = []
    for at in np.argsort(-judged.tokens, kind="stable")[: most // 2]:
        row = int(judged.rows[at])
        right = "right" if judged.answers[row] == judged.truth[row] else "wrong"
        rows.append([shown(judged.texts[row]), right, f"{judged.tokens[at]:,}"])
    slow = table(["text", "answer", "tokens"], rows, words=2)
    return f"{hard}<h3>Longest, and so slowest</h3>{slow}"


def suspicious(parts: Sequence[tuple[str, Judged]], temperature: float, *, examples: bool) -> str:
    """Return texts whose label is probably wrong."""
    parts = [(name, judged) for name, judged in parts if len(judged.rows)]
    if not parts:
        return ""
    chances = np.concatenate([probabilities(judged.logits, temperature) for _, judged in parts])
    targets = np.concatenate([judged.targets() for _, judged in parts])
    at = [(name, judged, int(row)) for name, judged in parts for row in judged.rows]
    known = np.flatnonzero(targets >= 0)
    found = suspects(chances[known], targets[known])
    rows = []
    for position, likely in found:
        number = int(known[position])
        name, judged, row = at[number]
        rows.append(
            [shown(judged.texts[row]), name, shown(judged.truth[row]), shown(judged.labels[likely]),
             f"{chances[number, likely]:.3f}"]
        )  # fmt: skip
    about = (
        "Held-out texts that the classifier is surer of under another label than it usually is of that label's own "
        "texts (confident learning, Northcutt et al. 2021). Look at them before you trust the figures."
    )
    if not rows:
        return f"<p>{about}</p><p>None.</p>"
    if not examples:
        return f"<p>{about}</p><p>{len(rows)}{' or more' if len(rows) >= 20 else ''}; texts are left out.</p>"
    return f"<p>{about}</p>" + table(["text", "part", "label", "likelier", "score"], rows, words=4)
