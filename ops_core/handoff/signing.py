"""Signatures of bundles: Ed25519 over the line "ops bundle v1", a line feed, and the manifest without its signature.

The line keeps a signature that was made for anything else from counting here, and the other way round.
"""

from __future__ import annotations

from dataclasses import replace

from ops_core.errors import UsageError
from ops_core.handoff.model import Manifest

DOMAIN = b"ops bundle v1\n"
ALLOWED = "a private Ed25519 key in PEM without a passphrase, as `ops handoff key NEW_FILE` makes it"


def signed(manifest: Manifest, pem: str, *, where: str) -> tuple[Manifest, str]:
    """The manifest with its signature, and the public key that belongs to it, in hexadecimal.

    Args:
        manifest: what is signed.
        pem: the private key.
        where: the name of the secret, for the error; never its value.

    Raises:
        UsageError: that is no such key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode("utf-8"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("the signing key cannot be read", where=f"secret {where}", allowed=ALLOWED) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("the signing key is of another kind", where=f"secret {where}", allowed=ALLOWED)
    signature = key.sign(DOMAIN + manifest.signed_bytes()).hex()
    return replace(manifest, signature=signature), key.public_key().public_bytes_raw().hex()


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
