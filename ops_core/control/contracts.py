"""Contracts: what is in force is what somebody accepted, in a recorded act; the allowlist is one of them.

The files under `contracts_dir` are the operator's. Their digests as last accepted stand in the store, proven by the
audit row of the accepting. Whatever differs (changed, added, removed, unreadable) was not accepted, and nothing may be
run on its strength until somebody looks and accepts, or puts it back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select

from ops_core.config import Settings
from ops_core.control import schema
from ops_core.control.audit import canonical
from ops_core.control.integrity import looking
from ops_core.control.model import Gate, effective_gate, required_reason
from ops_core.control.model.window import REVOKE_COMMAND, is_open
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import Refused

ALLOWLIST = "execution_allowlist_v1.json"
ALLOWLIST_CONTRACT = "execution_allowlist_v1"
ACCEPTED = "contracts.accepted"
ACCEPT_COMMAND = "ops contracts accept --reason …"
CONTRACT_MAX_BYTES = 1 << 20
CONTRACTS_MAX = 150
DEPTH_MAX = 4
TYPES_MAX = 100
NAME_MAX_CHARS = 200
_KINDS = {
    looking.ABSENT: "it is missing",
    looking.LINK: "it is a link",
    looking.FOLDER: "it is a folder",
    looking.OTHER: "it is a pipe, a socket or a device",
}


@dataclass(frozen=True, kw_only=True)
class Contract:
    """One contract as it lies in the folder: its digest, or why it cannot be read."""

    name: str
    digest: str = ""
    problem: str = ""
    changed_at: str = ""
    owner: int = -1


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A contract that is not as it was accepted. `what` is "changed", "added", "removed" or "unreadable"."""

    name: str
    what: str
    found: Contract

    def explain(self) -> str:
        """In words."""
        why = f" ({self.found.problem})" if self.found.problem else ""
        return f"the contract {looking.printable(self.name)} is {self.what}{why}, and nobody accepted that"


def present(settings: Settings) -> dict[str, Contract]:
    """The contracts as they lie there, by name. Never raises; links are not followed, but shown as unreadable."""
    return {name: _read(settings.contracts_dir, name) for name in _names(settings.contracts_dir)}


def accepted(tx: Transaction) -> dict[str, str] | None:
    """The digests that were last accepted, by name; None where nobody ever accepted any.

    Raises:
        ValueError: the store's list is not the one that its audit row recorded.
    """
    rows = tx.execute(select(schema.contract.c.name, schema.contract.c.digest).order_by(schema.contract.c.name)).all()
    listed = {str(name): str(digest) for name, digest in map(tuple, rows)}
    recorded = _last_accepted(tx)
    if (recorded or {}) != listed:
        raise ValueError("the accepted contracts are not those that the audit recorded")
    return recorded


def digest_of(found: Mapping[str, Contract]) -> str:
    """SHA-256 over all contracts together, in hexadecimal, so that only what was looked at is accepted."""
    return hashlib.sha256(canonical({one.name: one.digest for one in found.values()}).encode("ascii")).hexdigest()


def differences(
    tx: Transaction, settings: Settings, found: Mapping[str, Contract] | None = None
) -> tuple[Difference, ...]:
    """What is not as it was accepted, by name; of the contracts that were `found`, or of those that lie there now.

    Raises:
        ValueError: the store's list of what was accepted does not prove itself.
    """
    good = accepted(tx) or {}
    found = present(settings) if found is None else found
    differing = []
    for name in sorted({*good, *found}):
        here = found.get(name)
        if here is None:
            differing.append(Difference(name=name, what="removed", found=Contract(name=name)))
        elif here.problem:
            differing.append(Difference(name=name, what="unreadable", found=here))
        elif name not in good:
            differing.append(Difference(name=name, what="added", found=here))
        elif here.digest != good[name]:
            differing.append(Difference(name=name, what="changed", found=here))
    return tuple(differing)


