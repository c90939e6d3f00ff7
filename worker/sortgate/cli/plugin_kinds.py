"""The example that ``sortgate plugins new`` writes for each kind of component: small, and meant to be replaced."""

from __future__ import annotations

from typing import NamedTuple

from sortgate.plugins import Kind


class Example(NamedTuple):
    """One kind's example.

    Attributes:
        thing: middle of the component's name.
        cls: name of its class.
        does: what it does, in one line.
        hook: the hook that registers it, the type of the hook's argument, and what is called there.
        setting: of the training configuration, which chooses it.
        imports: of the module.
        code: the class.
        params: that the example test makes it with.
        check: the example test's last lines.
        check_imports: that these lines need.
    """

    thing: str
    cls: str
    does: str
    hook: tuple[str, str, str]
    setting: str
    imports: str
    code: str
    params: str
    check: str
    check_imports: str = ""


_NORMALIZER = '''
class MaskDigits:
    """Replaces each run of digits by a word."""

    # Compiled once. A pattern must not try again from each character: texts of 64 KiB come too.
    _digits = re.compile("[0-9]+")

    def __init__(self, mask: str = "<digits>") -> None:
        if not isinstance(mask, str):
            raise ValueError("mask must be a string")
        self._mask = mask

    def __call__(self, text: str) -> str:
        """Return the text with its digits masked."""
        return self._digits.sub(lambda _: self._mask, text)
'''

_TOKENIZER = '''
class Split:
    """Splits at white space, and words at a separator."""

    def __init__(self, separator: str = "-") -> None:
        if not isinstance(separator, str) or not separator:
            raise ValueError("separator must be a string that is not empty")
        self._separator = separator

    def __call__(self, text: str) -> list[str]:
        """Return the text's tokens, in order."""
        return text.replace(self._separator, " ").split()
'''

_FILTER = '''
class DropShort:
    """Drops tokens that are shorter than ``least`` characters."""

    def __init__(self, least: int = 2) -> None:
        if not isinstance(least, int) or isinstance(least, bool) or least < 1:
            raise ValueError("least must be a whole number from 1 on")
        self._least = least

    def __call__(self, tokens: list[str]) -> list[str]:
        """Return the tokens that are long enough; the list itself is left as it is."""
        return [token for token in tokens if len(token) >= self._least]
'''

_POSTPROCESSOR = '''
class Margin:
    """Abstains where the best label leads the second by less than ``least``."""

    def __init__(self, least: float = 0.1) -> None:
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
            raise ValueError("least must be a number from 0 to 1")
        self._least = least

    def __call__(self, prediction: Prediction) -> Prediction:
        """Return the prediction, its label None when the margin is too small."""
        if prediction.label is None or len(prediction.labels) < 2:
            return prediction
        first, second = prediction.labels[:2]
        if first.score - second.score >= self._least:
            return prediction
        return replace(prediction, label=None)
'''

_MARGIN_TEST = """\
    labels = (LabelScore("billing", 0.55), LabelScore("login", 0.45))
    unsure = Prediction("billing", 0.55, labels)
    assert component(unsure) == Prediction(None, 0.55, labels)"""

EXAMPLES: dict[Kind, Example] = {
    "normalizer": Example(
        "mask_digits",
        "MaskDigits",
        "Replaces each run of digits by a word.",
        ("sortgate_register_normalizers", "Register", "register"),
        'text.normalizers=["sortgate.nfkc.v1", "{name}"]',
        "import re\n\nfrom sortgate.plugins import Register, hookimpl",
        _NORMALIZER,
        '{"mask": "#"}',
        '    assert component("order 4711 of 2024") == "order # of #"',
    ),
    "tokenizer": Example(
        "split",
        "Split",
        "Splits at white space, and words at a separator.",
        ("sortgate_register_tokenizers", "RegisterTokenizers", "register"),
        'text.tokenizer="{name}"',
        "from sortgate.plugins import RegisterTokenizers, hookimpl",
        _TOKENIZER,
        '{"separator": "/"}',
        '    assert component("log in/out  now") == ["log", "in", "out", "now"]',
    ),
    "filter": Example(
        "drop_short",
        "DropShort",
        "Drops tokens that have too few characters.",
        ("sortgate_register_tokenizers", "RegisterTokenizers", "register.filter"),
        'text.filters=["{name}"]',
        "from sortgate.plugins import RegisterTokenizers, hookimpl",
        _FILTER,
        '{"least": 3}',
        '    assert component(["I", "am", "not", "here"]) == ["not", "here"]',
    ),
    "postprocessor": Example(
        "margin",
        "Margin",
        "Abstains where the best label leads the second by too little.",
        ("sortgate_register_postprocessors", "Register", "register"),
        'text.postprocessors=["{name}"]',
        "from msgspec.structs import replace\nfrom sortgate import Prediction\n"
        "from sortgate.plugins import Register, hookimpl",
        _POSTPROCESSOR,
        '{"least": 0.2}',
        _MARGIN_TEST,
        "from sortgate.types import LabelScore, Prediction\n",
    ),
}
