"""The recurrent network and the n-gram path as the one classifier that is served."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from sortgate_training.batches import EncodedTexts
from sortgate_training.judging import judge, judge_logits
from sortgate_training.logits import torch_logits
from sortgate_training.mixing import FloatArray, mix
from sortgate_training.model import HybridClassifier, NgramPath, RecurrentClassifier
from sortgate_training.tables import NgramTables

#: What the logits of the n-gram path and those of the network are multiplied by.
Factors = tuple[float, float]


def join(
    recurrent: RecurrentClassifier, tables: NgramTables, factors: Factors, shift: FloatArray | None
) -> HybridClassifier:
    """Return both paths as one module, and the whole ``shift`` over the sum."""
    ngram, share = factors
    # with an output layer of its own, which is changed
    recurrent = copy.deepcopy(recurrent, {id(part): part for part in (recurrent.embedding, recurrent.rnns)})
    with torch.no_grad():
        recurrent.output.weight.mul_(share)
        recurrent.output.bias.mul_(share)
        if shift is not None:
            recurrent.output.bias.add_(torch.from_numpy(shift), alpha=share - 1.0)
    return HybridClassifier(recurrent, NgramPath(tables.scaled(ngram)))


def weigh_and_join(
    recurrent: RecurrentClassifier,
    tables: NgramTables,
    judged: EncodedTexts,
    shift: FloatArray | None,
    say: Callable[[str], None],
) -> tuple[HybridClassifier, Factors]:
    """Join both paths with the weights that suit the validation texts best, and say what each comes to on these.

    The n-gram path knows no ``shift``: the network's is taken out before they are weighed.
    """
    ngram_logits, recurrent_logits = tables.logits(judged), torch_logits(recurrent, judged)
    if shift is not None:
        recurrent_logits = recurrent_logits + shift
    factors = mix(ngram_logits, recurrent_logits, judged.targets)
    judgements = [judge_logits(logits, judged.targets, shift) for logits in (ngram_logits, recurrent_logits)]
    hybrid = join(recurrent, tables, factors, shift)
    judgements.append(judge(hybrid, judged, shift=shift))
    figure, at = ("macro-F1", 2) if judged.targets.ndim == 2 else ("accuracy", 1)
    rates = [judgement[at] for judgement in judgements]
    say("validation {}: n-grams {:.4f}, recurrent network {:.4f}, both {:.4f}".format(figure, *rates))
    return hybrid, factors
