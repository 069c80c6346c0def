"""Signatures of bundles: Ed25519 over the line "ops bundle v1", a line feed, and the manifest without its signature.

The line keeps a signature that was made for anything else from counting here, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ops_core.config import Settings
from ops_core.errors import UsageError
from ops_core.handoff.model import Manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DOMAIN = b"ops bundle v1\n"
ALLOWED = "a private Ed25519 key in PEM without a passphrase, as `ops handoff key NEW_FILE` makes it"


def signed(manifest: Manifest, pem: str, *, where: str) -> Manifest:
    """The manifest with its signature.

    Args:
        manifest: what is signed.
        pem: the private key.
        where: the name of the secret, for the error; never its value.

    Raises:
        UsageError: that is no such key.
    """
    signature = _private(pem, where).sign(DOMAIN + manifest.signed_bytes()).hex()
    return replace(manifest, signature=signature)


def without_key(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the key that signs: what makes or carries results has no business with it."""
    name = settings.handoff.signing_key
    source = settings.secrets.get(name) if name else None
    variable = (source.env if source is not None else None) or name
    return {key: value for key, value in environ.items() if key != variable}


def public_key_of(pem: str, *, where: str) -> str:
    """The public key, in hexadecimal, that belongs to a private one.

    Raises:
        UsageError: that is no such key.
    """
    return _private(pem, where).public_key().public_bytes_raw().hex()


def signed_by(manifest: Manifest, public_key: str) -> bool:
    """Whether the manifest bears a signature of that key. Never raises for any text."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from ops_core.control.people.keys import fit_public_key

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(fit_public_key(public_key)))
        key.verify(bytes.fromhex(manifest.signature), DOMAIN + manifest.signed_bytes())
    except (InvalidSignature, UnsupportedAlgorithm, UsageError, ValueError):
        return False
    return True


def _private(pem: str, where: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode("utf-8"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("the signing key cannot be read", where=f"secret {where}", allowed=ALLOWED) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("the signing key is of another kind", where=f"secret {where}", allowed=ALLOWED)
    return key
