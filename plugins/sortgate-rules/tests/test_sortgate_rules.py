"""The rules: each against a plain reading of what it promises, through the registry that training and workers use."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate import testing
from sortgate.errors import ComponentParamsError
from sortgate.plugins import ComponentSpec, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate.types import LabelScore, Prediction

REGISTRY = create_registry(only={"sortgate-rules"})
HOURS = {"monday": ["09:00-12:00", "13:00-17:30"], "sunday": ["22:00-24:00"]}
BERLIN: dict[str, Any] = {"time_zone": "Europe/Berlin", "hours": HOURS, "outside": {"billing": "mailbox"}}
RULES: dict[str, dict[str, Any]] = {
    "thresholds": {"default": 0.6, "fallback": "other"},
    "abstain": {"score": 0.5, "margin": 0.2, "label": "unsure"},
    "hierarchy": {"fallback": "other"},
    "costs": {"costs": {"a": {"human": 0.3}, "*": {"human": 0.2}}},
    "business_hours": {**BERLIN, "hours": {}, "outside": {"a": "b", "b": "mailbox"}},
}


def make(rule: str, **params: Any) -> Any:
    return REGISTRY.create("postprocessor", ComponentSpec(f"rules.{rule}.v1", params))


def predict(**scores: float) -> Prediction:
    """Make a prediction; ``__`` stands for the ``/`` of a hierarchy."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    labels = tuple(LabelScore(label.replace("__", "/"), score) for label, score in ranked)
    return Prediction(labels[0].label, labels[0].score, labels, truncated=3)


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    names = draw(st.lists(st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "a/x/1"]), min_size=1, unique=True))
    weights = draw(st.lists(st.integers(1, 100), min_size=len(names), max_size=len(names)))
    return predict(**{name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)})


@given(predictions(), st.sampled_from(sorted(set(RULES) - {"hierarchy"})))
def test_a_decision_leaves_the_ranking_and_takes_the_score_of_its_label(prediction: Prediction, rule: str) -> None:
    made = make(rule, **RULES[rule])(prediction)
    assert (made.labels, made.truncated, made.error) == (prediction.labels, prediction.truncated, None)
    known = {entry.label: entry.score for entry in prediction.labels}
    assert made.score == known.get(made.label or "", prediction.score)


def test_thresholds() -> None:
    rule = make("thresholds", default=0.4, labels={"spam": 0.9}, fallback="ham")
    assert rule(predict(spam=0.9, ham=0.1)).label == "spam"
    assert (rule(predict(spam=0.89, ham=0.11)).label, rule(predict(spam=0.89, ham=0.11)).score) == ("ham", 0.11)
    assert rule(predict(eggs=0.39)).label == "ham"
    assert rule(Prediction(None)).label == "ham"
    assert make("thresholds", default=0.5)(predict(eggs=0.49)).label is None


def test_abstain() -> None:
    rule = make("abstain", score=0.5, margin=0.2, label="unsure")
    assert rule(predict(a=0.625, b=0.375)).label == "a"
    assert rule(predict(a=0.55, b=0.45)).label == "unsure"
    assert rule(predict(a=0.45, b=0.1)).label == "unsure"
    assert rule(Prediction("a", 0.9)).label == "a"
    assert rule(Prediction(None)).label == "unsure"
    assert make("abstain", score=0.5)(predict(a=0.49)).label is None


def test_hierarchy_gives_the_deepest_label_that_is_sure_enough() -> None:
    rule = make("hierarchy", threshold=0.6, fallback="other")
    wavering = rule(predict(billing__refund=0.5, billing__invoice=0.4, delivery=0.1))
    assert (wavering.label, wavering.score) == ("billing", pytest.approx(0.9))
    assert [entry.label for entry in wavering.labels] == ["billing", "billing/refund", "billing/invoice", "delivery"]
    assert rule(predict(billing__refund=0.8, delivery=0.2)).label == "billing/refund"
    assert rule(predict(billing__refund=0.5, delivery=0.5)).label == "other"
    assert make("hierarchy", separator=".")(predict(**{"a.b.c": 0.9, "a.b": 0.1})).label == "a.b.c"
    assert make("hierarchy")(Prediction(None, 0.3, (LabelScore("a/b", 0.3),))).label is None


@given(predictions(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]))
def test_hierarchy_is_what_a_walk_down_the_tree_finds(prediction: Prediction, threshold: float) -> None:
    made = make("hierarchy", threshold=threshold)(prediction)
    own = {entry.label: entry.score for entry in prediction.labels}
    summed = {entry.label: entry.score for entry in made.labels}
    for label, score in summed.items():
        below = [part for name, part in own.items() if name == label or name.startswith(f"{label}/")]
        assert score == pytest.approx(sum(below))
    found = None
    while True:
        children = [name for name in summed if name.rpartition("/")[0] == (found or "")]
        best = max(children, key=lambda name: summed[name], default=None)
        if best is None or summed[best] < threshold:
            break
        found = best
    assert (None if found is None else summed[found]) == (None if made.label is None else summed[made.label])


