"""Logistic regression over TF-IDF: fitted by scikit-learn, then plain tables that are data and no code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.float32]

#: Texts that a term must be in.
MIN_TEXTS = 2


class LinearModel:
    """Terms, labels and weights.

    Args:
        terms: in the order of the rows.
        labels: in the order of the columns.
        idf: inverse document frequencies ``[terms]``.
        weights: ``[terms, labels]``.
        bias: ``[labels]``.
    """

    def __init__(self, terms: Sequence[str], labels: Sequence[str], idf: Table, weights: Table, bias: Table) -> None:
        self._terms, self._labels = list(terms), list(labels)
        self._row = {term: row for row, term in enumerate(self._terms)}
        self._column = {label: column for column, label in enumerate(self._labels)}
        self._idf, self._weights, self._bias = idf, weights, bias

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        labels: Sequence[str],
        analyze: Callable[[str], list[str]],
        strength: float,
        max_features: int,
    ) -> LinearModel:
        """Learn from texts with a label each; ``strength`` is the inverse of the penalty (scikit-learn's C)."""
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        vectorizer = TfidfVectorizer(
            analyzer=analyze, min_df=min(MIN_TEXTS, len(texts)), max_features=max_features, sublinear_tf=True
        )
        # with several threads sums have another order, and the bundle other bytes
        with import_module("threadpoolctl").threadpool_limits(1):
            model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
            model.fit(vectorizer.fit_transform(texts), np.array(labels, dtype=object))
        weights, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # one row for the second label; the first one's logit is 0
            weights, bias = np.vstack([0 * weights, weights]), np.concatenate([0 * bias, bias])
        return cls(
            vectorizer.get_feature_names_out().tolist(),
            model.classes_.tolist(),
            vectorizer.idf_.astype(np.float32),
            np.ascontiguousarray(weights.T, dtype=np.float32),
            bias.astype(np.float32),
        )

    def column(self, label: str) -> int | None:
        """Return the place of a label among the probabilities, None for one that was not learned."""
        return self._column.get(label)

    def probabilities(self, counts: Mapping[str, int]) -> Table:
        """Return the labels' probabilities ``[labels]`` for a text whose terms occur so often.

        TF-IDF is scikit-learn's: (1 + ln count) · idf, divided by the Euclidean norm.
        """
        import numpy as np

        row = self._row
        known = sorted((row[term], count) for term, count in counts.items() if term in row)
        logits = self._bias
        if known:
            rows = np.array([number for number, _ in known])
            values = (1.0 + np.log(np.array([count for _, count in known], dtype=np.float32))) * self._idf[rows]
            logits = (values / np.linalg.norm(values)) @ self._weights[rows] + self._bias
        powers = np.exp(logits - logits.max())
        shares: Table = powers / powers.sum()
        return shares

    def to_bytes(self) -> bytes:
        """Return a line of JSON with terms and labels, then the numbers: float32, least significant byte first."""
        header = json.dumps({"terms": self._terms, "labels": self._labels}).encode()
        tables = (self._idf, self._weights, self._bias)
        return b"".join([header, b"\n", *(table.astype("<f4").tobytes() for table in tables)])

    @classmethod
    def from_bytes(cls, data: bytes) -> LinearModel:
        """Read them back.

        Raises:
            ValueError: these are not such bytes.
        """
        import numpy as np

        header, _, rest = data.partition(b"\n")
        names = json.loads(header)
        terms, labels = list(map(str, names["terms"])), list(map(str, names["labels"]))
        rows, columns = len(terms), len(labels)
        numbers = np.frombuffer(rest, dtype="<f4").astype(np.float32)
        if numbers.size != rows + rows * columns + columns or not np.isfinite(numbers).all():
            raise ValueError("the numbers are not as many as the terms and labels need, or not finite")
        idf, weights, bias = np.split(numbers, [rows, rows + rows * columns])
        return cls(terms, labels, idf, weights.reshape(rows, columns), bias)
