"""The plugin as Sortgate sees it: found by its entry point, chosen by name, recorded with its version."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.errors import ComponentParamsError, PluginNotAllowedError, PluginVersionError, UnknownComponentError
from sortgate.plugins import ComponentSpec, Kind, Registry, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath

TEXT = "I don't like @ann's running shoes :-) #fail"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only={"sortgate-nltk"})


def make(registry: Registry, kind: Kind, name: str, **params: Any) -> Any:
    return registry.create(kind, ComponentSpec(name, params))


def test_treebank_splits_contractions(registry: Registry) -> None:
    assert make(registry, "tokenizer", "nltk.treebank.v1")("I don't.") == ["I", "do", "n't", "."]


def test_tweet_keeps_what_tweets_hold(registry: Registry) -> None:
    tokens = make(registry, "tokenizer", "nltk.tweet.v1")(TEXT)
    assert {"don't", "@ann", ":-)", "#fail"} <= set(tokens)


def test_tweet_parameters(registry: Registry) -> None:
    tokenizer = make(registry, "tokenizer", "nltk.tweet.v1", preserve_case=False, reduce_len=True, strip_handles=True)
    assert tokenizer("@ann WAAAAAYYY") == ["waaayyy"]


def test_snowball_stems(registry: Registry) -> None:
    assert make(registry, "filter", "nltk.snowball.v1")(["Running", "shoes"]) == ["run", "shoe"]
    assert make(registry, "filter", "nltk.snowball.v1", language="german")(["laufen"]) == ["lauf"]


def test_unknown_language_is_refused_with_the_known_ones(registry: Registry) -> None:
    with pytest.raises(ComponentParamsError, match=r"'klingon'; there are: .*swedish"):
        make(registry, "filter", "nltk.snowball.v1", language="klingon")


def test_round_trip_through_records(registry: Registry) -> None:
    config = TextConfig(tokenizer="nltk.tweet.v1", filters=[ComponentSpec("nltk.snowball.v1", {"language": "english"})])
    path = TextPath.create(config, registry, TextLimits())
    path.fit([TEXT], min_count=1)
    records = path.records(registry)
    assert records.tokenizer.distribution == "sortgate-nltk"
    assert path.vocabulary is not None
    again = TextPath.restore(records, {}, path.vocabulary, TextLimits(), create_registry_for(records))
    assert again.encode([TEXT, "shoes"]) == path.encode([TEXT, "shoes"])


def test_other_version_absence_and_allow_list(registry: Registry) -> None:
    record = registry.record("tokenizer", ComponentSpec("nltk.tweet.v1"))
    with pytest.raises(PluginVersionError, match=r"pip install sortgate-nltk==9\.9"):
        registry.restore("tokenizer", msgspec.structs.replace(record, version="9.9"))
    with pytest.raises(UnknownComponentError, match=f"pip install sortgate-nltk=={record.version}"):
        create_registry(only=()).restore("tokenizer", record)
    with pytest.raises(PluginNotAllowedError, match="add sortgate-nltk"):
        create_registry(allow={"other"}).restore("tokenizer", record)


def test_listing_plugins_does_not_import_nltk() -> None:
    code = (
        "import sys; from sortgate.plugins import create_registry; create_registry(); assert 'nltk' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(text=st.text(max_size=200))
@settings(deadline=None)
def test_any_text_gives_tokens(registry: Registry, text: str) -> None:
    for name in ("nltk.treebank.v1", "nltk.tweet.v1"):
        tokens = make(registry, "tokenizer", name)(text)
        stems = make(registry, "filter", "nltk.snowball.v1")(tokens)
        assert len(stems) == len(tokens)
        assert all(type(token) is str for token in (*tokens, *stems))