def test_keywords_decide_by_whole_words_in_the_text() -> None:
    rule = make(
        "keywords",
        rules=[
            {"label": "refund", "any": ["money back", "refund"], "none": ["no refund"]},
            {"label": "legal", "all": ["lawyer", "court"]},
            {"label": "billing", "any": ["invoice"], "below": 0.8},
            {"label": "chinese", "any": ["退款", "c++"]},
        ],
    )
    given_, surer = predict(other=0.7, refund=0.3), predict(other=0.8, billing=0.2)
    for text, label in (
        ("I want my Money \t back!", "refund"),
        ("a refund, no refund", "other"),
        ("refunded", "other"),
        ("my lawyer", "other"),
        ("lawyer, court", "legal"),
        ("the invoice", "billing"),
        ("我要退款谢谢", "chinese"),
        ("我要refund谢谢", "refund"),
        ("C++, that is", "chinese"),
        ("xc++", "other"),
    ):
        assert rule(given_, text).label == label, text
    assert rule(surer, "the invoice").label == "other"
    assert rule(given_, "refund").score == 0.3
    assert rule(given_, "the invoice").score == 0.7


def test_keywords_see_the_normalized_text_of_a_path_restored_from_its_records() -> None:
    rules = [{"label": "urgent", "any": ["asap"]}]
    config = TextConfig(postprocessors=[ComponentSpec("rules.keywords.v1", {"rules": rules}), "rules.thresholds.v1"])
    path = TextPath.create(config, REGISTRY)
    path.fit(["help asap", "help"], min_count=1)
    records = path.records(REGISTRY)
    assert path.vocabulary is not None
    again = TextPath.restore(records, {}, path.vocabulary, TextLimits(), create_registry_for(records))
    encoded = again.encode(["help", "help ＡＳＡＰ", "help"])
    made = again.postprocess([predict(calm=0.9)] * 3, encoded)  # type: ignore[arg-type]
    assert [prediction.label for prediction in made] == ["calm", "urgent", "calm"]


TABLE = st.dictionaries(
    st.sampled_from(["a", "b", "a/x", "*", "z"]),
    st.dictionaries(st.sampled_from(["a", "b", "a/x", "human"]), st.integers(0, 20)),
)


@given(predictions(), TABLE, st.integers(0, 5))
def test_costs_choose_the_least_expected_cost(prediction: Prediction, table: Any, default: int) -> None:
    scores = {entry.label: entry.score for entry in prediction.labels}

    def cost(truth: str, label: str) -> float:
        if label in table.get(truth, {}):
            return float(table[truth][label])
        return 0.0 if truth == label else float(table.get("*", {}).get(label, default))

    def expected(label: str) -> float:
        return sum(score * cost(truth, label) for truth, score in scores.items())

    decisions = {*scores, *(label for row in table.values() for label in row)}
    made = make("costs", costs=table, default=default)(prediction)
    assert expected(made.label) == pytest.approx(min(map(expected, decisions)))


@given(predictions())
def test_costs_of_nothing_special_are_the_most_probable_label(prediction: Prediction) -> None:
    assert make("costs", costs={})(prediction) == prediction


def test_costs_leave_alone_what_has_no_label() -> None:
    abstained = Prediction(None, 0.4, (LabelScore("a", 0.4),))
    assert make("costs", costs={"a": {"b": 9}})(abstained) == abstained


def at(clock: str) -> Callable[[], datetime]:
    return lambda: datetime.fromisoformat(clock).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("utc", "is_open"),
    [
        ("2026-11-30T08:00", True),  # a Monday, nine o'clock in Berlin
        ("2026-11-30T07:59", False),
        ("2026-11-30T11:00", False),  # noon
        ("2026-11-30T16:29", True),
        ("2026-11-30T16:30", False),
        ("2026-06-01T07:00", True),  # summer time: nine o'clock again
        ("2026-06-01T06:59", False),
        ("2026-12-01T09:00", False),  # a Tuesday has no hours
        ("2026-11-29T22:59", True),  # Sunday, until midnight
        ("2026-11-29T23:00", False),
        ("2026-12-28T10:00", False),  # a Monday, and a holiday
    ],
)
def test_business_hours(utc: str, is_open: bool) -> None:
    rule = make("business_hours", **BERLIN, holidays=["2026-12-28"])
    rule.now = at(utc)
    assert rule.is_open(rule.now()) is is_open
    labels = ["billing", "technical", None]
    made = rule.batch([Prediction(label, 0.9) for label in labels])
    assert [prediction.label for prediction in made] == (labels if is_open else ["mailbox", "technical", None])
    assert [rule(Prediction(label, 0.9)) for label in labels] == made


def test_business_hours_route_any_other_label() -> None:
    rule = make("business_hours", **{**BERLIN, "outside": {"*": "mailbox", "emergency": "emergency"}})
    rule.now = at("2026-12-01T09:00")
    assert [rule(Prediction(label, 0.9)).label for label in ("emergency", "x", None)] == ["emergency", "mailbox", None]


