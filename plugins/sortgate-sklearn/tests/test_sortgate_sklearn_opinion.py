"""The second opinion: what it learns, how it mixes, and that its state is data, the same in every process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.errors import ComponentParamsError
from sortgate.plugins import ComponentSpec, Registry, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate.types import LabelScore, Prediction

TOPICS = {"printer": "toner paper jam", "login": "password account locked", "mail": "inbox spam attachment"}
NAME = "sklearn.second_opinion.v1"


def examples(topics: Sequence[str] = tuple(TOPICS), count: int = 60) -> tuple[list[str], list[list[str]]]:
    chance = random.Random(7)
    labels = [topics[number % len(topics)] for number in range(count)]
    return [f"{chance.choice(TOPICS[label].split())} {chance.choice('abcde')}x" for label in labels], [
        [label] for label in labels
    ]


def scored(**scores: float) -> Prediction:
    ranked = tuple(LabelScore(*item) for item in sorted(scores.items(), key=lambda item: -item[1]))
    return Prediction(ranked[0].label, ranked[0].score, ranked)


EVEN = scored(login=0.4, mail=0.3, printer=0.3)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only={"sortgate-sklearn"})


def make(registry: Registry, **params: Any) -> Any:
    return registry.create("postprocessor", ComponentSpec(NAME, params))


@pytest.fixture(scope="module")
def opinion(registry: Registry) -> Any:
    made = make(registry, weight=0.5)
    made.fit_labelled(*examples())
    return made


def alone(registry: Registry, opinion: Any) -> Any:
    """Return what the linear model says, nothing mixed in."""
    made = make(registry, weight=1)
    made.restore(opinion.state())
    return made


def test_it_mixes_probabilities_by_the_weight(registry: Registry, opinion: Any) -> None:
    second = {entry.label: entry.score for entry in alone(registry, opinion)(EVEN, "the toner").labels}
    mixed = opinion(EVEN, "the toner")
    assert mixed.label == "printer"
    for entry in EVEN.labels:
        got = next(other.score for other in mixed.labels if other.label == entry.label)
        assert got == pytest.approx((entry.score + second[entry.label]) / 2)
    nothing = make(registry, weight=0)
    nothing.restore(opinion.state())
    assert nothing(EVEN, "the toner") == EVEN


@pytest.mark.parametrize("topics", [tuple(TOPICS), ("printer", "mail")])
def test_probabilities_are_those_of_scikit_learn(registry: Registry, topics: tuple[str, ...]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts, labels = examples(topics)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=20_000, sublinear_tf=True)
    theirs = LogisticRegression(C=10.0, max_iter=200, tol=1e-3)
    theirs.fit(vectorizer.fit_transform(texts), [names[0] for names in labels])
    ours = make(registry, weight=1)
    ours.fit_labelled(texts, labels)
    asked = scored(**dict.fromkeys(topics, 1 / len(topics)))
    for text in ("toner toner paper", "inbox and spam", "nothing of it", ""):
        wanted = dict(zip(theirs.classes_, theirs.predict_proba(vectorizer.transform([text]))[0], strict=True))
        got = {entry.label: entry.score for entry in ours(asked, text).labels}
        assert got == pytest.approx(wanted, abs=1e-5)


SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)


@given(shares=SHARES, text=st.text(st.sampled_from("toner mail 😀"), max_size=40))
def test_what_comes_out_is_ranked_and_adds_up(opinion: Any, shares: list[float], text: str) -> None:
    given_ = scored(**dict(zip(TOPICS, np.array(shares) / sum(shares), strict=True)))
    mixed = opinion(given_, text)
    scores = [entry.score for entry in mixed.labels]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert (mixed.label, mixed.score) == (mixed.labels[0].label, mixed.labels[0].score)


def test_who_abstained_goes_on_abstaining_and_new_labels_have_no_second_vote(opinion: Any) -> None:
    abstained = Prediction(None, EVEN.score, EVEN.labels)
    assert opinion(abstained, "the toner").label is None
    assert opinion(Prediction(None), "the toner") == Prediction(None)
    other = opinion(scored(other=0.9, mail=0.1), "the toner")
    assert next(entry.score for entry in other.labels if entry.label == "other") == pytest.approx(0.45)


def test_several_labels_a_text_are_refused(registry: Registry) -> None:
    with pytest.raises(ValueError, match="exactly one label"):
        make(registry).fit_labelled(["a text", "another"], [["a", "b"], ["a"]])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weight": 1.5}, "weight must be a number from 0"),
        ({"weight": True}, "weight must be a number from 0"),
        ({"strength": 0}, "strength"),
        ({"max_features": 0}, "max_features must be a whole number"),
        ({"analyzer": "words"}, "no analyzer 'words'"),
    ],
)
def test_bad_parameters_are_refused(registry: Registry, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentParamsError, match=message):
        make(registry, **params)


def test_a_damaged_state_is_refused(registry: Registry, opinion: Any) -> None:
    state = opinion.state()
    nan = b"\xff\xff\xff\x7f"
    for damaged in (b"", b"{}\n", b"\x80\x04N.", state[:-4], state + b"\0" * 4, state[:-4] + nan):
        with pytest.raises((ValueError, KeyError)):
            make(registry).restore(damaged)


def test_round_trip_through_records(registry: Registry) -> None:
    texts, labels = examples()
    config = TextConfig(postprocessors=[ComponentSpec(NAME, {"weight": 0.5})])
    path = TextPath.create(config, registry, TextLimits())
    path.fit(texts, min_count=1)
    path.fit_labelled(texts, labels)
    records = path.records(registry)
    assert records.postprocessors[0].distribution == "sortgate-sklearn"
    assert path.vocabulary is not None
    fresh = create_registry_for([records.tokenizer, *records.normalizers, *records.postprocessors])
    again = TextPath.restore(records, path.states(), path.vocabulary, TextLimits(), fresh)
    encoded: Any = again.encode(["The TONER", "spam"])
    answers = again.postprocess([EVEN, EVEN], encoded)
    assert answers == path.postprocess([EVEN, EVEN], encoded)
    assert [answer.label for answer in answers] == ["printer", "mail"]


def test_every_process_learns_the_same_bytes() -> None:
    code = (
        "import hashlib; from sortgate_sklearn import SecondOpinion\n"
        f"made = SecondOpinion(weight=0.5); made.fit_labelled(*{examples()!r})\n"
        "print(hashlib.sha256(made.state()).hexdigest())"
    )
    digests = set()
    for seed, threads in (("0", "1"), ("4711", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1
