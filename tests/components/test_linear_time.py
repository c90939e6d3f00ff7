"""No text, however it was made up, holds up a worker: 64 KiB of the worst take at most a fraction of a second."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sortgate.plugins import ComponentSpec, create_registry

SIZE = 65_536
#: The quadratic versions of these components take from several seconds to minutes.
ALLOWED_S = 1.0

SEEDS = [
    "a", "1", ".", "'", "_", "<", ">", "&", "@", "-", " ", "\n", "\\", "a'", "1.", "1,", "a.", "a@", "a@a.",
    "@a", ".@", "<a", "<a ", "</", "<!--", "<!-->", "-->", "<!", "<script>", "<style>", "<script></script",
    "<script><style>", "</script", "<a \"", "<a '", "<a='\"", "<a b=\"'", "&#", "&#1", "&#x", "&amp", "&a",
    "http://", "www.", "www.!", "http://!", "ftp://a ", "://", "http", "<url>", "<url", "e\u0301", "\u0301",
    "\u0301\u0316", "\uff9e\u0301", "\u0301\uff9f", "\ufdfa", "\u1e69\u0323", "\u200d", "\u2019", "a\u2019",
    "Σ\u0301", "Σ.", "İ", "\U0001f468\u200d", "\U0001f1e6", "1\ufe0f\u20e3", "1\ufe0f", "\U0001f44d\U0001f3fd",
    "中", "ก", "क्", "\ufe0f", "\u00ad", "１", "½", "ﬃ", "\U00010400", "<a\u0301", "a-a.", "%", "+@", "a+a@a.a ",
    "1.a", "1 a", "a1.",
]  # fmt: skip

REGISTRY = create_registry(only=())
SUBWORDS = ["sortgate.bpe.v1", "sortgate.unigram.v1"]
COMPONENTS = [
    (c.kind, c.name) for c in REGISTRY.components() if c.kind in ("normalizer", "tokenizer") and c.name not in SUBWORDS
]


def nasty(seed: str) -> list[str]:
    """Texts of 64 KiB in UTF-8: the seed over and over, and with a start or an end that breaks what it seems to be."""
    body = (seed * SIZE).encode()[:SIZE].decode("utf-8", "ignore")
    return [body, "<a " + body, "http://" + body, "1" + body + "a", "a@" + body + "!", "&#" + body + ";"]


def slowest(component: Any, seeds: list[str] = SEEDS) -> tuple[float, str]:
    worst = (0.0, "")
    for seed in seeds:
        for text in nasty(seed):
            started = time.process_time()
            component(text)
            worst = max(worst, (time.process_time() - started, f"{text[:12]!r}…{text[-3:]!r}"))
    return worst


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_linear(kind: Any, name: str) -> None:
    seconds, text = slowest(REGISTRY.create(kind, ComponentSpec(name)))
    assert seconds < ALLOWED_S, f"{name} took {seconds:.2f} s over {text}"


@pytest.mark.parametrize("name", SUBWORDS)
def test_subwords(name: str) -> None:
    pytest.importorskip("tokenizers")
    component = REGISTRY.create("tokenizer", ComponentSpec(name, {"vocab_size": 300}))
    component.fit(["an apple a day, keeps the doctor away"] * 5)
    seconds, text = slowest(component, SEEDS[::8])
    assert seconds < ALLOWED_S, f"{name} took {seconds:.2f} s over {text}"
