"""What scikit-learn's users pass as X and y, turned into texts and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

#: Kinds of labels that a bundle can give back as they were, by the kind of the array.
KINDS: dict[str, type] = {"i": int, "u": int, "b": bool, "f": float, "U": str, "O": str}


def as_texts(x: Any) -> list[str]:
    """Return the texts of a list, a tuple, a one-dimensional array or a pandas Series.

    Raises:
        ValueError: a single string, another shape, or an element that is no string.
    """
    if isinstance(x, str | bytes):
        raise ValueError("X must hold texts, one for each sample; it is a single string")
    if getattr(x, "ndim", 1) != 1:
        raise ValueError(
            f"X must be one-dimensional, a text for each sample; it has the shape {tuple(x.shape)}: pass one column"
        )
    texts = list(x)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"X must hold strings; element {position} is of type {type(text).__name__}")
    return [str(text) for text in texts]  # np.str_ is a str that msgspec does not know


def as_labels(y: Any, texts: int) -> tuple[Any, list[str]]:
    """Return the classes, sorted, and each text's label as the bundle names it.

    Raises:
        ValueError: none, too few or too many labels, one that is missing, or two that have the same name.
    """
    if y is None:
        raise ValueError("SortgateClassifier requires y to be passed, but the target y is None")
    if not texts:
        raise ValueError("Found array with 0 sample(s): X must hold at least two texts of each label")
    targets = column_or_1d(y, warn=True)
    if len(targets) != texts:
        raise ValueError(f"X has {texts} texts and y has {len(targets)} labels")
    if targets.dtype.kind == "O" and not all(isinstance(label, str) for label in targets):
        raise ValueError("y must hold labels of one type, and none may be missing")
    check_classification_targets(targets)
    classes = np.unique(targets)
    names = [str(label) for label in classes]
    if not all(name.strip() for name in names):
        raise ValueError("an empty label cannot be learned")
    if len(set(names)) != len(names):
        raise ValueError("two labels have the same name as strings")
    return classes, [str(label) for label in targets]


def restore_classes(names: list[str], kind: str) -> Any:
    """Return the classes, sorted, of which ``names`` are the strings."""
    made = [name == "True" if kind == "bool" else {"int": int, "float": float}.get(kind, str)(name) for name in names]
    return np.unique(np.array(made))
