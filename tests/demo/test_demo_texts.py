"""The generator of support-desk texts: reproducible, varied, noisy, learnable but not trivial."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sortgate.demo import phrases
from sortgate.demo.texts import LABELS, generate

TEXTS = list(generate(6000, seed=5))


def test_same_seed_same_texts() -> None:
    assert list(generate(50, seed=5)) == TEXTS[:50]
    assert list(generate(50, seed=6)) != TEXTS[:50]


def test_texts_do_not_change_between_python_versions() -> None:
    digest = hashlib.sha256(repr(list(generate(200, seed=1))).encode()).hexdigest()
    assert digest.startswith("f0c52b4b79225746"), "the generator draws differently: measured figures change with it"


def test_every_label_occurs_and_none_dominates() -> None:
    counts = Counter(label for _, label in TEXTS)
    assert set(counts) == set(LABELS)
    assert len(LABELS) >= 6
    assert 2.0 < max(counts.values()) / min(counts.values()) < 4.5


def test_texts_are_varied_and_carry_noise() -> None:
    texts = [text for text, _ in TEXTS]
    assert len(set(texts)) > 0.99 * len(texts)
    assert all(text.strip() for text in texts)
    for kind, pattern, least in [
        ("HTML crumbs", r"<br|&nbsp;|<p>|&amp;|<div", 0.02),
        ("emoji", "[" + "".join(phrases.EMOJI) + "]", 0.04),
        ("numbers", r"\d{4}", 0.3),
        ("signatures", r"Sent from|Tel\.|-- ", 0.08),
    ]:
        share = sum(bool(re.search(pattern, text)) for text in texts) / len(texts)
        assert share >= least, kind
    assert sum(text.isupper() for text in texts) / len(texts) > 0.02


def test_every_slot_is_filled() -> None:
    assert not [text for text, _ in TEXTS if re.search(r"\{\w+\}", text)]


def test_a_linear_classifier_finds_it_neither_easy_nor_hopeless() -> None:
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
    train, test = TEXTS[:4000], TEXTS[4000:]
    model = LogisticRegression(C=10.0, max_iter=300)
    model.fit(vectorizer.fit_transform([text for text, _ in train]), [label for _, label in train])
    accuracy = model.score(vectorizer.transform([text for text, _ in test]), [label for _, label in test])
    assert 0.88 < accuracy < 0.97


def test_zero_texts_and_a_negative_number() -> None:
    assert list(generate(0, seed=1)) == []
    with pytest.raises(ValueError, match="n=-1"):
        next(generate(-1, seed=1))
