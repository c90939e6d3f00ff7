"""celery-batches: one text a message, gathered in the worker into batches for one pool process each."""

from __future__ import annotations

from celery_batches import Batches, SimpleRequest
from yardstick import answers, create_app

#: Texts of a batch, as many as Sortgate gives a pool process at most.
BATCH = 256

# it must hold as many messages as all processes have batches for, or the last batch waits for the interval
app = create_app(prefetch=2 * BATCH)


@app.task(base=Batches, name="yardstick.classify", flush_every=BATCH, flush_interval=0.05)
def classify(requests: list[SimpleRequest]) -> None:
    """Classify the texts of a batch, and store the results, which celery-batches leaves to the task."""
    for request, answer in zip(requests, answers([request.args[0] for request in requests]), strict=True):
        app.backend.mark_as_done(request.id, answer, request=request)
