"""The n-gram path's regressions: what they minimise, and which penalties a search takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import sparse
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from sortgate.errors import TrainingError
from sortgate_training.features import Features
from sortgate_training.parallel import SIDES, SideBySide, set_threads
from sortgate_training.regression import STRENGTHS, Penalty, Regression, _squared_ratios

LABELS = 3


def features_of(matrix: Any) -> Features:
    """Return a matrix as features: its first column the texts' own, the others parts that are words."""
    others = matrix.shape[1] - 1
    return Features(matrix[:, :1], matrix[:, 1:], sparse.identity(others, dtype=np.float32, format="csr"))


def made(texts: int, seed: int, *, sets: bool = False) -> tuple[Features, npt.NDArray[Any]]:
    """Texts of thirty features, some of which speak for a label, with labels that they do not quite decide."""
    generator = np.random.default_rng(seed)
    x = sparse.random(texts, 30, density=0.3, random_state=seed, format="csr", dtype=np.float32)
    speaking = np.random.default_rng(1).standard_normal((30, LABELS)) * 4
    logits = x @ speaking + generator.gumbel(size=(texts, LABELS))
    return features_of(x), logits > 1.0 if sets else logits.argmax(axis=1)


def times(x: Features, weights: Any) -> npt.NDArray[np.float32]:
    product: npt.NDArray[np.float32] = (x @ torch.from_numpy(np.array(weights, dtype=np.float32))).numpy()
    return product


def objective(x: Any, targets: Any, fit: Any, scales: Any) -> float:
    """Return the penalised loss, written out."""
    logits = times(x, np.eye(30)) @ fit.coefficients.T.astype(np.float64) + fit.intercept
    if targets.ndim == 2:
        losses = -np.log(np.where(targets, expit(logits), expit(-logits))).sum()
    else:
        losses = -log_softmax(logits, axis=1)[np.arange(len(targets)), targets].sum()
    return float(losses + 0.5 * ((fit.coefficients.T / scales) ** 2).sum() / fit.penalties[-1].strength)


@pytest.mark.parametrize("sets", [False, True], ids=["one label", "sets"])
@pytest.mark.parametrize(
    "penalty", [Penalty(4.0), Penalty(16.0, 1.0), Penalty(16.0, 4.0)], ids=["plain", "scaled", "more"]
)
def test_no_weight_could_be_better(penalty: Penalty, sets: bool) -> None:
    x, targets = made(300, 0, sets=sets)
    fit = Regression(x, targets, LABELS, 500).again((Penalty(1.0, 1.0), penalty))
    truth = (targets if sets else np.eye(LABELS)[targets]).astype(np.float32)
    scales = np.sqrt((1 + penalty.ratios * _squared_ratios(x, truth)) / (1 + penalty.ratios))
    least = objective(x, targets, fit, scales)
    generator = np.random.default_rng(2)
    for size in (0.1, 0.01):
        for _ in range(20):
            moved = fit._replace(coefficients=fit.coefficients + size * generator.standard_normal((LABELS, 30)))
            assert objective(x, targets, moved, scales) > least - 1e-3


def test_without_scales_it_is_scikit_learns() -> None:
    x, targets = made(300, 0)
    fit = Regression(x, targets, LABELS, 500).again((Penalty(1.0),))
    theirs = LogisticRegression(C=1.0, max_iter=500, tol=1e-8).fit(times(x, np.eye(30)), targets)
    np.testing.assert_allclose(fit.coefficients, theirs.coef_, atol=2e-3)


def test_what_speaks_for_a_label_may_weigh_more() -> None:
    # the first feature in all texts, the second in all of label 0, the third in one text of each
    rows = [[1, 1, 0]] * 9 + [[1, 1, 1]] + [[1, 0, 0]] * 9 + [[1, 0, 1]]
    truth = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    squares = _squared_ratios(features_of(sparse.csr_matrix(np.array(rows, dtype=np.float32))), truth)
    np.testing.assert_allclose(squares, [[0, 0], [3, 3], [0, 0]], atol=1e-6)  # over their mean


