"""The classifier: order, isolation of failing texts, independence of the batch, and what it refuses to load."""

from __future__ import annotations

import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sortgate import Classifier
from sortgate.bundle import Bundle, write_bundle
from sortgate.errors import BundleIntegrityError, PluginNotAllowedError, UnknownComponentError, UnsafeModelError
from sortgate_training.graph import random_model

WORDS = [f"word{i}" for i in range(50)] + ["hello", "world", "never seen", "?"]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    generator = random.Random(5)
    return [" ".join(generator.choices(WORDS, k=generator.choice((1, 2, 5, 30, 200, 900)))) for _ in range(150)]


def rewrite(bundle: Bundle, folder: Path, files: dict[str, bytes] | None = None, **fields: object) -> Path:
    """Write a changed copy whose digests are right, as an attacker or a confused exporter would."""
    contents = {name: bundle.read(name) for name in bundle.manifest.files} | (files or {})
    manifest = msgspec.structs.replace(bundle.manifest, version="", files={}, **fields)
    return write_bundle(folder, manifest, contents)


def test_answers_are_in_order_and_the_same_alone_and_in_any_batch(toy_classifier: Classifier, texts: list[str]) -> None:
    together = toy_classifier(texts)
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    shuffled = toy_classifier([texts[index] for index in order])
    for index, made in zip(order, shuffled, strict=True):
        assert made.label == together[index].label
        assert made.score == pytest.approx(together[index].score, abs=1e-5)
    for text, expected in zip(texts[:40], together, strict=False):
        alone = toy_classifier([text])[0]
        assert alone.label == expected.label
        assert alone.truncated == expected.truncated
        assert [item.score for item in alone.labels] == pytest.approx(
            [item.score for item in expected.labels], abs=1e-5
        )


def test_threads_do_not_change_scores(toy_bundle: Path, toy_classifier: Classifier, texts: list[str]) -> None:
    two = Classifier.load(toy_bundle, threads=2)
    assert two.threads == 2
    assert [made.score for made in two(texts)] == pytest.approx(
        [made.score for made in toy_classifier(texts)], abs=1e-5
    )


def test_the_same_call_gives_the_same_answer(toy_classifier: Classifier, texts: list[str]) -> None:
    assert toy_classifier(texts) == toy_classifier(texts)


def test_failing_texts_fail_alone(toy_classifier: Classifier) -> None:
    made = toy_classifier(["hello", "", "x" * 70_000, "world", "\ud800", 5, "  \n"])  # type: ignore[list-item]
    assert [item.error.code if item.error else None for item in made] == [
        None, "empty_text", "text_too_long", None, "text_error", "text_error", "empty_text",
    ]  # fmt: skip
    for item in made:
        assert (item.label is None) == (item.error is not None)
        assert item.error is None or item.score == 0.0
    assert made[0] == toy_classifier(["hello"])[0]


def test_no_texts_and_a_single_string(toy_classifier: Classifier) -> None:
    assert toy_classifier([]) == []
    assert toy_classifier(["", ""])[1].error is not None
    with pytest.raises(TypeError, match="list of texts"):
        toy_classifier("hello")


def test_what_it_says_of_itself(toy_bundle: Path, toy_classifier: Classifier) -> None:
    bundle = Bundle.open(toy_bundle)
    assert toy_classifier.fingerprint == bundle.fingerprint
    assert toy_classifier.model_name == bundle.model_name
    assert toy_classifier.labels == ("billing", "login", "other")
    assert toy_classifier.identities == {bundle.fingerprint, bundle.model_name, bundle.path.name}
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(toy_classifier)


def test_a_vocabulary_of_another_training_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(toy_bundle)
    for vocabulary in (bundle.read("vocabulary.txt") + b"more\n", b"only\n"):
        path = rewrite(bundle, tmp_path, {"vocabulary.txt": vocabulary})
        with pytest.raises(BundleIntegrityError, match="not of one training"):
            Classifier.load(path)


def test_labels_of_another_training_are_refused(toy_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleIntegrityError, match="2 labels and the model 3"):
        Classifier.load(rewrite(Bundle.open(toy_bundle), tmp_path, labels=["a", "b"]))


def test_another_model_is_noticed_by_the_golden_texts(toy_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(toy_bundle)
    rows = bundle.read("vocabulary.txt").count(b"\n") + 2
    path = rewrite(bundle, tmp_path, {"model.onnx": random_model(rows, 3, seed=99)})
    with pytest.raises(BundleIntegrityError, match="golden text 1 gives another answer here"):
        Classifier.load(path)
    assert Classifier.load(path, golden=False)(["hello"])[0].label is not None


def test_an_unsafe_model_is_refused_though_its_digest_is_right(toy_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(toy_bundle)
    path = rewrite(bundle, tmp_path, {"model.onnx": bundle.read("model.onnx").replace(b"Gemm", b"Loop")})
    with pytest.raises(UnsafeModelError, match="'Loop'"):
        Classifier.load(path)


def test_files_that_are_not_used_are_verified_too(toy_bundle: Path, tmp_path: Path) -> None:
    path = rewrite(Bundle.open(toy_bundle), tmp_path, {"report.html": b"<p>fine</p>"})
    (path / "report.html").write_bytes(b"<p>bad</p>")
    with pytest.raises(BundleIntegrityError, match=r"report\.html: changed"):
        Classifier.load(path)
    Classifier.load(path, verify=False)


PLUGIN = """
from sortgate import hookimpl


class Shout:
    def __call__(self, text):
        if "boom" in text:
            raise RuntimeError(text)
        return text + " world"


@hookimpl
def sortgate_register_normalizers(register):
    register("acme.shout.v1", Shout)
"""


@pytest.fixture
def plugin_bundle(make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that needs a one-file plugin, found through SORTGATE_PLUGINS_DIR."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "shout.py").write_text(PLUGIN)
    (folder / "other.py").write_text("raise SystemExit('a plugin that the bundle does not name was run')")
    hidden = tmp_path / "only"
    hidden.mkdir()
    shutil.copy(folder / "shout.py", hidden)
    monkeypatch.setenv("SORTGATE_PLUGINS_DIR", str(folder))
    return make_bundle(tmp_path / "toy", normalizers=["acme.shout.v1"], plugins_dir=hidden)


def test_only_the_plugins_that_the_bundle_names_are_run(plugin_bundle: Path) -> None:
    made = Classifier.load(plugin_bundle)(["hello", "boom secret"])
    assert made[0].label is not None
    error = made[1].error
    assert error is not None
    assert (error.code, error.component) == ("component_failed", "acme.shout.v1")
    assert "secret" not in error.message


def test_the_allow_list_holds(plugin_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTGATE_PLUGINS", "something-else")
    with pytest.raises(PluginNotAllowedError, match=r"shout\.py"):
        Classifier.load(plugin_bundle)
    monkeypatch.setenv("SORTGATE_PLUGINS", "shout.py")
    Classifier.load(plugin_bundle)


def test_a_missing_plugin_is_named(plugin_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SORTGATE_PLUGINS_DIR", str(tmp_path / "empty"))
    with pytest.raises(UnknownComponentError, match=r"shout\.py"):
        Classifier.load(plugin_bundle)


def test_loads_without_numpy_installed_with_a_clear_message() -> None:
    code = "import sys; sys.modules['numpy'] = None\nfrom importlib.util import find_spec\nimport sortgate.inference"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "sortgate[inference]"' in done.stderr.splitlines()[-1]
