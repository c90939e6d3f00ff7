"""What is learned from: labelled texts of files, cleaned, with everything that was left out counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sortgate.errors import DataError
from sortgate_training.labelling import LabelSet, is_multi_label, label_set, listed, separator_note
from sortgate_training.readers import Label, read_rows, read_texts
from sortgate_training.readers.files import sha256_of


@dataclass(frozen=True)
class Corpus:
    """Labelled texts, in the order of the files.

    Attributes:
        labels: each text's label; empty where texts have sets of labels.
        source: what the texts were read from, for messages and the manifest; never a whole path.
        facts: counts of what was found, for the manifest.
        notes: the same in sentences, where a reader should know.
        sets: multi-label only: each text's labels, sorted.
    """

    texts: list[str]
    labels: list[str]
    source: str
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sets: list[LabelSet] | None = None

    def __len__(self) -> int:
        """Count of texts."""
        return len(self.texts)

    @property
    def task(self) -> Literal["single_label", "multi_label"]:
        """One label a text, or any number of them."""
        return "single_label" if self.sets is None else "multi_label"

    @property
    def label_sets(self) -> list[LabelSet]:
        """Each text's labels, whichever the task is."""
        return [(label,) for label in self.labels] if self.sets is None else self.sets

    def counts(self) -> Counter[str]:
        """Return how many texts have each label."""
        return Counter(label for labels in self.label_sets for label in labels)

    def select(self, rows: Sequence[int], source: str) -> Corpus:
        """Return some of the texts as a corpus of their own."""
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            labels=[self.labels[row] for row in rows] if self.sets is None else [],
            sets=None if self.sets is None else [self.sets[row] for row in rows],
            source=source,
            notes=self.notes if source == self.source else [],
        )

    def as_task_of(self, learned: str, task: str) -> Corpus:
        """Return the corpus as one of ``task``; one label is a set of one.

        Raises:
            DataError: it has sets of labels where ``learned`` has one label a text.
        """
        if self.task == task:
            return self
        if self.sets is not None:
            raise DataError(f"{self.source}: several labels a text, where {learned} has one; see --label-separator")
        return replace(self, labels=[], sets=self.label_sets)


def read_corpus(
    paths: Path | Sequence[Path],
    text_column: str | None = None,
    label_column: str | None = None,
    label_separator: str | None = None,
) -> Corpus:
    """Read files as one corpus; rows without a text or a label are dropped, counted and said, duplicates counted.

    The texts have sets of labels when ``label_separator``, which stands between labels, is given, or when a file holds
    lists of labels.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`; or no row is left, or the separator is empty.
    """
    if label_separator == "":
        raise DataError("--label-separator: what stands between labels must not be empty")
    files = [paths] if isinstance(paths, Path) else list(paths)
    texts: list[str] = []
    labels: list[Label] = []
    notes: list[str] = []
    read: list[dict[str, Any]] = []
    for path in files:
        rows, said = read_rows(path, text_column, label_column)
        texts.extend(text for text, _ in rows)
        labels.extend(label for _, label in rows)
        notes += said
        read.append({"file": source_of([path]), "sha256": sha256_of(path), "rows": len(rows)})
    corpus = _settle(texts, labels, label_separator, source_of(files))
    if not corpus.texts:
        raise DataError(f"{files[0]}: no labelled text in it ({len(texts)} rows, all without a text or a label)")
    facts = {**(read[0] if len(read) == 1 else {"files": read, "rows": len(texts)}), **corpus.facts}
    return replace(corpus, facts=facts, notes=notes + corpus.notes)


def read_unlabelled(paths: Sequence[Path], text_column: str | None = None) -> Corpus:
    """Read texts without labels: a corpus in which each text has the empty set; empty and repeated ones are dropped.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_texts`; or no text is left.
    """
    texts: list[str] = []
    read: list[dict[str, Any]] = []
    for path in paths:
        found = read_texts(path, text_column)
        texts += found
        read.append({"file": source_of([path]), "sha256": sha256_of(path), "rows": len(found)})
    source = source_of(paths)
    kept = list(dict.fromkeys(text for text in texts if text.strip()))
    if not kept:
        raise DataError(f"{paths[0]}: no text in it ({len(texts)} rows, all empty)")
    dropped = len(texts) - len(kept)
    notes = [f"{source}: {dropped} of {len(texts)} rows have no text, or one that was there before: dropped"]
    facts = read[0] if len(read) == 1 else {"files": read, "rows": len(texts)}
    return Corpus(kept, [], source, facts, notes if dropped else [], [()] * len(kept))