def allowlist_digest(settings: Settings) -> str:
    """SHA-256 of the allowlist's bytes in hexadecimal; empty where it cannot be read."""
    return _read(settings.contracts_dir, ALLOWLIST).digest


def allowed_types(settings: Settings) -> tuple[str, ...]:
    """The request types that the allowlist names.

    Raises:
        ValueError: it is missing, unreadable or not an allowlist.
    """
    return _types(_allowlist(settings).data)


def request_problem(tx: Transaction, settings: Settings, request_type: str) -> str:
    """Why a request of that type may not be carried out; empty where it may. Never raises for the contracts' sake."""
    try:
        good = accepted(tx)
        if good is None:
            return f"nobody has accepted the contracts yet ({ACCEPT_COMMAND})"
        differing = differences(tx, settings)
        if differing:
            return f"{differing[0].explain()} ({ACCEPT_COMMAND})"
        # The very bytes that are believed must be the accepted ones: the file may have been replaced since.
        allowlist = _allowlist(settings)
        if allowlist.digest != good.get(ALLOWLIST):
            return f"the contract {ALLOWLIST} is being changed, and nobody accepted that ({ACCEPT_COMMAND})"
        types = _types(allowlist.data)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "" if request_type in types else f"the allowlist does not name {request_type}"


def accept(
    plane: ControlPlane, settings: Settings, reason: str, *, actor: str | None = None, digest: str | None = None
) -> tuple[Difference, ...]:
    """Accept the contracts as they lie there, in a recorded act.

    Args:
        plane: the control plane.
        settings: where the contracts lie.
        reason: why; one line of at most 500 characters.
        actor: who; the plane's unless given.
        digest: of what was looked at, as `ops contracts show` tells it; others are not accepted then.

    Returns:
        What was different before.

    Raises:
        UsageError: there is no fit reason.
        Refused: a window is open or the gate is REAL_ENABLED, a contract cannot be read, or they are others by now.
        StoreUnusable: the store could not be changed.
    """
    fit_reason = required_reason(reason, "accepting contracts", ACCEPT_COMMAND)
    now = plane.clock.now()
    with plane.transaction() as tx:
        if is_open(tx.state, now):
            raise Refused(
                "contracts are not accepted while a window is open: its approvals were given under others",
                where="window",
                next_step=REVOKE_COMMAND,
            )
        if effective_gate(tx.state, now) is Gate.REAL_ENABLED:
            raise Refused(
                "contracts are not accepted while the gate is REAL_ENABLED",
                where="gate",
                next_step="ops gate set DRY_RUN --reason …",
            )
        # Read once: what is told, what is compared and what is accepted are the same bytes.
        found = present(settings)
        if digest is not None and digest.lower() != digest_of(found):
            raise Refused(
                "the contracts are not those that were looked at",
                where=str(settings.contracts_dir),
                allowed=f"those of the digest {digest_of(found)}, once they were looked at",
                next_step="ops contracts show",
            )
        changed = _differences_or_all(tx, settings, found)
        _write(tx, settings, found, reason=fit_reason, at_plane=plane, actor=actor or plane.actor)
        return changed


def is_accepted(tx: Transaction) -> bool:
    """Whether anybody ever accepted contracts in this store."""
    audit = schema.audit
    return tx.execute(select(audit.c.seq).where(audit.c.action == ACCEPTED).limit(1)).first() is not None


def accept_first(tx: Transaction, plane: ControlPlane, settings: Settings) -> None:
    """Accept what lies there when a store is made: whoever makes the store answers for it. Later changes need `accept`.

    Raises:
        Refused: a contract cannot be read.
    """
    if not is_accepted(tx):
        found = present(settings)
        _write(tx, settings, found, reason="the store was made", at_plane=plane, actor=plane.actor)


