"""``report.html``: one self-contained page that says how good a classifier is, on what, and where it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from sortgate_training.history import History
from sortgate_training.report import rare, sections
from sortgate_training.report.figures import Figures
from sortgate_training.report.judged import Judged
from sortgate_training.report.rare import Adjusted
from sortgate_training.report.sections import shown, standing_names, standings, table
from sortgate_training.report.statistics import Interval

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2127;--dim:#5b6570;--paper:#fff;--line:#d9dee3;--soft:#f3f5f7;--accent:#1769aa;
--bad:#b3412e;--c0:#1769aa;--c1:#c2571a;--c2:#2f8f4e;--c3:#8a4fb0;--c4:#b08900;--c5:#b83a6b}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7eb;--dim:#9aa4ae;--paper:#14181c;--line:#333b43;--soft:#1d2329;
--accent:#5aa9e6;--bad:#e0806c;--c0:#5aa9e6;--c1:#eb955c;--c2:#6cc48a;--c3:#bd92dd;--c4:#d8b548;--c5:#e583a8}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:0 auto;
padding:1.5rem 1rem 4rem;overflow-wrap:anywhere}
h1{font-size:1.7rem;margin:.2rem 0}h2{font-size:1.25rem;margin:2.4rem 0 .4rem;border-top:1px solid var(--line);
padding-top:1.2rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}p{margin:.5rem 0}.dim,figcaption{color:var(--dim)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0}
.tiles div{background:var(--soft);border-radius:.5rem;padding:.6rem .8rem;font-size:.85rem;color:var(--dim)}
.tiles b{display:block;font-size:1.55rem;line-height:1.2;color:var(--ink)}
.verdict{border-left:4px solid var(--accent);padding:.3rem .8rem;background:var(--soft)}
.scroll{overflow-x:auto;margin:.6rem 0}table{border-collapse:collapse;font-size:.875rem;
font-variant-numeric:tabular-nums}td,th{padding:.3rem .6rem;text-align:right;vertical-align:top;white-space:nowrap;
border-bottom:1px solid var(--line)}th{color:var(--dim);font-weight:600}
.w{text-align:left;white-space:normal;min-width:6.5rem;max-width:34rem}.matrix .w{min-width:5rem;max-width:11rem}
.matrix td{text-align:center;min-width:2.2rem;background:color-mix(in srgb,var(--tone) var(--v),transparent)}
.hit{--tone:var(--accent)}.miss{--tone:var(--bad)}.turned{vertical-align:bottom;text-align:center;padding:.3rem .2rem}
.turned span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:9rem;white-space:normal}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem}figure{margin:.6rem 0;
max-width:32rem}svg{display:block;width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}
.grid{stroke:var(--line)}.ideal{stroke:var(--dim);stroke-dasharray:4 4}polyline{fill:none;stroke-width:2}
figcaption{font-size:.875rem}.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:.8rem}
.legend i{display:inline-block;width:.9rem;height:.2rem;margin-right:.35rem;vertical-align:middle}
ul,ol{padding-left:1.4rem}
li ul{color:var(--dim);font-size:.9rem}
@media print{:root{color-scheme:light;--ink:#000;--dim:#444;--paper:#fff;--line:#bbb;--soft:#fff;
--c0:#1769aa;--c1:#c2571a;--accent:#1769aa;--bad:#b3412e}body{max-width:none;font-size:11pt;padding:0}.scroll{overflow:visible}
figure,tr,.tiles{break-inside:avoid}h2,h3{break-after:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""" + "".join(
    f"polyline.c{number}{{stroke:var(--c{number})}}circle.c{number}{{fill:var(--c{number})}}"
    f"i.c{number}{{background:var(--c{number})}}"
    for number in range(6)
)