def source_of(paths: Sequence[Path]) -> str:
    """Return the name of the first file, and how many more there are; never a whole path."""
    # a file's name may be any bytes, the manifest's may not
    name = paths[0].name.encode("utf-8", "replace").decode()
    return name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _settle(texts: list[str], labels: list[Label], separator: str | None, source: str) -> Corpus:
    """Decide the task, drop what cannot be learned from, and count."""
    multi = is_multi_label(labels, separator)
    cleaned: dict[Label, LabelSet | str | None] = {
        label: label_set(label, separator) if multi else str(label).strip() or None for label in set(labels)
    }
    kept = [row for row, text in enumerate(texts) if text.strip() and cleaned[labels[row]] is not None]
    empty = sum(not text.strip() for text in texts)
    unlabelled = len(texts) - len(kept) - empty
    answers: list[Any] = [cleaned[labels[row]] for row in kept]
    kept_texts = [texts[row] for row in kept]
    duplicates, contradictory = _repeated(zip(kept_texts, answers, strict=True))
    without = sum(not answer for answer in answers)
    sentences = [
        (empty, f"{empty} of {len(texts)} rows have no text: dropped"),
        (unlabelled, f"{unlabelled} of {len(texts)} rows have no label: dropped"),
        (without, f"{without} of {len(texts)} texts have an empty set of labels: learned as such"),
        (duplicates, f"{duplicates} rows repeat an earlier row"),
        (contradictory, f"{contradictory} texts occur with different labels"),
    ]
    notes = [f"{source}: {sentence}" for count, sentence in sentences if count]
    facts: dict[str, Any] = {
        "empty": empty,
        "unlabelled": unlabelled,
        "duplicates": duplicates,
        "contradictory": contradictory,
    }
    if not multi:
        suggestion = separator_note(source, answers)
        return Corpus(kept_texts, answers, source, facts, notes + ([suggestion] if suggestion else []))
    if separator is not None:
        facts["label_separator"] = separator
    return Corpus(kept_texts, [], source, facts, notes, answers)


def check_learnable(corpus: Corpus) -> list[str]:
    """Return the labels, sorted.

    Raises:
        DataError: nothing to tell apart, or a label with a single text, which could be learned or judged but not both.
    """
    distinct = dict(zip(corpus.texts, corpus.label_sets, strict=True)).items() if corpus.sets else None
    pairs = {(text, name) for text, names in zip(corpus.texts, corpus.label_sets, strict=True) for name in names}
    counts = Counter(name for _, name in pairs)
    if not counts:
        raise DataError(f"{corpus.source}: no text has a label")
    if len(counts) < 2 and (distinct is None or counts.total() == len(distinct)):
        raise DataError(f"{corpus.source}: only one label, {min(counts)!r}; there is nothing to tell apart")
    alone = sorted(label for label, count in counts.items() if count == 1)
    if alone:
        which = "label" if len(alone) == 1 else f"{len(alone)} labels:"
        raise DataError(
            f"{corpus.source}: one example only for {which} {listed(alone)}; add examples, or drop or merge such labels"
        )
    return sorted(counts)


def overlap_note(train: Corpus, other: Corpus) -> str | None:
    """Say how many texts of ``other`` were also learned from: they make its figures look better than they are."""
    known = set(train.texts)
    shared = sum(text in known for text in other.texts)
    return f"{other.source}: {shared} of {len(other)} texts also occur in {train.source}" if shared else None


def foreign_note(train: Corpus, other: Corpus) -> str | None:
    """Say which labels of ``other`` cannot be learned from ``train``.

    Raises:
        DataError: all of them.
    """
    known = train.counts().keys()
    foreign = [[label for label in labels if label not in known] for labels in other.label_sets]
    texts = sum(bool(labels) for labels in foreign)
    if not texts:
        return None
    names = listed(sorted({label for labels in foreign for label in labels}))
    if not known & other.counts().keys():
        raise DataError(f"{other.source}: none of its labels ({names}) occurs in {train.source}")
    return f"{other.source}: {texts} texts have labels that {train.source} lacks ({names}): they count as wrong"


def _repeated(rows: Iterable[tuple[str, Any]]) -> tuple[int, int]:
    """Return how many rows repeat an earlier one, and how many texts have several labels or sets."""
    answers: dict[str, set[Any]] = {}
    duplicates = 0
    for text, answer in rows:
        known = answers.setdefault(text, set())
        duplicates += answer in known
        known.add(answer)
    return duplicates, sum(len(known) > 1 for known in answers.values())
