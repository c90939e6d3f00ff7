"""Subword tokenizer: byte-level BPE through HF tokenizers, learned from the training texts (extra ``subword``)."""

from __future__ import annotations

from collections.abc import Sequence

from sortgate.components.bytelevel import ByWord, import_tokenizers


class BPE:
    """Byte-level byte-pair encoding: ``vocab_size`` learned pieces, in which any text can be written."""

    def __init__(self, vocab_size: int = 8000, min_frequency: int = 2) -> None:
        if not isinstance(vocab_size, int) or vocab_size < 256:
            raise ValueError("vocab_size must be a whole number from 256 (one piece a byte) on")
        if not isinstance(min_frequency, int) or min_frequency < 1:
            raise ValueError("min_frequency must be a whole number from 1 on")
        self._library = import_tokenizers("sortgate.bpe.v1")
        self._vocab_size = vocab_size
        self._min_frequency = min_frequency
        self._words: ByWord | None = None

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the merges from normalized texts."""
        library = self._library
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = library.trainers.BpeTrainer(
            vocab_size=self._vocab_size,
            min_frequency=self._min_frequency,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        self._words = ByWord(tokenizer)

    def state(self) -> bytes:
        """Return the tokenizer's JSON."""
        return bytes(self._fitted().tokenizer.to_str(), "utf-8")

    def restore(self, state: bytes) -> None:
        """Read the tokenizer's JSON."""
        self._words = ByWord(self._library.Tokenizer.from_str(state.decode("utf-8")))

    def __call__(self, text: str) -> list[str]:
        return self._fitted().tokens(text)

    def batch(self, texts: Sequence[str]) -> list[list[str]]:
        return [self(text) for text in texts]

    def _fitted(self) -> ByWord:
        if self._words is None:
            raise RuntimeError("the BPE tokenizer has learned nothing yet: fit or restore it first")
        return self._words