def _write(
    tx: Transaction,
    settings: Settings,
    found: Mapping[str, Contract],
    *,
    reason: str,
    at_plane: ControlPlane,
    actor: str,
) -> None:
    for one in found.values():
        if one.problem:
            raise Refused(
                f"the contract {looking.printable(one.name)} cannot be accepted: {one.problem}",
                where=str(settings.contracts_dir),
                next_step="put it right or take it away, then accept again",
            )
    if len(found) > CONTRACTS_MAX:
        raise Refused(
            f"there are more than {CONTRACTS_MAX} contracts",
            where=str(settings.contracts_dir),
            next_step="name a folder of its own as contracts_dir",
        )
    digests = {one.name: one.digest for one in found.values()}
    row = tx.audit(
        at=at_plane.clock.now(), actor=actor, action=ACCEPTED, detail={"reason": reason, "contracts": digests}
    )
    tx.execute(delete(schema.contract))
    for name, digest in digests.items():
        tx.execute(insert(schema.contract).values(name=name, digest=digest, audit_seq=row.seq))


def _differences_or_all(tx: Transaction, settings: Settings, found: Mapping[str, Contract]) -> tuple[Difference, ...]:
    try:
        return differences(tx, settings, found)
    except ValueError:
        # The list in the store was tampered with: accepting writes it anew, and says so by naming everything.
        return tuple(Difference(name=one.name, what="added", found=one) for one in found.values())


def _last_accepted(tx: Transaction) -> dict[str, str] | None:
    """The digests in the newest audit row that accepted contracts; None where there is none."""
    audit = schema.audit
    wanted = select(audit.c.detail).where(audit.c.action == ACCEPTED).order_by(audit.c.seq.desc()).limit(1)
    found = tx.execute(wanted).scalar()
    if found is None:
        return None
    told = json.loads(found).get("contracts")
    if not isinstance(told, Mapping):
        raise ValueError("the audit row of the accepted contracts is damaged")
    return {str(name): str(digest) for name, digest in told.items()}


def _names(folder: Path) -> tuple[str, ...]:
    """The names below the contracts' folder, links and folders that are too deep included."""
    return tuple(sorted(name for _, name in zip(range(CONTRACTS_MAX + 1), _walk(folder, "", 0), strict=False)))


def _walk(root: Path, below: str, depth: int) -> Iterator[str]:
    for one in looking.names(root, below or ".", hidden=True):
        name = f"{below}/{one}" if below else one
        if looking.kind_of(root, name) == looking.FOLDER and depth < DEPTH_MAX:
            yield from _walk(root, name, depth + 1)
        else:
            yield name


def _read(folder: Path, name: str) -> Contract:
    seen = looking.look(folder, name, read_max_bytes=CONTRACT_MAX_BYTES)
    problem = ""
    if seen.kind != looking.FILE:
        problem = seen.why or _KINDS.get(seen.kind, "it cannot be read")
    elif len(name) > NAME_MAX_CHARS or not name.isprintable():
        problem = "its name is too long or holds control characters"
    return Contract(
        name=name,
        digest="" if problem else seen.digest,
        problem=problem,
        changed_at=seen.changed_at,
        owner=seen.owner,
    )


def _allowlist(settings: Settings) -> looking.Seen:
    seen = looking.look(
        settings.contracts_dir, ALLOWLIST, keep_bytes=CONTRACT_MAX_BYTES, read_max_bytes=CONTRACT_MAX_BYTES
    )
    if seen.kind != looking.FILE:
        raise ValueError(f"the allowlist {ALLOWLIST} cannot be read: {seen.why or seen.kind}")
    return seen


def _types(data: bytes) -> tuple[str, ...]:
    try:
        told = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the allowlist {ALLOWLIST} is not JSON: {error}") from None
    if not isinstance(told, dict) or told.get("contract") != ALLOWLIST_CONTRACT:
        raise ValueError(f"the allowlist {ALLOWLIST} does not say that it is {ALLOWLIST_CONTRACT}")
    types = told.get("request_types")
    if not isinstance(types, list) or len(types) > TYPES_MAX or not all(isinstance(one, str) and one for one in types):
        raise ValueError(f"the allowlist {ALLOWLIST} has no list of at most {TYPES_MAX} request types")
    return tuple(dict.fromkeys(types))
