"""The word and character tokenizers, in many scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.components.tokenizers import Characters, Words, _unicode_pattern

WORDS = Words()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, world!", "Hello , world !"),
        ("I don't, rock'n'roll 'quoted' dogs'", "I don't , rock'n'roll ' quoted ' dogs '"),
        ("don’t l’été", "don't l'été"),
        ("3.14 1,000.50 v1.2 1.5kg 1. .5 1st b2b", "3.14 1,000.50 v1.2 1.5kg 1 . . 5 1st b2b"),
        ("a_b-c #tag @me", "a _ b - c # tag @ me"),
        ("<url> <email> <number> <b>", "<url> <email> <number> < b >"),
        ("Ünïcode e\u0301te\u0301 Ωmega Привет", "Ünïcode e\u0301te\u0301 Ωmega Привет"),
        ("नमस्ते दुनिया। বাংলা தமிழ்", "नमस्ते दुनिया । বাংলা தமிழ்"),
        ("שָׁלוֹם السَّلام", "שָׁלוֹם السَّلام"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("한국어 텍스트", "한국어 텍스트"),
        ("東京タワーは2023年", "東 京 タ ワ ー は 2023 年"),
        ("ใช่ abc", "ใ ช ่ abc"),
        ("𠀀𠀁 𝒳𝒴 𐍈", "𠀀 𠀁 𝒳𝒴 𐍈"),
        ("ok👍🏽👨‍👩‍👧‍👦🇩🇪🇫🇷❤️☹", "ok 👍🏽 👨‍👩‍👧‍👦 🇩🇪 🇫🇷 ❤️ ☹"),
        ("1️⃣ #️⃣", "1️⃣ #️⃣"),
        ("€5 £ © ½ … — “x”", "€ 5 £ © ½ … — “ x ”"),
        ("a\x00b\u200bc\ufeff\u202ed\x1c", "a b c d"),
    ],
)
def test_words(text: str, tokens: str) -> None:
    assert WORDS(text) == tokens.split(" ")


def test_nothing_visible_is_no_token() -> None:
    assert WORDS(" \t\n\u00a0\u200b\u200d\ufe0f\x00\u00ad") == []


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_short_cut_for_ascii_finds_the_same(text: str) -> None:
    assert WORDS(text) == _unicode_pattern().findall(text)


@given(st.text(alphabet=st.characters(max_codepoint=127, exclude_categories=["Cc"])))
def test_no_ascii_sign_is_lost(text: str) -> None:
    assert "".join(WORDS(text)) == text.replace(" ", "")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_no_letter_number_or_sign_is_lost(text: str) -> None:
    assert "".join(WORDS(text)) == text.replace("\u2019", "'")


@given(st.lists(st.text(), max_size=5))
def test_batch_is_one_call_a_text(texts: list[str]) -> None:
    for tokenizer in (WORDS, Characters()):
        assert tokenizer.batch(texts) == [tokenizer(text) for text in texts]


def test_characters() -> None:
    assert Characters()("ab 中") == ["a", "b", " ", "中"]
