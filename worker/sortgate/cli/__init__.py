"""The ``sortgate`` command: one group, its commands loaded only when they are used."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import click

from sortgate import __version__
from sortgate.errors import SortgateError

#: Command → where it is, one line for the overview, and the extra that brings its libraries.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "bundle": ("sortgate.cli.bundle:bundle", "Look into a bundle, or verify it.", "inference"),
    "classify": ("sortgate.cli.classify:classify", "Classify a file of texts with a bundle.", "inference"),
    "dead": ("sortgate.cli.dead:dead", "List, show, requeue or purge texts that failed.", "cli"),
    "demo": ("sortgate.cli.demo:demo", "Train, serve and stream 20,000 texts, in about two minutes.", "worker"),
    "doctor": ("sortgate.cli.doctor:doctor", "Say what the live Redis really guarantees.", "cli"),
    "plugins": ("sortgate.cli.plugins:plugins", "List installed plugins and their components.", "cli"),
    "queues": ("sortgate.cli.queues:queues", "Show the queues: backlog, lag, workers.", "cli"),
    "results": ("sortgate.cli.results:results", "Collect results as JSON lines.", "cli"),
    "submit": ("sortgate.cli.submit:submit", "Enqueue a file of texts.", "cli"),
    "worker": ("sortgate.cli.worker:worker", "Answer the texts of one or more queues.", "worker"),
}
_TRAINING = {
    "evaluate": "Judge a bundle on labelled texts.",
    "train": "Train a classifier from a file of labelled texts.",
}


class _Missing(click.ClickException):
    """A command whose libraries are not installed."""


class LazyGroup(click.Group):
    """Finds commands by name and imports only the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands, those of other distributions included."""
        return sorted({*_COMMANDS, *_TRAINING, *(point.name for point in entry_points(group="sortgate.commands"))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; one whose libraries are absent says how to install them."""
        if cmd_name in _COMMANDS:
            home, _, extra = _COMMANDS[cmd_name]
            return _load(home, cmd_name, f'"sortgate[{extra}]"')
        for point in entry_points(group="sortgate.commands", name=cmd_name):
            return _load(point.value, cmd_name, "sortgate-training" if cmd_name in _TRAINING else point.name)
        if cmd_name in _TRAINING:
            raise _Missing(f"`sortgate {cmd_name}` needs another package: pip install sortgate-training")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing any command."""
        rows = [(name, _COMMANDS[name][1] if name in _COMMANDS else _TRAINING.get(name, "")) for name in
                self.list_commands(ctx)]  # fmt: skip
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _load(home: str, name: str, package: str) -> click.Command:
    module, _, attribute = home.partition(":")
    try:
        command: Any = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in {"sortgate", "sortgate_training"}:
            raise
        raise _Missing(f"`sortgate {name}` needs {error.name}, which is not installed: pip install {package}") from None
    if not isinstance(command, click.Command):
        raise _Missing(f"`sortgate {name}`: {home} is not a command")
    return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  sortgate train tickets.csv --out models/tickets
  sortgate worker --models models --queues tickets
  sortgate submit texts.txt --queue tickets && sortgate results --queue tickets""",
)
@click.version_option(__version__, prog_name="sortgate")
def main() -> None:
    """Sort texts into labels: train a classifier, serve it from Redis, watch it work."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; every foreseen error is one line on stderr. Returns the exit status."""
    try:
        status = main.main(args=arguments, prog_name="sortgate", standalone_mode=False)
    except SortgateError as error:
        return _fail(str(error), error.exit_code)
    except _Missing as error:
        return _fail(error.message, 1)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("\nsortgate: stopped", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:
        # the reader went away: keep Python from complaining when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    print(f"sortgate: error: {message}", file=sys.stderr)  # noqa: T201
    return status
