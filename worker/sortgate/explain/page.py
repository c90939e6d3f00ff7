"""An explanation as one self-contained HTML page: no script, nothing to fetch, for a phone and for a desk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from sortgate.explain.chart import reading_chart
from sortgate.explain.explanation import Explanation
from sortgate.explain.sections import decisions_list, labels_table, stages_list, tokens_table
from sortgate.explain.shades import answer, mark, signed, strengths, sums
from sortgate.explain.style import STYLE

#: A text may hold what HTML must not: shown as its picture, U+2400 and on.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
_KINDS = {1: "f", -1: "a", 0: "n"}
_LEGEND = (
    "<ul class=legend>"
    '<li><span class="t f v3">word<small>+1.2⁺⁺⁺</small></span>blue, solid line: speaks for the label</li>'
    '<li><span class="t a v3">word<small>−1.2⁻⁻⁻</small></span>orange, dashed line: against it</li>'
    '<li><span class="t n v0"><span class=u>word</span><small>0.00</small></span>dotted: not in the vocabulary</li>'
    "</ul>"
)


def render_page(explanation: Explanation) -> bytes:
    """Return the page, UTF-8; every text in it is escaped."""
    parts = {title: part for title, part in _parts(explanation) if part}
    body = "".join(f"<section><h2>{escape(title)}</h2>{part}</section>" for title, part in parts.items())
    name = escape(explanation.model)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # no favicon is asked for either
        f'<link rel="icon" href="data:,"><title>{name}: one text explained</title><style>{STYLE}</style></head>'
        f"<body><main>{_head(explanation)}{body}</main></body></html>\n"
    )
    return page.translate(_CONTROLS).encode("utf-8", "replace")


def _head(explanation: Explanation) -> str:
    about = f"{explanation.model} · fingerprint {explanation.fingerprint}"
    return f"<h1>{escape(answer(explanation.prediction))}</h1><p class=dim>{escape(about)}</p>"


def _parts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    if explanation.tokens:
        contributions = explanation.contributions
        label = explanation.label or ""
        yield f"What speaks for {label}, and what against it", _tokens(explanation, contributions)
        yield "As the text is read", reading_chart(explanation)
        yield "Token by token", tokens_table(explanation, contributions)
        yield "Probabilities by the model", labels_table(explanation)
    yield "Label post-processors", decisions_list(explanation)
    yield "The text on its way", stages_list(explanation)


def _tokens(explanation: Explanation, contributions: Sequence[float]) -> str:
    chips = [
        f'<li class="t {_KINDS[(strength > 0) - (strength < 0)]} v{abs(strength)}">'
        f"<span{'' if effect.known else ' class=u'}>{escape(effect.token)}</span>"
        f"<small>{signed(value)}{mark(strength)}</small></li>"
        for effect, value, strength in zip(explanation.tokens, contributions, strengths(contributions), strict=True)
    ]
    if explanation.cut:
        about = f"… {len(explanation.cut.tokens):,} tokens that the model does not read …"
        chips.insert(explanation.cut.after, f"<li class=cut>{about}</li>")
    notes = "".join(f"<p class=dim>{escape(line)}</p>" for line in sums(explanation))
    return f"<ul class=tokens>{''.join(chips)}</ul>{_LEGEND}{notes}"
