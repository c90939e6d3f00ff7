"""A network's weights in a network of another vocabulary."""

from __future__ import annotations

import pytest
import torch

from sortgate.vocabulary import UNKNOWN_ID, Vocabulary
from sortgate_training.carrying import Learned
from sortgate_training.config import ModelConfig
from sortgate_training.model import RecurrentClassifier

BEFORE = ["printing", "cooking", "alpha", "ring"]
#: Another order, one token less, and new ones, of which "alphabet" and "printer" share n-grams with old tokens.
AFTER = ["alphabet", "ring", "printing", "printer", "cooking", "zebra"]


def network(tokens: list[str], seed: int, *, characters: bool = True) -> tuple[RecurrentClassifier, Vocabulary]:
    torch.manual_seed(seed)
    vocabulary = Vocabulary(tokens)
    config = ModelConfig(hidden=4, embedding=8, characters=characters)
    return RecurrentClassifier(config, len(vocabulary), 3, vocabulary if characters else None).eval(), vocabulary


@pytest.mark.parametrize("characters", [True, False])
def test_texts_of_known_tokens_have_the_same_logits(characters: bool) -> None:
    one, before = network(BEFORE, 0, characters=characters)
    other, after = network([*BEFORE[::-1], *AFTER[:1], *AFTER[3:4]], 1, characters=characters)
    fresh = other.embedding.table()
    Learned.of(one, before).put_into(other, after)
    ids = [vocabulary.encode([*BEFORE, "never seen"]) for vocabulary in (before, after)]
    assert ids[0][-1] == ids[1][-1] == UNKNOWN_ID
    with torch.no_grad():
        logits = [each(torch.tensor([row]), torch.tensor([5])) for each, row in zip((one, other), ids, strict=True)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-6, rtol=0)
    if characters:
        assert set(other.embedding.names) > set(one.embedding.names), "the new tokens' n-grams were to be in the way"
    else:
        new = after.encode(["alphabet"])
        torch.testing.assert_close(other.embedding.table()[new], fresh[new])


def test_new_tokens_are_made_of_what_the_old_ones_n_grams_have_learned() -> None:
    one, before = network(BEFORE, 0)
    other, after = network(AFTER, 1)
    fresh, own = other.embedding.table(), other.embedding.words.weight.detach().clone()
    Learned.of(one, before).put_into(other, after)
    moved = other.embedding.table() - fresh
    printer, zebra = after.encode(["printer", "zebra"])
    assert moved[printer].abs().max() > 0.01
    assert moved[zebra].abs().max() == 0.0
    torch.testing.assert_close(other.embedding.words.weight[printer], own[printer])


def test_what_the_network_has_no_place_for_is_an_error() -> None:
    one, before = network(BEFORE, 0)
    other, after = network(AFTER, 1)
    learned = Learned.of(one, before)
    with pytest.raises(ValueError, match=r"the network has no other\.weight"):
        Learned(before, learned.embedding, {**learned.others, "other.weight": torch.ones(1)}).put_into(other, after)
