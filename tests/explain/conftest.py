"""Bundles around models that a test makes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from handmade import load_bundle
from sortgate.inference import Classifier


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Classifier]:
    """Make a classifier of a bundle around a model: ``bundle_of(model, labels=…, config=…)``."""
    return lambda model, **options: load_bundle(tmp_path_factory.mktemp("bundle"), model, **options)
