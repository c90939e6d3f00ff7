"""Token vectors: own ones plus the mean of the character n-grams', the same in a batch and in the table."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.vocabulary import FIRST_ID, PADDING_ID
from sortgate_training import embedding
from sortgate_training.embedding import LENGTHS, TokenEmbedding
from sortgate_training.ngrams import character_ngrams

#: of few letters, so that they share n-grams
TOKENS = st.lists(st.text("abé中", min_size=1, max_size=8), min_size=1, max_size=20, unique=True)


def rows_of(module: TokenEmbedding, token_id: int) -> list[int]:
    """Return the rows of a token's n-grams, as often as they are in it."""
    first = int(module.starts[token_id])
    return module.numbers[first : first + int(module.counts[token_id])].tolist()


@settings(deadline=None, max_examples=30)
@given(tokens=TOKENS, data=st.data())
def test_a_vector_is_the_tokens_own_plus_the_mean_of_its_shared_ngrams(tokens: list[str], data: st.DataObject) -> None:
    torch.manual_seed(0)
    module = TokenEmbedding(len(tokens) + FIRST_ID, 4, tokens)
    table = module.table()
    with_it = Counter(ngram for token in tokens for ngram in set(character_ngrams(token, LENGTHS)))
    row_of: dict[str, int] = {}
    for number, token in enumerate(tokens, FIRST_ID):
        expected = module.words.weight[number].detach()
        shared = [ngram for ngram in character_ngrams(token, LENGTHS) if with_it[ngram] > 1]
        if shared:
            assert module.ngrams is not None
            rows = rows_of(module, number)
            for ngram, row in zip(shared, rows, strict=True):
                assert row_of.setdefault(ngram, row) == row  # the same in every token
            expected = expected + module.ngrams.weight[rows].mean(dim=0)
        torch.testing.assert_close(table[number], expected)
    assert len(set(row_of.values())) == len(row_of)  # and no other's
    ids = torch.tensor(data.draw(st.lists(st.integers(0, len(tokens) + FIRST_ID - 1), min_size=6, max_size=6)))
    torch.testing.assert_close(module(ids.reshape(2, 3)), table[ids].reshape(2, 3, 4))
    assert not table[PADDING_ID].any()


@settings(deadline=None, max_examples=30)
@given(tokens=TOKENS, data=st.data())
def test_the_gradient_is_that_of_looking_up_row_by_row(tokens: list[str], data: st.DataObject) -> None:
    torch.manual_seed(0)
    tokens = [*tokens, "abab", "babab"]  # so that some n-gram is shared
    module = TokenEmbedding(len(tokens) + FIRST_ID, 3, tokens)
    assert module.ngrams is not None
    ids = torch.tensor(data.draw(st.lists(st.integers(0, len(tokens) + FIRST_ID - 1), min_size=1, max_size=9)))
    weights = torch.randn(len(ids), 3)
    (module(ids) * weights).sum().backward()
    ngrams = module.ngrams.weight.detach().clone().requires_grad_()
    rows = [rows_of(module, number) for number in ids.tolist()]
    sums = [ngrams[row].mean(dim=0) if row else ngrams[:0].sum(dim=0) for row in rows]
    (torch.stack(sums) * weights).sum().backward()
    assert ngrams.grad is not None
    gradient = module.ngrams.weight.grad
    assert gradient is not None
    torch.testing.assert_close(gradient.to_dense(), ngrams.grad)


def test_words_written_alike_learn_from_each_other() -> None:
    torch.manual_seed(0)
    module = TokenEmbedding(3 + FIRST_ID, 4, ["refund", "refunds", "xyz"])
    before = module.table()
    module(torch.tensor([FIRST_ID])).sum().backward()
    assert module.ngrams is not None
    with torch.no_grad():
        module.ngrams.weight -= module.ngrams.weight.grad.to_dense()
    moved = (module.table() - before).abs().sum(dim=1)
    assert moved[FIRST_ID + 1] > 0
    assert moved[FIRST_ID + 2] == 0


def test_the_ngrams_of_most_tokens_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "MOST_NGRAMS", 2)
    module = TokenEmbedding(4 + FIRST_ID, 2, ["xab", "yab", "zab", "zac"])
    assert module.ngrams is not None
    assert len(module.ngrams.weight) == 2
    # "ab" at the end is in three, "za" at the start in two
    assert module.counts.tolist() == [0, 0, 1, 1, 2, 1]


def test_without_tokens_or_shared_ngrams_there_are_no_ngrams() -> None:
    for tokens in (None, ["abc", "xyz", "中"]):
        module = TokenEmbedding(5, 4, tokens)
        torch.testing.assert_close(module.table(), module.words.weight.detach())
