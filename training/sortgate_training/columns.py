"""Which column holds the text and which the label: as named, by usual names, or found from the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sortgate.errors import DataError

#: Usual names, most likely first, compared without regard to case.
TEXT_NAMES = (
    "text", "texts", "sentence", "message", "content", "body", "document", "review", "comment", "tweet", "utterance",
    "question", "query", "sms", "description", "headline", "title", "subject", "input",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "category", "target", "intent", "topic", "sentiment", "tag", "type", "group", "y",
)  # fmt: skip


@dataclass(frozen=True)
class TextAndLabel:
    """Names of the two columns."""

    text: str
    label: str


@dataclass(frozen=True)
class Columns:
    """Positions of the two columns; ``header`` is False when the first row is data already."""

    text: int
    label: int
    header: bool = True
    notes: list[str] = field(default_factory=list)


def choose_names(path: Path, names: Sequence[str], text: str | None, label: str | None) -> TextAndLabel:
    """Choose among ``names``.

    Raises:
        DataError: a column that was asked for is not there or there twice, one was asked for as both, or none can be
            told to be the one; says which exist.
    """
    for wanted, option in ((text, "--text-column"), (label, "--label-column")):
        if wanted is not None and wanted not in names:
            raise DataError(f"{path}: no column {wanted!r} ({option}); there are {_listed(names)}")
    if text is not None and text == label:
        raise DataError(
            f"{path}: --text-column and --label-column name the same column, {text!r}; there are {_listed(names)}"
        )
    text = text or _usual(names, TEXT_NAMES, label)
    label = label or _usual(names, LABEL_NAMES, text)
    if len(names) == 2:
        text = text or next((name for name in names if name != label), None) if label else text
        label = label or next((name for name in names if name != text), None) if text else label
    if text is None or label is None:
        missing = [option for option, name in (("--text-column", text), ("--label-column", label)) if name is None]
        raise DataError(
            f"{path}: cannot tell which column holds the {'text' if text is None else 'label'}: there are "
            f"{_listed(names)}; name it with {' and '.join(missing)}"
        )
    _check_single(path, names, text, label)
    return TextAndLabel(text, label)


def choose_text(path: Path, names: Sequence[str], text: str | None) -> str:
    """Choose the column of texts alone; labels beside them do not matter.

    Raises:
        DataError: as for :func:`choose_names`.
    """
    if text is not None and text not in names:
        raise DataError(f"{path}: no column {text!r} (--text-column); there are {_listed(names)}")
    found = text or _usual(names, TEXT_NAMES, None) or (names[0] if len(names) == 1 else None)
    if found is None and len(names) == 2 and (label := _usual(names, LABEL_NAMES, None)):
        found = next(name for name in names if name != label)
    if found is None:
        raise DataError(
            f"{path}: cannot tell which column holds the text: there are {_listed(names)}; name it with --text-column"
        )
    _check_single(path, names, found)
    return found


def told_by_values(path: Path, header: Sequence[str], text: str | None, label: str | None) -> bool:
    """Whether only the values can tell two columns apart, since neither was named nor has a usual name.

    Raises:
        DataError: there is one column only.
    """
    if len(header) < 2:
        raise DataError(f"{path}: one column only ({_listed(header)}); a text and a label are needed, in two columns")
    usual = _usual(header, TEXT_NAMES, label) or _usual(header, LABEL_NAMES, text)
    return len(header) == 2 and text is None and label is None and usual is None


def choose_by_values(path: Path, first: Sequence[str], body: Sequence[tuple[str, str]]) -> Columns:
    """Tell two columns apart: labels repeat, texts do not.

    When the first row's label occurs again below, the file has no header.

    Raises:
        DataError: the values cannot tell either.
    """
    kinds = [len({row[column] for row in body}) for column in (0, 1)]
    if len(body) < 2 or kinds[0] == kinds[1]:
        choose_names(path, first, None, None)  # raises: neither name is usual
    label_at = 0 if kinds[0] < kinds[1] else 1
    has_header = not any(row[label_at] == first[label_at] for row in body)
    note = f"{path.name}: column {label_at + 1} taken as the label" + ("" if has_header else "; no header")
    return Columns(1 - label_at, label_at, has_header, [note])


def _check_single(path: Path, names: Sequence[str], *chosen: str) -> None:
    if twice := next((name for name in chosen if names.count(name) > 1), None):
        raise DataError(f"{path}: {names.count(twice)} columns are called {twice!r}; rename the others")


def _usual(names: Sequence[str], usual: Sequence[str], taken: str | None) -> str | None:
    folded = {name.strip().casefold(): name for name in reversed(names) if name != taken}
    return next((folded[name] for name in usual if name in folded), None)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:12])
    return f"{shown}, …" if len(names) > 12 else shown
