"""The built-in normalizers: what they change, what they leave, and that they take any text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sortgate.components.normalizers import (
    NFKC,
    CollapseWhitespace,
    Lowercase,
    MaskEmails,
    MaskNumbers,
    MaskURLs,
    StripHTML,
)

ALL = [NFKC(), Lowercase(), CollapseWhitespace(), StripHTML(), MaskURLs(), MaskEmails(), MaskNumbers()]
#: Text as hypothesis makes it, and text thick with what the patterns look for.
TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "a",
                "</script>",
                "<style>",
                "<!--",
                "-->",
                '"',
                "'",
                "&",
                "#",
                "1",
                ";",
                "@",
                ".",
                "www.",
                "://",
            ]
        )
    ).map("".join),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hello <b>World</b></p>", " Hello  World  "),
        ('<a title="a > b" href=x>link</a>', " link "),
        ("<a title=it's>link", " link"),
        ("a<!-- <b> -->b", "a b"),
        ("a<!-- not closed", "a<!-- not closed"),
        ("a<!-- one -->b<!-- two -->c", "a b c"),
        ("x<script>if (a < b) {}</script >y<STYLE a=1>p{}</Style>z", "x y z"),
        ("x<script>y", "x y"),
        ("x<style>y<script>a</script>z", "x y z"),
        ("a < b and c > d, I <3 you", "a < b and c > d, I <3 you"),
        ("&lt;b&gt; &amp;amp; &#233;&#xe9; &nosuch; AT&T", "<b> &amp; éé &nosuch; AT&T"),
        ("&#" + "9" * 5000 + ";", None),
        ("&#xD800;&#0;", "\ufffd\ufffd"),
    ],
)
def test_strip_html(text: str, expected: str | None) -> None:
    stripped = StripHTML()(text)
    assert expected is None or stripped == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.example/x?y=(1)#z.", "see <url>."),
        ("(http://a.example), FTP://b.example!", "(<url>), <url>!"),
        ("WWW.a.example and www.b.example/c, ok", "<url> and <url>, ok"),
        ("http://localhost:80/x", "<url>"),
        ("awww. httpx http:// www. no.url", "awww. httpx http:// www. no.url"),
    ],
)
def test_mask_urls(text: str, expected: str) -> None:
    assert MaskURLs()(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail ann.b+c@mail.example.org, or bob@x.yz.", "mail <email>, or <email>."),
        ("ünïcode@exämple.de", "<email>"),
        ("@handle a@b a@ @b.c", "@handle a@b a@ @b.c"),
    ],
)
def test_mask_emails(text: str, expected: str) -> None:
    assert MaskEmails()(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7, 3.14 and 1,000.50!", "<number>, <number> and <number>!"),
        ("b2b 1st x1 2_3 covid19", "b2b 1st x1 2_3 covid19"),
        ("12:30 -5 ٣", "<number>:<number> -<number> <number>"),
    ],
)
def test_mask_numbers(text: str, expected: str) -> None:
    assert MaskNumbers()(text) == expected


@pytest.mark.parametrize("mask", [MaskURLs, MaskEmails, MaskNumbers])
def test_masks_are_taken_literally(mask: type) -> None:
    assert mask(r"\1\g<0>")("www.a.bc a@b.cd 12").count(r"\1\g<0>") == 1
    with pytest.raises(ValueError, match="string"):
        mask(1)


def test_whitespace_and_case() -> None:
    assert CollapseWhitespace()("\t a\u00a0\n b\u2003") == "a b"
    assert Lowercase()("ÀÉ ΑΣ") == "àé ας"


def test_nfkc() -> None:
    assert NFKC()("ＡＢＣ ﬁ e\u0301 ①") == "ABC fi é 1"


@given(TEXTS.map(lambda text: text * 30))
def test_nfkc_is_unicodes_unless_marks_pile_up(text: str) -> None:
    normalized = NFKC()(text)
    assume("\u034f" not in normalized)
    assert normalized == unicodedata.normalize("NFKC", text)


def test_nfkc_breaks_piles_of_marks() -> None:
    pile = NFKC()("a" + "\u0301\u0316" * 1000)
    assert pile.count("\u034f") == 66
    assert NFKC()("e\u0301" * 1000) == "é" * 1000


@pytest.mark.parametrize("component", ALL, ids=lambda component: type(component).__name__)
def test_any_text_and_batches(component: Callable[[str], str]) -> None:
    @given(st.lists(TEXTS, max_size=5))
    def check(texts: list[str]) -> None:
        single = [component(text) for text in texts]
        assert all(type(text) is str for text in single)
        batch = getattr(component, "batch", None)
        assert batch is None or batch(texts) == single

    check()
