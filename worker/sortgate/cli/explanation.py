"""An explanation on a terminal; in colour where there is one, and as readable without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sortgate.cli.output import printable
from sortgate.explain.explanation import Explanation
from sortgate.explain.shades import answer, mark, outcome, percent, signed, strengths, strongest, sums

#: Blue speaks for the label, orange against it: told apart also by those who see no red or no green. Both colours of
#: a shade are given, so that it can be read on a dark terminal and on a light one.
_SHADES = {
    -3: "#ffffff on #9a4a00",
    -2: "#1c1c1c on #eb9f5c",
    -1: "#1c1c1c on #f6d9bd",
    1: "#1c1c1c on #cfe3f5",
    2: "#1c1c1c on #79b4e6",
    3: "#ffffff on #0f5c9e",
}
_BAR_COLOURS = ("#3d8fd1", "#d9822b")
_BAR = 8
_LABELS = 5


def show(explanation: Explanation, console: Console | None = None) -> None:
    """Print an explanation; ``NO_COLOR`` and a pipe instead of a terminal leave out the colours."""
    console = console or Console(highlight=False)
    for title, part in _parts(explanation):
        console.print(Text(title, style="bold"))
        console.print(Padding(part, (0, 0, 0, 2), expand=False), "")


def _parts(explanation: Explanation) -> Iterator[tuple[str, RenderableType]]:
    yield "Answer", Text(printable(answer(explanation.prediction))).append(f"\n{explanation.model}", style="dim")
    yield "Text path", _stages(explanation)
    if not explanation.tokens:
        return
    yield "Probabilities by the model", _labels(explanation)
    contributions = explanation.contributions
    marks = strengths(contributions)
    yield f"What speaks for {printable(explanation.label or '')}, and what against it", _shaded(explanation, marks)
    yield (
        "Token by token ((?): an unknown word; best: the label ahead so far, where it is another)",
        _table(explanation, contributions),
    )
    yield "What the figures are", Text("\n".join(map(printable, sums(explanation))))
    if explanation.decisions:
        yield "Label post-processors", _decisions(explanation)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _stages(explanation: Explanation) -> Table:
    grid = _grid()
    grid.add_row("text", Text(printable(explanation.text)))
    for text in explanation.normalizers:
        grid.add_row(text.component, Text(printable(text.text)) if text.changed else Text("changes nothing", "dim"))
    words = (explanation.tokenizer, *explanation.filters) if explanation.tokenizer else ()
    for number, stage in enumerate(words):
        shown = Text().append(f"{len(stage.tokens):,} tokens: ", "dim").append(_joined(stage.tokens))
        grid.add_row(stage.component, shown if stage.changed or not number else Text("changes nothing", "dim"))
    if explanation.cut:
        cut = explanation.cut
        grid.add_row("not read", Text(f"{len(cut.tokens):,}: {_joined(cut.tokens)} (kept: {cut.kept})"))
    if explanation.unknown:
        grid.add_row("unknown words", Text(_joined(explanation.unknown)))
    return grid


def _joined(tokens: Sequence[str], most: int = 200) -> str:
    shown = " ".join(tokens[:most])
    return printable(shown) + (f" … and {len(tokens) - most:,} more" if len(tokens) > most else "")


def _labels(explanation: Explanation) -> Table:
    grid = _grid()
    grid.add_column()
    for entry in explanation.labels[:_LABELS]:
        bar = "█" * round(20 * entry.score)
        grid.add_row(Text(printable(entry.label)), Text(f"{percent(entry.score):>8}"), bar)
    more = len(explanation.labels) - _LABELS
    if more > 0:
        grid.add_row(Text(f"and {more:,} more", "dim"))
    return grid


def _shaded(explanation: Explanation, marks: Sequence[int]) -> Text:
    text = Text()
    for effect, strength in zip(explanation.tokens, marks, strict=True):
        token = printable(effect.token)
        text.append(f"{token}{mark(strength)}", style=_SHADES.get(strength, ""))
        text.append(" ")
    text.append("\n⁺ speaks for it, ⁻ against it; more signs and a stronger shade: more.", style="dim")
    return text


def _table(explanation: Explanation, contributions: Sequence[float]) -> RenderableType:
    by_gradient = explanation.tokens[0].gradient is not None
    by_occlusion = explanation.tokens[0].occlusion is not None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("token", overflow="fold")
    for name, wanted in (("gradients", by_gradient), ("occlusion", by_occlusion)):
        if wanted:
            table.add_column(name, justify="right")
    table.add_column("", min_width=_BAR, no_wrap=True)
    if by_occlusion:
        table.add_column("without it", justify="right")
    table.add_column("so far", justify="right")
    table.add_column("best", overflow="fold")
    largest = max(map(abs, contributions)) or 1.0
    chosen = strongest(contributions)
    for at in chosen:
        effect = explanation.tokens[at]
        bar = "█" * round(_BAR * abs(contributions[at]) / largest)
        cells: list[RenderableType] = [Text(printable(effect.token) + ("" if effect.known else " (?)"))]
        cells += [signed(effect.gradient)] if effect.gradient is not None else []
        cells += [signed(effect.occlusion)] if effect.occlusion is not None else []
        cells.append(Text(bar, style=_BAR_COLOURS[contributions[at] < 0]))
        cells += [percent(effect.without)] if effect.without is not None else []
        best = Text("" if effect.best.label == explanation.label else printable(effect.best.label), "dim")
        table.add_row(*cells, percent(effect.score), best)
    if len(chosen) < len(contributions):
        left_out = len(contributions) - len(chosen)
        table.caption = f"{left_out:,} tokens that count less are left out; --json has all"
        table.caption_justify = "left"
    return table


def _decisions(explanation: Explanation) -> Table:
    grid = _grid()
    for made in explanation.decisions:
        shown = printable(outcome(made))
        grid.add_row(made.component, Text(shown) if shown else Text("changes nothing", "dim"))
    return grid