#: Notes are sentences of ours, and some of them name many figures.
_NOTE = 600


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        name: of the bundle.
        judged_on: which texts the figures are of, such as ``test``.
        figures: of these texts.
        judged: the texts and the answers.
        temperature: of the classifier.
        multi_label: leaves out what only makes sense for one label a text.
        examples: whether texts may be shown.
        validation: further texts that were not learned from, in which wrong labels are looked for.
        history: the epochs, None for a bundle that is only judged.
        learned: label to number of texts learned from.
        speed: texts a second on one core.
        size: of the bundle in bytes.
        notes: sentences about the data and the run.
        facts: further things to know, name to value.
        data: each part's facts.
        adjusted: what logit adjustment would do, on the validation texts.
        logit_adjustment: τ that the classifier was trained with.
        favours: the setting that makes rare labels count for more, if one was set.
    """

    name: str
    judged_on: str
    figures: Figures
    judged: Judged
    temperature: float
    multi_label: bool = False
    examples: bool = True
    validation: Judged | None = None
    history: History | None = None
    learned: Counter[str] | None = None
    speed: float | None = None
    size: int | None = None
    notes: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    adjusted: Sequence[Adjusted] = ()
    logit_adjustment: float = 0.0
    favours: Sequence[str] = ()


def render_report(subject: Subject) -> bytes:
    """Return the page, UTF-8, without anything that a browser would have to fetch or run."""
    one = not subject.multi_label
    judged, temperature = subject.judged, subject.temperature
    held_out = [(subject.judged_on, judged)]
    if subject.validation is not None:
        held_out.insert(0, ("validation", subject.validation))
    parts = {
        "Beside baselines": _baselines(subject.figures),
        "Notes": "".join(f"<li>{escape(shown(note, _NOTE))}</li>" for note in subject.notes),
        "By label": sections.labels(subject.figures, judged, subject.learned),
        "Confusions": sections.confusions(judged, examples=subject.examples) if one else "",
        "Sure answers": sections.curves(judged, temperature) if one else "",
        "Calibration": sections.calibrated(subject.figures.calibration) if one else "",
        "Where it is good, and where not": sections.breakdown(subject.figures, judged, subject.learned) if one else "",
        "Rare labels": rare.section(subject.adjusted, subject.logit_adjustment, held_out[0][0], subject.favours),
        "Hardest texts": sections.hardest(judged, temperature) if one and subject.examples else "",
        "Suspected label errors": sections.suspicious(held_out, temperature, examples=subject.examples) if one else "",
        "Training": sections.learning(subject.history) if subject.history is not None else "",
        "Data": _data(subject.data),
        "Facts": table(["what", "value"], [[key, shown(str(value))] for key, value in subject.facts.items()], words=2)
        if subject.facts
        else "",
    }
    if parts["Notes"]:
        parts["Notes"] = f"<ul>{parts['Notes']}</ul>"
    body = "".join(f"<section><h2>{title}</h2>{part}</section>" for title, part in parts.items() if part)
    name = escape(shown(subject.name))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # no favicon is asked for either
        f'<link rel="icon" href="data:,"><title>{name}</title><style>{_STYLE}</style></head>'
        f"<body><main>{_head(subject, name)}{body}</main></body></html>\n"
    )
    return page.encode("utf-8", "replace")


def _head(subject: Subject, name: str) -> str:
    figures, metrics = subject.figures, subject.figures.metrics
    tiles = [
        _tile("exact match" if subject.multi_label else "accuracy", metrics.accuracy, figures.accuracy),
        _tile("macro-F1", metrics.macro_f1, figures.macro_f1),
    ]
    if figures.micro_f1 is not None and metrics.micro_f1 is not None:
        tiles.insert(1, _tile("micro-F1", metrics.micro_f1, figures.micro_f1))
    if subject.speed:
        tiles.append((f"{subject.speed:,.0f}", "texts a second on one core"))
    if subject.size:
        tiles.append((f"{subject.size / 1e6:.1f} MB", "size of the bundle"))
    boxes = "".join(f"<div><b>{value}</b>{about}</div>" for value, about in tiles)
    verdict = figures.verdict()
    return (
        f"<h1>{name}</h1><p class=dim>On {metrics.texts:,} {escape(subject.judged_on)} texts, with 95 % intervals.</p>"
        f'<div class="tiles">{boxes}</div>' + (f'<p class="verdict">{escape(verdict)}</p>' if verdict else "")
    )


def _tile(name: str, value: float, bounds: Interval) -> tuple[str, str]:
    return f"{value:.1%}", f"{name}, {100 * bounds.low:.1f}–{100 * bounds.high:.1f}"


def _baselines(figures: Figures) -> str:
    if not figures.rivals:
        return ""
    several = figures.micro_f1 is not None
    rows = [
        [*cells, f"{rival.test.only_first} : {rival.test.only_second}", f"{rival.test.p:.2g}"]
        for cells, rival in zip(standings(figures)[1:], figures.rivals, strict=True)
    ]
    seconds = sum(rival.seconds for rival in figures.rivals[-1:])
    about = f"Trained on the same texts in {seconds:.1f} s. "
    if several:
        about += "One machine a label, each with a threshold chosen on the validation texts for the classifier's goal. "
    about += "“Only right : wrong”: texts that this classifier alone gets right, and that the baseline alone does."
    header = ["", *standing_names(figures), "only right : wrong", "p"]
    return table(header, [[*standings(figures)[0], "", ""], *rows]) + f"<p class=dim>{about}</p>"


def _data(parts: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [name, shown(str(facts.get("source", ""))), str(facts.get("sha256", "")), f"{facts.get('texts', 0):,}"]
        for name, facts in parts.items()
    ]
    return table(["part", "from", "SHA-256 of the file", "texts"], rows, words=3) if rows else ""
