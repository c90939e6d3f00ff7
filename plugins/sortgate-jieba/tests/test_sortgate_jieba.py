"""The plugin as Sortgate sees it: found by its entry point, chosen by name, recorded; and what it does to texts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.conformance import check_plugin
from sortgate.errors import ComponentParamsError
from sortgate.plugins import ComponentSpec, Registry, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate_jieba import Words
from sortgate_jieba.words import LONGEST_PIECE

TEXT = "小明硕士毕业于中国科学院计算所，后在日本京都大学深造"
MIXED = "我用iPhone手机看café的 <url> T恤!  👍🏽👩‍👩‍👧\t很好 don't 3.5元"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only={"sortgate-jieba"})


def make(registry: Registry, **params: Any) -> Any:
    return registry.create("tokenizer", ComponentSpec("jieba.words.v1", params))


@pytest.fixture(scope="module")
def words(registry: Registry) -> Any:
    return make(registry)


def in_new_process(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_it_keeps_what_every_component_promises() -> None:
    # the budgets leave room for a machine that is busy with other tests
    params = {"jieba.words.v1": {"words": ["云计算"]}}
    assert check_plugin("sortgate-jieba", params=params, budget_us=10_000, import_s=5, huge_s=20) == []


def test_words_are_those_of_the_dictionary(words: Any) -> None:
    assert words(TEXT)[:6] == ["小明", "硕士", "毕业", "于", "中国科学院", "计算所"]


def test_other_scripts_signs_and_emoji_are_cut_as_by_default(words: Any) -> None:
    expected = "我用 iPhone 手机 看 café 的 <url> T恤 ! 👍🏽 👩‍👩‍👧 很 好 don't 3.5 元"
    assert words(MIXED) == expected.split()


def test_full_and_search_mode_have_words_within_words(registry: Registry) -> None:
    for mode in ("full", "search"):
        assert {"中国", "科学院", "中国科学院"} <= set(make(registry, mode=mode)(TEXT))


def test_words_that_no_dictionary_has_are_guessed_unless_hmm_is_off(registry: Registry) -> None:
    text = "他来到了网易杭研大厦"
    assert "杭研" in make(registry)(text)
    assert "杭研" not in make(registry, hmm=False)(text)


def test_own_words_stay_with_their_component(registry: Registry, words: Any) -> None:
    own = make(registry, words=["云计算", "小明硕士"])
    assert own("小明硕士谈云计算") == ["小明硕士", "谈", "云计算"]
    assert words("小明硕士谈云计算") == ["小明", "硕士", "谈云", "计算"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mode": "paddle"}, "no mode 'paddle'; there are: accurate, full, search"),
        ({"hmm": 1}, "hmm must be true or false"),
        ({"words": "云计算"}, "words must be a list of strings"),
        ({"words": ["云 计算"]}, "'云 计算' cannot be found"),
        ({"words": ["cloud"]}, "'cloud' cannot be found"),
        ({"words": ["云" * 33]}, "at most 32 characters"),
    ],
)
def test_bad_parameters_are_refused(registry: Registry, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentParamsError, match=message):
        make(registry, **params)


def test_round_trip_through_records(registry: Registry) -> None:
    config = TextConfig(tokenizer=ComponentSpec("jieba.words.v1", {"words": ["云计算"]}))
    path = TextPath.create(config, registry, TextLimits())
    path.fit([TEXT, MIXED, "云计算"], min_count=1)
    records = path.records(registry)
    assert records.tokenizer.distribution == "sortgate-jieba"
    assert path.vocabulary is not None
    again = TextPath.restore(records, {}, path.vocabulary, TextLimits(), create_registry_for(records))
    assert again.encode([TEXT, MIXED, "云计算很好"]) == path.encode([TEXT, MIXED, "云计算很好"])


def test_every_process_gives_the_same_tokens() -> None:
    code = (
        "from sortgate_jieba import Words\n"
        f"print([Words(mode=mode, words=['云计算', '云计'])({TEXT + MIXED + '云计算'!r}) "
        "for mode in ('accurate', 'full', 'search')])"
    )
    assert in_new_process(code, PYTHONHASHSEED="0") == in_new_process(code, PYTHONHASHSEED="4711")


def test_nothing_is_written_logged_or_taken_from_the_temporary_folder(tmp_path: Path) -> None:
    (tmp_path / "jieba.cache").write_bytes(b"what another user put there")
    code = f"from sortgate_jieba import Words; print(len(Words()({TEXT!r})))"
    assert in_new_process(code, TMPDIR=str(tmp_path)).strip() == str(len(Words()(TEXT)))
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]
    assert not (Path(tempfile.gettempdir()) / "jieba.cache").exists()


def test_listing_plugins_does_not_import_jieba() -> None:
    code = (
        "from sortgate.plugins import create_registry; create_registry(); import sys; assert 'jieba' not in sys.modules"
    )
    in_new_process(code)


def test_a_long_run_without_signs_takes_no_longer_a_character(words: Any) -> None:
    # jieba itself takes five times as long a character for the first of these
    texts = ["的" * 21_000, "龘靐齉爩鱻麤" * 3_500, ("a" * 99 + "的") * 600, "中国人民" * 5_000]
    for text in texts:
        started = time.process_time()
        tokens = words(text)
        assert "".join(tokens) == text
        assert time.process_time() - started < 2


def test_a_long_run_is_cut_where_it_says(words: Any) -> None:
    run = "中国科学院" * 100
    assert len(run) == LONGEST_PIECE
    assert words(run + run) == words(run) * 2


@given(
    text=st.text(
        st.sampled_from("中国科学院计算所的了T恤é'1.%-_ \t\n，。!👍🏽\u200d<url>") | st.characters(codec="utf-8"),
        max_size=60,
    )
)
@settings(deadline=None)
def test_any_text_gives_its_characters_in_order(words: Any, text: str) -> None:
    tokens = words(text)
    assert all(type(token) is str and token.split() == [token] for token in tokens)
    assert tokens == [token for piece in text.split() for token in words(piece)]
    han = [character for character in text if "\u4e00" <= character <= "\u9fd5"]
    assert [character for token in tokens for character in token if "\u4e00" <= character <= "\u9fd5"] == han
