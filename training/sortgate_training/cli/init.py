"""``sortgate init``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from sortgate.cli.outfiles import check_no_input, write_file
from sortgate.errors import ConfigurationError, DataError
from sortgate_training.cli.options import (
    LABEL_COLUMN,
    LABEL_SEPARATOR,
    PATH,
    PLUGINS_DIR,
    PRESET,
    TEST,
    TEXT_COLUMN,
    VALIDATION,
    load_plugins,
)
from sortgate_training.datafiles import find_files
from sortgate_training.loading import load_config


@click.command(
    epilog="""\b
Examples:
  sortgate init tickets.csv
  sortgate init data/ -o mail.toml --preset fast
  sortgate train data/ --config mail.toml --out models/mail

DATA is what `sortgate train` takes. In the file every key stands with what it does; set is only what fits these texts
better than the default, and why."""
)
@click.argument("data", type=PATH, nargs=-1, required=True)
@click.option("--output", "-o", type=PATH, default="sortgate.toml", show_default=True, help="File to write; - prints.")
@PRESET
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@VALIDATION
@TEST
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@PLUGINS_DIR
def init(
    data: tuple[Path, ...],
    output: Path,
    preset: str | None,
    force: bool,
    validation: tuple[Path, ...],
    test: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    plugins_dir: Path | None,
) -> None:
    """Write a commented configuration that fits labelled texts."""
    if str(output) != "-":
        _check_absent(output, force=force)
    files = find_files(data, validation, test)
    check_no_input(f"--output {output}", output, [*files.train, *files.validation, *files.test])
    registry = load_plugins(plugins_dir)
    from sortgate_training.checks.run import check_data  # numpy: not for --help
    from sortgate_training.template import render_config

    config = load_config(overrides={"preset": preset})
    report = check_data(files, config, registry, text_column, label_column, label_separator)
    train = report.parts[0]
    if not report.trainable:
        reason = next(finding for finding in report.findings if finding.level == "error")
        raise DataError(
            f"{train.file} cannot be trained on: {reason.part}: {reason.what}; `sortgate check` says what to do"
        )
    shown = shlex.join(map(str, data)).encode("utf-8", "replace").decode().replace("\n", " ").replace("\r", " ")
    target = "FILE" if str(output) == "-" else output
    separator = "" if label_separator is None else f" --label-separator {shlex.quote(label_separator)}"
    head = [
        f"Written by `sortgate init`: {train.texts:,} training texts, {len(train.labels)} labels.",
        f"sortgate train {shown} --config {target} --out models/NAME{separator}",
    ]
    text = render_config(report.suggestions, preset or "balanced", head)
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    _check_absent(output, force=force)  # it may have come meanwhile
    write_file(str(output), output, text.encode())
    for suggestion in report.suggestions:
        click.echo(f"{suggestion.key}: {suggestion.reason}", err=True)
    click.echo(f"{output}: {len(report.suggestions)} of the keys are set, the others have their defaults")


def _check_absent(output: Path, *, force: bool) -> None:
    if output.exists() and not force:
        raise ConfigurationError(f"{output} is there already: --force replaces it, -o FILE writes another")
