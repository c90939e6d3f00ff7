"""Token vectors: own ones plus the mean of the character n-grams', the same in a batch and in the table."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.vocabulary import FIRST_ID, PADDING_ID
from sortgate_training.embedding import LENGTHS, TokenEmbedding, _bucket
from sortgate_training.ngrams import character_ngrams

TOKENS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=20, unique=True)


@settings(deadline=None, max_examples=20)
@given(tokens=TOKENS, data=st.data())
def test_a_vector_is_the_tokens_own_plus_the_mean_of_its_ngrams(tokens: list[str], data: st.DataObject) -> None:
    torch.manual_seed(0)
    module = TokenEmbedding(len(tokens) + FIRST_ID, 4, tokens)
    table = module.table()
    assert module.ngrams is not None
    for number, token in enumerate(tokens, FIRST_ID):
        rows = [_bucket(ngram) for ngram in character_ngrams(token, LENGTHS)]
        expected = module.words.weight[number] + module.ngrams.weight[rows].mean(dim=0)
        torch.testing.assert_close(table[number], expected)
    ids = torch.tensor(data.draw(st.lists(st.integers(0, len(tokens) + FIRST_ID - 1), min_size=6, max_size=6)))
    torch.testing.assert_close(module(ids.reshape(2, 3)), table[ids].reshape(2, 3, 4))
    assert not table[PADDING_ID].any()


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


def test_without_tokens_there_are_no_ngrams() -> None:
    module = TokenEmbedding(5, 4)
    torch.testing.assert_close(module.table(), module.words.weight.detach())
