"""The probability of the label as the text is read on, drawn as SVG."""

from __future__ import annotations

from html import escape

from sortgate.explain.explanation import Explanation
from sortgate.explain.shades import percent

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 190, 64, 14, 28
#: More points than this would be one line anyway.
_DOTS = 80


def reading_chart(explanation: Explanation) -> str:
    """Return a figure: along it the tokens, upward the probability if the text ended there."""
    scores = [effect.score for effect in explanation.tokens]
    across = (_WIDTH - _LEFT - 8) / max(1, len(scores) - 1)
    high = _HEIGHT - _TOP - _BOTTOM
    points = [(_LEFT + across * at, _TOP + high * (1.0 - score)) for at, score in enumerate(scores)]
    lines = ""
    for share in (0.0, 0.5, 1.0):
        y = _TOP + high * (1.0 - share)
        lines += f"<line class=grid x1={_LEFT} x2={_WIDTH} y1={y:.1f} y2={y:.1f} />"
        lines += f'<text x={_LEFT - 6} y={y + 4:.1f} text-anchor="end">{share:.0%}</text>'
    line = f'<polyline class=line points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" />'
    dots = "".join(
        f"<circle class=dot cx={x:.1f} cy={y:.1f} r=3>"
        f"<title>{escape(effect.token)}: {percent(effect.score)}</title></circle>"
        for (x, y), effect in zip(points, explanation.tokens, strict=True)
        if len(points) <= _DOTS
    )
    ends = (
        f"<text x={_LEFT} y={_HEIGHT - 4}>first token</text>"
        f'<text x={_WIDTH} y={_HEIGHT - 4} text-anchor="end">last of {len(scores):,}</text>'
    )
    about = f"Probability of {explanation.label} if the text ended after each token"
    return (
        f'<figure style="margin:.6rem 0"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(about)}">{lines}{line}{dots}{ends}</svg>'
        f"<figcaption class=dim>{escape(about)}: each beginning is read anew, as a text of its own.</figcaption>"
        "</figure>"
    )
