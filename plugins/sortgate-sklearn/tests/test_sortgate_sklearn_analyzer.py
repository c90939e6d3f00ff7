"""The tokenizer as Sortgate sees it: found by its entry point, chosen by name, recorded; and what it does to texts."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.conformance import check_plugin
from sortgate.errors import ComponentParamsError
from sortgate.plugins import ComponentSpec, Registry, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath

TEXT = "The café's 2 printers don't print"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only={"sortgate-sklearn"})


def make(registry: Registry, **params: Any) -> Any:
    return registry.create("tokenizer", ComponentSpec("sklearn.analyzer.v1", params))


def test_it_keeps_what_every_component_promises() -> None:
    # the budgets leave room for a machine that is busy with other tests
    assert check_plugin("sortgate-sklearn", budget_us=10_000, import_s=5, huge_s=20) == []


def test_words_are_those_of_the_vectorizers(registry: Registry) -> None:
    assert make(registry)(TEXT) == ["the", "café", "printers", "don", "print"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ngram_range": [1, 3]},
        {"analyzer": "char", "ngram_range": [2, 4]},
        {"analyzer": "char_wb", "ngram_range": [3, 3], "lowercase": False},
        {"stop_words": "english", "strip_accents": "unicode"},
        {"stop_words": ["the", "don"], "token_pattern": r"(\w+)'?\w*"},
    ],
)
def test_parameters_mean_what_they_do_in_scikit_learn(registry: Registry, params: dict[str, Any]) -> None:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

    theirs = {**params, "ngram_range": tuple(params.get("ngram_range", (1, 1)))}
    for vectorizer in (TfidfVectorizer, HashingVectorizer):
        assert make(registry, **params)(TEXT) == vectorizer(**theirs).build_analyzer()(TEXT)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"analyzer": "words"}, "no analyzer 'words'; there are: word, char, char_wb"),
        ({"ngram_range": [2, 1]}, "ngram_range must be"),
        ({"ngram_range": [1, 11]}, "up to 10"),
        ({"ngram_range": [True, 1]}, "ngram_range must be"),
        ({"token_pattern": "("}, "token_pattern is no regular expression"),
        ({"token_pattern": "(a)(b)"}, "more than one group"),
        ({"stop_words": "german"}, "'english' or a list"),
        ({"stop_words": ["don't"]}, "stop_words: some would be cut"),
        ({"stop_words": ["a"], "analyzer": "char"}, "knows no words"),
        ({"lowercase": "yes"}, "lowercase must be true or false"),
        ({"strip_accents": "all"}, "strip_accents must be"),
    ],
)
def test_bad_parameters_are_refused(registry: Registry, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentParamsError, match=message):
        make(registry, **params)


@given(text=st.text(st.sampled_from("abIİΣς 1.'-\n\t\u2028éﷺ\u0301") | st.characters(codec="utf-8"), max_size=80))
@settings(deadline=None)
def test_words_of_a_text_are_those_of_its_pieces(registry: Registry, text: str) -> None:
    for accents in (None, "unicode"):
        tokenizer = make(registry, strip_accents=accents)
        assert tokenizer.by_white_space
        assert tokenizer(text) == [token for piece in text.split() for token in tokenizer(piece)]
        assert all(token.split() == [token] for token in tokenizer(text))


def test_round_trip_through_records(registry: Registry) -> None:
    params = {"analyzer": "char_wb", "ngram_range": [2, 3]}
    path = TextPath.create(TextConfig(tokenizer=ComponentSpec("sklearn.analyzer.v1", params)), registry, TextLimits())
    path.fit([TEXT], min_count=1)
    records = path.records(registry)
    assert records.tokenizer.distribution == "sortgate-sklearn"
    assert path.vocabulary is not None
    fresh = create_registry_for([records.tokenizer])
    again = TextPath.restore(records, {}, path.vocabulary, TextLimits(), fresh)
    assert again.encode([TEXT, "a printer"]) == path.encode([TEXT, "a printer"])


def test_listing_plugins_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from sortgate.plugins import create_registry; create_registry(); "
        "assert not {'sklearn', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=dict(os.environ), check=True)
