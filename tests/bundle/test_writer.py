"""Writing bundles: complete or not at all, never over another one."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from sortgate.bundle import Bundle, Manifest, encode_manifest, list_versions, write_bundle
from sortgate.errors import BundleError, BundleFormatError

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


class Parts(msgspec.Struct):
    """A manifest without version and digests, and its files."""

    manifest: Manifest
    files: dict[str, bytes]


@pytest.fixture
def parts(toy_bundle: Path) -> Parts:
    bundle = Bundle.open(toy_bundle)
    files = {name: bundle.read(name) for name in bundle.manifest.files} | {"state/tokenizer-0.bin": b"\0" * 300_000}
    return Parts(msgspec.structs.replace(bundle.manifest, version="", files={}), files)


def test_versions_are_added_and_never_overwritten(parts: Parts, tmp_path: Path) -> None:
    made = [write_bundle(tmp_path / "models" / "toy", parts.manifest, parts.files, NOW) for _ in range(3)]
    assert [path.name for path in made] == ["20260504T030201Z", "20260504T030201Z-2", "20260504T030201Z-3"]
    for path in made:
        bundle = Bundle.open(path)
        assert bundle.manifest.version == path.name
        assert {name: bundle.read(name) for name in bundle.manifest.files} == parts.files
    assert len({Bundle.open(path).fingerprint for path in made}) == 3


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sortgate.bundle import Bundle, write_bundle
import msgspec
bundle = Bundle.open(sys.argv[1])
files = {name: bundle.read(name) for name in bundle.manifest.files}
manifest = msgspec.structs.replace(bundle.manifest, version="", files={})
if len(sys.argv) > 3:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
for _ in range(10):
    write_bundle(Path(sys.argv[2]), manifest, files, datetime(2026, 5, 4, tzinfo=UTC))
"""


def test_processes_that_write_in_the_same_second_all_succeed(toy_bundle: Path, tmp_path: Path) -> None:
    def write(_: int) -> int:
        return subprocess.run([sys.executable, "-c", WRITER, toy_bundle, tmp_path / "new"], check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(write, range(3))) == [0, 0, 0]
    versions = list_versions(tmp_path / "new")
    assert versions == ["20260504T000000Z", *(f"20260504T000000Z-{n}" for n in range(2, 31))]
    assert {Bundle.open(tmp_path / "new" / version).manifest.version for version in versions} == set(versions)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(versions)


def test_a_full_disk_is_one_line_and_leaves_nothing(toy_bundle: Path, tmp_path: Path) -> None:
    # a limit on the size of files stands for the full disk: writing fails half-way through the model
    done = subprocess.run(
        [sys.executable, "-c", WRITER, toy_bundle, tmp_path / "models" / "toy", "2000"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("sortgate.errors.BundleError: cannot write the bundle to ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    folder = tmp_path / "models" / "toy"
    first = write_bundle(folder, parts.manifest, parts.files, NOW)
    calls = 0

    def interrupted(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error

    monkeypatch.setattr("os.fsync", interrupted)
    expected = BundleError if isinstance(error, OSError) else error
    with pytest.raises(expected):  # type: ignore[arg-type]
        write_bundle(folder, parts.manifest, parts.files, NOW)
    assert [path.name for path in folder.iterdir()] == [first.name]
    Bundle.open(first)


def test_folders_that_exist_already_stay(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    (tmp_path / "models").mkdir()
    with pytest.raises(BundleError, match="No space left on device"):
        write_bundle(tmp_path / "models" / "new" / "toy", parts.manifest, parts.files)
    assert (tmp_path / "models").is_dir()
    assert list((tmp_path / "models").iterdir()) == []


def test_a_file_in_the_way(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "toy").write_text("mine")
    with pytest.raises(BundleError, match="cannot write the bundle"):
        write_bundle(tmp_path / "toy", parts.manifest, parts.files)
    assert (tmp_path / "toy").read_text() == "mine"


def test_an_impossible_manifest_is_not_written(parts: Parts, tmp_path: Path) -> None:
    for files in ({**parts.files, "../x": b""}, {"model.onnx": b""}, {**parts.files, "manifest.json": b""}):
        with pytest.raises(BundleFormatError):
            write_bundle(tmp_path / "toy", parts.manifest, files)
    assert not (tmp_path / "toy").exists()


def test_what_is_written_may_be_read_by_others(parts: Parts, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "toy", parts.manifest, parts.files)
    assert path.stat().st_mode & 0o055 == (tmp_path / "toy").stat().st_mode & 0o055
    assert encode_manifest(Bundle.open(path).manifest) == (path / "manifest.json").read_bytes()
