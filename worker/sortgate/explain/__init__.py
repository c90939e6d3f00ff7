"""Explains how a classifier comes to its answer to one text. Needs ``sortgate[inference]``."""

from __future__ import annotations

from sortgate.explain.explainer import explain
from sortgate.explain.explanation import (
    Cut,
    Decision,
    Explanation,
    Gradients,
    Method,
    TextStage,
    TokenEffect,
    TokenStage,
)

__all__ = [
    "Cut",
    "Decision",
    "Explanation",
    "Gradients",
    "Method",
    "TextStage",
    "TokenEffect",
    "TokenStage",
    "explain",
]
