"""The maskers: what they find and leave, what they answer to bad parameters, and how long a hostile text may take."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate import testing
from sortgate.errors import ComponentParamsError
from sortgate.plugins import ComponentSpec, create_registry, create_registry_for
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate_privacy.corpus import make_corpus

REGISTRY = create_registry(only={"sortgate-privacy"})
KINDS = ("email", "ip", "iban", "card", "phone")


def make(thing: str = "all", **params: Any) -> Any:
    return REGISTRY.create("normalizer", ComponentSpec(f"privacy.mask_{thing}.v1", params))


FOUND = {
    "email": [
        "ann.lee+x@mail.example.co.uk", "müller@bücher.example", "o'brien@example.ie", "ann (at) example [dot] org",
    ],
    "ip": [
        "10.0.0.1", "2001:db8::8a2e:370:7334", "::1", "fe80::1%eth0", "::ffff:192.0.2.1",
    ],
    "iban": [
        "DE89370400440532013000", "gb29 nwbk 6016 1331 9268 19", "NO93-8601-1117-947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    ],
    "card": [
        "4111 1111 1111 1111", "3782-822463-10005", "5555555555554444", "6250 9460 0000 0016", "2223.0031.2200.3222",
    ],
    "phone": [
        "+44 20 7946 0958", "(555) 234-5678", "1-800-234-5678", "020 7946 0958 ext. 12", "+49 (0)30 1234-567",
        "030/1234567", "06 12 34 56 78", "0044 20 7946 0958", "0612345678", "＋４４　２０　７９４６　０９５８",
        "+٤٤ ٢٠ ٧٩٤٦ ٠٩٥٨", "555‑234‑5678",
    ],
}  # fmt: skip
# With the words after it, the tax number has the length and the check digits of an IBAN.
LEFT = [
    "01.02.2024 10:30", "2024-01-02 12:30:45", "12/11/2023", "12.05.23-14.06.23", "$1,299.00", "1 299 000 EUR",
    "0.123456789", "version 4.1.2.3", "v1.2.3.4", "§ 1.2.3.4", "999.1.1.1", "1.2.3.4.5", "12:30:45",
    "00:1A:2B:3C:4D:5E", "std::vector", "bad::face", "3@1.50", "@ann_lee", "order no. 0123456789", "INV-2024-0012345",
    "ISBN 978-3-16-148410-0", "17055551234567", "550e8400-e29b-41d4-a716-446655440000", "4111 1111 1111 1112",
    "1234 5678 9012 3452", "DE88 3704 0044 0532 0130 00", "DE8937040044053201300", "DE100000052 does not work",
    "5552345678", "text STOP to 87121", "2019-2024", "078-05-1120",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "item"), [(kind, item) for kind, items in FOUND.items() for item in items])
def test_finds_it_between_words_signs_and_han(kind: str, item: str) -> None:
    one, every = make(f"{kind}s", mask="X"), make()
    for before, after in (("", ""), ("see ", " and go"), ("(", ")."), ("'", "', "), ("给", "谢"), ("\u202a", "\u202c")):
        assert one(before + item + after) == f"{before}X{after}"
        assert [found[2] for found in every.find(before + item + after)] == [kind]


@pytest.mark.parametrize("text", LEFT)
def test_leaves_what_only_looks_like_it(text: str) -> None:
    assert make()(f"see {text} there") == f"see {text} there"
    assert make()(text) == text


def test_a_word_before_it_makes_bare_digits_a_phone_number_or_something_else() -> None:
    phones = make("phones", mask="X")
    assert phones("call 5552345678 or 5552345679") == "call X or X"
    assert phones("我的手机号是13812345678请记一下") == "我的手机号是X请记一下"
    assert phones("order 0612345678, call 0612345678") == "order 0612345678, call X"


def test_numbers_that_stand_side_by_side_are_two() -> None:
    assert make("phones", mask="X")("0612345678 0687654321") == "X X"
    assert make("cards", mask="X")("1234 4111 1111 1111 1111 123") == "1234 X 123"


def test_all_kinds_at_once_in_the_order_that_keeps_each_what_it_is() -> None:
    text = "ann.0612345678@example.org DE89 3704 0044 0532 0130 00 4111 1111 1111 1111 10.0.0.1:80 +44 20 7946 0958"
    assert make()(text) == "<email> maskediban maskedcard maskedip:80 maskedphone"
    assert (
        make(kinds=["phone", "email"], masks={"phone": r"\1"})("+44 20 7946 0958 a@b.cd 10.0.0.1")
        == r"\1 <email> 10.0.0.1"
    )


def test_each_default_mask_is_one_token_of_the_default_tokenizer() -> None:
    path = TextPath.create(TextConfig(normalizers=["privacy.mask_all.v1", "sortgate.lowercase.v1"]), REGISTRY)
    items = [items[0] for items in FOUND.values()]
    assert path.tokenize(items) == [["<email>"], ["maskedip"], ["maskediban"], ["maskedcard"], ["maskedphone"]]


def test_parameters_that_are_refused() -> None:
    for thing, params, key in (
        ("emails", {"mask": ""}, "mask"),
        ("phones", {"mask": 7}, "mask"),
        ("all", {"kinds": []}, "kinds"),
        ("all", {"kinds": "email"}, "kinds"),
        ("all", {"kinds": ["emial"]}, "kinds must be .*email, ip"),
        ("all", {"kinds": [["email"]]}, "kinds"),
        ("all", {"kinds": ["email"], "masks": {"phone": "x"}}, "masks"),
        ("all", {"masks": ["x"]}, "masks"),
        ("all", {"masks": {"ip": None}}, r"masks\.ip"),
    ):
        with pytest.raises(ComponentParamsError, match=key):
            make(thing, **params)


def test_round_trip_through_records() -> None:
    config = TextConfig(
        normalizers=[ComponentSpec("privacy.mask_all.v1", {"kinds": ["phone"], "masks": {"phone": "tel"}})]
    )
    path = TextPath.create(config, REGISTRY, TextLimits())
    path.fit(["call 020 7946 0958 now"], min_count=1)
    records = path.records(REGISTRY)
    assert records.normalizers[0].distribution == "sortgate-privacy"
    assert path.vocabulary is not None
    again = TextPath.restore(records, {}, path.vocabulary, TextLimits(), create_registry_for(records))
    assert again.tokenize(["call 030/1234567"]) == [["call", "tel"]]


def test_precision_and_recall() -> None:
    """Floors a little below what 20,000 sentences give; the README has the figures."""
    every = make()
    hits, planted, wrong = (dict.fromkeys(KINDS, 0) for _ in range(3))
    for sentence in make_corpus(4_000, seed=7):
        found = every.find(sentence.text)
        if sentence.kind:
            planted[sentence.kind] += 1
            hits[sentence.kind] += any(
                kind == sentence.kind and start <= sentence.start and sentence.end <= end for start, end, kind in found
            )
        for start, end, kind in found:
            wrong[kind] += kind != sentence.kind or end <= sentence.start or start >= sentence.end
    recall = {kind: hits[kind] / planted[kind] for kind in KINDS}
    precision = {kind: hits[kind] / (hits[kind] + wrong[kind]) for kind in KINDS}
    floors = {
        "email": (0.99, 0.90),
        "ip": (0.99, 0.99),
        "iban": (0.99, 0.99),
        "card": (0.97, 0.99),
        "phone": (0.97, 0.92),
    }
    for kind, (least_precision, least_recall) in floors.items():
        assert precision[kind] >= least_precision, kind
        assert recall[kind] >= least_recall, kind


SEEDS = [
    "1", "1 ", "1-", "1.", "1/", "(1)", "(1", "+1 ", "+", "01 ", "00", "a@", "a@a.", "@", ".", "-", ":", "1:", "::",
    "f:", "a:", "1.1.1.1 ", "4111 ", "4111 1111 1111 1112 ", "gb29 ", "NO11", "NO11 a", "+1(2)", "1,", "12.1.2020 ",
    "12345678-", "call 1 ", "555-234-", "555 234 5678 ", "a-", "a.", "'", "%", "_a", "(at)", "a(at)a",
    "a (at) a(dot)", "1\u00a0", "１", "٣", "é@é", "0123456789", "1 ext 1", "\x00", "\U0001d7ce", "1 000", "1  ",
]  # fmt: skip


def test_linear_on_the_worst_64_kib() -> None:
    every = make()
    for seed in SEEDS:
        body = (seed * 65_536)[:65_536]
        for text in (body, "a@" + body + "!", "tel 1" + body):
            started = time.process_time()
            every(text)
            assert time.process_time() - started < 1.0, f"{seed!r} {text[:6]!r}"


@given(st.text(st.sampled_from("019 4.-+()/:@aGB\u00a0\u2011１中<>") | st.characters(), max_size=80))
@settings(deadline=None, max_examples=300)
def test_only_what_was_found_changes_and_the_pieces_in_between_stay(text: str) -> None:
    every = make(masks=dict.fromkeys(KINDS, "X"))
    found = every.find(text)
    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    expected, done = "", 0
    for start, end, _ in found:
        expected, done = expected + text[done:start] + "X", end
    assert every(text) == expected + text[done:] == every(text)


test_conformance = testing.conformance("sortgate-privacy")
