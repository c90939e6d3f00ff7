"""Training speed beside the textbook loop: texts a second, on two threads, both on the same texts and network.

The yardstick is what tutorials show: shuffled batches of 64, ``pack_padded_sequence``, one bidirectional LSTM, maximum
and mean over time, Adam over all weights. Ours is the loop of ``sortgate train`` with everything that it does besides:
clipping, averaging of weights, a schedule, dropout, vectors of character n-grams, and a perturbation in every second
step. ``--adversarial 0`` leaves out the last, ``--same-network`` the last two. Passes alternate, and the medians of
their ratios and speeds count. Texts are split by the seed; both are judged on the same held-out tenth. Ours is judged
by its network alone.

Usage: python benchmarks/training/run.py DATA [--texts 8000] [--rounds 3] [--adversarial 0.4] [--same-network]
       [--threads 2] [--vocabulary SIZE …] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sortgate.encoded import Encoded
from sortgate.plugins import create_registry
from sortgate.textpath import TextPath
from sortgate.vocabulary import Vocabulary
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import EncodedTexts, TrainingBatches
from sortgate_training.config import TrainingConfig
from sortgate_training.data import read_corpus
from sortgate_training.datafiles import find_files
from sortgate_training.logits import torch_logits
from sortgate_training.model import RecurrentClassifier
from sortgate_training.objective import Optimizer, create_schedule
from sortgate_training.parallel import SideBySide, set_threads
from sortgate_training.step import Step

CONFIG = TrainingConfig()


class Textbook(nn.Module):
    """The yardstick's network."""

    def __init__(self, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 128, padding_idx=0)
        self.lstm = nn.LSTM(128, 64, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(256, labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits ``[batch, labels]`` for ids ``[batch, time]``."""
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        outside = (torch.arange(states.shape[1]) >= lengths.unsqueeze(1)).unsqueeze(2)
        largest = states.masked_fill(outside, float("-inf")).amax(dim=1)
        mean = states.sum(dim=1) / lengths.unsqueeze(1)
        return self.output(self.dropout(torch.cat([largest, mean], dim=1)))


class TextbookRun:
    """Passes of the yardstick."""

    def __init__(self, texts: EncodedTexts, vocabulary: int, labels: int) -> None:
        torch.manual_seed(0)
        self.texts = texts
        self.module = Textbook(vocabulary, labels)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-3)
        self.loss = nn.CrossEntropyLoss()
        self.generator = np.random.default_rng(0)

    def one_pass(self) -> None:
        """Learn from all texts once."""
        self.module.train()
        order = self.generator.permutation(len(self.texts))
        for start in range(0, len(order), 64):
            batch = self.texts.batch(order[start : start + 64])
            self.optimizer.zero_grad()
            self.loss(self.module(batch.ids, batch.lengths), batch.targets).backward()
            self.optimizer.step()


class OurRun:
    """Passes of ``sortgate train``."""

    def __init__(
        self, texts: EncodedTexts, size: int, tokens: Vocabulary | None, labels: int, passes: int, adversarial: float
    ) -> None:
        torch.manual_seed(0)
        self.adversarial = adversarial
        model = msgspec.structs.replace(CONFIG.model, characters=tokens is not None)
        self.module = RecurrentClassifier(model, size, labels, tokens)
        bounds = {"batch_size": CONFIG.batch_size, "batch_tokens": CONFIG.batch_tokens}
        self.batches = TrainingBatches(texts, seed=0, **bounds)
        self.average = WeightAverage(self.module, CONFIG.optimizer.averaging)
        factor = create_schedule(CONFIG.schedule, passes * len(self.batches))
        self.parts = (nn.CrossEntropyLoss(), Optimizer(CONFIG.optimizer, self.module), factor, self.average)
        self.done = 0

    def one_pass(self) -> None:
        """Learn from all texts once."""
        self.module.train()
        with SideBySide() as sides:
            step = Step(self.module, *self.parts, sides=sides, adversarial=self.adversarial)
            step.done = self.done
            for batch in self.batches:
                step(batch, 1)
        self.done = step.done


def accuracy(module: nn.Module, texts: EncodedTexts) -> float:
    """Return the share of right answers."""
    return float((torch_logits(module, texts).argmax(axis=1) == texts.targets).mean())


def read(data: Path, count: int) -> tuple[EncodedTexts, EncodedTexts, Vocabulary, int]:
    """Return texts to learn from and to judge on, the vocabulary and the count of labels."""
    corpus = read_corpus(find_files([data]).train)
    chosen = np.random.default_rng(0).permutation(len(corpus))[: round(count / 0.9)]
    corpus = corpus.select([int(row) for row in chosen], corpus.source)
    path = TextPath.create(CONFIG.text, create_registry(), CONFIG.limits)
    path.fit(corpus.texts, min_count=CONFIG.vocabulary.min_count, max_size=CONFIG.vocabulary.max_size)
    number = {label: index for index, label in enumerate(sorted(set(corpus.labels)))}
    rows = [
        (item.ids, number[label])
        for item, label in zip(path.encode(corpus.texts), corpus.labels, strict=True)
        if isinstance(item, Encoded)
    ]
    cut = round(len(rows) * 0.9)
    parts = [EncodedTexts([ids for ids, _ in part], [label for _, label in part]) for part in (rows[:cut], rows[cut:])]
    assert path.vocabulary is not None
    return parts[0], parts[1], path.vocabulary, len(number)


def compare(
    data: tuple[EncodedTexts, EncodedTexts, Vocabulary | None, int],
    size: int,
    rounds: int,
    threads: int,
    adversarial: float,
) -> dict[str, Any]:
    """Alternate passes of both; returns the figures."""
    learned, judged, tokens, labels = data
    ours, theirs = OurRun(learned, size, tokens, labels, rounds, adversarial), TextbookRun(learned, size, labels)
    seconds: dict[str, list[float]] = {"ours": [], "textbook": []}
    for _ in range(rounds):
        for name, run in (("textbook", theirs), ("ours", ours)):
            (torch.set_num_threads if run is theirs else set_threads)(threads)
            started = time.perf_counter()
            run.one_pass()
            seconds[name].append(time.perf_counter() - started)
    with ours.average.applied():
        right = accuracy(ours.module, judged)
    ratios = [slow / fast for slow, fast in zip(seconds["textbook"], seconds["ours"], strict=True)]
    return {
        "vocabulary": size,
        "characters": tokens is not None,
        "adversarial": adversarial,
        "texts": len(learned),
        "mean_tokens": round(float(learned.lengths.mean()), 1),
        "texts_per_s": {name: round(len(learned) / statistics.median(values)) for name, values in seconds.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "steps_per_s": round(len(ours.batches) / statistics.median(seconds["ours"]), 1),
        "validation_accuracy": {"ours": round(right, 4), "textbook": round(accuracy(theirs.module, judged), 4)},
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="file or folder with labelled texts, as for sortgate train")
    parser.add_argument("--texts", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=3, help="passes over the texts of each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--adversarial", type=float, default=CONFIG.loss.adversarial, help="loss.adversarial of ours")
    parser.add_argument("--same-network", action="store_true", help="ours without vectors of character n-grams, too")
    parser.add_argument("--vocabulary", type=int, nargs="*", help="rows of the embedding, at least the vocabulary's")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    learned, judged, tokens, labels = read(arguments.data, arguments.texts)
    sizes = [max(size, len(tokens)) for size in arguments.vocabulary or [0]]
    same, adversarial = arguments.same_network, 0.0 if arguments.same_network else arguments.adversarial
    data = (learned, judged, None if same else tokens, labels)
    results = [compare(data, size, arguments.rounds, arguments.threads, adversarial) for size in sizes]
    if arguments.json:
        print(json.dumps({"data": arguments.data.name, "threads": arguments.threads, "results": results}))
        return
    for result in results:
        speeds, rates = result["texts_per_s"], result["validation_accuracy"]
        print(
            f"vocabulary {result['vocabulary']:,}, {result['texts']:,} texts of {result['mean_tokens']} tokens: "
            f"ours {speeds['ours']:,} texts/s, textbook {speeds['textbook']:,} texts/s, ratio {result['ratio']} "
            f"(validation accuracy {rates['ours']:.4f} and {rates['textbook']:.4f}; {result['steps_per_s']} steps/s)"
        )


if __name__ == "__main__":
    main()
