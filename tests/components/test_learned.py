"""What every built-in component that learns keeps to, whatever the texts: its state, its batches, its determinism."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.components import learned
from sortgate.plugins import ComponentSpec, create_registry
from sortgate.plugins.components import Kind
from sortgate.textpath import TextConfig, TextPath

REGISTRY = create_registry(only=())
#: Parameters with which a handful of texts is enough to learn from.
FILTERS: dict[str, dict[str, Any]] = {
    "sortgate.phrases.v1": {"min_count": 1, "threshold": 0.1},
    "sortgate.learned_stop_words.v1": {"max_share": 0.3},
    "sortgate.spelling.v1": {"min_count": 2, "ratio": 1, "min_length": 2},
}
UNIGRAM: dict[str, Any] = {"vocab_size": 300}
#: Few letters, so that pairs, frequent words and near words come up by chance; and what should harm nothing.
TOKENS = st.one_of(
    st.text("abé", min_size=1, max_size=4),
    st.sampled_from(["new", "york", "", "1", "<url>", "\ud800", "a" * 5000, "中", "\u0301", "\x00", "_", "a_b"]),
    st.text(max_size=3),
)
TOKEN_LISTS = st.lists(st.lists(TOKENS, max_size=8), max_size=8)


@pytest.fixture(params=FILTERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def create(name: str, **params: Any) -> Any:
    kind: Kind = "tokenizer" if name == "sortgate.unigram.v1" else "filter"
    return REGISTRY.create(kind, ComponentSpec(name, {**FILTERS.get(name, UNIGRAM), **params}))


def test_filters_come_back_from_their_state_and_say_the_same_of_batches(name: str) -> None:
    @given(TOKEN_LISTS, TOKEN_LISTS)
    @settings(deadline=None)
    def check(training: list[list[str]], others: list[list[str]]) -> None:
        before = msgspec.json.encode([[token.encode("utf-8", "surrogatepass") for token in one] for one in others])
        fitted, restored = create(name), create(name)
        fitted.fit(training)
        restored.restore(fitted.state())
        single = [fitted(tokens) for tokens in others]
        assert all(type(token) is str for tokens in single for token in tokens)
        assert restored.batch(others) == fitted.batch(others) == [restored(tokens) for tokens in others] == single
        assert restored.state() == fitted.state()
        after = msgspec.json.encode([[token.encode("utf-8", "surrogatepass") for token in one] for one in others])
        assert before == after, "a filter changed its tokens"

    check()


@given(st.lists(st.text(max_size=20), max_size=5), st.lists(st.text(), max_size=5))
@settings(deadline=None, max_examples=50)
def test_unigram_comes_back_and_writes_any_text(training: list[str], others: list[str]) -> None:
    pytest.importorskip("tokenizers")
    fitted, restored = create("sortgate.unigram.v1"), create("sortgate.unigram.v1")
    fitted.fit(training)
    restored.restore(fitted.state())
    single = [fitted(text) for text in others]
    assert restored.batch(others) == fitted.batch(others) == single
    assert restored.state() == fitted.state()
    # one sign a byte: nothing of a text is lost, and no unknown piece stands for it
    assert [sum(map(len, tokens)) for tokens in single] == [len(text.encode()) for text in others]


#: As no word is in many of the program's texts.
MORE: dict[str, dict[str, Any]] = {"sortgate.learned_stop_words.v1": {"max_share": 0.05}}
PROGRAM = """
import hashlib, random
from sortgate.plugins import ComponentSpec, create_registry
registry = create_registry(only=())
draw = random.Random(7)
words = ["".join(draw.choices("abcdeé中", k=draw.randint(1, 7))) for _ in range(300)]
texts = [draw.choices(words, weights=range(1, 301), k=20) for _ in range(300)]
for kind, name, params in COMPONENTS:
    component = registry.create(kind, ComponentSpec(name, params))
    component.fit([" ".join(words) for words in texts] if kind == "tokenizer" else texts)
    print(name, len(component.state()), hashlib.sha256(component.state()).hexdigest())
