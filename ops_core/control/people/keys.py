"""Ed25519 keys: how one is made, kept, and used to sign what a window permits.

Signatures are made over the line "ops approval v1", a line feed, and the digest as text, so that one made for anything
else is none here; `openssl pkeyutl -sign -rawin` over those very bytes makes one that counts.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ops_core.errors import OpsError, UsageError

DOMAIN = b"ops approval v1\n"
KEY_MODE = 0o600
KEY_FILE_MAX_BYTES = 16_384
PASSPHRASE_MAX_BYTES = 1_024
_KEY = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_FIELD = 2**255 - 19
_SIGN_BIT = 1 << 255
# The heights of the points of small order: under such a key anybody can sign something.
_WEAK_HEIGHTS = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)


def make_key(path: Path, passphrase: bytes = b"") -> str:
    """Make a private key in a new file of mode 0600 (PKCS8, PEM) and return its public key in hexadecimal.

    Raises:
        UsageError: the file is there already, or the passphrase is too long.
        OpsError: it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if len(passphrase) > PASSPHRASE_MAX_BYTES:
        raise UsageError("the passphrase is too long", where=str(path), allowed=f"{PASSPHRASE_MAX_BYTES} bytes")
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, KEY_MODE)
    except FileExistsError:
        raise UsageError(
            "a key file is never overwritten", where=str(path), allowed="a file that is not there yet"
        ) from None
    except (OSError, ValueError) as error:
        raise OpsError(f"the key cannot be written: {_why(error)}", where=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return key.public_key().public_bytes_raw().hex()


def public_key_of(path: Path, passphrase: bytes = b"") -> str:
    """The public key, in hexadecimal, of a private key file.

    Raises:
        UsageError: it is not such a file, others may read it, or the passphrase does not open it.
    """
    return _read_key(path, passphrase).public_key().public_bytes_raw().hex()


def sign(key_file: Path, digest: str, passphrase: bytes = b"") -> str:
    """The signature over a permit's digest, in hexadecimal.

    Raises:
        UsageError: the digest is none, or the key cannot be used.
    """
    return _read_key(key_file, passphrase).sign(signed_bytes(digest)).hex()


def signed_bytes(digest: str) -> bytes:
    """The bytes that an approval signs.

    Raises:
        UsageError: that is not a digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise UsageError("that is not the digest of a permit", where="digest", allowed="64 hexadecimal digits, small")
    return DOMAIN + digest.encode("ascii")


def signature_ok(public_key: str, digest: str, signature: str) -> bool:
    """Whether the signature over the digest was made with that key. Never raises for any text."""
    fit = (_KEY, public_key), (_DIGEST, digest), (_SIGNATURE, signature)
    if not all(pattern.fullmatch(text) for pattern, text in fit):
        return False
    try:
        fit_public_key(public_key)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), signed_bytes(digest))
    except (InvalidSignature, UnsupportedAlgorithm, UsageError, ValueError):
        return False
    return True


def fit_public_key(text: str) -> str:
    """The public key in its one spelling.

    Raises:
        UsageError: it is not an Ed25519 public key, or one that protects nothing.
    """
    key, allowed = text.strip().lower(), "an Ed25519 public key: 64 hexadecimal digits"
    if not _KEY.fullmatch(key):
        raise UsageError("that is not a public key", where="public key", allowed=allowed)
    height = int.from_bytes(bytes.fromhex(key), "little") & ~_SIGN_BIT
    if height >= _FIELD or height in _WEAK_HEIGHTS or not _on_curve(height):
        raise UsageError("anybody could sign under that public key, or nobody", where="public key", allowed=allowed)
    return key


def _on_curve(height: int) -> bool:
    """Whether the curve -x² + y² = 1 + dx²y² has a point of that height y: x² must be a square."""
    squared = height * height % _FIELD
    d = -121665 * pow(121666, -1, _FIELD) % _FIELD
    wanted = (squared - 1) * pow(d * squared + 1, -1, _FIELD) % _FIELD
    return wanted == 0 or pow(wanted, (_FIELD - 1) // 2, _FIELD) == 1


def _read_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    pem = _read_private(path)
    allowed = "a private Ed25519 key in PEM, as `ops operator key --new FILE` or `openssl genpkey` make it"
    try:
        key = serialization.load_pem_private_key(pem, passphrase or None)
    except TypeError:
        told = "has a passphrase" if not passphrase else "has no passphrase, and one was given"
        raise UsageError(
            f"the key {told}", where=str(path), next_step="--passphrase-env NAME or --passphrase-fd N"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        what = "the key cannot be read" + (", or the passphrase is another one" if passphrase else "")
        raise UsageError(what, where=str(path), allowed=allowed) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("the key is of another kind", where=str(path), allowed=allowed)
    return key


def _read_private(path: Path) -> bytes:
    try:
        # O_NONBLOCK: opening a pipe that lies in the file's place must not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the key file cannot be opened: {_why(error)}",
            where=str(path),
            next_step="--key FILE, or export OPS_KEY_FILE=FILE; ops operator key --new FILE makes one",
        ) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > KEY_FILE_MAX_BYTES:
            raise UsageError("that is no key file", where=str(path), allowed="a small plain file")
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise UsageError(
                "the key is not yours alone, so a signature of it proves nothing",
                where=str(path),
                allowed="a file of your own with mode 0600",
                next_step=f"chmod 600 {path}",
            )
        return os.read(descriptor, KEY_FILE_MAX_BYTES)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
