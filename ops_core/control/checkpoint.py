"""Checkpoints: the head of the audit chain, signed with the host's key, for others to keep.

A chain on one host proves nothing against whoever may write there and knows this code: all of it can be made anew. A
checkpoint that somebody else kept can not: a history that was rewritten or cut no longer holds the row it names. So a
checkpoint stands in every receipt and message. The signature says which host made it; it does not protect the chain,
because the key lies on the same host.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from ops_core.config import Settings
from ops_core.control import files, schema
from ops_core.control.audit import AuditRow, ChainCheck, canonical, verify_rows
from ops_core.control.store import Transaction
from ops_core.errors import OpsError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_NAME = "host_key.pem"
KEY_MADE = "host_key.made"
KEY_MAX_BYTES = 4096
PURPOSE = "ops-checkpoint-v1"
KEY_ID_CHARS = 16
FIELDS = ("store_id", "seq", "hash", "at", "key_id", "signature")
_LINE = re.compile(
    r"checkpoint ([0-9a-f]{32}) ([1-9][0-9]{0,14}) ([0-9a-f]{64}) ([0-9T:.Z-]{24}) "
    r"([0-9a-f]{16}|-) ([0-9a-f]{128}|-)(?!\w)"
)


class CheckpointBroken(OpsError):
    """The history is not the one that the checkpoint was made of, or the checkpoint is not what it claims to be."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class HostKey:
    """The host's key. `public` is 64 hexadecimal digits; `id` is the beginning of its digest."""

    public: str
    _private: Ed25519PrivateKey

    @property
    def id(self) -> str:
        """A short name of the key."""
        return key_id(self.public)

    def sign(self, text: str) -> str:
        """The signature over a text, in hexadecimal."""
        return self._private.sign(text.encode("ascii")).hex()


def key_path(settings: Settings) -> Path:
    """Where the host's key lies."""
    return settings.control_dir / KEY_NAME


def key_id(public: str) -> str:
    """The short name of a public key."""
    return hashlib.sha256(public.encode("ascii")).hexdigest()[:KEY_ID_CHARS]