"""


def test_other_processes_learn_the_same_bytes() -> None:
    pytest.importorskip("tokenizers")
    components = [("filter", name, {**params, **MORE.get(name, {})}) for name, params in FILTERS.items()]
    components.append(("tokenizer", "sortgate.unigram.v1", {"vocab_size": 400}))
    answers = set()
    for seed, parallel, threads in (("1", "true", "4"), ("2", "false", "1")):
        # RAYON_NUM_THREADS is what the library's own trainer would heed
        surroundings = {"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel, "RAYON_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("COMPONENTS", repr(components))],
            env={**os.environ, **surroundings}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        answers.add(done.stdout)
    assert len(answers) == 1
    assert all(int(line.split()[1]) > 100 for line in answers.pop().splitlines()), "nothing was learned"


STATES = {
    "sortgate.phrases.v1": {"version": 1, "phrases": [["a", "b"], ["b", "c"]]},
    "sortgate.learned_stop_words.v1": {"version": 1, "words": ["a", "b"]},
    "sortgate.spelling.v1": {"version": 1, "words": {"aa": 2}, "kept": ["bb"]},
    "sortgate.unigram.v1": {"version": 1, "pieces": []},  # the bytes are filled in below
}
WRONG: dict[str, list[dict[str, Any]]] = {
    "sortgate.phrases.v1": [
        {"phrases": [["b", "a"], ["a", "b"]]}, {"phrases": [["a", "b"]] * 2}, {"phrases": [["a", ""]]},
        {"phrases": [["a"]]}, {"phrases": [["a", "b", "c"]]}, {"phrases": {}},
        {"phrases": [["a", chr(at)] for at in range(98, 109)]},
    ],
    "sortgate.learned_stop_words.v1": [
        {"words": ["b", "a"]}, {"words": ["a", "a"]}, {"words": [1]}, {"words": [chr(at) for at in range(97, 108)]},
    ],
    "sortgate.spelling.v1": [
        {"words": {"aa": 0}}, {"words": {"a": 9}}, {"words": {"a1": 9}}, {"words": {"a" * 41: 9}}, {"kept": ["a b"]},
        {"words": {f"a{chr(at)}": 9 for at in range(97, 108)}}, {"words": ["aa"]},
    ],
    "sortgate.unigram.v1": [
        {"pieces": []}, {"pieces": [["a", 0.5]]}, {"pieces": [["", -1.0]]}, {"pieces": [["a", -1.0], ["a", -1.0]]},
        {"pieces": [["a", None]]}, {"pieces": [["a", -1e4]]},
    ],
}  # fmt: skip
#: So that eleven are too many.
FEW = {
    "sortgate.phrases.v1": "max_phrases",
    "sortgate.learned_stop_words.v1": "max_words",
    "sortgate.spelling.v1": "max_words",
}


def good_state(name: str) -> dict[str, Any]:
    state = dict(STATES[name])
    if name == "sortgate.unigram.v1":
        from tokenizers.pre_tokenizers import ByteLevel

        state["pieces"] = [[sign, -5.0] for sign in sorted(ByteLevel.alphabet())]
    return state


@pytest.mark.parametrize("name", STATES)
def test_a_malformed_state_is_refused(name: str) -> None:
    pytest.importorskip("tokenizers")
    few = {FEW[name]: 10} if name in FEW else {}
    good = good_state(name)
    component = create(name, **few)
    component.restore(json.dumps(good).encode())
    assert json.loads(component.state()) == good
    everywhere: list[bytes] = [b"", b"{}", b"[]", b"\xff", b"null", json.dumps(good).encode()[:-1], b"[" * 100_000]
    changed = [*WRONG[name], {"version": 2}, {"version": "1"}, {"more": 1}]
    for state in (*everywhere, *(json.dumps({**good, **change}).encode() for change in changed)):
        with pytest.raises(ValueError, match="malformed"):
            create(name, **few).restore(state)


def test_unigram_refuses_pieces_that_are_too_long_or_no_bytes() -> None:
    pytest.importorskip("tokenizers")
    good = good_state("sortgate.unigram.v1")
    for piece in ("a" * 17, "中"):
        with pytest.raises(ValueError, match="too long, or not of the signs"):
            create("sortgate.unigram.v1").restore(
                json.dumps({**good, "pieces": [*good["pieces"], [piece, -1.0]]}).encode()
            )


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("sortgate.phrases.v1", {"min_count": 0}),
        ("sortgate.phrases.v1", {"min_count": True}),
        ("sortgate.phrases.v1", {"threshold": 0}),
        ("sortgate.phrases.v1", {"threshold": float("nan")}),
        ("sortgate.phrases.v1", {"max_phrases": 0}),
        ("sortgate.learned_stop_words.v1", {"max_share": 0}),
        ("sortgate.learned_stop_words.v1", {"max_share": 1.5}),
        ("sortgate.learned_stop_words.v1", {"max_words": "9"}),
        ("sortgate.learned_stop_words.v1", {"keep": "not"}),
        ("sortgate.learned_stop_words.v1", {"keep": [1]}),
        ("sortgate.spelling.v1", {"min_count": 1}),
        ("sortgate.spelling.v1", {"ratio": 3}),
        ("sortgate.spelling.v1", {"min_length": 1}),
        ("sortgate.spelling.v1", {"min_length": 41}),
        ("sortgate.spelling.v1", {"max_words": 10**7}),
        ("sortgate.unigram.v1", {"vocab_size": 255}),
        ("sortgate.unigram.v1", {"max_piece_bytes": 0}),
        ("sortgate.unigram.v1", {"max_piece_bytes": 25}),
    ],
)
def test_bad_parameters_are_named(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(params))) as caught:
        create(name, **params)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("name", STATES)
def test_nothing_learned_yet(name: str) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(RuntimeError, match="has learned nothing yet"):
        create(name)(["a"])
    with pytest.raises(RuntimeError, match="has learned nothing yet"):
        create(name).state()


def test_long_texts_take_linear_time() -> None:
    """Each of these is 64 KiB as one text has them, in training and afterwards."""
    hostile = ["a" * 65_536, *(f"{word} " * 8_192 for word in ("abcdefg", "aaaaaaa")), "中" * 21_845, "é " * 20_000]
    hostile.append(" ".join(f"ab{number}" for number in range(8_000)))
    hostile.append(" ".join(hashlib.sha256(str(n).encode()).hexdigest().translate(LETTERS)[:7] for n in range(8_000)))
    for name in STATES:
        component = create(name)
        items = hostile if name == "sortgate.unigram.v1" else [text.split() for text in hostile]
        component.fit(items)
        for item in items:
            started = time.process_time()
            component(item)
            assert time.process_time() - started < 1.0, name


LETTERS = str.maketrans("0123456789", "ghijklmnop")


def test_counts_stay_bounded_and_keep_what_is_frequent() -> None:
    groups = [["often", f"once {number}"] for number in range(1_000)]
    counts = learned.count(groups, most=50)
    assert len(counts) <= 50
    assert counts["often"] == 1_000
    assert learned.count(groups[:20], most=50) == Counter({"often": 20, **{f"once {n}": 1 for n in range(20)}})


def test_a_text_path_keeps_what_its_filters_learned() -> None:
    config = TextConfig(
        filters=[
            ComponentSpec("sortgate.spelling.v1", {"min_count": 5, "ratio": 5}),
            ComponentSpec("sortgate.phrases.v1", {"min_count": 2, "threshold": 1}),
        ]
    )
    path = TextPath.create(config, REGISTRY)
    path.fit([f"a {number} printer {number} in {number} new york" for number in range(9)], min_count=1)
    assert path.tokenize(["a prniter in New York!"]) == [["a", "printer", "in", "new_york", "!"]]
    assert path.vocabulary is not None
    again = TextPath.restore(path.records(REGISTRY), path.states(), path.vocabulary, path.limits, REGISTRY)
    assert again.tokenize(["a prniter in New York!"]) == path.tokenize(["a prniter in New York!"])
