"""``sortgate explain``: why a bundle gives one text its label, on the terminal, as JSON or as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from sortgate.cli.outfiles import check_no_input, write_file
from sortgate.cli.output import json_option, print_json
from sortgate.errors import DataError, TextError

if TYPE_CHECKING:
    from sortgate.explain import Method


@click.command(
    epilog="""\b
Examples:
  sortgate explain models/tickets "I cannot log in since this morning"
  sortgate explain models/tickets --file mail.txt --label billing --html why.html
  echo "My invoice is wrong" | sortgate explain models/tickets - --json

Shows what each component makes of the text, which words the model does not know, the probability of the label after
each token, what each token contributes to it, and what the label post-processors change. docs/explain.md says what
each figure means."""
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("text", metavar="[TEXT|-]", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Read the text from this file.")
@click.option("--label", help="Label to explain.  [default: the one with the highest probability]")
@click.option(
    "--method",
    type=click.Choice(["both", "occlusion", "gradients"]),
    default="both",
    show_default=True,
    help="occlusion: each token made unknown in turn; gradients: integrated gradients, which sum up.",
)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Also write a page, one file.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of the model.")
@click.option("--plugins-dir", type=click.Path(path_type=Path), help="Folder of one-file plugins.")
@json_option
def explain(
    bundle: Path,
    text: str | None,
    file: Path | None,
    label: str | None,
    method: str,
    html: Path | None,
    threads: int,
    plugins_dir: Path | None,
    as_json: bool,
) -> None:
    """Explain how a bundle comes to its label for TEXT, for a file, or for standard input (-)."""
    if (text is None) == (file is None):
        raise click.UsageError("give one text: as TEXT, as - for standard input, or with --file.")
    if html is not None and file is not None:
        check_no_input(f"--html {html}", html, [file])
    read = _read(text, file)
    from sortgate.inference import Classifier  # takes half a second: not for --help

    classifier = Classifier.load(bundle, threads=threads, plugins_dir=plugins_dir)
    found = classifier.explain(read, method=cast("Method", method), label=label)
    if html is not None:
        from sortgate.explain.page import render_page

        write_file(f"--html {html}", html, render_page(found))
    if as_json:
        print_json(found)
    else:
        from sortgate.cli.explanation import show

        show(found)
        if html is not None:
            click.echo(f"page: {html}")
    if found.error is not None:
        raise TextError(f"the text has no answer: {found.error.message}")


def _read(text: str | None, file: Path | None) -> str:
    """Return the text; one newline at the end of a file is not part of it.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    if text is not None and text != "-":
        return text
    try:
        data = sys.stdin.buffer.read() if file is None else file.read_bytes()
        return data.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise DataError(f"{file or 'standard input'}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{file or 'standard input'}: not UTF-8; convert it first, with iconv for example") from None
