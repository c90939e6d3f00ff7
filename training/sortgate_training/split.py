"""Divides a corpus into training, validation and test texts: by label, by seed, and never one text on two sides."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sortgate_training.config import SplitConfig
from sortgate_training.data import Corpus, check_learnable, foreign_note, overlap_note


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, ascending."""

    train: list[int]
    validation: list[int]
    test: list[int]


@dataclass(frozen=True)
class Parts:
    """The texts of a run; ``test`` may be empty."""

    train: Corpus
    validation: Corpus
    test: Corpus

    def items(self) -> Iterator[tuple[str, Corpus]]:
        """Name and texts of each part."""
        yield from (("train", self.train), ("validation", self.validation), ("test", self.test))

    def together(self) -> Corpus:
        """Return training texts and :meth:`further` ones as one corpus, to learn from when all is chosen."""
        train, more = self.train, self.further()
        return replace(
            train,
            texts=train.texts + more.texts,
            labels=train.labels + more.labels,
            sets=None if train.sets is None or more.sets is None else train.sets + more.sets,
            source=f"{train.source} and {more.source}",
        )

    def further(self) -> Corpus:
        """Return the validation texts that may be learned from.

        Those with a label that no training text has are left out, and so are those that are test texts too: figures of
        the test texts would be of texts learned from.
        """
        validation, known, judged = self.validation, self.train.counts().keys(), set(self.test.texts)
        kept = [
            row
            for row, (text, names) in enumerate(zip(validation.texts, validation.label_sets, strict=True))
            if text not in judged and known >= set(names)
        ]
        return validation.select(kept, validation.source)

    def shared(self) -> int:
        """Return how many validation texts are test texts too."""
        judged = set(self.test.texts)
        return sum(text in judged for text in self.validation.texts)


def divide(
    train: Corpus,
    validation: Corpus | None,
    test: Corpus | None,
    config: SplitConfig,
    seed: int,
    say: Callable[[str], None],
) -> Parts:
    """Return the parts of a run: those given, and those split off ``train`` for them.

    Raises:
        DataError: nothing can be learned from these texts.
    """
    check_learnable(train)
    validation, test = (given and given.as_task_of(train.source, train.task) for given in (validation, test))
    shares = (0.0 if validation else config.validation, 0.0 if test else config.test)
    for given in (validation, test):
        notes = (foreign_note(train, given), overlap_note(train, given)) if given else ()
        for note in notes:
            if note:
                say(note)
    rows = stratified_split(train, validation=shares[0], test=shares[1], seed=seed)
    return Parts(
        train.select(rows.train, train.source),
        validation or train.select(rows.validation, f"validation part of {train.source}"),
        test or train.select(rows.test, f"test part of {train.source}"),
    )


def stratified_split(corpus: Corpus, *, validation: float, test: float, seed: int) -> Split:
    """Divide the rows so that every label has about the same share in each part.

    A text that occurs several times goes to one part with all its rows, under its most frequent label. A label's first
    text stays in training, the second goes to validation, the third to test, whatever the shares are. Where texts have
    sets of labels, a text goes under its rarest one: that evens out the others too (Sechidis et al. 2011).

    Args:
        corpus: at least two distinct texts a label (:func:`sortgate_training.data.check_learnable`).
        validation: share of the texts, 0 for no such part.
        test: likewise.
        seed: the same seed divides the same corpus in the same way.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(corpus.texts):
        rows_of[text].append(row)
    labels = corpus.labels if corpus.sets is None else _rarest(corpus)
    texts_of: dict[str, list[str]] = defaultdict(list)
    for text, rows in rows_of.items():
        texts_of[Counter(labels[row] for row in rows).most_common(1)[0][0]].append(text)
    generator = random.Random(seed)  # noqa: S311 - no secret
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in sorted(texts_of):
        texts = texts_of[label]
        generator.shuffle(texts)
        count = len(texts)
        for_validation = min(max(round(count * validation), 1), count - 1) if validation and count > 1 else 0
        left = count - for_validation
        for_test = min(max(round(count * test), 1), left - 1) if test and left > 1 else 0
        for index, text in enumerate(texts):
            part = 1 if index < for_validation else 2 if index < for_validation + for_test else 0
            parts[part].extend(rows_of[text])
    if corpus.sets is not None:
        _mend(parts, rows_of, corpus)
    train, held_out, judged = (sorted(part) for part in parts)
    return Split(train, held_out, judged)


def _rarest(corpus: Corpus) -> list[str]:
    """Return each text's rarest label; the empty string, which is no label, for an empty set."""
    counts = corpus.counts()
    return [min(labels, key=lambda label: (counts[label], label), default="") for labels in corpus.label_sets]


def _mend(parts: tuple[list[int], list[int], list[int]], rows_of: dict[str, list[int]], corpus: Corpus) -> None:
    """Move a text into training for each label of which all texts went elsewhere, under rarer labels."""
    train, *others = parts
    learned = {label for row in train for label in corpus.label_sets[row]}
    for label in sorted(corpus.counts().keys() - learned):
        part = next(part for part in others if any(label in corpus.label_sets[row] for row in part))
        text = next(corpus.texts[row] for row in part if label in corpus.label_sets[row])
        part[:] = [row for row in part if corpus.texts[row] != text]
        train.extend(rows_of[text])
