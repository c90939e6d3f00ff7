"""Texts that occur more than once: within a part, under several labels, and on both sides of a split."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sortgate_training.checks.findings import MOST_EXAMPLES, Finding, count_of
from sortgate_training.checks.parts import Part

_DIGITS = re.compile(r"\d+")
_PUNCTUATION = re.compile(r"[\W_]+")

#: Share of near-duplicates from which they are worth a warning, since a split leaves some on both sides.
MANY = 0.02


def normalised(text: str) -> str:
    """Return the text without its case, digits, punctuation and spacing; the text itself when nothing else is there."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _PUNCTUATION.sub(" ", _DIGITS.sub("0", plain)).strip() or text


def find_empty(part: Part) -> Iterator[Finding]:
    """Rows that training drops."""
    for rows, what in ((part.empty, "text"), (part.unlabelled, "label")):
        if rows:
            shown = ", ".join(map(str, rows[:MOST_EXAMPLES])) + (", …" if len(rows) > MOST_EXAMPLES else "")
            yield Finding(
                "warning", "empty", part.name, len(rows),
                f"{count_of(len(rows), 'row has', 'rows have')} no {what} (row {shown})",
                f"training drops them; fill in the {what} or delete the rows",
            )  # fmt: skip


def find_repeats(part: Part) -> Iterator[Finding]:
    """Exact duplicates, texts under several labels, and the same for texts that differ in trifles only."""
    rows_of = _groups(part.texts)
    repeated = [rows for rows in rows_of.values() if len(rows) > 1]
    torn = [rows for rows in repeated if len({part.labels[row] for row in rows}) > 1]
    extra = sum(len(rows) - len({part.labels[row] for row in rows}) for rows in repeated)
    if extra:
        alike = [rows for rows in repeated if len(rows) > len({part.labels[row] for row in rows})]
        yield Finding(
            "note", "duplicates", part.name, extra,
            f"{count_of(extra, 'row repeats', 'rows repeat')} an earlier text with the same "
            + ("label" if part.sets is None else "labels"),
            "a split keeps equal texts on one side; delete them where they are an accident of the export",
            [part.example(*rows[:4]) for rows in alike[:MOST_EXAMPLES]],
        )  # fmt: skip
    if torn:
        yield _contradictions(part, torn, "the same text has different labels")
    near = [rows for rows in _groups([normalised(text) for text in rows_of]).values() if len(rows) > 1]
    if not near:
        return
    firsts = list(rows_of.values())  # a distinct text's rows
    merged = [[row for text in texts for row in firsts[text]] for texts in near]
    count = sum(len(texts) - 1 for texts in near)
    yield Finding(
        "warning" if count >= MANY * len(part) else "note", "near-duplicates", part.name, count,
        f"{count_of(count, 'text differs', 'texts differ')} from an earlier one in case, digits or punctuation only",
        "a split may leave such pairs on both sides and so flatter the figures; keep one of each, or give test texts "
        "of another time or source as a file",
        [part.example(*(firsts[text][0] for text in texts[:4])) for texts in near[:MOST_EXAMPLES]],
    )  # fmt: skip
    exact = {tuple(rows) for rows in torn}
    near_torn = [
        rows for rows in merged if len({part.labels[row] for row in rows}) > 1 and not _within(rows, firsts, exact)
    ]
    if near_torn:
        yield _contradictions(part, near_torn, "texts that differ in trifles only have different labels")


def _within(rows: list[int], firsts: list[list[int]], torn: set[tuple[int, ...]]) -> bool:
    """Whether the labels of a group differ within one exact text already."""
    inside = set(rows)
    return any(tuple(group) in torn for group in firsts if group[0] in inside) if torn else False


def _contradictions(part: Part, groups: list[list[int]], what: str) -> Finding:
    examples = []
    for rows in groups[:MOST_EXAMPLES]:
        first = {part.labels[row]: row for row in reversed(rows)}
        chosen = sorted(first.values())[:4]
        examples.append(part.example(*chosen, detail=" ≠ ".join(part.labels[row] for row in chosen)))
    return Finding(
        "warning", "contradictions", part.name, len(groups),
        f"{count_of(len(groups), 'time')} {what}",
        "no classifier can get both right: "
        + ("decide on one label" if part.sets is None else "decide which labels it has")
        + ", or merge labels that people cannot tell apart",
        examples,
    )  # fmt: skip


def find_leakage(train: Part, other: Part) -> Iterator[Finding]:
    """Texts of ``other`` that were learned from, as they are and but for trifles."""
    exact, near = _groups(train.texts), _groups([normalised(text) for text in train.texts])
    shared = [row for row, text in enumerate(other.texts) if text in exact]
    close = [row for row, text in enumerate(other.texts) if text not in exact and normalised(text) in near]
    for rows, known, key, how in (
        (shared, exact, str, "also occur in the training texts"),
        (close, near, normalised, "occur in the training texts but for case, digits or punctuation"),
    ):
        if not rows:
            continue
        yield Finding(
            "warning", "leakage", other.name, len(rows),
            f"{len(rows):,} of {count_of(len(other), 'text')} ({len(rows) / len(other):.1%}) {how}",
            f"figures on the {other.name} texts look better than they are; delete these texts from one of the files",
            [
                other.example(row, detail=f"{train.name} row {train.numbers[known[key(other.texts[row])][0]]}")
                for row in rows[:MOST_EXAMPLES]
            ],
        )  # fmt: skip


def _groups(texts: Sequence[str] | dict[str, list[int]]) -> dict[str, list[int]]:
    """Return the positions of each distinct text, in the order of the first."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        groups[text].append(row)
    return groups
