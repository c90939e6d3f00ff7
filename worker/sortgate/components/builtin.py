"""The built-in components' registrations."""

from __future__ import annotations

from sortgate.components import (
    filters,
    frequent,
    normalizers,
    phrases,
    postprocessors,
    spelling,
    subword,
    tokenizers,
    unigram,
)
from sortgate.plugins.specs import Register, RegisterTokenizers, hookimpl


@hookimpl
def sortgate_register_normalizers(register: Register) -> None:
    """Register the built-in normalizers."""
    register("sortgate.nfkc.v1", normalizers.NFKC)
    register("sortgate.lowercase.v1", normalizers.Lowercase)
    register("sortgate.strip_html.v1", normalizers.StripHTML)
    register("sortgate.collapse_whitespace.v1", normalizers.CollapseWhitespace)
    register("sortgate.mask_urls.v1", normalizers.MaskURLs)
    register("sortgate.mask_emails.v1", normalizers.MaskEmails)
    register("sortgate.mask_numbers.v1", normalizers.MaskNumbers)


@hookimpl
def sortgate_register_tokenizers(register: RegisterTokenizers) -> None:
    """Register the built-in tokenizers and token filters."""
    register("sortgate.words.v1", tokenizers.Words)
    register("sortgate.characters.v1", tokenizers.Characters)
    register("sortgate.bpe.v1", subword.BPE)
    register("sortgate.unigram.v1", unigram.Unigram)
    register.filter("sortgate.stop_words.v1", filters.StopWords)
    register.filter("sortgate.learned_stop_words.v1", frequent.LearnedStopWords)
    register.filter("sortgate.phrases.v1", phrases.Phrases)
    register.filter("sortgate.spelling.v1", spelling.Spelling)


@hookimpl
def sortgate_register_postprocessors(register: Register) -> None:
    """Register the built-in label post-processors."""
    register("sortgate.top_k.v1", postprocessors.TopK)
    register("sortgate.threshold.v1", postprocessors.Threshold)
    register("sortgate.rename.v1", postprocessors.Rename)
