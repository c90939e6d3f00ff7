"""The search itself: what is tried next, and what the time that is left is for."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from sortgate.errors import ConfigurationError, SortgateError, TrainingError
from sortgate_training.interrupt import Stop, stop_on_signals
from sortgate_training.report.statistics import Interval
from sortgate_training.tuning.answers import Answers, difference
from sortgate_training.tuning.conclusion import Conclusion, conclude, contenders
from sortgate_training.tuning.cost import Cost, Limits
from sortgate_training.tuning.progress import TuningProgress
from sortgate_training.tuning.record import Metric, Record
from sortgate_training.tuning.space import cheapest, neighbour, start_of, values_of, with_values
from sortgate_training.tuning.study import STARTUP, Study, numbers_of
from sortgate_training.tuning.trainer import Trainer
from sortgate_training.tuning.watch import PrunedError, TimeUpError, Watch

if TYPE_CHECKING:
    import optuna

    from sortgate_training.config import TrainingConfig

#: Trials that are trained again with a second seed, and the share of the time that this may take.
FINALISTS, _FINAL_SHARE = 2, 0.5
#: Trainings of one configuration differ in time.
_SLACK = 1.1
#: Proposals in a row that were tried before, or that cost too much, after which there is nothing more to find.
_MOST_IDLE = 50


class Plan(msgspec.Struct, frozen=True):
    """What was asked for; ``seconds`` and ``trials`` are of the whole study, the start included."""

    metric: Metric
    seconds: float
    limits: Limits = Limits()
    trials: int | None = None


class Search:
    """Tries configurations until time, trials or ideas are spent.

    Args:
        config: the start.
        study: what has been tried, and proposes.
        trainer: computes.
        plan: what was asked for.
        show: told of the progress.
        started: of the command, by ``clock``.
        clock: in seconds.
    """

    def __init__(
        self,
        config: TrainingConfig,
        study: Study,
        trainer: Trainer,
        plan: Plan,
        show: TuningProgress,
        started: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.study, self.trainer, self.plan, self.show = config, study, trainer, plan, show
        self._clock, self._started, self._before = clock, started, study.spent_s
        self._random = random.Random(f"{config.seed} {len(study.records)}")  # noqa: S311 - no secret
        self._idle = 0
        self._compared: dict[tuple[int, int, int], Interval] = {}

    def left(self) -> float:
        """Return the seconds that the study has left."""
        return self.plan.seconds - self._before - (self._clock() - self._started)

    def run(self, done: Callable[[], object]) -> str:
        """Search, and return in words why it ended; ``done`` is called after each record.

        Raises:
            ConfigurationError: nothing in the space is within the budget.
            TrainingError: the start cannot be trained, or not in the time there is.
            KeyboardInterrupt: stopped before the start was trained.
        """
        self._done = done
        with stop_on_signals() as stop:
            try:
                if not self.study.records:
                    self._check_budget()
                while self._try_more(stop) or self._confirm(stop):
                    pass
            except KeyboardInterrupt:
                stop.requested = True
        if stop.requested:
            if not self.study.records:
                raise KeyboardInterrupt
            return "stopped"
        if self._idle >= _MOST_IDLE:
            return "nothing new within the budget is left to try"
        if self.plan.trials is not None and len(self.study.records) >= self.plan.trials:
            return f"all {self.plan.trials} trials are done"
        return "the time is spent"

    def _check_budget(self) -> None:
        """Refuse a budget that nothing meets before anything is trained."""
        if not self.plan.limits:
            return
        missed = ""
        for numbers in cheapest(self.study.space):
            cost = self._measure(numbers)
            if not (missed := self.plan.limits.missed(cost)):
                return
        raise ConfigurationError(
            f"no configuration is within the budget: even the smallest network that would be tried costs {missed}"
        )

    def _measure(self, numbers: dict[str, int]) -> Cost:
        config = with_values(self.config, values_of(self.study.space, numbers))
        material = self.trainer.material(config)
        return self.trainer.cost(self.trainer.begin(config, material), config, material)

    def _try_more(self, stop: Stop) -> bool:
        """Try configurations while there is time for them; returns whether any was."""
        before = len(self.study.records)
        while not stop.requested and self._idle < _MOST_IDLE:
            records = self.study.records
            if self.plan.trials is not None and len(records) >= self.plan.trials:
                break
            if records and self.left() - self._needed(self._lacking()) < self._expected():
                break
            if not records and self.left() <= 0:
                raise TrainingError(self._too_short())
            trial = self.study.ask(self._idea())
            numbers = numbers_of(trial)
            if self.study.known(numbers):
                self.study.drop(trial)
                self._idle += 1
                continue
            try:
                record, answers = self._try(trial, numbers, stop)
            except TimeUpError:
                self.study.requeue(trial)
                self.show.say(f"trial {len(records)}: the time was over before its end; it does not count")
                break
            except BaseException:  # Ctrl-C, too: the next command tries it again
                self.study.requeue(trial)
                raise
            finally:
                self.show.end()
            self._idle = self._idle + 1 if record.status == "over budget" else 0
            self.study.finish(trial, record, answers)
            self._tell(record)
        return len(self.study.records) > before

    def _idea(self) -> dict[str, int] | None:
        """Return what to try next, None for whatever Optuna proposes."""
        records, space = self.study.records, self.study.space
        if not records:
            return start_of(space)
        if len(records) == 1 and not records[0].within:
            # something within the budget, whatever else comes
            return next(
                (numbers for numbers in cheapest(space) if not self.plan.limits.missed(self._measure(numbers))), None
            )
        if len(records) >= STARTUP:
            return None
        # near a start that is over the budget most others are so, too
        found = [] if records[0].within else contenders(records, self.plan.metric)
        return neighbour(space, (found or records)[0].numbers, self._random)

    def _try(self, trial: optuna.Trial, numbers: dict[str, int], stop: Stop) -> tuple[Record, Answers | None]:
        """Measure and train one configuration; what is cut short raises."""
        started, number = self._clock(), len(self.study.records)
        values = values_of(self.study.space, numbers)
        record = Record(number, numbers, values, "failed")
        watch = self._watch(trial)
        answers = None
        self.show.begin(f"trial {number}", self.left())
        try:
            config = with_values(self.config, values)
            material = self.trainer.material(config)
            start = self.trainer.begin(config, material)
            cost = self.trainer.cost(start, config, material)
            over = self.plan.limits.missed(cost)
            record = replace(record, cost=cost, within=not over, note=over)
            if over and number:
                record = replace(record, status="over budget")
            else:
                run, answers = self.trainer.train(start, config, material, watch.of)
                if stop.requested:
                    raise KeyboardInterrupt
                record = replace(record, status="trained", runs=[run])
        except PrunedError:
            record = replace(record, status="pruned", reached=watch.reached, note=f"after epoch {watch.now}")
        except TimeUpError:
            if number:
                raise
            raise TrainingError(self._too_short(watch)) from None
        except SortgateError as error:
            if not number:
                raise
            record = replace(record, note=str(error))
        return replace(record, seconds=self._clock() - started), answers

    def _too_short(self, watch: Watch | None = None) -> str:
        told = (
            f"the start's training was at epoch {watch.now} of {watch.epochs}"
            if watch and watch.now
            else "no start yet"
        )
        return f"--minutes {self.plan.seconds / 60:g} is too short: {told}; the same command with more goes on"

    def _expected(self) -> float:
        """Return the seconds that one more trial takes if it is not pruned."""
        return statistics.median(record.runs[0].seconds for record in self.study.records if record.runs)

    def _lacking(self) -> list[Record]:
        """Return what is to be trained with a second seed before a winner is named, as far as time goes.

        That is the best ones and the start, where anything is better than the start.
        """
        records = self.study.records
        found = contenders(records, self.plan.metric)
        for count in range(min(FINALISTS, len(found)), 0, -1):
            lacking = [record for record in (records[0], *found[:count]) if len(record.runs) < 2]
            if self._needed(lacking) <= min(_FINAL_SHARE * self.plan.seconds, self.left()):
                return lacking
        return []

    def _needed(self, lacking: list[Record]) -> float:
        return _SLACK * sum(record.runs[0].seconds for record in lacking)

    def _confirm(self, stop: Stop) -> bool:
        """Train the best and the start with a second seed; returns whether any was."""
        done = False
        for record in self._lacking():
            if stop.requested:
                break
            self.show.begin(f"trial {record.number}, second seed", self.left())
            try:
                again, answers = self._again(record, stop)
            except (TimeUpError, TrainingError) as error:
                why = "the time was over before its end" if isinstance(error, TimeUpError) else str(error)
                self.show.say(f"trial {record.number}, second seed: {why}")
                break
            finally:
                self.show.end()
            self.study.keep(again, answers)
            self._tell(again)
            done = True
        return done

    def _again(self, record: Record, stop: Stop) -> tuple[Record, Answers]:
        started = self._clock()
        config = replace(with_values(self.config, record.values), seed=self.config.seed + 1)
        material = self.trainer.material(config)
        run, answers = self.trainer.train(self.trainer.begin(config, material), config, material, self._watch().of)
        if stop.requested:
            raise KeyboardInterrupt
        seconds = record.seconds + self._clock() - started
        return replace(record, runs=[*record.runs, run], seconds=seconds), answers

    def _watch(self, trial: optuna.Trial | None = None) -> Watch:
        return Watch(self.left, self.show, self.plan.metric, trial)

    def conclude(self) -> Conclusion:
        """Return what the study has come to.

        Raises:
            TrainingError: the start is over the budget, and nothing within it was trained.
        """
        (targets, labels), metric = self.trainer.truth(self.config), self.plan.metric

        def compare(first: Record, second: Record, seeds: int) -> Interval:
            key = (first.number, second.number, seeds)
            if key not in self._compared:
                one, other = (self.study.answers(record)[:seeds] for record in (first, second))
                self._compared[key] = difference(metric, targets, labels, one, other)
            return self._compared[key]

        return conclude(self.study.records, metric, len(targets), compare)

    def _tell(self, record: Record) -> None:
        best = max(
            (other for other in self.study.records if other.within and other.runs),
            key=lambda other: other.rank(self.plan.metric),
            default=None,
        )
        self.show.record(record, best, self.left())
        self._done()
