"""The plugin as Sortgate sees it: found by its entry point, chosen by name, recorded; and what it does to texts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.conformance import check_plugin
from sortgate.errors import ComponentParamsError
from sortgate.plugins import ComponentSpec, Kind, Registry, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate_spacy import rules
from sortgate_spacy.lemmas import LookupsMissingError

TEXT = "I don't like Dr. Smith's U.K.-based shop :) (see http://a.example/b?c=d)."
LEMMAS = {"was": "be", "mice": "mouse", "was-not": "be-not"}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only={"sortgate-spacy"})


@pytest.fixture(scope="module")
def english(registry: Registry) -> Any:
    return make(registry, "tokenizer", "spacy.tokens.v1")


def make(registry: Registry, kind: Kind, name: str, **params: Any) -> Any:
    return registry.create(kind, ComponentSpec(name, params))


def in_new_process(code: str, **variables: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True).stdout.decode()


def test_it_keeps_what_every_component_promises() -> None:
    params = {"spacy.lemmas.v1": {"language": "", "words": LEMMAS}}
    # the budgets leave room for a machine that is busy with other tests
    assert check_plugin("sortgate-spacy", params=params, budget_us=10_000, import_s=5, huge_s=20) == []


def test_english_is_cut_by_its_rules(english: Any) -> None:
    expected = "I do n't like Dr. Smith 's U.K.-based shop :) ( see http://a.example/b?c=d ) ."
    assert english(TEXT) == expected.split()


def test_tokens_are_those_of_spacy(registry: Registry) -> None:
    import spacy

    texts = [TEXT, "  two   spaces\tand\na line ", "l'été, c'est aujourd'hui 12€", "z.B. 3,5 km/h u.s.w."]
    for language in ("en", "de", "xx", "tr", "hi"):
        whole = spacy.blank(language).tokenizer
        tokenizer = make(registry, "tokenizer", "spacy.tokens.v1", language=language)
        for text in texts:
            assert tokenizer(text) == [token.text for token in whole(text) if not token.text.isspace()]


def test_a_rule_for_several_words_sees_them_together(registry: Registry) -> None:
    spanish = make(registry, "tokenizer", "spacy.tokens.v1", language="es")
    assert spanish("desde EE.  UU. a Perú") == ["desde", "EE. UU.", "a", "Perú"]
    assert spanish.by_white_space is False


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("klingon", "no rules for language 'klingon'; there are: af, am, .*zh"),
        ("ja", "no rules for language 'ja': it leaves that to another library"),
        ("zh", "no rules for language 'zh': it leaves that to another library"),
    ],
)
def test_a_language_without_rules_is_refused(registry: Registry, language: str, message: str) -> None:
    with pytest.raises(ComponentParamsError, match=message):
        make(registry, "tokenizer", "spacy.tokens.v1", language=language)


def test_memory_is_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_STRINGS", 2_000)
    tokenizer = make(registry, "tokenizer", "spacy.tokens.v1")
    least = len(tokenizer._tokenizer.vocab.strings)
    most = 0
    for number in range(500):
        words = [f"{number}new{index}words-that-nobody-has-written-before" for index in range(20)]
        assert tokenizer(" ".join(words))[0].startswith(f"{number}new0words")
        most = max(most, len(tokenizer._tokenizer.vocab.strings))
    assert least < most < least + 2_000 + 20 * 8
    assert tokenizer(TEXT) == make(registry, "tokenizer", "spacy.tokens.v1")(TEXT)


@pytest.mark.parametrize("alphabet", ["(", "()[]{}", "!?.,;:'\"-", ":)(-;=P", "…—–“”", "(a1.'-@:/ö😀", "a.", "'s"])
def test_a_long_run_without_white_space_takes_time_linear_in_it(english: Any, alphabet: str) -> None:
    # spaCy itself takes 30 seconds for 16,000 brackets
    run = "".join(random.Random(7).choices(alphabet, k=65_536))
    while len(run.encode()) > 65_536:
        run = run[: len(run) * 3 // 4]
    started = time.process_time()
    assert "".join(english(run)) == run
    assert time.process_time() - started < 4


@given(
    text=st.text(
        st.sampled_from("ab I'dn't.,:;-()/@#!?0129 \t\n\u2028é😀\u0301") | st.characters(codec="utf-8"), max_size=150
    )
)
@settings(deadline=None)
def test_any_text_gives_its_characters_in_order(english: Any, text: str) -> None:
    tokens = english(text)
    assert "".join(tokens) == "".join(text.split())
    assert tokens == [token for piece in text.split() for token in english(piece)]


def test_lemmas_keep_what_leads_to_words_that_are_there(registry: Registry) -> None:
    lemmas = make(registry, "filter", "spacy.lemmas.v1", language="", words={**LEMMAS, "geese": "goose"})
    lemmas.fit([["mice", "are", "there"], ["was"]])
    assert json.loads(lemmas.state()) == {"mice": "mouse", "was": "be"}
    assert lemmas(["was", "mice", "geese", "there"]) == ["be", "mouse", "geese", "there"]


@given(
    words=st.dictionaries(st.sampled_from("abc"), st.sampled_from("abcd"), min_size=1),
    learned=st.lists(st.lists(st.sampled_from("abcde"), max_size=3), max_size=2),
    tokens=st.just(list("abcde")),
)
def test_the_kept_part_gives_the_ids_of_the_whole_table(
    registry: Registry, words: dict[str, str], learned: list[list[str]], tokens: list[str]
) -> None:
    lemmas = make(registry, "filter", "spacy.lemmas.v1", language="", words=words)
    lemmas.fit(learned)
    known = {words.get(token, token) for part in learned for token in part}
    whole = [words.get(token, token) for token in tokens]
    assert [token if token in known else None for token in lemmas(tokens)] == [
        token if token in known else None for token in whole
    ]


def test_lemmas_of_a_language_need_its_tables_only_in_training(registry: Registry) -> None:
    lemmas = make(registry, "filter", "spacy.lemmas.v1")
    lemmas.restore(json.dumps({"was": "be"}).encode())
    assert lemmas(["was"]) == ["be"]
    nowhere = make(registry, "filter", "spacy.lemmas.v1", language="tlh")
    with pytest.raises(LookupsMissingError, match=r"pip install 'sortgate-spacy\[lookups\]'"):
        nowhere.fit([["was"]])
    path = TextPath.create(TextConfig(filters=[ComponentSpec("spacy.lemmas.v1", {"language": "tlh"})]), registry)
    with pytest.raises(LookupsMissingError, match=r"pip install 'sortgate-spacy\[lookups\]'"):
        path.fit(["a text"])


def test_lemmas_of_english(registry: Registry) -> None:
    pytest.importorskip("spacy_lookups_data", reason="needs sortgate-spacy[lookups]")
    lemmas = make(registry, "filter", "spacy.lemmas.v1")
    lemmas.fit([["mice", "are", "running"]])
    assert lemmas(["mouse", "was", "runs"]) == ["mouse", "be", "run"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"language": ""}, "without a language there must be words"),
        ({"language": "klingon"}, "language must be a code"),
        ({"words": ["was"]}, "words must map words to their lemmas"),
        ({"words": {"was": ""}}, "a lemma must be a string that is not empty"),
    ],
)
def test_bad_parameters_of_the_lemmas_are_refused(registry: Registry, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentParamsError, match=message):
        make(registry, "filter", "spacy.lemmas.v1", **params)


@pytest.mark.parametrize("state", [b"", b"[]", b'{"a": 1}', b"\xff"])
def test_a_state_that_is_none_is_refused(registry: Registry, state: bytes) -> None:
    lemmas = make(registry, "filter", "spacy.lemmas.v1")
    with pytest.raises(ValueError):
        lemmas.restore(state)


def test_round_trip_through_records(registry: Registry) -> None:
    lemmas = ComponentSpec("spacy.lemmas.v1", {"language": "", "words": LEMMAS})
    config = TextConfig(tokenizer=ComponentSpec("spacy.tokens.v1", {"language": "de"}), filters=[lemmas])
    path = TextPath.create(config, registry, TextLimits())
    path.fit([TEXT, "I was mice"], min_count=1)
    records = path.records(registry)
    assert records.tokenizer.distribution == records.filters[0].distribution == "sortgate-spacy"
    assert path.vocabulary is not None
    fresh = create_registry_for([records.tokenizer, *records.filters])
    again = TextPath.restore(records, path.states(), path.vocabulary, TextLimits(), fresh)
    assert again.encode([TEXT, "mice was here"]) == path.encode([TEXT, "mice was here"])


def test_every_process_gives_the_same_tokens_and_state() -> None:
    code = (
        "from sortgate_spacy import Lemmas, Rules\n"
        f"lemmas = Lemmas(language='', words={LEMMAS!r}); lemmas.fit([['was', 'mice', 'was-not']])\n"
        f"print([Rules(language)({TEXT!r}) for language in ('en', 'es')], lemmas.state())"
    )
    assert in_new_process(code, PYTHONHASHSEED="0") == in_new_process(code, PYTHONHASHSEED="4711")


def test_listing_plugins_does_not_import_spacy() -> None:
    in_new_process(
        "import sys; from sortgate.plugins import create_registry; create_registry(); assert 'spacy' not in sys.modules"
    )
