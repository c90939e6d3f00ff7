"""The report page: self-contained, nothing of the data is taken for markup, and what is missing leaves no gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sortgate.bundle import Manifest
from sortgate_training.report.baselines import Baseline
from sortgate_training.report.card import render_card
from sortgate_training.report.figures import by_frequency, by_length, calibrate, confused_pairs, figures_of
from sortgate_training.report.judged import Judged
from sortgate_training.report.page import Subject, render_report

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "link", "br"}
Make = Callable[..., Any]


class Tags(HTMLParser):
    """Collects tags and text, and checks that what opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data + "\n"


def parsed(subject: Subject) -> Tags:
    parser = Tags()
    parser.feed(render_report(subject).decode())
    parser.close()
    assert parser.open == []
    return parser


def headings(page: Tags) -> set[str]:
    return {line for line in page.words.splitlines() if line in ALL}


ALL = {
    "Beside baselines", "Notes", "By label", "Confusions", "Sure answers", "Calibration",
    "Where it is good, and where not", "Hardest texts", "Suspected label errors", "Training", "Data", "Facts",
}  # fmt: skip


def test_the_page_has_everything_and_fetches_nothing(judged: Make, subject: Make) -> None:
    page = parsed(subject(judged(), learned=Counter({SCRIPT: 5, "b": 50})))
    names = {name for name, _ in page.tags}
    assert "script" not in names
    assert not names & {"img", "iframe", "object", "embed", "base", "form"}
    assert [attributes["href"] for _, attributes in page.tags if "href" in attributes] == ["data:,"]
    assert not any("src" in attributes for _, attributes in page.tags)
    raw = render_report(subject(judged())).decode()
    assert "url(" not in raw
    assert "@import" not in raw
    assert headings(page) == ALL
    for words in (f"{SCRIPT} & � text", "a note & more", "all done", "2.5 MB", "x.csv", "significantly better than"):
        assert words in page.words


def test_without_examples_no_text_appears(judged: Make, subject: Make) -> None:
    page = parsed(subject(judged(), examples=False))
    assert "� text" not in page.words
    assert headings(page) == ALL - {"Hardest texts"}


def test_several_labels_a_text_leave_out_what_makes_no_sense(judged: Make, subject: Make) -> None:
    page = parsed(subject(judged(), multi_label=True))
    assert headings(page) == {"Beside baselines", "Notes", "By label", "Training", "Data", "Facts"}


def test_many_labels_show_the_most_confused_ones(judged: Make, subject: Make) -> None:
    labels = tuple(f"label {number:02}" for number in range(80))
    page = parsed(subject(judged(800, labels), validation=None))
    assert "Of 80 labels, the most confused ones." in page.words
    columns = [attributes for name, attributes in page.tags if name == "th" and attributes.get("class") == "turned"]
    assert 2 <= len(columns) <= 12


def test_texts_without_scores() -> None:
    nothing = np.array([], dtype=np.int64)
    empty = Judged(["x"], ["a"], [None], ("a", "b"), nothing, np.zeros((0, 2)), nothing, 1)
    page = parsed(Subject("toy", "test", figures_of(empty), empty, 1.0))
    assert "0.0%" in page.words
    assert calibrate(empty, 1.0) is None


def test_the_same_answers_give_the_same_page(judged: Make, subject: Make) -> None:
    assert render_report(subject(judged())) == render_report(subject(judged()))


def test_confusions_are_sorted(judged: Make) -> None:
    pairs = confused_pairs(judged())
    sizes = [len(rows) for _, _, rows in pairs]
    assert sizes == sorted(sizes, reverse=True)
    assert all(truth != answer for truth, answer, _ in pairs)


def test_every_text_is_in_one_bin_of_length(judged: Make) -> None:
    bins = by_length(judged())
    assert sum(part.texts for _, _, part in bins) == 200
    assert all(high < low for (_, high, _), (low, _, _) in pairwise(bins))


def test_every_label_is_in_one_group_of_frequency(judged: Make) -> None:
    metrics = figures_of(judged()).metrics
    groups = by_frequency(metrics, Counter({SCRIPT: 5, "b": 7, "c": 5000}))
    assert [(low, high, count) for low, high, count, _ in groups] == [(5, 7, 2), (5000, 5000, 1)]


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_card(judged: Make, subject: Make, toy_manifest: Manifest, multi_label: bool) -> None:
    about = subject(judged(), multi_label=multi_label)
    card = render_card(about, toy_manifest).decode()
    for words in ("## Use", "## Figures", "| this classifier |", "B1: a baseline", "1,234 texts a second", "## Limits"):
        assert words in card
    assert "<script>" not in card
    assert "� text" not in card
    assert "\n\n\n" not in card


def test_sets_beside_baselines(judged: Make, subject: Make, toy_manifest: Manifest) -> None:
    made = judged(300, ("a", "b", "c"))
    truth = [(label,) if row % 3 else ("a", "c") for row, label in enumerate(made.truth)]
    worse = [("b",) if row % 2 else labels for row, labels in enumerate(truth)]
    sets = replace(made, sets=(truth, [*truth[:-1], None]))
    figures = figures_of(sets, [Baseline("B1", "a baseline", [], 1.0, worse), Baseline("B2", "same", [], 1.0, truth)])
    one, other = figures.rivals
    assert one.micro_f1_interval is not None
    assert one.gain is not None
    assert one.micro_f1_interval.low < (one.micro_f1 or 0) < one.micro_f1_interval.high
    assert one.gain.low > 0
    assert (other.macro_f1, other.test.only_second) == (1.0, 1)
    assert "not distinguishable from the best baseline, B2 (-" in figures.verdict()
    about = replace(subject(made, multi_label=True), figures=figures, judged=sets)
    page = parsed(about)
    assert {"exact match", "micro-F1", "macro-F1"} <= set(page.words.splitlines())
    assert "chosen on the validation texts for the classifier's goal" in page.words
    assert "| exact match | micro-F1 | macro-F1 |" in render_card(about, toy_manifest).decode()
    values = figures.to_dict()
    assert values["intervals"].keys() == {"accuracy", "macro_f1", "micro_f1"}
    assert values["baselines"]["B1"].keys() >= {"micro_f1", "macro_f1_gain_interval"}