@pytest.mark.parametrize("sets", [False, True], ids=["one label", "sets"])
def test_a_search_takes_the_best_and_it_can_be_found_again(sets: bool) -> None:
    x, targets = made(200, 0, sets=sets)
    held_out, truth = made(2000, 7, sets=sets)
    found = Regression(x, targets, LABELS, 60).search(held_out, truth)

    def loss(*penalties: Penalty) -> float:
        fit = Regression(x, targets, LABELS, 60).again(penalties)
        logits = times(held_out, fit.coefficients.T) + fit.intercept
        if sets:
            return float(-np.log(np.where(truth, expit(logits), expit(-logits))).sum(axis=1).mean())
        return float(-log_softmax(logits, axis=1)[np.arange(len(truth)), truth].mean())

    again = Regression(x, targets, LABELS, 60).again(found.penalties)
    np.testing.assert_allclose(again.coefficients, found.coefficients, rtol=1e-9, atol=1e-12)
    others = [loss(Penalty(strength, ratios)) for strength in STRENGTHS for ratios in (0.0, 1.0)]
    assert loss(*found.penalties) <= min(others) + 1e-3


def test_scales_are_left_out_where_they_do_harm() -> None:
    """Labels by a feature that is as frequent in all of them: counts say nothing, amounts all."""
    generator = np.random.default_rng(0)
    amounts = generator.random((400, 1)).astype(np.float32)
    noise = (generator.random((400, 200)) < 0.01).astype(np.float32)
    x = sparse.csr_matrix(np.hstack([amounts, noise]))
    targets = (amounts[:, 0] > 0.5).astype(int)
    found = Regression(features_of(x[:200]), targets[:200], 2, 60).search(features_of(x[200:]), targets[200:])
    assert found.penalties[-1].ratios == 0.0


def test_factors_are_the_matrix_that_they_stand_for() -> None:
    words = sparse.random(300, 40, density=0.1, random_state=0, format="csr", dtype=np.float32)
    parts = sparse.random(40, 90, density=0.1, random_state=1, format="csr", dtype=np.float32)
    own = sparse.random(300, 20, density=0.2, random_state=2, format="csr", dtype=np.float32)
    generator = np.random.default_rng(0)
    features, whole = Features(own, words, parts), np.hstack([own.toarray(), (words @ parts).toarray()])
    assert features.shape == whole.shape
    weights, errors = generator.standard_normal((110, 3)), generator.standard_normal((300, 3))
    np.testing.assert_allclose(times(features, weights), whole @ weights, atol=1e-4)
    gathered = features.gathered(torch.from_numpy(errors.astype(np.float32)))
    np.testing.assert_allclose(gathered, whole.T @ errors, atol=1e-4)
    truth = (generator.random((300, 3)) < 0.3).astype(np.float32)
    np.testing.assert_array_equal(features.counts(truth), (whole > 0).T.astype(np.float32) @ truth)


@pytest.mark.parametrize("texts", [1, 2, 300])
def test_products_are_the_same_on_any_number_of_threads(texts: int) -> None:
    words = sparse.random(texts, 40, density=0.1, random_state=0, format="csr", dtype=np.float32)
    parts = sparse.random(40, 90, density=0.1, random_state=1, format="csr", dtype=np.float32)
    own = sparse.csr_matrix((texts, 20), dtype=np.float32)  # of nothing, too
    generator = np.random.default_rng(0)
    weights, errors = (
        torch.from_numpy(generator.standard_normal((rows, 3)).astype(np.float32)) for rows in (110, texts)
    )
    before, alone = torch.get_num_threads(), Features(own, words, parts)
    try:
        set_threads(SIDES)
        with SideBySide() as sides:
            together = Features(own, words, parts, sides)
            assert torch.equal(together @ weights, alone @ weights)
            assert torch.equal(together.gathered(errors), alone.gathered(errors))
    finally:
        set_threads(1)
        torch.set_num_threads(before)


def test_a_loss_that_is_no_number_ends_the_search() -> None:
    x, targets = made(100, 0)
    broken = sparse.csr_matrix(np.full((100, 30), np.inf, np.float32))
    with pytest.raises(TrainingError, match="loss is not finite"):
        Regression(x, targets, LABELS, 60).search(features_of(broken), targets)
