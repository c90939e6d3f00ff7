"""What a capable engineer writes without Sortgate's streams: the bundle behind a Celery task, one text or many."""

from __future__ import annotations

from typing import Any

from yardstick import answers, create_app

app = create_app(prefetch=4)


@app.task(name="yardstick.classify")
def classify(text: str) -> dict[str, Any]:
    """Classify one text."""
    return answers([text])[0]


@app.task(name="yardstick.classify_many")
def classify_many(texts: list[str]) -> list[dict[str, Any]]:
    """Classify the texts of one task."""
    return answers(texts)
