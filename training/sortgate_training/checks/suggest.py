"""Settings that fit the data better than the defaults, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sortgate_training.checks.content import matching
from sortgate_training.checks.findings import Suggestion
from sortgate_training.checks.parts import Part
from sortgate_training.checks.tokens import MANY_CUT, room_for
from sortgate_training.config import TrainingConfig
from sortgate_training.imbalance import imbalance

#: A bound of tokens is raised up to here and no further: the network's time grows with it.
MOST_TOKENS = 1_000
#: With fewer texts, words that occur once are too much to throw away, and a tenth is too little to judge by.
SMALL = 2_000
#: Largest label to smallest from which weights are suggested, which hardly cost accuracy: logit adjustment often gains
#: more macro-F1, but for up to four points of accuracy, which is not for us to choose.
SEVERE = 20.0
#: Share of unknown tokens from which parts of words are: measured, they gained macro-F1 at 0.2 and lost some at 0.12.
MOSTLY_RARE = 0.15
#: Share of the texts that must have tags or addresses before they are dealt with.
MANY_TAGS, MANY_ADDRESSES = 0.01, 0.1


def suggest(train: Part, unknown: float, split: bool, config: TrainingConfig) -> Iterator[Suggestion]:
    """Compare the defaults with the training texts.

    Args:
        train: the training texts, their lengths known.
        unknown: greatest share of unknown tokens in a held-out part.
        split: whether validation texts are split off.
        config: what is compared with.
    """
    count = len(train)
    html, addresses = (len(matching(train, kind)) / count for kind in ("HTML", "addresses"))
    added = ["sortgate.strip_html.v1"] if html >= MANY_TAGS else []
    added += ["sortgate.mask_urls.v1", "sortgate.mask_emails.v1"] if addresses >= MANY_ADDRESSES else []
    before = [spec.name for spec in config.text.by_kind()["normalizer"]]
    if added := [name for name in added if name not in before]:
        shares = [f"{html:.1%} of the texts hold HTML"] * (html >= MANY_TAGS)
        shares += [f"{addresses:.1%} hold web or e-mail addresses"] * (addresses >= MANY_ADDRESSES)
        yield Suggestion("text.normalizers", [*before[:1], *added, *before[1:]], ", ".join(shares))
    if unknown >= MOSTLY_RARE and count >= SMALL and config.text.by_kind()["tokenizer"][0].name == "sortgate.words.v1":
        yield Suggestion(
            "text.tokenizer",
            "sortgate.bpe.v1",
            f"{unknown:.1%} of the held-out words are unknown: parts of words are not",
        )
    longest = max(map(len, train.texts))
    largest = max(len(text.encode("utf-8", "replace")) for text in train.texts)
    for key, needed, limit in (
        ("limits.max_text_bytes", largest, config.limits.max_text_bytes),
        ("limits.max_characters", longest, config.limits.max_characters),
    ):
        if needed > limit and needed <= 2**20:
            yield Suggestion(key, 1 << (needed - 1).bit_length(), f"the longest text has {needed:,}")
    limit = config.limits.max_tokens
    if train.report.cut > MANY_CUT * count:
        longer = f"{train.report.cut / count:.1%} of the texts have more than {limit} tokens"
        if (room := min(room_for(train.report.tokens), MOST_TOKENS)) > limit:
            yield Suggestion("limits.max_tokens", room, longer)
    if count < SMALL and config.vocabulary.min_count > 1:
        yield Suggestion("vocabulary.min_count", 1, f"{count:,} texts are few: a word met once is worth keeping")
    if count < SMALL and split and config.split.validation < 0.2:
        yield Suggestion("split.validation", 0.2, f"a tenth of {count:,} texts is too little to choose an epoch by")
    # where texts have sets of labels, each label's threshold makes up for its rarity
    if train.sets is None and (ratio := imbalance(Counter(train.labels))) >= SEVERE and not config.favours():
        yield Suggestion(
            "loss.class_weights", "balanced", f"the largest label has {ratio:.0f} times as many texts as the smallest"
        )
