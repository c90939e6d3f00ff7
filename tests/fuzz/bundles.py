"""Fuzzes the bundle loader: a spoilt bundle is refused with one of Sortgate's errors, and a signed one always.

Every example spoils a fresh copy of a small bundle and loads it as a worker does. ONNX Runtime is not started: what it
does with models that pass the check is fuzzed by tests/bundle/test_onnx_fuzz.py, in processes of their own.

Examples:
  python tests/fuzz/bundles.py --minutes 60
  python tests/fuzz/bundles.py --target manifests --seed 7 --minutes 0
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing import Target, fuzz, main
from sortgate import Classifier
from sortgate.bundle import ANYONE, Bundle, Trust, sign_bundle
from sortgate.bundle.keys import create_key
from sortgate.errors import BundleError, SortgateError

SOURCES = sorted((Path(__file__).parents[1] / "bundle/data/format-2").glob("*/*"))
FILES = {source: sorted(str(p.relative_to(source)) for p in source.rglob("*") if p.is_file()) for source in SOURCES}
_scratch = tempfile.TemporaryDirectory(prefix="sortgate-fuzz-")


def copy(source: Path) -> Path:
    """Return a fresh copy of a version folder, in place of the last one."""
    target = Path(_scratch.name) / source.parent.name / source.name
    shutil.rmtree(target.parent, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def load(folder: Path, trust: Trust = ANYONE) -> bool:
    """Load as a worker does, ONNX Runtime aside; whether it was taken. Any other error than ours is let out."""
    try:
        Classifier.load(folder, golden=False, trust=trust)
    except SortgateError as error:
        refusal = str(error)
    else:
        return True
    assert refusal.isprintable(), "an error is one line that leaves the terminal alone"
    assert len(refusal) < 3_000
    return False


_sources = st.sampled_from(SOURCES)
_positions = st.floats(0, 1, exclude_max=True)
_changes = st.lists(
    st.one_of(
        st.tuples(st.just("set"), _positions, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("insert"), _positions, st.binary(min_size=1, max_size=12)),
        st.tuples(st.just("remove"), _positions, st.integers(1, 40).map(bytes)),
        st.tuples(st.just("cut"), _positions, st.just(b"")),
        st.tuples(st.just("double"), _positions, st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)


def spoil(data: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """Apply changes; a position is a share of the length."""
    for kind, share, value in changes:
        at = int(share * len(data))
        if kind == "set":
            data = data[:at] + value + data[at + len(value) :]
        elif kind == "insert":
            data = data[:at] + value + data[at:]
        elif kind == "remove":
            data = data[:at] + data[at + len(value) :]
        else:
            data = data[:at] if kind == "cut" else data + data[at:]
    return data


@fuzz(source=_sources, choice=st.integers(0, 99), changes=_changes)
def files(source: Path, choice: int, changes: list[tuple[str, float, bytes]]) -> None:
    """A changed file is refused; a changed manifest may still be one."""
    folder = copy(source)
    name = FILES[source][choice % len(FILES[source])]
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(spoil(before, changes))
    taken = load(folder)
    assert not taken or name == "manifest.json" or (folder / name).read_bytes() == before


@fuzz(source=_sources, choice=st.integers(0, 99), changes=_changes)
def sealed(source: Path, choice: int, changes: list[tuple[str, float, bytes]]) -> None:
    """The same with the right digest in the manifest: only the file's own reader is left to refuse it."""
    folder = copy(source)
    manifest = json.loads((folder / "manifest.json").read_text())
    names = sorted(manifest["files"])
    name = names[choice % len(names)]
    data = spoil((folder / name).read_bytes(), changes)
    (folder / name).write_bytes(data)
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    load(folder)


_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**80), 2**80), st.floats(), st.text(max_size=30),
    st.sampled_from(["", "../x", "/etc/passwd", "a\0b", "manifest.json", "sortgate.words.v1", "sortgate-nltk"]),
)  # fmt: skip
_json = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4)),
    max_leaves=12,
)
_edits = st.lists(
    st.tuples(st.lists(st.integers(0, 99), min_size=1, max_size=5), st.sampled_from(["set", "remove", "add"]), _json),
    min_size=1,
    max_size=3,
)


def edit(node: Any, path: list[int], kind: str, value: Any) -> None:
    """Change a tree of JSON at a place that the path leads to, as far as it leads anywhere."""
    keys: list[Any] = sorted(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = keys[path[0] % len(keys)]
    if len(path) > 1 and isinstance(node[key], (dict, list)) and node[key]:
        edit(node[key], path[1:], kind, value)
    elif kind == "remove":
        del node[key]
    elif kind == "set":
        node[key] = value
    elif isinstance(node, dict):
        node[str(value)[:40]] = node[key]
    else:
        node.append(value)


@fuzz(source=_sources, edits=_edits)
def manifests(source: Path, edits: list[tuple[list[int], str, Any]]) -> None:
    """A manifest of another content is refused, or describes a bundle that loads and gives one answer a text."""
    folder = copy(source)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for steps, kind, value in edits:
        edit(manifest, steps, kind, value)
    path.write_bytes(json.dumps(manifest).encode("utf-8", "surrogatepass"))
    if load(folder):
        classifier = Classifier.load(folder, golden=False, trust=ANYONE)
        assert len(classifier.text_path.encode(["Hello, my screen stays black", ""])) == 2


@functools.cache
def _signed() -> tuple[dict[Path, Path], Trust]:
    """Signed copies of the bundles, and whom to trust."""
    home = Path(_scratch.name) / "signed"
    home.mkdir()
    public, _ = create_key(home / "release.key")
    made = {}
    for source in SOURCES:
        made[source] = Path(shutil.copytree(source, home / source.parent.name / source.name))
        sign_bundle(Bundle.open(made[source], trust=ANYONE), home / "release.key")
    return made, Trust.of(public)


@fuzz(source=_sources, choice=st.integers(0, 99), changes=_changes)
def signed(source: Path, choice: int, changes: list[tuple[str, float, bytes]]) -> None:
    """Of a signed bundle any changed byte is refused, whatever file it is in."""
    made, trust = _signed()
    folder = copy(made[source])
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    path = folder / names[choice % len(names)]
    before = path.read_bytes()
    after = spoil(before, changes)
    path.write_bytes(after)
    try:
        Bundle.open(folder, trust=trust)
    except BundleError:
        return
    assert after == before


_file_names = st.one_of(
    st.sampled_from(["x", "weights.bin", ".hidden", "state", "signature-0123456789abcdef.ed25519", "model.onnx.data"]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20),
).filter(lambda name: name not in {".", ".."})


def _put(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    if kind == "file":
        path.write_bytes(b"x" * 64)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/etc/passwd" if kind == "link out" else folder / "model.onnx")


@fuzz(source=_sources, name=_file_names, kind=st.sampled_from(["file", "folder", "link out", "link in"]))
def names(source: Path, name: str, kind: str) -> None:
    """A file, folder or link that the manifest does not name is refused; a signature's file alone may be there."""
    folder = copy(source)
    try:
        _put(folder, name, kind)
    except FileExistsError:
        return
    except OSError:
        return  # the file system takes no such name
    assert load(folder) == (kind == "file" and name == "signature-0123456789abcdef.ed25519") or name in FILES[source]


TARGETS: dict[str, Target] = {
    "files": files, "manifests": manifests, "names": names, "sealed": sealed, "signed": signed,
}  # fmt: skip

if __name__ == "__main__":
    main(TARGETS, __doc__)
