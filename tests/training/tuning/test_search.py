"""What is tried, in which time, and what the search says in the end: with trainings that take no time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from sortgate.errors import ConfigurationError, TrainingError
from sortgate_training.batches import EncodedTexts
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.history import Epoch, Judgement
from sortgate_training.tuning.answers import Answers
from sortgate_training.tuning.cost import Cost, Limits
from sortgate_training.tuning.progress import TuningProgress
from sortgate_training.tuning.record import Run
from sortgate_training.tuning.search import Plan, Search
from sortgate_training.tuning.space import search_space
from sortgate_training.tuning.study import Folder, Study

TEXTS, EPOCHS, EPOCH_S = 200, 6, 10.0
CORPUS = Corpus(["x"] * 10, ["a", "b"] * 5, "x.csv", Path("x.csv"), 0)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeTrainer:
    """Right on a share of the texts that the configuration decides; an epoch takes ten seconds of the clock."""

    def __init__(self, clock: Clock, share: Callable[[TrainingConfig], float]) -> None:
        self.clock, self.share = clock, share
        self.trained: list[TrainingConfig] = []

    def material(self, _: TrainingConfig) -> Any:
        judged = EncodedTexts([[1]] * TEXTS, [0] * TEXTS)
        return SimpleNamespace(judged=judged, prepared=SimpleNamespace(labels=["a", "b"]))

    def truth(self, config: TrainingConfig) -> tuple[Any, int]:
        return self.material(config).judged.targets, 2

    def begin(self, config: TrainingConfig, _: Any) -> str:
        return f"a network of {config.model.hidden} units"

    def cost(self, _start: str, config: TrainingConfig, _: Any) -> Cost:
        return Cost(config.model.hidden / 100, 1000 * config.model.embedding)

    def train(
        self, start: str, config: TrainingConfig, material: Any, watch: Callable[[int], Any]
    ) -> tuple[Run, Answers]:
        assert start == self.begin(config, material)
        self.trained.append(config)
        share = self.share(config)
        watcher = watch(EPOCHS)
        for number in range(1, EPOCHS + 1):
            self.clock.now += EPOCH_S
            watcher.step(number, 1, 0.0, 1.0)
            figure = share * number / EPOCHS
            watcher.epoch(Epoch(number, 0.0, 1 - figure, figure, figure, 1.0, EPOCH_S), best=True)
        right = round(share * TEXTS)
        given = np.array([0] * right + [1] * (TEXTS - right))
        return Run(config.seed, Judgement(1 - share, share, share), EPOCHS, EPOCHS * EPOCH_S), Answers(
            given, given * 1.0
        )


def larger_is_better(config: TrainingConfig) -> float:
    return min(0.95, 0.5 + config.model.hidden / 500)


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Callable[..., Search]]:
    folders = []
    numbers = itertools.count()

    def make(
        share: Callable[[TrainingConfig], float] = larger_is_better, name: str | None = None, **plan: Any
    ) -> Search:
        while folders:
            folders.pop().close()
        folders.append(Folder(tmp_path / (name or str(next(numbers)))))
        folders[-1].check({})
        config = TrainingConfig()
        study = Study(folders[-1], search_space(config, CORPUS), "accuracy", 0)
        clock = Clock()
        settled = Plan(**{"metric": "accuracy", "seconds": 900.0, **plan})
        show = TuningProgress(Console(quiet=True), "accuracy")
        return Search(config, study, FakeTrainer(clock, share), settled, show, 0.0, clock)

    yield make
    for folder in folders:
        folder.close()


def test_the_start_is_trial_0_and_a_better_one_is_found_with_two_seeds(create: Callable[..., Search]) -> None:
    search = create()
    assert search.run(lambda: None) == "the time is spent"
    records = search.study.records
    assert records[0].values == {}
    found = search.conclude()
    assert found.improved
    assert found.chosen.values["model.hidden"] > 64
    assert [run.seed for run in found.chosen.runs] == [run.seed for run in records[0].runs] == [0, 1]
    assert found.seeds == 2
    assert found.gain == pytest.approx(
        larger_is_better(search.trainer.trained[-1]) - larger_is_better(TrainingConfig()), abs=0.3
    )
    assert "beyond the noise of these texts" in found.sentences[0]
    assert "was chosen among" in found.sentences[1]
    assert search.left() >= -EPOCH_S
    # a trial in the lower half after a third of its epochs is cut there
    assert {record.note for record in records if record.status == "pruned"} <= {
        f"after epoch {n}" for n in range(2, EPOCHS)
    }
    assert any(record.status == "pruned" for record in records)


def test_noise_is_not_called_better(create: Callable[..., Search]) -> None:
    search = create(lambda config: 0.8 + 0.005 * (config.model.hidden > 64), trials=12, seconds=3_000.0)
    assert search.run(lambda: None) == "all 12 trials are done"
    found = search.conclude()
    assert found.chosen.number == 0
    assert found.rival is not None
    assert not found.improved
    assert found.sentences[0].startswith("nothing beats the start beyond noise: the best, trial ")


def test_nothing_better(create: Callable[..., Search]) -> None:
    search = create(lambda config: 0.9 if config == TrainingConfig() else 0.5, trials=5)
    search.run(lambda: None)
    found = search.conclude()
    assert (found.chosen.number, found.rival) == (0, None)
    assert "none of 4 other trials is better than the start" in found.sentences[0]
    assert {config.seed for config in search.trainer.trained} == {0}


def test_luck_with_one_seed_is_found_out_with_another(create: Callable[..., Search]) -> None:
    def lucky(config: TrainingConfig) -> float:
        return 0.9 if config.seed == 0 and config != TrainingConfig() else 0.7

    search = create(
        lambda config: lucky(config) if config.seed == 0 else 0.6 + 0.1 * (config.model == TrainingConfig().model),
        trials=3,
    )
    search.run(lambda: None)
    assert all(len(record.runs) == 2 for record in search.study.records if record.status == "trained")
    assert search.conclude().seeds == 2


def test_a_budget_leaves_trials_untrained(create: Callable[..., Search]) -> None:
    limits = Limits(max_ms=0.64, max_bytes=128_000)
    search = create(limits=limits, trials=16)
    search.run(lambda: None)
    over = [record for record in search.study.records if record.status == "over budget"]
    assert over
    assert all(record.runs == [] and record.cost is not None and limits.missed(record.cost) for record in over)
    assert all(config.model.hidden <= 64 and config.model.embedding <= 128 for config in search.trainer.trained)


def test_a_start_over_the_budget_is_the_measure_but_not_the_choice(create: Callable[..., Search]) -> None:
    search = create(limits=Limits(max_ms=0.3), trials=6)
    search.run(lambda: None)
    records = search.study.records
    assert records[0].runs
    assert not records[0].within
    assert records[1].values["model.hidden"] == 16  # the cheapest comes at once
    # and the others are near it, not near the start
    assert sum(record.within for record in records[2:]) >= 3
    found = search.conclude()
    assert found.chosen.number > 0
    assert found.chosen.cost is not None
    assert found.chosen.cost.ms <= 0.3
    assert not found.improved
    assert "the start is over the budget (0.64 ms > 0.3 ms)" in found.sentences[0]


def test_a_budget_that_nothing_meets_is_refused_before_training(create: Callable[..., Search]) -> None:
    search = create(limits=Limits(max_ms=0.01))
    with pytest.raises(ConfigurationError, match=r"even the smallest network .* costs 0.16 ms > 0.01 ms"):
        search.run(lambda: None)
    assert search.trainer.trained == []


def test_a_start_that_takes_longer_than_there_is_time(create: Callable[..., Search]) -> None:
    search = create(seconds=35.0)
    with pytest.raises(TrainingError, match=r"--minutes 0.583333 is too short: .* at epoch 4 of 6"):
        search.run(lambda: None)
    assert search.study.records == []
    again = create(name="0", seconds=100.0)
    assert again.run(lambda: None) == "the time is spent"
    assert len(again.study.records) == 1
    assert "no other trial was made" in again.conclude().sentences[0]


def test_going_on_counts_the_time_before_and_does_not_repeat(create: Callable[..., Search]) -> None:
    first = create(trials=4)
    first.run(lambda: None)
    before = list(first.study.records)
    again = create(name="0", trials=7)
    assert again.left() == pytest.approx(900.0 - sum(record.seconds for record in before))
    again.run(lambda: None)
    records = again.study.records
    assert [record.numbers for record in records[:4]] == [record.numbers for record in before]
    assert [record.number for record in records] == list(range(7))
    assert len({str(record.numbers) for record in records}) == 7


def test_a_trial_that_fails_is_one_of_many(create: Callable[..., Search]) -> None:
    def share(config: TrainingConfig) -> float:
        if config != TrainingConfig():
            raise TrainingError("the loss became nan")
        return 0.8

    search = create(share, trials=3)
    search.run(lambda: None)
    assert [record.status for record in search.study.records] == ["trained", "failed", "failed"]
    assert search.study.records[1].note == "the loss became nan"
    assert search.conclude().chosen.number == 0


def test_what_was_under_way_is_tried_again(create: Callable[..., Search], tmp_path: Path) -> None:
    search = create(trials=2)
    search.run(lambda: None)
    trial = search.study.ask()
    numbers = {key: int(value) for key, value in trial.params.items()}
    with (tmp_path / "0" / "journal.log").open("ab") as file:
        file.write(b'{"op_code":')  # as a kill leaves it
    (tmp_path / "0" / "journal.log.lock").symlink_to("journal.log")
    again = create(name="0", trials=3)
    again.run(lambda: None)
    assert again.study.records[2].numbers == numbers


@pytest.mark.parametrize("damage", [b"garbage\n", b"\0\n", b"[]\n"])
def test_a_damaged_journal_is_one_line(create: Callable[..., Search], tmp_path: Path, damage: bytes) -> None:
    create(trials=2).run(lambda: None)
    with (tmp_path / "0" / "journal.log").open("ab") as file:
        file.write(damage)
    with pytest.raises(TrainingError, match=r"journal\.log cannot be read; --fresh starts anew"):
        create(name="0", trials=3)


def test_one_command_at_a_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "study")
    with pytest.raises(ConfigurationError, match="another `sortgate tune` is at work"):
        Folder(tmp_path / "study")
    folder.close()
    assert not (tmp_path / "study").exists()


def test_a_small_space_ends(create: Callable[..., Search]) -> None:
    search = create()
    search.study.space[:] = [one for one in search.study.space if one.key == "model.cell"]
    assert search.run(lambda: None) == "nothing new within the budget is left to try"
    assert len(search.study.records) == 2
