"""The page: one file that asks for nothing, whatever is in the text, and fits a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from handmade import WORDS
from sortgate.explain import Explanation
from sortgate.explain.page import render_page
from sortgate.explain.shades import mark, percent, signed, strengths
from sortgate.inference import Classifier
from sortgate.plugins import ComponentSpec
from sortgate.textpath import TextConfig, TextLimits
from sortgate.vocabulary import FIRST_ID
from sortgate_training.graph import random_model

SCRIPT = "<script>alert(1)</script>"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Tags(HTMLParser):
    """Collects tags, their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture(scope="module")
def classifier(bundle_of: Callable[..., Classifier]) -> Classifier:
    """Labels that are markup, few tokens, and post-processors."""
    config = TextConfig(postprocessors=[ComponentSpec("sortgate.top_k.v1", {"k": 1})])
    model = random_model(len(WORDS) + FIRST_ID, 2)
    return bundle_of(model, labels=(SCRIPT, "no"), config=config, limits=TextLimits(max_tokens=90))


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=60) | st.sampled_from([SCRIPT, "wa wb " * 60, "", "\u202eevil\u2066", '"><img src=x>']))
def test_no_text_becomes_markup(classifier: Classifier, text: str) -> None:
    page = render_page(classifier.explain(text)).decode()
    found = Tags(page)
    assert {"script", "img", "iframe", "form", "object"}.isdisjoint(found.tags)
    addresses = [value for name, value in found.attributes if name in {"src", "href"} or name.startswith("on")]
    assert addresses == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page


def test_no_token_becomes_markup(classifier: Classifier) -> None:
    """A tokenizer may give any string; this one gives none with two signs in it."""
    found = classifier.explain("wa nowhere " + "wb " * 100)
    assert found.cut is not None
    assert found.tokenizer is not None
    evil = replace(
        found,
        label=SCRIPT,
        model=SCRIPT,
        prediction=replace(found.prediction, label=SCRIPT),
        tokens=tuple(replace(effect, token=SCRIPT) for effect in found.tokens[:50]),
        cut=replace(found.cut, tokens=(SCRIPT,), kept=SCRIPT, after=20),
        tokenizer=replace(found.tokenizer, component=SCRIPT, tokens=(SCRIPT,)),
    )
    page = render_page(evil).decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 150  # each token as a shade, in the table, and at its point of the line


def test_everything_is_on_it(classifier: Classifier) -> None:
    found = classifier.explain("wa wb nowhere <i> " + "wc " * 100)
    page = unescape(render_page(found).decode())
    for token in ("wa", "wb", "nowhere", "<i"):
        assert token in page
    assert found.cut is not None
    assert f"{len(found.cut.tokens)} tokens that the model does not read" in page
    assert "sortgate.top_k.v1" in page
    assert "the list has 1 labels fewer" in page
    assert signed(found.contributions[0]) in page
    assert percent(found.score) in page
    assert "tokens that count less are left out" in page
    assert re.search(r"sum to [+−]?[\d.]+; [+−][\d.]+ is left over", page)


def test_strength_is_told_without_colour() -> None:
    assert strengths([2.0, -1.0, 0.5, 0.1, 0.0]) == [3, -2, 1, 0, 0]
    assert [mark(step) for step in (3, -1, 0)] == ["⁺⁺⁺", "⁻", ""]
    assert strengths([0.0, 0.0]) == [0, 0]
    assert strengths([]) == []


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.0, "0.0 %"), (1e-9, "<0.1 %"), (0.5, "50.0 %"), (0.99999, ">99.9 %"), (1.0, "100.0 %")],
)
def test_percent(probability: float, shown: str) -> None:
    assert percent(probability) == shown


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on this machine")
@pytest.mark.parametrize("text", ["wa wb nowhere " * 20, f"{'x' * 400} {SCRIPT} wc"])
def test_a_phone_need_not_scroll_sideways_and_nothing_is_asked_for(
    classifier: Classifier, tmp_path: Path, text: str
) -> None:
    found: Explanation = classifier.explain(text)
    page = tmp_path / "frame.html"
    # a window cannot be as narrow as a phone: a frame can
    page.write_text(
        f'<iframe srcdoc="{escape(render_page(found).decode())}" style="width:390px;height:800px;border:0"></iframe>'
        "<p id=found></p><script>onload=()=>{const page=document.querySelector('iframe').contentDocument"
        ".documentElement;found.textContent=`${page.clientWidth>300} ${page.scrollWidth-page.clientWidth}`}</script>"
    )
    log = tmp_path / "net.json"
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--no-first-run", "--enable-logging=stderr", "--log-level=0", f"--user-data-dir={tmp_path / 'profile'}",
         f"--log-net-log={log}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert '<p id="found">true 0</p>' in done.stdout
    assert "CONSOLE" not in done.stderr
    events = json.loads(log.read_text())["events"]
    starts = [event["params"] for event in events if "initiator" in event.get("params", {})]
    assert {start["url"] for start in starts if start["initiator"] != "not an origin"} == set()


def test_control_characters_are_shown_as_their_pictures(toy_classifier: Classifier) -> None:
    page = render_page(toy_classifier.explain("hello \x1b[31mworld\x07 \x7f")).decode()
    assert "\u241b[31mworld\u2407 \u2421" in page
    assert {character for character in page if ord(character) < 32 or character == "\x7f"} <= {"\n", "\t", "\r"}
