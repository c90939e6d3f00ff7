"""What a training run came to, epoch by epoch."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Judgement(NamedTuple):
    """How good the module is on the validation texts; ``loss`` is the plain cross-entropy, a text's mean."""

    loss: float
    accuracy: float
    macro_f1: float


class Epoch(msgspec.Struct, frozen=True):
    """What one epoch came to; losses are means a text, ``train_loss`` under dropout and while weights still moved."""

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float
    texts_per_s: float
    seconds: float


class History(msgspec.Struct):
    """All epochs, the number of the one that was kept, and why training ended: diverged after it, or by a signal."""

    epochs: list[Epoch] = []
    best: int = 0
    stopped: str = ""
    diverged: bool = False
    interrupted: bool = False

    @property
    def over(self) -> int:
        """How many epochs are over; where none is judged, each is the best."""
        return max(self.best, len(self.epochs))

    def overfitting(self) -> str | None:
        """Say in words when training and validation parted, None when they did not."""
        if len(self.epochs) < 2:
            return None
        turn = min(self.epochs, key=lambda epoch: epoch.validation_loss)
        last = self.epochs[-1]
        # A rise of a few per cent is noise: a small validation part has that from one epoch to the next.
        if last.validation_loss < 1.05 * turn.validation_loss or last.train_loss >= turn.train_loss:
            return None
        return (
            f"the model overfits after epoch {turn.number}: up to epoch {last.number} the training loss fell from "
            f"{turn.train_loss:.3f} to {last.train_loss:.3f}, but the validation loss rose from "
            f"{turn.validation_loss:.3f} to {last.validation_loss:.3f}; epoch {self.best} is kept. "
            "More texts help most, then a higher model.dropout or a smaller model.hidden"
        )
