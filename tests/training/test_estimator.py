"""``SortgateClassifier`` as scikit-learn's users meet it."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sortgate.errors import ConfigurationError
from sortgate.inference import Classifier
from sortgate_training import SortgateClassifier

QUICK = {"refit": False, "model.hidden": 8, "model.embedding": 16, "batch_size": 16, "optimizer.learning_rate": 0.02}


def make(**params: Any) -> SortgateClassifier:
    return SortgateClassifier(**{"config": QUICK, "epochs": 2, **params})


@pytest.fixture(scope="module")
def data(rows: Any) -> tuple[list[str], list[str]]:
    texts, labels = zip(*rows(240), strict=True)
    return list(texts), list(labels)


@pytest.fixture(scope="module")
def fitted(data: tuple[list[str], list[str]]) -> SortgateClassifier:
    return make(epochs=4).fit(*data)


def test_predictions(fitted: SortgateClassifier, data: tuple[list[str], list[str]], rows: Any) -> None:
    texts, labels = zip(*rows(100, seed=1), strict=True)
    assert fitted.score(texts, labels) > 0.7
    assert fitted.classes_.tolist() == ["label a", "label b", "label c"]
    chances = fitted.predict_proba(np.array(texts))
    assert chances.shape == (100, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-5)
    assert fitted.predict(list(texts)).tolist() == fitted.classes_[chances.argmax(axis=1)].tolist()
    assert fitted.predict([]).tolist() == []
    shares = [data[1].count(label) / len(data[1]) for label in fitted.classes_]
    np.testing.assert_allclose(fitted.predict_proba(["", "\u200b"]), [shares, shares], atol=0.01)


@pytest.mark.parametrize("labels", [[10, 9], [True, False], np.array(["x", "yy"]), np.array(["x", "yy"], dtype=object)])
def test_labels_keep_their_type(data: tuple[list[str], list[str]], labels: Any, tmp_path: Path) -> None:
    y = np.array([labels[int(label == "label a")] for label in data[1]])
    classifier = make(epochs=4).fit(np.array(data[0], dtype=object), y)
    assert classifier.classes_.tolist() == sorted(set(y.tolist()))
    assert classifier.score(data[0], y) > 0.8
    classifier.save(tmp_path / "toy")
    loaded = SortgateClassifier.load(tmp_path / "toy")
    assert loaded.classes_.tolist() == classifier.classes_.tolist()
    np.testing.assert_array_equal(loaded.predict(data[0]), classifier.predict(data[0]))


def test_what_is_saved_is_a_bundle_that_can_be_loaded_and_fitted_again(
    fitted: SortgateClassifier, data: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    version = fitted.save(tmp_path / "models" / "toy")
    assert version.parent == tmp_path / "models" / "toy"
    served = Classifier.load(version)  # golden texts are replayed
    assert served.manifest.name == "toy"
    assert [answer.label for answer in served(data[0])] == fitted.predict(data[0]).tolist()
    loaded = SortgateClassifier.load(tmp_path / "models" / "toy")
    np.testing.assert_array_equal(loaded.predict_proba([*data[0], ""]), fitted.predict_proba([*data[0], ""]))
    assert loaded.config == {**QUICK, "epochs": 4, "split.test": 0.0}
    again = clone(loaded).fit(*data)
    np.testing.assert_array_equal(again.predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_copies_and_pickles_answer_alike(fitted: SortgateClassifier, data: tuple[list[str], list[str]]) -> None:
    expected = fitted.predict_proba(data[0][:20])
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(other.predict_proba(data[0][:20]), expected)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(["x"])
    with pytest.raises(NotFittedError):
        fresh.save("nowhere")


def test_random_state_decides(data: tuple[list[str], list[str]]) -> None:
    seeds: tuple[Any, ...] = (1, 1, 2, np.random.RandomState(1))
    chances = [make(epochs=1, random_state=seed).fit(*data).predict_proba(data[0][:9]) for seed in seeds]
    np.testing.assert_array_equal(chances[0], chances[1])
    assert not np.array_equal(chances[0], chances[2])
    assert not np.array_equal(chances[0], chances[3])


class Upper(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Passes texts on, changed."""

    def fit(self, x: Any, y: Any = None) -> Upper:  # noqa: ARG002
        return self

    def transform(self, x: Any) -> list[str]:
        return [text.upper() for text in x]


def test_pipelines_and_searches(data: tuple[list[str], list[str]]) -> None:
    pipeline = make_pipeline(Upper(), make())
    scores = cross_val_score(pipeline, np.array(data[0]), np.array(data[1]), cv=2)
    assert len(scores) == 2
    assert np.isfinite(scores).all()
    grid = {"sortgateclassifier__epochs": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(data[0], data[1])
    assert set(search.best_params_) == set(grid)
    assert search.predict(data[0][:3]).shape == (3,)


def test_a_series_of_texts() -> None:
    """Pandas is no dependency: anything with one dimension and elements will do."""

    class Series:
        ndim = 1
        shape = (2,)

        def __init__(self, values: list[str]) -> None:
            self.values = values

        def __iter__(self) -> Any:
            return iter(self.values)

        def __len__(self) -> int:
            return len(self.values)

    from sortgate_training.estimator_data import as_texts

    assert as_texts(Series(["a", "b"])) == as_texts(np.array(["a", "b"])) == as_texts(("a", "b")) == ["a", "b"]
    assert all(type(text) is str for text in as_texts(np.array(["a", "b"])))


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ("one text", ["a"], "a single string"),
        ([["a"], ["b"]], ["a", "b"], "element 0 is of type list"),
        (np.array([["a"], ["b"]]), ["a", "b"], "one-dimensional"),
        ([1, 2], ["a", "b"], "element 0 is of type int"),
        (["x", None], ["a", "b"], "element 1 is of type NoneType"),
        (["x", "y"], None, "y to be passed"),
        ([], [], "at least two texts of each label"),
        (["x", "y"], ["a"], "X has 2 texts and y has 1 labels"),
        (["x", "y"], ["a", "a"], "1 class"),
        (["x", "y"], ["a", None], "none may be missing"),
        (["x", "y"], [0.5, 1.5], "Unknown label type"),
        (["x", "y"], ["a", " "], "an empty label"),
        (["x", "y", "z"], ["a", "a", "b"], "one example only for label 'b'"),
        (["\u200b", "\u200b\u200b", "x", "y"], ["a", "a", "b", "b"], "is left"),
    ],
)
def test_bad_data_is_a_value_error(x: Any, y: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        make().fit(x, y)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"config": {"model.hiden": 3}}, "did you mean model.hidden?"),
        ({"config": {"model.hidden": 0}}, "model.hidden: expected `int` >= 1"),
        ({"preset": "quick"}, "preset"),
        ({"epochs": 0}, "epochs"),
        ({"random_state": -1}, "seed"),
    ],
)
def test_bad_parameters(data: tuple[list[str], list[str]], params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        make(**params).fit(*data)


def test_post_processors_are_refused(data: tuple[list[str], list[str]]) -> None:
    with pytest.raises(ValueError, match="postprocessors"):
        make(config={"text.postprocessors": ["sortgate.top_k.v1"]}).fit(*data)


def test_scikit_learn_s_own_checks() -> None:
    """Those that apply to an estimator of strings; all others pass numbers as X, and scikit-learn skips them itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(make(), on_fail="raise")
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert any(result["status"] == "passed" for result in results)


def test_the_package_stays_cheap() -> None:
    code = "import sortgate_training, sys; print({'torch', 'sklearn', 'numpy', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = __import__("sortgate_training").Nothing
