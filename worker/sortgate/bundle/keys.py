"""Key files for signing bundles: ed25519 (RFC 8032) in the PEM form that OpenSSL reads and writes, too.

``cryptography`` is imported by the functions that need it: bundles are read and written without it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from sortgate.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_SUFFIX = ".pub"
_MAX_KEY_BYTES = 65_536
_INSTALL = 'signatures of bundles need the cryptography library: pip install "sortgate[signing]"'


def key_id(public: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a public key's 32 bytes."""
    return hashlib.sha256(public).hexdigest()[:16]


def create_key(path: Path) -> tuple[Path, str]:
    """Write a new private key to ``path``, mode 0600, and its public key beside it; return that file and the key id.

    Raises:
        ConfigurationError: a file is in the way or cannot be written (nothing is left behind then), or
            ``cryptography`` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise ConfigurationError(_INSTALL) from None
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public_path = path.parent / (path.name + PUBLIC_SUFFIX)
    written: list[Path] = []
    try:
        for target, data, mode in ((public_path, public, 0o644), (path, private, 0o600)):
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            written.append(target)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except OSError as error:
        for target in written:
            target.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise ConfigurationError(f"{error.filename}: exists; a key is never overwritten: name another") from None
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}; name another file") from None
    return public_path, key_id(key.public_key().public_bytes_raw())


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read the private key to sign with.

    Raises:
        ConfigurationError: no such file, not an unencrypted ed25519 key, or ``cryptography`` is not installed.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise ConfigurationError(_INSTALL) from None
    data = _read(path)
    if b"PUBLIC KEY-----" in data:
        raise ConfigurationError(f"{path}: a public key; bundles are signed with the private one")
    try:
        key = load_pem_private_key(data, None)
    except TypeError:  # cryptography's way to say that it wants a password
        raise ConfigurationError(
            f"{path}: encrypted; decrypt it into a file of its own (openssl pkey -in … -out …) and sign with that"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: no ed25519 private key in PEM form; make one with `sortgate bundle keygen`")
    return key


def load_public_keys(paths: tuple[Path, ...]) -> dict[str, bytes]:
    """Return key id → the 32 bytes of the public key, for files and folders (whose ``*.pub`` files are read).

    Raises:
        ConfigurationError: a path is missing or holds no ed25519 public key, or ``cryptography`` is not installed.
    """
    files: list[Path] = []
    for path in paths:
        try:
            folder = stat.S_ISDIR(path.stat().st_mode)
            found = sorted(path.glob(f"*{PUBLIC_SUFFIX}")) if folder else [path]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise ConfigurationError(f"{str(path)!r}: {reason}; name a file with a public key") from None
        if not found:
            raise ConfigurationError(f"{path}: no *{PUBLIC_SUFFIX} in this folder, so no key would be trusted")
        files += found
    keys = [_load_public_key(path) for path in files]
    return {key_id(key): key for key in keys}


def _load_public_key(path: Path) -> bytes:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise ConfigurationError(_INSTALL) from None
    data = _read(path)
    if b"PRIVATE KEY-----" in data:
        raise ConfigurationError(
            f"{path}: a private key; keep it where bundles are signed, and trust its {PUBLIC_SUFFIX} file"
        )
    if data.count(b"-----BEGIN") > 1:  # the second would silently not be trusted
        raise ConfigurationError(f"{path}: more than one key; put each into a file of its own")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path}: no ed25519 public key in PEM form, as `sortgate bundle keygen` writes")
    return key.public_bytes_raw()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigurationError(f"{str(path)!r}: {reason}; name a file with a key") from None
