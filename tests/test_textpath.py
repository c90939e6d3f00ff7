"""The text path: the same ids after a round trip through records, and a bad text that stays alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.components.normalizers import Lowercase
from sortgate.components.tokenizers import Words
from sortgate.encoded import Encoded
from sortgate.errors import (
    ComponentError,
    EmptyTextError,
    PluginError,
    PluginLoadError,
    TextError,
    UnknownComponentError,
)
from sortgate.plugins import ComponentSpec, Registry, create_registry
from sortgate.plugins.registry import Source
from sortgate.textpath import TextConfig, TextPath, TextRecords
from sortgate.types import LabelScore, Prediction, PredictionError
from sortgate.vocabulary import Vocabulary

TRAINING = ["The printer is broken!", "the NETWORK is down", "Visit https://a.example now", "プリンター"] * 2


SECRET = "sesame-opens-the-door"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only=())


@pytest.fixture(scope="module")
def default(registry: Registry) -> TextPath:
    path = TextPath.create(TextConfig(), registry)
    path.fit(TRAINING)
    return path


@pytest.fixture(scope="module")
def rich(registry: Registry) -> TextPath:
    """A path with every kind of component, two of them with parameters, one learned."""
    config = msgspec.convert(
        {
            "normalizers": ["sortgate.nfkc.v1", {"name": "sortgate.mask_urls.v1", "params": {"mask": "URL"}}],
            "tokenizer": {"name": "sortgate.bpe.v1", "params": {"vocab_size": 300}},
            "filters": [{"name": "sortgate.stop_words.v1", "params": {"words": ["is"]}}],
            "postprocessors": [{"name": "sortgate.top_k.v1", "params": {"k": 1}}],
        },
        TextConfig,
    )
    path = TextPath.create(config, registry)
    path.fit(TRAINING, min_count=1)
    return path


def custom(
    *, normalizer: Any = None, tokenizer: Any = None, filters: Any = None, postprocessor: Any = None
) -> TextPath:
    return TextPath(
        [("zz.normalizer.v1", normalizer or Lowercase())],
        ("zz.tokenizer.v1", tokenizer or Words()),
        [("zz.filter.v1", filters)] if filters else [],
        [("zz.post.v1", postprocessor)] if postprocessor else [],
        Vocabulary(["good", "bad"]),
    )


def fail_on(word: str, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def component(item: Any) -> Any:
        if word in item:
            raise RuntimeError(f"cannot take {item}")
        return inner(item)

    return component


def test_config_takes_names_and_tables_and_refuses_typos() -> None:
    config = msgspec.convert({"filters": ["a.b.v1", {"name": "c.d.v1", "params": {"x": 1}}]}, TextConfig)
    assert config.filters == [ComponentSpec("a.b.v1"), ComponentSpec("c.d.v1", {"x": 1})]
    assert config.tokenizer == ComponentSpec("sortgate.words.v1")
    assert msgspec.convert(msgspec.to_builtins(config), TextConfig) == config
    for typo in ({"tokeniser": "a.b.v1"}, {"tokenizer": {"name": "a.b.v1", "param": {}}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(typo, TextConfig)


def test_unknown_component_is_refused_when_the_path_is_made(registry: Registry) -> None:
    with pytest.raises(UnknownComponentError, match="did you mean"):
        TextPath.create(TextConfig(tokenizer="sortgate.wordss.v1"), registry)


def test_default_path(default: TextPath) -> None:
    assert default.tokenize(["The PRINTER’s ﬁne!"]) == [["the", "printer's", "fine", "!"]]
    assert default.vocabulary is not None
    (encoded,) = default.encode(["the unheard-of printer"])
    assert isinstance(encoded, Encoded)
    assert encoded.ids[1:4] == [1, 1, 1]
    assert encoded.truncated == 0


def test_records_and_states_bring_the_path_back(rich: TextPath, registry: Registry) -> None:
    records = msgspec.json.decode(msgspec.json.encode(rich.records(registry)), type=TextRecords)
    states = rich.states()
    assert list(states) == [records.tokenizer.state] == ["state/tokenizer-0.bin"]
    assert [record.name.split(".")[1] for record in records] == ["nfkc", "mask_urls", "bpe", "stop_words", "top_k"]
    assert rich.vocabulary is not None
    vocabulary = Vocabulary.from_bytes(rich.vocabulary.to_bytes())
    restored = TextPath.restore(records, states, vocabulary, rich.limits, registry)
    assert restored.records(registry) == records
    assert restored.states() == states

    @given(st.lists(st.text(), max_size=4))
    def same(texts: list[str]) -> None:
        assert list(map(plain, restored.encode(texts))) == list(map(plain, rich.encode(texts)))

    same()


def test_a_missing_state_file_is_refused(rich: TextPath, registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"'sortgate\.bpe\.v1' needs its learned state"):
        TextPath.restore(rich.records(registry), {}, Vocabulary([]), rich.limits, registry)


@given(texts=st.lists(st.one_of(st.text(), st.text(alphabet=st.characters())), max_size=6))
def test_batch_is_one_call_a_text_and_nothing_raises(default: TextPath, rich: TextPath, texts: list[str]) -> None:
    for path in (default, rich):
        together = path.encode(texts)
        assert list(map(plain, together)) == [plain(path.encode([text])[0]) for text in texts]
        for encoded in together:
            assert isinstance(encoded, TextError) or (encoded.ids and min(encoded.ids) >= 1)


#: Pieces of words that belong together, or apart, by what stands beside them.
PIECES = st.sampled_from(
    ["a", "Z", "don't", "’", "3", ".", ",", "1.5", "<url>", "<", "url>", "\u00ad", "\u200d", "\ufe0f", "😀", "👨‍👩‍👧",
     "1️⃣", "🇩🇪", "é", "e\u0301", "ど", "漢", "ไทย", "हिन्दी", " ", "  ", "\n", "\x1c", "\x85", "\u00a0", "\u2028",
     "\u3000", "\u200b", "ﷺ"]
)  # fmt: skip


@given(st.lists(st.one_of(st.lists(PIECES).map("".join), st.text()), max_size=4))
def test_ids_of_pieces_are_those_of_whole_texts(default: TextPath, texts: list[str]) -> None:
    assert default.vocabulary is not None
    for encoded, tokens in zip(default.encode(texts), default.tokenize(texts), strict=True):
        if isinstance(encoded, TextError):
            assert isinstance(tokens, TextError)
            assert str(encoded) == str(tokens)
        else:
            assert not isinstance(tokens, TextError)
            assert encoded.ids == default.vocabulary.encode(tokens)[: default.limits.max_tokens]


def test_a_tokenizer_by_white_space_sees_each_piece_once() -> None:
    class Splits:
        by_white_space = True

        def __call__(self, text: str) -> list[str]:
            seen.append(text)
            if "bad" in text:
                raise ValueError(text)
            return text.replace("-", " ").split()

    seen: list[str] = []
    path = custom(tokenizer=Splits())
    first, second, bad = path.encode(["good x-good", "good\ngood", "x bad"])
    assert (first, second) == (Encoded.of([2, 1, 2]), Encoded.of([2, 2]))
    assert isinstance(bad, ComponentError)
    assert SECRET not in str(bad)
    assert seen[:2] == ["good", "x-good"]
    assert seen.count("good") == 1
    path = custom(tokenizer=Splits(), filters=lambda tokens: [*tokens, "good"])
    assert path.encode(["good good"]) == [Encoded.of([2, 2, 2])], "a filter sees the tokens of whole texts"


def plain(outcome: Encoded | TextError) -> object:
    return (type(outcome), str(outcome)) if isinstance(outcome, TextError) else outcome


@pytest.mark.parametrize("text", ["", "  \n", "\u200b"])
def test_empty_texts(default: TextPath, text: str) -> None:
    (outcome,) = default.encode([text])
    assert isinstance(outcome, EmptyTextError)
    assert outcome.code == "empty_text"


def test_texts_that_are_none(default: TextPath) -> None:
    bad: list[Any] = [None, b"bytes", 3, "\ud800", "good"]
    outcomes = default.encode(bad)
    assert [type(outcome) for outcome in outcomes] == [TextError] * 4 + [Encoded]
    assert "NoneType" in str(outcomes[0])
    assert "surrogates" in str(outcomes[3])


@pytest.mark.parametrize("position", ["normalizer", "tokenizer", "filters"])
def test_a_failing_component_fails_one_text_and_keeps_it_secret(position: str) -> None:
    inner: Any = {"normalizer": Lowercase(), "tokenizer": Words(), "filters": list}[position]
    path = custom(**{"tokenizer": str.split, position: fail_on(SECRET, inner)})
    good, bad, again = path.encode(["good", f"not {SECRET}" if position != "filters" else SECRET, "bad"])
    assert (good, again) == (Encoded.of([2]), Encoded.of([3]))
    assert isinstance(bad, ComponentError)
    assert bad.component.startswith("zz.")
    assert "RuntimeError" in str(bad)
    assert SECRET not in "".join(traceback.format_exception(bad))


def test_wrong_types_are_errors_of_the_component() -> None:
    for path, noun in (
        (custom(normalizer=lambda text: text.encode()), "returned bytes, not a string"),
        (custom(tokenizer=lambda text: text), "returned str, not a list of strings"),
        (custom(tokenizer=lambda text: [text, 1]), "not a list of strings"),
        (custom(filters=lambda tokens: tuple(tokens)), "returned tuple"),
    ):
        (outcome,) = path.encode(["good"])
        assert isinstance(outcome, ComponentError)
        assert noun in str(outcome)


class Batched:
    """Splits; its batch form fails in a chosen way as soon as one text is ``bad``."""

    def __init__(self, failure: Callable[[list[list[str]]], list[list[str]]]) -> None:
        self.failure = failure

    def __call__(self, text: str) -> list[str]:
        if text == "bad":
            raise ValueError(text)
        return text.split()

    def batch(self, texts: Sequence[str]) -> list[list[str]]:
        return self.failure([text.split() for text in texts]) if "bad" in texts else [[SECRET] for _ in texts]


@pytest.mark.parametrize("failure", [lambda lists: lists[0][9], lambda lists: lists[1:], lambda lists: [*lists, [1]]])
def test_a_batch_that_fails_is_tried_text_by_text(failure: Any) -> None:
    path = custom(tokenizer=Batched(failure))
    outcomes = path.encode(["good", "bad", "", "good good"])
    assert [outcomes[0], outcomes[3]] == [Encoded.of([2]), Encoded.of([2, 2])]
    assert isinstance(outcomes[1], ComponentError)
    assert isinstance(outcomes[2], EmptyTextError)
    assert path.tokenize(["x", "y"]) == [[SECRET], [SECRET]], "a batch form that works is used"


def test_fit_leaves_out_texts_that_fail_and_hides_them() -> None:
    class Learns(Words):
        def fit(self, texts: list[str]) -> None:
            self.seen = texts
            if SECRET in texts:
                raise ValueError(SECRET)

        def state(self) -> bytes:
            return b""

        def restore(self, state: bytes) -> None: ...

    tokenizer = Learns()
    path = custom(tokenizer=tokenizer)
    path.fit(["GOOD", "", "good"])
    assert tokenizer.seen == ["good", "good"]
    assert list(path.vocabulary or ()) == ["good"]
    with pytest.raises(PluginError, match=r"zz\.tokenizer\.v1 cannot learn from the texts: ValueError") as caught:
        path.fit([SECRET])
    assert caught.value.__suppress_context__


def test_a_path_without_vocabulary_or_specs_says_so(registry: Registry) -> None:
    with pytest.raises(ValueError, match="no vocabulary"):
        TextPath.create(TextConfig(), registry).encode(["a"])
    with pytest.raises(ValueError, match="cannot be recorded"):
        custom().records(registry)


def test_postprocess(rich: TextPath) -> None:
    prediction = Prediction("a", 0.6, (LabelScore("a", 0.6), LabelScore("b", 0.4)))
    (shortened,) = rich.postprocess([prediction])
    assert shortened.labels == prediction.labels[:1]
    assert custom().postprocess([prediction]) == [prediction]


def test_a_failing_postprocessor_fails_its_text_only() -> None:
    def post(prediction: Prediction) -> Prediction:
        if prediction.label == "bad":
            raise KeyError(SECRET)
        return None if prediction.label is None else prediction  # type: ignore[return-value]

    good = Prediction("good", 0.9)
    empty = Prediction(None, error=PredictionError("empty_text", "nothing is left"))
    outcomes = custom(postprocessor=post).postprocess(
        [good, Prediction("bad", 0.8, truncated=2), Prediction(None), empty]
    )
    assert (outcomes[0], outcomes[3]) == (good, empty)
    error = outcomes[1].error
    assert error is not None
    assert (outcomes[1].label, outcomes[1].score, outcomes[1].truncated) == (None, 0.0, 2)
    assert (error.code, error.component) == ("component_failed", "zz.post.v1")
    assert SECRET not in error.message
    assert outcomes[2].error is not None
    assert "returned NoneType" in outcomes[2].error.message


class Beside:
    """Remembers what it was given; takes the text where the label is "bad"."""

    wants_text = True

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, prediction: Prediction, text: str) -> Prediction:
        self.seen.append(text)
        return Prediction(text) if prediction.label == "bad" else prediction


@pytest.mark.parametrize("by_white_space", [True, False])
def test_a_postprocessor_that_wants_the_text_gets_the_normalized_one_of_its_prediction(by_white_space: bool) -> None:
    def tokenizer(text: str) -> list[str]:
        return text.split()

    tokenizer.by_white_space = by_white_space  # type: ignore[attr-defined]
    post = Beside()
    path = custom(tokenizer=tokenizer, postprocessor=post)
    encoded = [item for item in path.encode(["GOOD one", "", "BAD two"]) if isinstance(item, Encoded)]
    made = path.postprocess([Prediction("good"), Prediction("bad")], encoded)
    assert post.seen == ["good one", "bad two"]
    assert [prediction.label for prediction in made] == ["good", "bad two"]
    with pytest.raises(ValueError, match="wants the texts"):
        path.postprocess([Prediction("good")])


def test_texts_are_kept_only_where_they_are_wanted() -> None:
    assert [item.text for item in custom().encode(["good"]) if isinstance(item, Encoded)] == [None]


def test_a_batch_form_gets_both_columns() -> None:
    class Batched(Beside):
        def batch(self, predictions: Sequence[Prediction], texts: Sequence[str]) -> list[Prediction]:
            return [Prediction(f"{made.label} {text}") for made, text in zip(predictions, texts, strict=True)]

    path = custom(postprocessor=Batched())
    encoded = [item for item in path.encode(["good", "bad"]) if isinstance(item, Encoded)]
    made = path.postprocess([Prediction("a"), Prediction("b")], encoded)
    assert [prediction.label for prediction in made] == ["a good", "b bad"]


def test_what_is_repeatable_ends_before_the_first_step_that_is_not_pure() -> None:
    class Clock:
        pure = False

        def __call__(self, _: Prediction) -> Prediction:
            return Prediction("night")

    path = custom(postprocessor=Clock())
    assert path.postprocess([Prediction("a")])[0].label == "night"
    assert path.postprocess([Prediction("a")], repeatable=True)[0].label == "a"


def test_a_postprocessor_learns_from_normalized_texts_and_their_labels(registry: Registry) -> None:
    class Learns:
        learned = b""

        def __call__(self, prediction: Prediction) -> Prediction:
            return prediction

        def fit_labelled(self, texts: Sequence[str], label_sets: Sequence[Sequence[str]]) -> None:
            self.learned = repr(list(zip(texts, label_sets, strict=True))).encode()

        def state(self) -> bytes:
            return self.learned

        def restore(self, state: bytes) -> None:
            self.learned = state

    registry = create_registry(only=())
    registry.add("postprocessor", "zz.learns.v1", Learns, Source("zz", "1.0", "zz"))
    config = TextConfig(postprocessors=["zz.learns.v1"])
    path = TextPath.create(config, registry)
    path.fit(["GOOD", "bad", ""], min_count=1)
    path.fit_labelled(["GOOD", "bad", ""], [("x",), ("y", "z"), ("x",)])
    assert path.states() == {"state/postprocessor-0.bin": b"[('good', ('x',)), ('bad', ('y', 'z'))]"}
    assert path.vocabulary is not None
    restored = TextPath.restore(path.records(registry), path.states(), path.vocabulary, path.limits, registry)
    assert restored.states() == path.states()

    def fail(*_: object) -> None:
        raise KeyError(SECRET)

    path.postprocessors[0].component.fit_labelled = fail
    with pytest.raises(PluginError, match=r"zz\.learns\.v1 cannot learn.*KeyError \(postprocessor of zz 1\.0\)$"):
        path.fit_labelled(["a"], [("x",)])


def test_tallies_count_time_failures_and_failures_in_a_row() -> None:
    path = custom(normalizer=fail_on("bad", str.lower))
    path.encode(["bad", "bad good", "good"])
    tally = path.normalizers[0].tally
    assert (tally.failures, tally.streak) == (2, 0)
    path.encode(["bad", "bad"])
    path.encode(["bad"])
    assert (tally.failures, tally.streak) == (5, 3)
    assert tally.seconds > 0
    path.encode(["bad", "good"])
    assert (tally.failures, tally.streak) == (6, 0)


def test_a_failure_names_component_place_and_plugin(registry: Registry) -> None:
    registry = create_registry(only=())
    registry.add("normalizer", "zz.fails.v1", lambda: fail_on("bad", str.lower), Source("zz-fails", "1.2", "zz"))
    path = TextPath.create(TextConfig(normalizers=["zz.fails.v1"]), registry)
    path.fit(["good"], min_count=1)
    (failed,) = path.encode(["bad"])
    assert isinstance(failed, ComponentError)
    assert (failed.component, failed.kind, failed.plugin) == ("zz.fails.v1", "normalizer", "zz-fails 1.2")
    assert str(failed) == "component zz.fails.v1 failed: RuntimeError (normalizer of zz-fails 1.2)"


def test_a_component_says_in_its_own_words_what_it_lacks_to_learn() -> None:
    class Lacks(Words):
        def fit(self, texts: Sequence[str]) -> None:
            raise PluginLoadError(f"no tables to learn {len(texts)} texts with: pip install tables")

        def state(self) -> bytes:
            return b""

        def restore(self, state: bytes) -> None: ...

    with pytest.raises(PluginLoadError, match="pip install tables"):
        custom(tokenizer=Lacks()).fit(["good"])


def test_a_component_that_is_used_twice_is_counted_twice() -> None:
    lower = Lowercase()
    path = TextPath([("zz.twice.v1", lower), ("zz.twice.v1", fail_on("bad", str.lower))], ("zz.words.v1", Words()),
                    vocabulary=Vocabulary(["good"]))  # fmt: skip
    path.encode(["bad", "bad"])
    path.encode(["bad"])
    assert [step.tally.streak for step in path.steps] == [0, 3, 0]
    assert [(name, failures) for name, _, _, failures in path.work_since([(0.0, 0)] * 3)] == [
        ("zz.twice.v1", 0), ("zz.twice.v1", 3), ("zz.words.v1", 0),
    ]  # fmt: skip


def test_a_tokenizer_of_pieces_has_not_failed_in_a_row_when_other_texts_of_the_batch_passed() -> None:
    tokenizer = fail_on("bad", str.split)
    tokenizer.by_white_space = True  # type: ignore[attr-defined]
    path = custom(tokenizer=tokenizer)
    path.encode(["good"] * 5 + ["bad"] * 3)
    assert (path.tokenizer.tally.failures, path.tokenizer.tally.streak) == (3, 0)
    path.encode(["bad"] * 3)
    assert path.tokenizer.tally.streak == 3


@pytest.mark.parametrize("ends", [SystemExit, GeneratorExit, RuntimeError])
def test_a_component_that_would_end_the_process_fails_its_text_alone(ends: type[BaseException]) -> None:
    def lower(text: str) -> str:
        if "bad" in text:
            raise ends(SECRET)
        return text.lower()

    good, bad = custom(normalizer=lower).encode(["GOOD", "bad"])
    assert isinstance(good, Encoded)
    assert isinstance(bad, ComponentError)
    assert str(bad) == f"component zz.normalizer.v1 failed: {ends.__name__}"


@pytest.mark.parametrize(
    "made",
    [
        Prediction(5),  # type: ignore[arg-type]
        Prediction("a", float("nan")),
        Prediction("a", 7.5),
        Prediction("a", 0.5, [LabelScore("a", 0.5)]),  # type: ignore[arg-type]
        Prediction("a", 0.5, (("a", 0.5),)),  # type: ignore[arg-type]
    ],
    ids=["label", "no number", "too much", "list", "pairs"],
)
def test_a_prediction_of_which_no_result_can_be_made_is_a_failure(made: Prediction) -> None:
    (outcome,) = custom(postprocessor=lambda _: made).postprocess([Prediction("a", 0.5)])
    assert outcome.error is not None
    assert "returned Prediction, not a Prediction with a label or None" in outcome.error.message


@pytest.mark.parametrize("state", ["text", None, RuntimeError(SECRET)])
def test_a_state_that_cannot_be_written_names_its_component(state: Any) -> None:
    class Learns(Words):
        def fit(self, texts: Sequence[str]) -> None: ...

        def state(self) -> bytes:
            if isinstance(state, Exception):
                raise state
            return state  # type: ignore[no-any-return]

        def restore(self, state: bytes) -> None: ...

    with pytest.raises(PluginError, match=r"zz\.tokenizer\.v1 cannot write what it learned") as caught:
        custom(tokenizer=Learns()).states()
    assert SECRET not in str(caught.value)
