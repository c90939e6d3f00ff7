"""Signatures of bundles, and whose are trusted.

A signature is a file beside the manifest, ``signature-<key id>.ed25519``: 64 bytes (RFC 8032) over ``manifest.json``,
byte for byte. The manifest holds the digest of every other file, so one signature stands for all of them. It is not
part of the fingerprint, and there may be one a key. Nothing in it is parsed, and a reader looks only for those of the
keys it trusts.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sortgate.bundle.files import COPY_AGAIN, read_plain
from sortgate.bundle.keys import key_id, load_private_key, load_public_keys
from sortgate.bundle.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, SIGNATURE_FILE
from sortgate.errors import BundleError, BundleSignatureError
from sortgate.settings import Settings

if TYPE_CHECKING:
    from sortgate.bundle.reader import Bundle

SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Trust:
    """Whose bundles are taken.

    Attributes:
        keys: key id → the 32 bytes of its public key; None takes bundles without looking at signatures.
        asked_by: what asks for a signature, for messages.
    """

    keys: Mapping[str, bytes] | None
    asked_by: str = "SORTGATE_TRUSTED_KEYS"

    @classmethod
    def of(cls, *paths: str | os.PathLike[str], asked_by: str = "the caller") -> Trust:
        """Trust the public keys in these files, and in the ``*.pub`` files of these folders.

        Raises:
            ConfigurationError: a path is missing or holds no ed25519 public key, or ``cryptography`` is not installed.
        """
        return cls(load_public_keys(tuple(map(Path, paths))), asked_by)

    @classmethod
    def from_settings(cls) -> Trust:
        """Trust whom ``SORTGATE_TRUSTED_KEYS`` names; anyone when it is unset.

        Raises:
            ConfigurationError: as :meth:`of`, or a setting cannot be read.
        """
        paths = Settings.from_env().trusted_keys
        return ANYONE if paths is None else cls.of(*paths, asked_by="SORTGATE_TRUSTED_KEYS")

    def check(self, folder: Path, manifest: bytes) -> str | None:
        """Return the id of a trusted key that has signed these bytes of ``manifest.json``, None when anyone is trusted.

        Raises:
            BundleSignatureError: there is none.
        """
        if self.keys is None:
            return None
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        broken = []
        for ident, key in self.keys.items():
            path = folder / signature_file(ident)
            if not os.path.lexists(path):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(read_plain(path, SIGNATURE_BYTES), manifest)
            except InvalidSignature:
                broken.append(ident)
                continue
            return ident
        if broken:
            raise BundleSignatureError(
                f"{folder}: {MANIFEST_FILE} is not the one that key {broken[0]} signed; {COPY_AGAIN}, "
                "or have it signed again if the change is meant"
            )
        others = signers(folder)
        if others:
            raise BundleSignatureError(
                f"{folder}: signed by {', '.join(others)} and by no key that {self.asked_by} trusts "
                f"({', '.join(self.keys)}); have it signed with one of those, or trust the signer's public key"
            )
        raise BundleSignatureError(
            f"{folder}: not signed, and {self.asked_by} asks for a signature; "
            "have it signed: sortgate bundle sign BUNDLE --key FILE"
        )


#: Takes every bundle, whatever the settings say: to look at one, or for one that this process has just made.
ANYONE = Trust(None)


def signature_file(ident: str) -> str:
    """Return the name of the file with the signature by the key of that id."""
    return f"signature-{ident}.ed25519"


def signers(folder: Path) -> list[str]:
    """Return the ids of the keys whose signatures lie in a version folder; whether they are good is not checked."""
    names = (path.name for path in folder.iterdir())
    return sorted(match[1] for match in map(SIGNATURE_FILE.fullmatch, names) if match)


def sign_bundle(bundle: Bundle, key_path: Path) -> tuple[Path, str]:
    """Put a signature by this private key into the bundle's folder; return its file and the key id.

    A worker that opens the bundle meanwhile sees it without the signature or with it.

    Raises:
        ConfigurationError: the key cannot be used, or ``cryptography`` is not installed.
        BundleError: the folder cannot be written, or its manifest is not the one that was opened.
    """
    key = load_private_key(key_path)
    manifest = read_plain(bundle.path / MANIFEST_FILE, MAX_MANIFEST_BYTES)
    if not bundle.is_of(manifest):
        raise BundleError(f"{bundle.path / MANIFEST_FILE}: changed just now; not signed: look at it and sign again")
    ident = key_id(key.public_key().public_bytes_raw())
    target = bundle.path / signature_file(ident)
    # Beside the version folder, whose readers refuse files they do not know.
    folder = bundle.path.resolve()
    temporary = folder.parent / f".tmp-signature-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with temporary.open("xb") as file:
            file.write(key.sign(manifest))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BundleError(f"{target}: the signature cannot be written: {error.strerror}") from None
    return target, ident
