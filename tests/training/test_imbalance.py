"""Labels of very unequal size: what can be set for rare ones, what it does to logits, and what is said of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small import ONCE
from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier
from sortgate.plugins import create_registry
from sortgate_training.batches import EncodedTexts, TrainingBatches, draw
from sortgate_training.begin import begin
from sortgate_training.calibration import negative_log_likelihood
from sortgate_training.config import LossConfig
from sortgate_training.data import Corpus
from sortgate_training.encoding import encode_part
from sortgate_training.imbalance import advise, describe_imbalance, sampling_rates
from sortgate_training.joining import weigh_and_join
from sortgate_training.judging import judge
from sortgate_training.loading import load_config
from sortgate_training.logits import torch_logits
from sortgate_training.mixing import mix
from sortgate_training.objective import create_loss
from sortgate_training.run import fit_tables
from sortgate_training.split import Parts

Rows = list[tuple[str, str]]
QUICK = [*ONCE, "--no-baselines", "--epochs", "1"]
#: For every text of ``b`` there are 19 of ``a``, more or less.
SKEWED = "a" * 19 + "b"
TARGETS = np.array([0] * 90 + [1] * 9 + [2])
COUNTS = [90, 9, 1]


@given(st.floats(0, 1), st.integers(0, 50), st.lists(st.integers(1, 40), min_size=2, max_size=6))
def test_texts_are_drawn_by_their_rates(exponent: float, seed: int, counts: list[int]) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)
    rates = sampling_rates(exponent, targets, counts)
    if rates is None:
        assert exponent == 0
        return
    rows = draw(rates, targets, np.random.default_rng(seed))
    assert len(rows) == len(targets)
    times = np.bincount(rows, minlength=len(targets))
    assert (np.abs(times - rates) < 1 + 1e-9).all()
    wanted = np.bincount(targets, weights=rates)
    assert (np.abs(np.bincount(targets[rows], minlength=len(counts)) - wanted) < 1 + 1e-6).all()


def test_balanced_epochs_have_as_many_of_every_label() -> None:
    rates = sampling_rates("balanced", TARGETS, COUNTS)
    assert rates is not None
    drawn = Counter(TARGETS[draw(rates, TARGETS, np.random.default_rng(0))].tolist())
    assert all(abs(count - 100 / 3) <= 1 for count in drawn.values())
    assert sampling_rates("none", TARGETS, COUNTS) is None


def test_every_text_of_a_frequent_label_has_its_turn() -> None:
    rates = sampling_rates("balanced", TARGETS, COUNTS)
    assert rates is not None
    generator = np.random.default_rng(0)
    met = {int(row) for _ in range(30) for row in draw(rates, TARGETS, generator)}
    assert met == set(range(100))


def test_a_drawn_epoch_goes_on_where_it_was() -> None:
    texts = EncodedTexts([[number] for number in range(2, 102)], TARGETS)
    rates = sampling_rates(0.5, TARGETS, COUNTS)

    def batches() -> TrainingBatches:
        return TrainingBatches(texts, batch_size=8, batch_tokens=100, seed=5, rates=rates)

    made = batches()
    first, second = ([batch.ids[:, 0].tolist() for batch in made] for _ in range(2))
    assert sum(map(len, first)) == sum(map(len, second)) == 100
    assert first != second
    interrupted = batches()
    list(interrupted)
    state = interrupted.state()
    fresh = batches()
    fresh.restore(state, 3)
    assert [batch.ids[:, 0].tolist() for batch in fresh] == second[3:]


def test_the_loss_alone_knows_the_shares() -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 0])
    adjusted = create_loss(LossConfig(logit_adjustment=0.5), ["a", "b", "c"], COUNTS)(logits, targets)
    shares = torch.tensor([0.9, 0.09, 0.01])
    expected = torch.nn.functional.cross_entropy(logits + 0.5 * shares.log(), targets)  # Menon et al. 2021, eq. 10
    assert float(adjusted) == pytest.approx(float(expected), rel=1e-5)
    focal = create_loss(LossConfig(name="focal", focal_gamma=0.0, logit_adjustment=0.5), ["a", "b", "c"], COUNTS)
    assert float(focal(logits, targets)) == pytest.approx(float(expected), rel=1e-5)


def test_paths_are_weighed_without_the_shift_and_served_with_it(rows: Callable[..., Rows]) -> None:
    config = load_config(None, ["loss.logit_adjustment=1", "model.hidden=8", "model.embedding=16", "seed=3"])
    corpora = []
    for seed, count in ((0, 300), (1, 100), (2, 0)):
        texts, labels = zip(*rows(count, SKEWED, seed), strict=True) if count else ((), ())
        corpora.append(Corpus(list(texts), list(labels), "x"))
    parts = Parts(*corpora)
    start = begin(parts, config, create_registry(), torch.device("cpu"), 1, lambda _: None)
    assert start.shift is not None
    _, judged = encode_part(start.path, parts.validation, start.labels, lambda _: None)
    tables = fit_tables(start.learned, judged, start.vocabulary, 2, config, None, lambda _: None)
    assert tables is not None
    with torch.no_grad():
        start.recurrent.output.bias.copy_(torch.tensor([0.3, -0.2]))
    recurrent, ngram = torch_logits(start.recurrent, judged), tables.logits(judged)
    before = judge(start.recurrent, judged, ngram, start.shift)
    alone = judge(start.recurrent, judged, None, start.shift)
    joined, _ = weigh_and_join(start.recurrent, tables, judged, start.shift, lambda _: None)
    served = torch_logits(joined, judged)
    assert np.array_equal(torch_logits(start.recurrent, judged), recurrent), "the second training goes on from it"
    one, other = mix(ngram, recurrent + start.shift, judged.targets)
    expected = one * ngram + other * (recurrent + start.shift)
    assert start.shift == pytest.approx(np.log([0.95, 0.05]), abs=0.5)
    assert np.abs(served + start.shift - expected).max() < 1e-4
    assert alone.loss == pytest.approx(negative_log_likelihood(recurrent + start.shift, judged.targets), rel=1e-4)
    assert alone.accuracy == pytest.approx((recurrent.argmax(axis=1) == judged.targets).mean())
    assert before.loss == pytest.approx(negative_log_likelihood(expected, judged.targets), rel=1e-4)
    assert before.accuracy == pytest.approx((served.argmax(axis=1) == judged.targets).mean())


@pytest.fixture(scope="module")
def skewed(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    """600 texts, most of them of ``label a``."""
    return write_rows(tmp_path_factory.mktemp("skewed") / "d.csv", rows(600, SKEWED))


def test_train_says_it_once_and_the_report_shows_the_effect(
    skewed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "toy"
    assert run(["train", str(skewed), "--out", str(out), "--json", *QUICK]) == 0
    captured = capsys.readouterr()
    [line] = [line for line in captured.err.splitlines() if "times as many texts" in line]
    assert "'label a' has " in line
    assert line.endswith(advise(several=False))
    table = json.loads(captured.out)["logit_adjustment"]
    assert [row["tau"] for row in table] == [0.0, 0.5, 1.0]
    assert table[0]["change"] == [0.0, 0.0]
    assert Bundle.open(out).manifest.metrics["logit_adjustment"] == table
    assert "<h2>Rare labels</h2>" in Bundle.open(out).read("report.html").decode()
    assert run(["check", str(skewed)]) == 0
    assert capsys.readouterr().out.count(advise(several=False)) == 1


@pytest.mark.parametrize("setting", ["loss.logit_adjustment=1", "sampling=balanced", "loss.class_weights=balanced"])
def test_rare_labels_are_given_more_often(
    skewed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: Callable[..., Rows], setting: str
) -> None:
    texts = [text for text, _ in rows(300, "ab", seed=7)]
    given = []
    # without the n-gram path beside it, all that the network has learned is served
    alone = ["--set", "ngrams.enabled=false", "--set", "optimizer.learning_rate=0.02", "--epochs", "3"]
    for name, more in (("plain", []), ("adjusted", ["--set", setting])):
        assert run(["train", str(skewed), "--out", str(tmp_path / name), *QUICK, *alone, *more]) == 0
        said = capsys.readouterr().err
        assert ("times as many texts" in said) is not bool(more)
        given.append(sum(made.label == "label b" for made in Classifier.load(tmp_path / name)(texts)))
    plain, favoured = given
    assert favoured > plain + 20
    bundle = Bundle.open(tmp_path / "adjusted")
    # the others leave it to the validation texts how much of what the network learned is served
    adjusted = setting == "loss.logit_adjustment=1"
    assert any("scores of frequent labels are too low" in note for note in bundle.manifest.metrics["notes"]) is adjusted
    assert ("τ = 0 is without that" in bundle.read("report.html").decode()) is adjusted


def test_equal_labels_need_no_advice() -> None:
    assert describe_imbalance({"a": 100, "b": 10}) is None
    assert describe_imbalance({"a": 2000, "b": 10}) == "'a' has 200 times as many texts as 'b' (2,000 and 10)"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["loss.logit_adjustment=-1"], "loss.logit_adjustment: expected `float` >= 0"),
        (["loss.logit_adjustment=nan"], "loss.logit_adjustment"),
        (["loss.logit_adjustment=inf"], "loss.logit_adjustment: expected `float` <= 10"),
        (["loss.logit_adjustment=much"], "loss.logit_adjustment: expected `float`, got `str`"),
        (["sampling=1.5"], "sampling: expected `float` <= 1"),
        (["sampling=-0.5"], "sampling: expected `float` >= 0"),
        (["sampling=rare"], "sampling: invalid enum value 'rare'"),
        (["sampling=0.5", "loss.logit_adjustment=1"], "loss.logit_adjustment and sampling each make rare labels"),
        (["sampling=0.5", "loss.class_weights=balanced"], "loss.class_weights and sampling each make"),
    ],
)
def test_bad_values_are_one_line(
    skewed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: list[str], says: str
) -> None:
    options = [word for setting in settings for word in ("--set", setting)]
    assert run(["train", str(skewed), "--out", str(tmp_path / "toy"), *options]) != 0
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("setting", ["loss.logit_adjustment=1", "sampling=0.5"])
def test_several_labels_a_text_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str) -> None:
    data = tmp_path / "d.csv"
    data.write_text("text,label\n" + "\n".join(f"word{i} text,{'a|b' if i % 3 else 'b'}" for i in range(30)))
    options = ["--label-separator", "|", "--set", setting, "--out", str(tmp_path / "toy"), "--quiet"]
    assert run(["train", str(data), *options]) != 0
    error = capsys.readouterr().err
    assert f"{setting.partition('=')[0]} is for one label a text" in error
    assert error.count("\n") == 1
