"""scikit-learn's text analyzers, and a linear second opinion, as components of Sortgate's text path."""

from __future__ import annotations

from sortgate.plugins import Register, RegisterTokenizers, hookimpl
from sortgate_sklearn.analyzer import Analyzer
from sortgate_sklearn.opinion import SecondOpinion

__all__ = ["Analyzer", "SecondOpinion", "sortgate_register_postprocessors", "sortgate_register_tokenizers"]


@hookimpl
def sortgate_register_tokenizers(register: RegisterTokenizers) -> None:
    """Register the tokenizer."""
    register("sklearn.analyzer.v1", Analyzer)


@hookimpl
def sortgate_register_postprocessors(register: Register) -> None:
    """Register the label post-processor."""
    register("sklearn.second_opinion.v1", SecondOpinion)
