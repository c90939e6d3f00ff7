"""Every stage of a text, and an answer that is the classifier's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handmade import WORDS, load_bundle
from sortgate.errors import ConfigurationError, InferenceError
from sortgate.explain import Explanation
from sortgate.inference import Classifier
from sortgate.plugins import ComponentSpec
from sortgate.textpath import TextConfig, TextLimits
from sortgate.vocabulary import FIRST_ID
from sortgate_training.graph import random_model

Make = Callable[..., Classifier]
MODEL = random_model(len(WORDS) + FIRST_ID, 2)

PLUGIN = '''
from itertools import count
from sortgate import hookimpl

class Fails:
    def __call__(self, text):
        raise ValueError(text)

class Changes:
    """Answers otherwise each time, as no normalizer may."""

    def __init__(self):
        self.turns = count()

    def __call__(self, text):
        return text if text != "moody" else f"moody w{next(self.turns)} {'more ' * next(self.turns)}"

class FailsLater:
    def __call__(self, prediction):
        raise ValueError("no")

@hookimpl
def sortgate_register_normalizers(register):
    register("test.fails.v1", Fails)
    register("test.changes.v1", Changes)

@hookimpl
def sortgate_register_postprocessors(register):
    register("test.fails_later.v1", FailsLater)
'''


def spec(name: str, **params: Any) -> ComponentSpec:
    return ComponentSpec(name, params)


@pytest.fixture(scope="module")
def staged(bundle_of: Make) -> Classifier:
    """A classifier with a component of every kind, that reads six tokens."""
    config = TextConfig(
        normalizers=["sortgate.strip_html.v1", "sortgate.lowercase.v1", "sortgate.collapse_whitespace.v1"],
        filters=[spec("sortgate.stop_words.v1", words=["of", "the"])],
        postprocessors=[
            spec("sortgate.rename.v1", labels={"yes": "urgent"}),
            spec("sortgate.top_k.v1", k=1),
            spec("sortgate.threshold.v1", default=0.0),
        ],
    )
    limits = TextLimits(max_tokens=6, truncation="head_tail", head_share=0.5, max_text_bytes=2_000)
    return bundle_of(MODEL, config=config, limits=limits)


def test_a_text_is_followed_through_every_component(staged: Classifier) -> None:
    text = "<b>WA</b> of the wb WC nobody wd we wf wg nowhere"
    found = staged.explain(text)
    assert found.text == text
    assert [(stage.component, stage.changed) for stage in found.normalizers] == [
        ("sortgate.strip_html.v1", True),
        ("sortgate.lowercase.v1", True),
        ("sortgate.collapse_whitespace.v1", True),
    ]
    assert found.normalizers[-1].text.split() == text.lower().replace("<b>", "").replace("</b>", "").split()
    assert found.tokenizer is not None
    assert list(found.tokenizer.tokens) == found.normalizers[-1].text.split()
    (filtered,) = found.filters
    assert "of" not in filtered.tokens
    assert [effect.token for effect in found.tokens] == ["wa", "wb", "wc", "wf", "wg", "nowhere"]
    assert found.cut is not None
    assert (found.cut.after, found.cut.tokens) == (3, ("nobody", "wd", "we"))
    assert found.cut.kept == "first 3 and last 3 tokens"
    assert found.unknown == ("nowhere",)
    assert [effect.id for effect in found.tokens][-1] == 1


def test_what_changes_nothing_says_so(staged: Classifier) -> None:
    found = staged.explain("wa  WB")
    assert [stage.changed for stage in found.normalizers] == [False, True, True]
    assert [stage.changed for stage in found.filters] == [False]


def test_what_each_post_processor_changed(staged: Classifier) -> None:
    found = staged.explain("wa wb", label="yes")
    assert [made.component for made in found.decisions] == [
        "sortgate.rename.v1",
        "sortgate.top_k.v1",
        "sortgate.threshold.v1",
    ]
    renamed, shortened, kept = found.decisions
    assert [entry.label for entry in renamed.before.labels] == [entry.label for entry in found.labels]
    assert {entry.label for entry in renamed.after.labels} == {"urgent", "no"}
    assert renamed.changed
    assert shortened.changed
    assert len(shortened.after.labels) == 1
    assert not kept.changed
    assert kept.after == found.prediction


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=80) | st.text(alphabet="wabcdefg \n<>", max_size=60))
def test_the_answer_is_the_classifiers_own(staged: Classifier, text: str) -> None:
    found = staged.explain(text)
    (expected,) = staged([text])
    assert found.prediction.label == expected.label
    assert found.prediction.error == expected.error == found.error
    assert found.prediction.score == pytest.approx(expected.score, abs=1e-5)
    assert found.prediction.truncated == expected.truncated == (len(found.cut.tokens) if found.cut else 0)
    assert bool(found.tokens) == (expected.error is None)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found


@pytest.mark.parametrize(
    ("text", "code", "normalizers"),
    [("  <b> </b>", "empty_text", 3), ("\ud800", "text_error", 0), ("x" * 2_001, "text_too_long", 0)],
)
def test_a_text_without_answer_is_followed_as_far_as_it_came(
    staged: Classifier, text: str, code: str, normalizers: int
) -> None:
    found = staged.explain(text)
    assert found.error is not None
    assert found.error.code == code
    assert len(found.normalizers) == normalizers
    assert found.tokens == ()
    assert found.prediction.label is None
    msgspec.json.encode(found)


def test_a_text_of_stop_words_ends_at_the_filter(staged: Classifier) -> None:
    found = staged.explain("of the")
    assert found.error is not None
    assert found.error.code == "empty_text"
    assert found.filters[0].tokens == ()


@pytest.fixture
def plugins_dir(tmp_path: Path) -> Path:
    (tmp_path / "moods.py").write_text(PLUGIN)
    return tmp_path


def test_a_component_that_fails_is_named(plugins_dir: Path, tmp_path: Path) -> None:
    config = TextConfig(normalizers=["sortgate.lowercase.v1"], postprocessors=["test.fails_later.v1"])
    found = load_bundle(tmp_path, MODEL, config=config, plugins_dir=plugins_dir).explain("WA wb")
    assert found.error is not None
    assert (found.error.code, found.error.component) == ("component_failed", "test.fails_later.v1")
    assert found.decisions[-1].after.error == found.error
    assert found.tokens, "the model itself has answered"


def test_a_component_that_changes_its_mind_is_not_explained(plugins_dir: Path, tmp_path: Path) -> None:
    config = TextConfig(normalizers=["test.changes.v1"])
    classifier = load_bundle(tmp_path, MODEL, config=config, plugins_dir=plugins_dir)
    with pytest.raises(InferenceError, match="answers otherwise") as raised:
        classifier.explain("moody")
    assert "moody" not in str(raised.value)


def test_an_explanation_leaves_the_classifier_as_it_was(staged: Classifier) -> None:
    before = staged(["wa wb"])
    failures = [step.tally.failures for step in staged.text_path.steps]
    staged.explain("wa wb")
    assert staged(["wa wb"]) == before
    assert [step.tally.failures for step in staged.text_path.steps] == failures


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"label": "urgent"}, "label 'urgent': hand/.* has yes, no"), ({"method": "magic"}, "use one of both, occlusion")],
)
def test_wrong_questions(staged: Classifier, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        staged.explain("wa", **wrong)
    with pytest.raises(TypeError, match="one text"):
        staged.explain(["wa"])  # type: ignore[arg-type]


def test_a_classifier_that_is_no_bundle_yet_has_no_gradients(staged: Classifier) -> None:
    made = Classifier.from_parts(staged.text_path, MODEL, staged.manifest)
    found = made.explain("wa wb")
    assert found.gradients is not None
    assert "no bundle yet" in str(found.gradients.problem)
    assert found.tokens[0].occlusion is not None
