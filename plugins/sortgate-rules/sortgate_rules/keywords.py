"""``rules.keywords.v1``: words that decide, whatever the classifier says. The one rule here that reads the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sortgate.types import Prediction
from sortgate_rules import parameters
from sortgate_rules.deciding import decide

#: A letter or digit of a script that puts spaces between words: not Thai, Lao, Myanmar, Khmer, Han, Kana or Hangul.
_LETTER = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
_KEYS = ("label", "any", "all", "none", "below")


class Keywords:
    """Gives the label of the first of ``rules`` that applies: ``any``, ``all`` and ``none`` of its words are there."""

    #: Asks for the normalized text as a second argument.
    wants_text = True

    def __init__(self, rules: Sequence[Mapping[str, Any]]) -> None:
        if not isinstance(rules, list | tuple) or not rules:
            raise ValueError("rules must be a list of tables")
        self._rules = [_Rule(f"rules[{index}]", rule) for index, rule in enumerate(rules)]

    def __call__(self, prediction: Prediction, text: str) -> Prediction:
        for rule in self._rules:
            if rule.applies(prediction, text):
                return decide(prediction, rule.label)
        return prediction


class _Rule:
    """One of the rules: its label, and when it applies."""

    def __init__(self, key: str, rule: Mapping[str, Any]) -> None:
        given = parameters.table(key, rule)
        if unknown := sorted(set(given) - set(_KEYS)):
            raise ValueError(f"{key} has {', '.join(map(repr, unknown))}; there are: {', '.join(_KEYS)}")
        self.label = parameters.text(f"{key}.label", given.get("label"))
        any_of, all_of, none_of = (
            parameters.texts(f"{key}.{name}", given.get(name, [])) for name in ("any", "all", "none")
        )
        if not any_of and not all_of:
            raise ValueError(f"{key} needs words in {key}.any or {key}.all")
        #: At least one of each of these must be in the text.
        self._needed = [_pattern([phrase]) for phrase in all_of] + ([_pattern(any_of)] if any_of else [])
        self._forbidden = _pattern(none_of) if none_of else None
        self._below = parameters.number(f"{key}.below", given["below"], most=1) if "below" in given else None

    def applies(self, prediction: Prediction, text: str) -> bool:
        """Say whether the text has the words, and the classifier is not surer than the rule allows."""
        if self._below is not None and prediction.score >= self._below:
            return False
        if not all(pattern.search(text) for pattern in self._needed):
            return False
        return self._forbidden is None or not self._forbidden.search(text)


def _pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Compile what finds any of the phrases, in any case."""
    return re.compile("|".join(map(_whole_words, phrases)), re.IGNORECASE)


def _whole_words(phrase: str) -> str:
    """Return the pattern of a phrase: any white space between its words, and no letter that makes its ends others."""
    before = rf"(?<!{_LETTER})" if re.match(_LETTER, phrase.strip()) else ""
    after = rf"(?!{_LETTER})" if re.search(rf"{_LETTER}\Z", phrase.strip()) else ""
    return before + r"\s++".join(map(re.escape, phrase.split())) + after
