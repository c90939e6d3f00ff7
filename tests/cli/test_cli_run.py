"""The command group: lazy, one line an error, and help for every command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import click
import pytest

from sortgate import cli
from sortgate.errors import BundleNotFoundError, DataError


def sortgate(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sortgate", *arguments], capture_output=True, text=True, check=False, **options  # type: ignore[call-overload]
    )  # fmt: skip


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys; from sortgate.cli import run; run(['--help']); heavy = {'numpy', 'onnxruntime', 'celery', "
        "'torch', 'redis', 'rich', 'sortgate.cli.worker'}; print(*sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, loaded = done.stdout.split("\n")[:-1]
    assert loaded == ""
    for name in ("bundle", "classify", "dead", "demo", "doctor", "evaluate", "plugins", "queues", "results", "submit",
                 "train", "worker"):  # fmt: skip
        assert any(line.strip().startswith(name + " ") for line in text), name


def test_version() -> None:
    from sortgate import __version__

    assert sortgate("--version").stdout == f"sortgate, version {__version__}\n"


def command_names() -> list[str]:
    return cli.main.list_commands(click.Context(cli.main))


def commands() -> Iterator[tuple[str, click.Command, str]]:
    """Yield each command's full name, the command, and the examples in its help or its group's."""
    for name in command_names():
        command = cli.main.get_command(click.Context(cli.main), name)
        assert command is not None
        yield name, command, command.epilog or ""
        if isinstance(command, click.Group):
            for child, inner in command.commands.items():
                yield f"{name} {child}", inner, f"{command.epilog}{inner.epilog}"


def test_every_command_has_help_with_an_example() -> None:
    for name, command, examples in commands():
        assert command.help, name
        if not isinstance(command, click.Group):
            assert f"sortgate {name}" in examples, name


def test_every_option_is_explained_or_speaks_for_itself() -> None:
    for name, command, _ in commands():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help or option.show_default or isinstance(option.type, click.Choice), (name, option.name)


def end_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: failing)
    return cli.run(["anything"])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DataError("texts.csv: row 3\nis bad"), 1, "sortgate: error: texts.csv: row 3 is bad"),
        (BundleNotFoundError("no bundle"), 78, "sortgate: error: no bundle"),
        (ModuleNotFoundError("No module", name="onnxruntime.capi"), 1,
         'sortgate: error: onnxruntime.capi is not installed: pip install "sortgate[inference]"'),
        (ModuleNotFoundError("No module", name="tokenizers"), 1,
         'sortgate: error: tokenizers is not installed: pip install "sortgate[subword]"'),
        (KeyboardInterrupt(), 130, "sortgate: stopped"),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    assert end_with(monkeypatch, error) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip() == line


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        end_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ModuleNotFoundError):
        end_with(monkeypatch, ModuleNotFoundError("No module", name="sortgate.typo"))


def entry_points_are(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    found = EntryPoints(points)
    monkeypatch.setattr(cli, "entry_points", lambda **choice: found.select(**choice))


def test_training_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    entry_points_are(monkeypatch)
    assert cli.run(["train", "texts.csv"]) == 1
    assert capsys.readouterr().err == (
        "sortgate: error: `sortgate train` needs another package: pip install sortgate-training\n"
    )
    assert "train" in command_names()


def test_a_command_whose_library_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    monkeypatch.delitem(sys.modules, "sortgate.cli.worker", raising=False)
    entry_points_are(
        monkeypatch,
        EntryPoint("fancy", "no_such_module_here:fancy", cli.COMMANDS_GROUP),
        EntryPoint("odd", "json:dumps", cli.COMMANDS_GROUP),
    )
    assert cli.run(["fancy"]) == 1
    assert cli.run(["odd"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "sortgate: error: `sortgate fancy` needs no_such_module_here: pip install fancy",
        "sortgate: error: `sortgate odd`: json:dumps is no click command",
    ]
    assert "fancy" in command_names()


@pytest.mark.parametrize("arguments", [["nosuch"], ["classify"], ["classify", "x", "--format", "xml"]])
def test_wrong_usage_has_no_traceback(arguments: list[str]) -> None:
    done = sortgate(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_quiet(toy_bundle: Path) -> None:
    texts = "hello world\n" * 30_000
    pipe = f"{sys.executable} -m sortgate classify {toy_bundle} texts.txt | head -1; exit ${{PIPESTATUS[0]}}"
    folder = toy_bundle.parent.parent
    (folder / "texts.txt").write_text(texts)
    done = subprocess.run(["bash", "-c", pipe], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_interrupting_is_130_without_traceback(toy_bundle: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sortgate", "classify", str(toy_bundle)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b'{"label":')  # it is waiting for more
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.decode().strip() == "sortgate: stopped"