def test_what_depends_on_the_clock_is_not_compared_with_golden_answers() -> None:
    config = TextConfig(
        postprocessors=[
            ComponentSpec("rules.abstain.v1", {"score": 0.5, "label": "unsure"}),
            ComponentSpec("rules.business_hours.v1", {**BERLIN, "hours": {}, "outside": {"*": "mailbox"}}),
        ]
    )
    path = TextPath.create(config, REGISTRY)
    assert [made.label for made in path.postprocess([predict(a=0.9), predict(a=0.4)])] == ["mailbox", "mailbox"]
    assert [made.label for made in path.postprocess([predict(a=0.9), predict(a=0.4)], repeatable=True)] == [
        "a",
        "unsure",
    ]


def test_the_configuration_in_the_readme_is_accepted() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    chosen = tomllib.loads(readme.partition("```toml")[2].partition("```")[0])["text"]["postprocessors"]
    _, keywords, _ = (REGISTRY.create("postprocessor", ComponentSpec(spec["name"], spec["params"])) for spec in chosen)
    assert keywords(predict(other=0.5), "Ich schicke die Kündigung").label == "cancellation"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("thresholds", {"default": 1.1}, "default must be a number from 0 to 1"),
    ("thresholds", {"labels": ["spam"]}, "labels must be a table"),
    ("thresholds", {"labels": {"spam": "0.9"}}, r"labels\.spam must be"),
    ("thresholds", {"fallback": " "}, "fallback must be"),
    ("abstain", {"score": True}, "score must be"),
    ("abstain", {"margin": -0.1}, "margin must be"),
    ("abstain", {"label": 7}, "label must be"),
    ("hierarchy", {"separator": ""}, "separator must be"),
    ("hierarchy", {"threshold": None}, "threshold must be"),
    ("keywords", {"rules": []}, "rules must be a list"),
    ("keywords", {"rules": ["x"]}, r"rules\[0\] must be a table"),
    ("keywords", {"rules": [{"label": "a", "any": "word"}]}, r"rules\[0\]\.any must be a list"),
    ("keywords", {"rules": [{"label": "a", "any": ["w"]}, {"any": ["w"]}]}, r"rules\[1\]\.label must be"),
    ("keywords", {"rules": [{"label": "a", "none": ["w"]}]}, r"needs words in rules\[0\]\.any"),
    ("keywords", {"rules": [{"label": "a", "any": ["w"], "lable": 1}]}, r"rules\[0\] has 'lable'"),
    ("keywords", {"rules": [{"label": "a", "any": ["w"], "below": 2}]}, r"rules\[0\]\.below must be"),
    ("costs", {"costs": {"a": {"b": -1}}}, r"costs\.a\.b must be a number from 0 on"),
    ("costs", {"costs": {"a": 1}}, r"costs\.a must be a table"),
    ("costs", {"costs": {}, "default": "x"}, "default must be"),
    ("business_hours", {**BERLIN, "time_zone": "Mars/Olympus"}, "time_zone must be"),
    ("business_hours", {**BERLIN, "time_zone": "../etc/passwd"}, "time_zone must be"),
    ("business_hours", {**BERLIN, "hours": {"mon": []}}, "hours has 'mon'; there are: monday"),
    ("business_hours", {**BERLIN, "hours": {"monday": ["9-17"]}}, r"hours\.monday\[0\] must be"),
    ("business_hours", {**BERLIN, "hours": {"monday": ["22:00-06:00"]}}, r"hours\.monday\[0\] must begin before"),
    ("business_hours", {**BERLIN, "hours": {"monday": "09:00-17:00"}}, r"hours\.monday must be a list"),
    ("business_hours", {**BERLIN, "outside": {}}, "outside must map"),
    ("business_hours", {**BERLIN, "outside": {"a": None}}, r"outside\.a must be"),
    ("business_hours", {**BERLIN, "holidays": ["25.12."]}, "holidays must be"),
]


@pytest.mark.parametrize(("rule", "params", "message"), REFUSED)
def test_bad_parameters_are_refused_by_their_key(rule: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentParamsError, match=message):
        make(rule, **params)


def test_keywords_are_linear_on_the_worst_64_kib() -> None:
    rule = make("keywords", rules=[{"label": "x", "any": ["a b", "aa", "退 款"], "all": ["b a a"], "none": ["a"]}])
    for seed, end in product(("a", "a ", "b a ", " ", "退", "退 ", "é"), ("", "b", "款")):
        started = time.process_time()
        rule(predict(a=1.0), (seed * 65_536)[:65_536] + end)
        assert time.process_time() - started < 0.5, seed


test_conformance = testing.conformance(
    "sortgate-rules",
    params={
        "rules.keywords.v1": {"rules": [{"label": "other", "any": ["a"]}]},
        "rules.costs.v1": {"costs": {"billing": {"login": 9}, "*": {"other": 0.3}}},
        "rules.business_hours.v1": {**BERLIN, "outside": {"*": "other"}},
    },
)
