"""The table, the frontier and the file that a search leaves."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from sortgate_training.data import Corpus
from sortgate_training.history import Judgement
from sortgate_training.loading import load_config
from sortgate_training.tuning.conclusion import Conclusion
from sortgate_training.tuning.cost import Cost
from sortgate_training.tuning.record import Record, Run
from sortgate_training.tuning.results import frontier, render_best, render_table, rows
from sortgate_training.tuning.space import search_space, with_values

CORPUS = Corpus(["x"] * 10, ["a", "b"] * 5, "x.csv", Path("x.csv"), 0)


def record(number: int, figures: list[float], ms: float, size: int, **more: Any) -> Record:
    runs = [Run(seed, Judgement(1 - figure, figure, figure), 3, 1.0) for seed, figure in enumerate(figures)]
    return Record(number, {}, more.pop("values", {}), more.pop("status", "trained"), Cost(ms, size), runs=runs, **more)


def test_the_frontier_has_what_nothing_beats_at_once() -> None:
    records = [
        record(0, [0.90, 0.92], 0.10, 1000),
        record(1, [0.95], 0.20, 2000),
        record(2, [0.94], 0.21, 2000),  # like 1 but for noise, and worse
        record(3, [0.80], 0.05, 1000),
        record(4, [0.90], 0.10, 500),
        record(5, [0.85], 0.10, 1000),
        record(7, [0.95], 0.20, 9000),  # as good as 1, and dearer
        record(6, [], 0.01, 1, status="over budget"),
    ]
    assert [found.number for found in frontier(records, "accuracy")] == [1, 0, 4, 3]
    assert [found.number for found in frontier(records, "loss")] == [1, 0, 4, 3]
    assert rows(records, "accuracy")[0] == (0, "0.9100", 2, "0.100", "0.00", "the start")


def test_the_file_is_the_configuration_whatever_it_holds(tmp_path: Path) -> None:
    start = load_config(
        assignments=[
            "preset=fast",
            "loss.class_weights={'label \"a\"' = 2.0}",
            "text.tokenizer={name = 'sortgate.bpe.v1', params = {vocab_size = 300}}",
            "text.normalizers=['sortgate.nfkc.v1']",
            "model.layers=2",
        ]
    )
    values = {"model.hidden": 96, "optimizer.learning_rate": 0.0014, "ngrams.enabled": False}
    found = Conclusion(record(3, [0.9], 0.1, 5, values=values), None, None, None, False, 1, ["a\nline"])
    text = render_best(start, found, "macro_f1", "sortgate train x.csv")
    (tmp_path / "best.toml").write_text(text, encoding="utf-8")
    assert "found by the search, which was started with 32 (default: 32)" in text
    assert "# sortgate train x.csv" in text
    assert load_config(tmp_path / "best.toml") == with_values(start, values)


def test_the_table_has_every_trial_and_every_key() -> None:
    config = load_config()
    space = search_space(config, CORPUS)
    records = [
        record(0, [0.5], 0.1, 10),
        record(1, [], 1.0, 99, values={"model.hidden": 256}, status="over budget", note="1 > 0.5"),
    ]
    lines = list(csv.DictReader(render_table(config, space, records).splitlines()))
    assert [line["status"] for line in lines] == ["trained", "over budget"]
    assert [line["macro_f1"] for line in lines] == ["0.5", ""]
    assert [line["model.hidden"] for line in lines] == ["64", "256"]
    assert {dimension.key for dimension in space} <= lines[0].keys()
