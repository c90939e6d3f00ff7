"""The stop-word filter."""

from __future__ import annotations

from typing import Any

import pytest

from sortgate.components.filters import StopWords


def test_drops_the_languages_words_in_any_case_and_keeps_negations() -> None:
    assert StopWords("en")(["The", "printer", "IS", "not", "a", "toaster"]) == ["printer", "not", "toaster"]


def test_batch_is_one_call_a_list() -> None:
    lists = [["The", "printer"], [], ["a"]]
    assert StopWords("en").batch(lists) == [StopWords("en")(tokens) for tokens in lists] == [["printer"], [], []]


def test_own_words_alone_or_besides() -> None:
    assert StopWords(words=["Foo"])(["foo", "FOO", "the"]) == ["the"]
    assert StopWords("en", ["foo"])(["foo", "the", "bar"]) == ["bar"]


@pytest.mark.parametrize("parameters", [{}, {"language": "xx"}, {"words": "the"}, {"words": [1]}])
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"words|language"):
        StopWords(**parameters)
