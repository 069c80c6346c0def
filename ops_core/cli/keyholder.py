"""Who acts at the shell where a key decides it: the private key file, and what opens it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops_core.errors import Refused, UsageError

if TYPE_CHECKING:
    from ops_core.control.people import Operator
    from ops_core.control.service import ControlPlane

KEY_VARIABLE = "OPS_KEY_FILE"
KEY_DEFAULT = Path("~/.config/ops/key.pem")
PASSPHRASE_READ_BYTES = 1_025  # one more than is allowed, so that a longer one is noticed

KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Your private key; default $OPS_KEY_FILE.")
]
PassphraseEnvOption = Annotated[
    str | None, typer.Option("--passphrase-env", metavar="NAME", help="Environment variable with its passphrase.")
]
PassphraseFdOption = Annotated[
    int | None, typer.Option("--passphrase-fd", metavar="N", help="File descriptor to read its passphrase from.")
]


def key_path(key: Path | None) -> Path:
    """The private key file: the one named, else that of the environment, else the one in the home folder."""
    return (key or Path(os.environ.get(KEY_VARIABLE) or KEY_DEFAULT)).expanduser()


def passphrase_of(variable: str | None, descriptor: int | None) -> bytes:
    """The passphrase, without its line's end; empty where none was named. It never stands among the arguments.

    Raises:
        UsageError: both places were named, or there is none in the one that was.
    """
    if variable is not None and descriptor is not None:
        raise UsageError("a passphrase comes from one place", where="--passphrase-env, --passphrase-fd")
    found = b""
    if variable is not None:
        found = os.environb.get(os.fsencode(variable), b"")
    elif descriptor is not None:
        try:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                found = file.readline(PASSPHRASE_READ_BYTES)
        except (OSError, ValueError):
            found = b""
    else:
        return b""
    found = found.rstrip(b"\r\n")
    if not found:
        where = f"environment variable {variable}" if variable is not None else f"file descriptor {descriptor}"
        raise UsageError("there is no passphrase", where=where, allowed="one line that is not empty")
    return found


def holder(plane: ControlPlane, key: Path, passphrase: bytes, name: str | None = None) -> Operator:
    """The operator in force whose key this is; with `name`, only if it is theirs.

    Raises:
        UsageError: the key cannot be used.
        Refused: it is nobody's, somebody else's, or its operator was revoked.
        StoreUnusable: the store cannot be read or trusted.
    """
    from ops_core.control.people import fold_name, operator_of_key, public_key_of

    wanted = None if name is None else fold_name(name)
    person = operator_of_key(plane, public_key_of(key, passphrase))
    if wanted is not None and person.name != wanted:
        raise Refused(f"the key is that of {person.name}, not of {wanted}", where=str(key), next_step="--key FILE")
    return person
