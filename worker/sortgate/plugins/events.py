"""What observers are told: figures and ids, never a text."""

from __future__ import annotations

import msgspec


class BatchDone(msgspec.Struct, frozen=True):
    """A batch that a worker has answered.

    Attributes:
        queue: its queue.
        texts: in it.
        tokens: that the model was given.
        batch_s: seconds in the pool process.
        model_s: seconds of these in the model.
    """

    queue: str
    texts: int
    tokens: int
    batch_s: float
    model_s: float


class TextFailed(msgspec.Struct, frozen=True):
    """A text that a worker has answered with a status other than ``ok``.

    Attributes:
        queue: its queue.
        id: the producer's id of the text, or its stream entry's.
        status: ``error``, ``dead``, ``rejected`` or ``expired``.
        code: machine-readable reason.
        message: the reason in words.
    """

    queue: str
    id: str
    status: str
    code: str
    message: str


class EpochEnd(msgspec.Struct, frozen=True):
    """An epoch of a training; losses are means a text.

    Attributes:
        number: of the epoch, from 1.
        best: whether it is the best so far.
        train_loss: under dropout, while weights still moved.
        validation_loss: cross-entropy on the validation texts.
        validation_accuracy: 0 to 1.
        validation_macro_f1: 0 to 1.
        texts_per_s: learned from.
        seconds: the epoch took.
    """

    number: int
    best: bool
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float
    texts_per_s: float
    seconds: float
