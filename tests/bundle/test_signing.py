"""Signing bundles: keys as files, signatures as files, and whose are taken."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from damage import edit_manifest
from sortgate.bundle import ANYONE, Bundle, Trust, sign_bundle, signers
from sortgate.bundle.keys import create_key
from sortgate.errors import BundleError, BundleFormatError, BundleIntegrityError, BundleSignatureError
from sortgate.errors import ConfigurationError as Refused
from sortgate.settings import Settings


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SORTGATE_TRUSTED_KEYS", raising=False)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one lies beside it."""
    path = tmp_path / "release.key"
    create_key(path)
    return path


def public(key: Path) -> Path:
    return key.with_name(key.name + ".pub")


@pytest.fixture
def version(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundle's version folder."""
    source = Bundle.open(toy_bundle).path
    return shutil.copytree(source, tmp_path / "toy" / source.name)


def test_a_signed_bundle_is_taken_and_its_fingerprint_stays(version: Path, key: Path) -> None:
    before = Bundle.open(version)
    written, ident = sign_bundle(before, key)
    assert written == version / f"signature-{ident}.ed25519"
    assert written.stat().st_size == 64
    assert [path.name for path in version.parent.iterdir()] == [version.name]
    for path in (version, version.parent):
        after = Bundle.open(path, trust=Trust.of(public(key)))
        assert (after.fingerprint, after.signed_by) == (before.fingerprint, ident)
    assert Bundle.open(version).signed_by is None


def test_several_may_sign_and_one_that_is_trusted_is_enough(version: Path, key: Path, tmp_path: Path) -> None:
    create_key(tmp_path / "second.key")
    create_key(tmp_path / "third.key")
    idents = [sign_bundle(Bundle.open(version), path)[1] for path in (key, tmp_path / "second.key")]
    assert signers(version) == sorted(idents)
    for path, ident in zip((key, tmp_path / "second.key"), idents, strict=True):
        assert Bundle.open(version, trust=Trust.of(public(path), public(tmp_path / "third.key"))).signed_by == ident
    with pytest.raises(BundleSignatureError, match=rf"signed by {', '.join(sorted(idents))} and by no key that"):
        Bundle.open(version, trust=Trust.of(public(tmp_path / "third.key")))


def test_a_spoilt_signature_does_not_undo_a_good_one(version: Path, key: Path, tmp_path: Path) -> None:
    create_key(tmp_path / "second.key")
    good = sign_bundle(Bundle.open(version), key)[1]
    spoilt, _ = sign_bundle(Bundle.open(version), tmp_path / "second.key")
    spoilt.write_bytes(bytes(64))
    assert Bundle.open(version, trust=Trust.of(tmp_path)).signed_by == good
    with pytest.raises(BundleSignatureError, match="is not the one that key"):
        Bundle.open(version, trust=Trust.of(public(tmp_path / "second.key")))


def test_signing_again_mends_a_spoilt_signature(version: Path, key: Path) -> None:
    written, ident = sign_bundle(Bundle.open(version), key)
    written.write_bytes(bytes(64))
    assert sign_bundle(Bundle.open(version), key) == (written, ident)
    assert Bundle.open(version, trust=Trust.of(public(key))).signed_by == ident


def test_the_signature_is_asked_for_before_the_manifest_is_read(version: Path, key: Path) -> None:
    (version / "manifest.json").write_text("{")
    with pytest.raises(BundleSignatureError, match="not signed"):
        Bundle.open(version, trust=Trust.of(public(key)))
    with pytest.raises(BundleFormatError):
        Bundle.open(version)


@pytest.mark.parametrize("size", [0, 63, 65, 10_000])
def test_a_signature_of_another_size_is_refused(version: Path, key: Path, size: int) -> None:
    written, _ = sign_bundle(Bundle.open(version), key)
    written.write_bytes(b"x" * size)
    with pytest.raises((BundleSignatureError, BundleIntegrityError)) as caught:
        Bundle.open(version, trust=Trust.of(public(key)))
    assert str(version) in str(caught.value)


def test_an_old_bundle_in_a_folder_of_a_newer_name_is_refused(version: Path, key: Path) -> None:
    sign_bundle(Bundle.open(version), key)
    renamed = version.rename(version.parent / "29990101T000000Z")
    for path in (renamed, version.parent):
        with pytest.raises(BundleSignatureError, match=f"holds the signed version {version.name}"):
            Bundle.open(path, trust=Trust.of(public(key)))
    named = renamed.rename(version.parent / "released")
    assert Bundle.open(named, trust=Trust.of(public(key))).signed_by


def test_nothing_hides_behind_the_name_of_a_signature(version: Path) -> None:
    name = f"signature-{'0' * 16}.ed25519"
    (version / name).mkdir()
    with pytest.raises(BundleIntegrityError, match="not named"):
        Bundle.open(version)
    (version / name).rmdir()
    (version / name).symlink_to(version / "model.onnx")
    with pytest.raises(BundleIntegrityError, match="a link"):
        Bundle.open(version)
    (version / name).unlink()
    (version / "signature-0.ed25519").touch()
    with pytest.raises(BundleIntegrityError, match="not named"):
        Bundle.open(version)
    (version / "signature-0.ed25519").unlink()
    edit_manifest(version, lambda manifest: manifest["files"].update({name: "0" * 64}))
    with pytest.raises(BundleFormatError, match="not a plain path"):
        Bundle.open(version)


def test_a_bundle_that_changes_meanwhile_is_not_signed(version: Path, key: Path) -> None:
    bundle = Bundle.open(version)
    edit_manifest(version, lambda manifest: manifest.update(temperature=3.0))
    with pytest.raises(BundleError, match="changed just now"):
        sign_bundle(bundle, key)
    assert signers(version) == []


def test_the_setting_is_heeded_by_whoever_opens_a_bundle(
    version: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORTGATE_TRUSTED_KEYS", f"{public(key)}, {key.parent}")
    with pytest.raises(BundleSignatureError, match="SORTGATE_TRUSTED_KEYS asks for a signature"):
        Bundle.open(version)
    ident = sign_bundle(Bundle.open(version, trust=ANYONE), key)[1]
    assert Bundle.open(version).signed_by == ident


@pytest.mark.parametrize("value", ["", "  ", ",", " , "])
def test_an_empty_setting_is_a_mistake_and_does_not_trust_everyone(value: str) -> None:
    with pytest.raises(Refused, match="SORTGATE_TRUSTED_KEYS is set and empty"):
        Settings.from_env({"SORTGATE_TRUSTED_KEYS": value})


def test_private_key_is_for_its_owner_and_nothing_is_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    previous = os.umask(0)
    try:
        create_key(key)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes(), public(key).read_bytes()
    with pytest.raises(Refused, match="never overwritten"):
        create_key(key)
    public(key).unlink()
    with pytest.raises(Refused, match=r"a\.key: exists"):
        create_key(key)
    assert key.read_bytes() == before[0]
    assert not public(key).exists(), "half of a pair was left behind"
    with pytest.raises(Refused, match="No such file"):
        create_key(tmp_path / "none" / "a.key")


def openssl(*arguments: str, cwd: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def test_keys_and_signatures_are_those_of_openssl(version: Path, key: Path, tmp_path: Path) -> None:
    written, _ = sign_bundle(Bundle.open(version), key)
    check = ("pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", str(public(key)), "-sigfile", str(written), "-in")
    openssl(*check, str(version / "manifest.json"), cwd=tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*check, str(version / "model.onnx"), cwd=tmp_path)
    openssl("genpkey", "-algorithm", "ed25519", "-out", "o.key", cwd=tmp_path)
    openssl("pkey", "-in", "o.key", "-pubout", "-out", "o.pub", cwd=tmp_path)
    _, ident = sign_bundle(Bundle.open(version), tmp_path / "o.key")
    assert Bundle.open(version, trust=Trust.of(tmp_path / "o.pub")).signed_by == ident


def write_rsa_keys(folder: Path) -> None:
    openssl("genrsa", "-out", "rsa.key", "2048", cwd=folder)
    openssl("rsa", "-in", "rsa.key", "-pubout", "-out", "rsa.pub", cwd=folder)


def test_keys_that_cannot_be_used_are_refused_in_one_line(version: Path, key: Path, tmp_path: Path) -> None:
    write_rsa_keys(tmp_path)
    openssl("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", "locked.key", cwd=tmp_path)
    (tmp_path / "noise").write_bytes(os.urandom(500))
    (tmp_path / "empty").mkdir()
    (tmp_path / "two").write_bytes(2 * public(key).read_bytes())
    bundle = Bundle.open(version)
    for name, says in (
        ("none", "No such file"), ("noise", "no ed25519 private key"), ("empty", "Is a directory"),
        ("rsa.key", "no ed25519 private key"), ("locked.key", "encrypted"), ("release.key.pub", "a public key"),
        ("a\0b", "not a path"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=says) as caught:
            sign_bundle(bundle, tmp_path / name)
        assert "\n" not in str(caught.value)
    for name, says in (
        ("none", "No such file"), ("noise", "no ed25519 public key"), ("empty", r"no \*\.pub in this folder"),
        ("rsa.pub", "no ed25519 public key"), ("release.key", "a private key"), ("two", "more than one key"),
        ("a\0b", "not a path"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=says) as caught:
            Trust.of(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert signers(version) == []


WITHOUT = """
import sys
sys.modules["cryptography"] = None  # as if it were not installed
from pathlib import Path
from sortgate.bundle import Bundle, Trust, sign_bundle
from sortgate.bundle.keys import create_key
from sortgate.errors import ConfigurationError
bundle = Bundle.open(sys.argv[1])
for use in (
    lambda: Trust.of(sys.argv[2] + ".pub"),
    lambda: sign_bundle(bundle, Path(sys.argv[2])),
    lambda: create_key(Path(sys.argv[2] + ".new")),
):
    try:
        use()
    except ConfigurationError as error:
        print(error)
"""


def test_without_cryptography_a_key_asks_for_it_and_signed_bundles_still_open(version: Path, key: Path) -> None:
    sign_bundle(Bundle.open(version), key)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, version, key], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all('pip install "sortgate[signing]"' in line for line in lines)


def test_cryptography_is_not_imported_where_no_key_is_used(version: Path, key: Path) -> None:
    sign_bundle(Bundle.open(version), key)
    code = "import sys; from sortgate import Classifier; Classifier.load(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, version], capture_output=True, text=True, check=True, timeout=60)
    assert "sortgate.bundle.signing" in done.stdout.split()
    assert "cryptography" not in done.stdout.split()


@pytest.mark.parametrize("load", ["Bundle", "Classifier"])
def test_python_callers_may_name_keys(version: Path, key: Path, load: str) -> None:
    from sortgate import Classifier

    opened: Callable[..., object] = Bundle.open if load == "Bundle" else Classifier.load
    with pytest.raises(BundleSignatureError, match="the caller asks for a signature"):
        opened(version, trust=Trust.of(public(key)))
    sign_bundle(Bundle.open(version), key)
    opened(version, trust=Trust.of(public(key)))
