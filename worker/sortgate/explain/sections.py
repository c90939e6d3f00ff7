"""The tables and lists of an explanation's page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sortgate.explain.explanation import Explanation
from sortgate.explain.shades import outcome, percent, signed, strongest

_LABELS = 8
_NOTHING = "<span class=dim>changes nothing</span>"


def tokens_table(explanation: Explanation, contributions: Sequence[float]) -> str:
    """Return the tokens that count most, with every figure of them."""
    first = explanation.tokens[0]
    figures = {"gradients": first.gradient, "occlusion": first.occlusion, "without it": first.without}
    heads = ["token", "", *(name for name, figure in figures.items() if figure is not None), "so far", "best so far"]
    largest = max(map(abs, contributions)) or 1.0
    chosen = strongest(contributions)
    rows = []
    for at in chosen:
        effect, value = explanation.tokens[at], contributions[at]
        cells = [signed(figure) for figure in (effect.gradient, effect.occlusion) if figure is not None]
        cells += [percent(figure) for figure in (effect.without, effect.score) if figure is not None]
        known = "" if effect.known else " class=u"
        best = "" if effect.best.label == explanation.label else escape(effect.best.label)
        rows.append(
            f"<tr><td class=w><span{known}>{escape(effect.token)}</span></td>"
            f'<td class="w narrow">{_bar(4 * abs(value) / largest, "f" if value > 0 else "a")}</td>'
            f"{''.join(f'<td>{cell}</td>' for cell in cells)}<td class=w>{best}</td></tr>"
        )
    more = len(contributions) - len(chosen)
    note = f"<p class=dim>{more:,} tokens that count less are left out.</p>" if more else ""
    classes = {"token": " class=w", "": " class=narrow", "best so far": " class=w"}
    head = "".join(f"<th{classes.get(name, '')}>{name}</th>" for name in heads)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"


def _bar(width_rem: float, kind: str) -> str:
    return f'<span class="bar {kind}" style="width:{width_rem:.2f}rem"></span>'


def labels_table(explanation: Explanation) -> str:
    """Return the labels with the highest probabilities."""
    rows = "".join(
        f'<tr><td class=w>{escape(entry.label)}</td><td class="w narrow">{_bar(6 * entry.score, "f")}</td>'
        f"<td>{percent(entry.score)}</td></tr>"
        for entry in explanation.labels[:_LABELS]
    )
    more = len(explanation.labels) - _LABELS
    note = f"<p class=dim>and {more:,} more</p>" if more > 0 else ""
    return f"<div class=scroll><table><tbody>{rows}</tbody></table></div>{note}"


def decisions_list(explanation: Explanation) -> str:
    """Return what each label post-processor did; nothing when there are none."""
    return _list([(made.component, escape(outcome(made)) or _NOTHING) for made in explanation.decisions])


def stages_list(explanation: Explanation) -> str:
    """Return the text after each component."""
    rows = [("text", escape(explanation.text))]
    rows += [(text.component, escape(text.text) if text.changed else _NOTHING) for text in explanation.normalizers]
    words = (explanation.tokenizer, *explanation.filters) if explanation.tokenizer else ()
    for number, stage in enumerate(words):
        shown = f"<span class=dim>{len(stage.tokens):,} tokens:</span> {escape(' '.join(stage.tokens))}"
        rows.append((stage.component, shown if stage.changed or not number else _NOTHING))
    if explanation.cut:
        cut = explanation.cut
        rows.append(("not read", f"{escape(' '.join(cut.tokens))} <span class=dim>(kept: {escape(cut.kept)})</span>"))
    if explanation.unknown:
        rows.append(("unknown words", escape(" ".join(explanation.unknown))))
    return _list(rows)


def _list(rows: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{what}</dd>" for name, what in rows)
    return f"<dl>{items}</dl>" if items else ""