def make_key(path: Path) -> HostKey:
    """Make the host's key where there is none, readable by its owner only, and return the one that is there.

    Raises:
        UsageError: it cannot be made, or what is there is no key of ours.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    data = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        files.make_folder(path.parent)
        files.make_private(temporary)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # Linked, not renamed: of two processes that make one at once, the second uses the first one's.
            if not files.exists(path):
                os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        files.sync_folder(path.parent)
    except OSError as error:
        raise UsageError(f"the host's key cannot be made: {error.strerror}", where=str(path)) from None
    return load_key(path)


def load_key(path: Path) -> HostKey:
    """The host's key.

    Raises:
        UsageError: it is missing, readable by others, or no Ed25519 key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise UsageError(
                    "the host's key does not belong to this user alone", where=str(path), next_step=f"chmod 600 {path}"
                )
            private = load_pem_private_key(file.read(KEY_MAX_BYTES), password=None)
    except OSError as error:
        raise UsageError(f"the host's key cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("the host's key is damaged", where=str(path)) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError("the host's key is no Ed25519 key", where=str(path))
    return HostKey(public=private.public_key().public_bytes_raw().hex(), _private=private)


def is_recorded(tx: Transaction, settings: Settings) -> bool:
    """Whether the audit knows a key of this host."""
    known = recorded_keys(tx)
    # One that is gone is not made anew in passing, and another in its place is not recorded: somebody has to notice.
    if platform.node() in known.values():
        return True
    try:
        return load_key(key_path(settings)).public in known
    except OpsError:
        return False


def record_key(tx: Transaction, settings: Settings, *, at: datetime, actor: str) -> None:
    """Make the host's key where this host never had one, and record its public half.

    Raises:
        UsageError: it cannot be made or read.
    """
    if not is_recorded(tx, settings):
        _record(tx, make_key(key_path(settings)), at=at, actor=actor, reason="the store was made")


def renew_key(tx: Transaction, settings: Settings, *, at: datetime, actor: str, reason: str) -> HostKey:
    """Put a new key in the place of the host's, in a recorded act. Older checkpoints keep the signatures they have.

    Raises:
        UsageError: it cannot be made.
    """
    path = key_path(settings)
    with contextlib.suppress(FileNotFoundError):
        path.rename(path.with_name(f".{path.name}.{os.urandom(6).hex()}.old"))
    key = make_key(path)
    _record(tx, key, at=at, actor=actor, reason=reason)
    return key


def _record(tx: Transaction, key: HostKey, *, at: datetime, actor: str, reason: str) -> None:
    detail = {"public_key": key.public, "key_id": key.id, "reason": reason}
    tx.audit(at=at, actor=actor, action=KEY_MADE, subject=platform.node(), detail=detail)


def recorded_keys(tx: Transaction) -> dict[str, str]:
    """The public keys that the audit knows, with the name of the host of each."""
    audit = schema.audit
    wanted = select(audit.c.subject, audit.c.detail).where(audit.c.action == KEY_MADE).order_by(audit.c.seq)
    rows = map(tuple, tx.execute(wanted).all())
    return {str(json.loads(detail).get("public_key", "")): str(host) for host, detail in rows}


def checkpoint(tx: Transaction, key: HostKey | None) -> dict[str, object]:
    """The head of the audit chain, signed; without a signature where there is no key.

    Returns:
        `{store_id, seq, hash, at, key_id, signature}`; `at` is the time of the row it names.
    """
    seq, hashed = tx.head
    at = tx.execute(select(schema.audit.c.at).where(schema.audit.c.seq == seq)).scalar_one()
    told: dict[str, object] = {"store_id": tx.store_id, "seq": seq, "hash": hashed, "at": str(at)}
    if key is None:
        return {**told, "key_id": "", "signature": ""}
    told["key_id"] = key.id
    return {**told, "signature": key.sign(_text(told))}


def checkpoint_of(tx: Transaction, settings: Settings) -> dict[str, object]:
    """The checkpoint for a receipt, report or message: signed wherever the host's key can be used. Never raises."""
    return _with_key_in(tx, settings.control_dir)


def checkpoint_here(tx: Transaction) -> dict[str, object]:
    """The same where no settings are at hand: the host's key lies beside the store."""
    return _with_key_in(tx, tx.location.path.parent)


def _with_key_in(tx: Transaction, control_dir: Path) -> dict[str, object]:
    try:
        key = load_key(control_dir / KEY_NAME)
    except OpsError:
        key = None
    return checkpoint(tx, key)


def as_line(told: Mapping[str, object]) -> str:
    """A checkpoint as one line of a message or report; `read_text` finds it there again."""
    return "checkpoint " + " ".join(str(told[name]) or "-" for name in FIELDS)


def read_text(text: str, where: str) -> dict[str, object]:
    """The checkpoint in a text that somebody kept: JSON, or a message or report with its line.

    Raises:
        UsageError: there is none in it, or more than one.
    """
    with contextlib.suppress(ValueError, RecursionError):
        return read_checkpoint(json.loads(text), where)
    found = set(_LINE.findall(text))
    if len(found) != 1:
        raise UsageError(
            "this is no checkpoint" if not found else "this holds more than one checkpoint",
            where=where,
            allowed=f"JSON with {', '.join(FIELDS)}, or a text with the line of one checkpoint",
        )
    values = [value.removeprefix("-") if value == "-" else value for value in found.pop()]
    return {**dict(zip(FIELDS, values, strict=True)), "seq": int(values[1])}


def read_checkpoint(told: object, where: str) -> dict[str, object]:
    """A checkpoint that somebody kept, alone or inside a receipt or message under "checkpoint".

    Raises:
        UsageError: it is none.
    """
    found = told.get("checkpoint", told) if isinstance(told, Mapping) else None
    fit = (
        isinstance(found, Mapping)
        and all(isinstance(found.get(name), str) for name in FIELDS if name != "seq")
        and type(found.get("seq")) is int
    )
    if not isinstance(found, Mapping) or not fit:
        raise UsageError("this is no checkpoint", where=where, allowed=f"JSON with {', '.join(FIELDS)}")
    return {name: found[name] for name in FIELDS}


def verify_signature(kept: Mapping[str, object], public: str) -> None:
    """Check that the checkpoint was signed with that key.

    Args:
        kept: the checkpoint.
        public: the key; empty where nobody knows one, and then nothing counts as signed.

    Raises:
        CheckpointBroken: it was not.
        UsageError: the key is none, or one under which anybody could sign.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from ops_core.control.people.keys import fit_public_key

    if not public:
        raise CheckpointBroken(
            "the checkpoint was signed with a key that the history does not name",
            where=f"row {kept['seq']}, key {kept['key_id'] or 'none'}",
            next_step="give the key that you know of: --public-key HEX",
        )
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(fit_public_key(public)))
    told = {name: kept[name] for name in FIELDS if name != "signature"}
    try:
        key.verify(bytes.fromhex(str(kept["signature"])), _text(told).encode("ascii"))
    except (InvalidSignature, ValueError):
        raise CheckpointBroken(
            "the checkpoint was not signed with that key",
            where=f"row {kept['seq']}, key {kept['key_id'] or 'none'}",
            next_step=f"ask for the key {kept['key_id']} of the host, or for another checkpoint",
        ) from None


def verify_history(rows: Iterable[AuditRow], kept: Iterable[Mapping[str, object]] = ()) -> ChainCheck:
    """Check a whole chain, and that it holds the row that each checkpoint names.

    Raises:
        CheckpointBroken: naming the first row that is wrong, or the checkpoint that does not fit.
    """
    rows = tuple(rows)
    try:
        check = verify_rows(rows)
    except ValueError as error:
        raise CheckpointBroken(str(error), next_step="keep it as evidence and find out who could write it") from None
    store_id = rows[0].data.get("store_id") if rows else None
    for one in kept:
        seq = one["seq"]
        if one["store_id"] != store_id:
            raise CheckpointBroken("the checkpoint is of another store", where=f"store {one['store_id']}")
        if not isinstance(seq, int) or not 0 < seq <= len(rows):
            raise CheckpointBroken(
                f"the history was cut: it ends at row {len(rows)}, and row {seq} was there",
                next_step="keep it as evidence and find out who could write it",
            )
        if rows[seq - 1].hash != one["hash"]:
            raise CheckpointBroken(
                f"the history was rewritten: row {seq} is not the one that the checkpoint names",
                next_step="keep it as evidence and find out who could write it",
            )
    return check


def export_of(found: Transaction, settings: Settings) -> list[str]:
    """The whole history as JSON lines, with a checkpoint as the last one: what `ops audit verify --export` takes."""
    last = {"checkpoint": checkpoint_of(found, settings)}
    return [json.dumps(one, ensure_ascii=True) for one in (*map(asdict, found.audit_rows()), last)]


def read_export(text: str, where: str) -> tuple[tuple[AuditRow, ...], list[dict[str, object]]]:
    """The rows and checkpoints of an exported history; `where` is the name of its file.

    Raises:
        UsageError: it is none.
    """
    rows, kept = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"{where}:{number}"
        try:
            told = json.loads(line)
            if isinstance(told, dict) and "checkpoint" in told:
                kept.append(read_checkpoint(told, place))
                continue
            row = AuditRow(**told)
            json.loads(row.detail)
        except (ValueError, TypeError, RecursionError):
            raise UsageError("this is no line of an export", where=place) from None
        if type(row.seq) is not int or not all(isinstance(value, str) for name, value in told.items() if name != "seq"):
            raise UsageError("this is no line of an export", where=place)
        rows.append(row)
    if not rows:
        raise UsageError("the export holds no rows", where=where)
    return tuple(rows), kept


def verify_end(rows: Sequence[AuditRow], own: Sequence[Mapping[str, object]]) -> None:
    """Check that an export ends with the checkpoint of its last row: no signature covers rows that came after it.

    Raises:
        CheckpointBroken: it does not.
    """
    last = own[-1]["seq"] if own else 0
    if last != len(rows):
        raise CheckpointBroken(
            f"the history was cut, or rows were added to it: it has {len(rows)}, and its own checkpoint "
            + (f"names row {last}" if own else "is missing"),
            next_step="ask for the export again: ops audit export --out FILE",
        )


def _text(told: Mapping[str, object]) -> str:
    return canonical({"purpose": PURPOSE, **told})
