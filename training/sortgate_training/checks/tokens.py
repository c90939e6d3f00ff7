"""What the text path makes of the texts: how many tokens, what is cut off, and what the vocabulary lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from sortgate.errors import ComponentError, TextError, TextTooLongError
from sortgate.textpath import TextPath
from sortgate.vocabulary import Vocabulary
from sortgate_training.checks.findings import MOST_EXAMPLES, Finding, Level, Spread, count_of
from sortgate_training.checks.parts import Part
from sortgate_training.config import TrainingConfig

#: Texts that go through the text path at once: bounds the memory that tokens take.
CHUNK = 2_000
#: Share of unknown tokens from which the vocabulary is worth a warning.
MANY_UNKNOWN = 0.1
#: Share of texts that are cut from which something should be done about it.
MANY_CUT = 0.01


class TokenCounts:
    """Counts a part's tokens, and how many each text has (0 for one that the text path refuses).

    Attributes:
        counts: of each token.
        lengths: of each text, in tokens.
        too_long: the texts that are refused since they are over ``max_text_bytes`` or ``max_characters``.
        raised: those on which a component raised, by what it says.
    """

    def __init__(self, path: TextPath, texts: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self.lengths: list[int] = []
        self.too_long: list[int] = []
        self.raised: dict[str, list[int]] = {}
        for start in range(0, len(texts), CHUNK):
            for tokens in path.tokenize(texts[start : start + CHUNK]):
                if isinstance(tokens, TextError):
                    if isinstance(tokens, TextTooLongError):
                        self.too_long.append(len(self.lengths))
                    elif isinstance(tokens, ComponentError):
                        self.raised.setdefault(str(tokens), []).append(len(self.lengths))
                    self.lengths.append(0)
                else:
                    self.lengths.append(len(tokens))
                    self.counts.update(tokens)

    def known(self, config: TrainingConfig) -> Vocabulary:
        """Return the vocabulary that training would build of these tokens."""
        size = config.vocabulary
        return Vocabulary.from_counts(self.counts, min_count=size.min_count, max_size=size.max_size)

    def unknown_in(self, known: Vocabulary) -> float:
        """Return the share of these tokens that are not among ``known``."""
        lacking = sum(count for token, count in self.counts.items() if token not in known)
        return lacking / max(self.counts.total(), 1)


def find_token_problems(part: Part, tokens: TokenCounts, config: TrainingConfig) -> Iterator[Finding]:
    """Texts that are cut or refused; also fills in the report's lengths."""
    limit = config.limits.max_tokens
    report = part.report
    report.words = Spread.of([len(text.split()) for text in part.texts])
    report.characters = Spread.of([len(text) for text in part.texts])
    report.tokens = Spread.of([length for length in tokens.lengths if length])
    report.cut = sum(length > limit for length in tokens.lengths)
    refused = {*tokens.too_long, *chain.from_iterable(tokens.raised.values())}
    emptied = [row for row, length in enumerate(tokens.lengths) if not length and row not in refused]
    sets = part.label_sets
    of_label = Counter(label for labels in sets for label in labels)
    without_words = Counter(label for row in emptied for label in sets[row])
    over = Counter(label for row in tokens.too_long for label in sets[row])
    lost = sorted(label for label, count in without_words.items() if count == of_label[label])
    level: Level = "error" if part.name == "train" else "warning"  # of a label of which no text is left
    for what, rows in tokens.raised.items():
        yield Finding(
            "error", "tokens", part.name, len(rows), f"{what} on {count_of(len(rows), 'text')}",
            "mend the component: workers would answer such texts with that error",
            [part.example(row) for row in rows[:MOST_EXAMPLES]],
        )  # fmt: skip
    if emptied:
        yield Finding(
            level if lost else "warning", "tokens", part.name, len(emptied),
            f"nothing is left of {count_of(len(emptied), 'text')} after normalizing and tokenizing"
            + (f", which is all of label {lost[0]!r}" if lost else ""),
            "delete texts without words" + ("; or choose another text.tokenizer" if lost else ""),
            [part.example(row) for row in emptied[:MOST_EXAMPLES]],
        )  # fmt: skip
    gone = sorted(label for label, count in over.items() if count + without_words[label] == of_label[label])
    if gone:
        label = gone[0]
        yield Finding(
            level, "tokens", part.name, len(gone),
            f"no text of label {label!r} is left: {over[label]:,} of {of_label[label]:,} "
            f"{'is' if over[label] == 1 else 'are'} over limits.max_text_bytes or limits.max_characters",
            "cut such texts, or raise these limits",
        )  # fmt: skip
    if report.cut:
        share = report.cut / len(part)
        lost_tokens = sum(max(0, length - limit) for length in tokens.lengths) / max(sum(tokens.lengths), 1)
        yield Finding(
            "warning" if share > 0.05 else "note", "length", part.name, report.cut,
            f"{count_of(report.cut, 'text')} ({share:.1%}) will be cut to limits.max_tokens ({limit}), "
            f"{lost_tokens:.1%} of all tokens: only the {config.limits.kept} are read",
            _room(report.tokens, config) if share > MANY_CUT else "",
        )  # fmt: skip


def _room(tokens: Spread, config: TrainingConfig) -> str:
    """Say what can be done about texts that are cut."""
    advice = f"--set limits.max_tokens={room_for(tokens)} keeps 99 % of the texts whole, and costs time"
    if config.limits.truncation == "head":
        advice += "; --set limits.truncation=head_tail reads the end of longer ones, too, and costs none"
    return advice


def room_for(tokens: Spread) -> int:
    """Return a round number of tokens that 99 % of the texts keep to."""
    return -(-tokens.p99 // 50) * 50


def find_unknown(other: Part, rate: float) -> Iterator[Finding]:
    """Say when many tokens of a part are unknown to the training texts' vocabulary."""
    if rate >= MANY_UNKNOWN:
        yield Finding(
            "warning", "vocabulary", other.name, round(1000 * rate),
            f"{rate:.1%} of the tokens are not in the vocabulary of the training texts",
            "more training texts help most; with few texts also --set vocabulary.min_count=1, with many word forms "
            "--set text.tokenizer=sortgate.bpe.v1",
        )  # fmt: skip
