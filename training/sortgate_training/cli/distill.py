"""``sortgate distill``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sortgate_training.cli.options import PATH, load_bundle
from sortgate_training.cli.train import carry_out, train
from sortgate_training.data import read_unlabelled

if TYPE_CHECKING:
    from sortgate_training.distillation import Teaching

#: Options of ``train`` that make no sense here, or are written anew below.
_OTHERWISE = {"out", "find_lr"}
_PARAMETERS: list[click.Parameter] = [
    click.Argument(["teacher"], type=PATH),
    *(parameter for parameter in train.params if parameter.name not in _OTHERWISE),
]


@click.command(
    params=_PARAMETERS,
    epilog="""\b
Examples:
  sortgate distill models/large tickets.csv -o models/small --preset fast
  sortgate distill models/seed0 tickets.csv --teacher models/seed1 --teacher models/seed2 -o models/tickets
  sortgate distill models/large tickets.csv --unlabelled mails.txt --set distillation.temperature=4

TEACHER is a bundle with the labels of DATA; of several, the mean of their probabilities is learned. DATA and all other
options are those of `sortgate train`. What is to judge the student should be given with --test and --validation: parts
that are split off may be texts that a teacher has learned from.""",
)
@click.option("--out", "-o", type=PATH, help="Folder of the student's versions.  [default: TEACHER-distilled]")
@click.option("--teacher", "others", type=PATH, metavar="BUNDLE", multiple=True, help="A further teacher; may repeat.")
@click.option(
    "--unlabelled",
    type=PATH,
    metavar="FILE",
    multiple=True,
    help="Texts that only the teachers label: a format of DATA, or .txt with a text a line; may repeat.",
)
@click.pass_context
def distill(
    context: click.Context,
    /,
    teacher: Path,
    others: tuple[Path, ...],
    unlabelled: tuple[Path, ...],
    out: Path | None,
    **options: Any,
) -> None:
    """Train a student that learns from one or several bundles beside the labels."""
    from sortgate.bundle import Bundle

    paths = (teacher, *others)
    bundles = [Bundle.open(path, verify=False) for path in paths]  # not after an hour of reading
    if out is None:
        folder = bundles[0].path.parent
        out = folder.with_name(f"{folder.name}-distilled")

    def teach(say: Callable[[str], None]) -> Teaching:
        from sortgate_training.distillation import Teaching

        texts = read_unlabelled(unlabelled, options["text_column"]) if unlabelled else None
        for note in texts.notes if texts else ():
            say(note)
        return Teaching([load_bundle(path, options["plugins_dir"], options["threads"]) for path in paths], texts)

    carry_out(context, out=out, find_lr=False, teach=teach, **options)
