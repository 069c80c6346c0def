"""What `ops doctor` asks about the operations themselves: secrets, store, contracts, mirrors, works, schedule."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.location import location_of
from ops_core.errors import OpsError

if TYPE_CHECKING:
    from ops_core.control.running.records import OpenWork
    from ops_core.control.service import ControlPlane
    from ops_core.evidence import IntegrityEvidence

MIRRORS = ("gate_mirror", "stop_mirror", "tickets", "mirrors")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one examination found; `fine` None: worth knowing, not wrong."""

    what: str
    fine: bool | None
    detail: str
    next_step: str = ""


def safely(what: str, examination: Callable[[], str | Answer]) -> Answer:
    """The examination's answer; an error that it meets is one too."""
    try:
        found = examination()
    except OpsError as error:
        return refused(what, error)
    return Answer(what=what, fine=True, detail=found) if isinstance(found, str) else found


def refused(what: str, error: OpsError) -> Answer:
    """An error as an answer, with what to do about it, or what is allowed."""
    where = f" ({error.where})" if error.where else ""
    step = error.next_step or (f"allowed: {error.allowed}" if error.allowed else "")
    return Answer(what=what, fine=False, detail=f"{error.what}{where}", next_step=step)


def operations(settings: Settings, clock: Clock) -> Iterator[Answer]:
    """One answer after the other; what a store has to tell is left out where there is none that proves itself."""
    yield from _secrets(settings)
    yield safely("store", partial(_store, settings))
    control = safely("control", partial(_control, settings, clock))
    yield control
    if control.fine is not False:
        yield safely("host key", partial(_host_key, settings, clock))
        yield from _integrity(settings, clock)
        yield safely("works", partial(_works, settings, clock))
    for what, folder in (("reports", settings.reports_dir), ("logs folder", settings.logs_dir)):
        yield safely(what, partial(_writable, folder))
    yield safely("schedule", partial(_schedule, settings))


def _secrets(settings: Settings) -> Iterator[Answer]:
    from ops_core.push import self_test

    for row in self_test(settings).rows:
        detail = f"in {row.source}" if row.ok else f"{row.problem} ({row.source})"
        yield Answer(what=f"secret {row.name}", fine=row.ok, detail=detail, next_step="" if row.ok else "ops secrets")


def _store(settings: Settings) -> str:
    location = location_of(settings)
    return f"{'PostgreSQL' if location.url else 'SQLite'}, {location.shown}"


def _plane(settings: Settings, clock: Clock) -> ControlPlane:
    from ops_core.control.service import ControlPlane

    # Without what follows a change: the doctor changes nothing.
    return ControlPlane(location_of(settings), clock)


def _control(settings: Settings, clock: Clock) -> Answer:
    from ops_core.control.model import effective_gate

    plane = _plane(settings, clock)
    state = plane.state()
    if state.problem:
        raise OpsError(state.problem, next_step=state.remedy)
    stop = f"engaged ({state.stop_reason})" if state.stopped else "released"
    gate, rows = effective_gate(state, clock.now()), plane.verify_chain().rows
    return Answer(
        what="control",
        fine=None if state.stopped else True,
        detail=f"emergency stop {stop}, gate {gate}; {rows} audit rows verified",
        next_step="ops estop status" if state.stopped else "",
    )


def _host_key(settings: Settings, clock: Clock) -> str:
    from ops_core.control import checkpoint

    key = checkpoint.load_key(checkpoint.key_path(settings))
    with _plane(settings, clock).snapshot() as found:
        if not checkpoint.is_recorded(found, settings):
            raise OpsError(
                "the audit does not know this host's key",
                where="control store",
                next_step="ops audit key --new --reason …",
            )
    return f"signs checkpoints, key id {key.id}"


def _integrity(settings: Settings, clock: Clock) -> Iterator[Answer]:
    """Contracts, mirrors and logs, from one look."""
    from ops_core.control.integrity.survey import read_integrity

    try:
        seen = read_integrity(settings, clock)
    except OpsError as error:
        yield Answer(what="integrity", fine=False, detail=error.what, next_step=error.next_step)
        return
    yield _untouched(seen, "contracts", ("contracts",), "ops contracts show") or safely(
        "contracts", partial(_contracts, settings, clock)
    )
    late = f"{len(seen.pending)} are not yet exported"
    yield _untouched(seen, "mirrors", MIRRORS, "ops audit mirrors, then ops audit accept --reason …") or Answer(
        what="mirrors",
        fine=None if seen.pending else True,
        detail=late if seen.pending else "as they were exported",
        next_step="ops audit mirrors" if seen.pending else "",
    )
    yield _untouched(seen, "logs", ("logs",), "look into it, then ops audit accept --reason …") or Answer(
        what="logs", fine=True, detail="have only grown"
    )


def _untouched(seen: IntegrityEvidence, what: str, areas: tuple[str, ...], next_step: str) -> Answer | None:
    found = seen.of(*areas)
    if not found:
        return None
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Answer(what=what, fine=False, detail=found[0].explain() + more, next_step=next_step)


def _contracts(settings: Settings, clock: Clock) -> str:
    from ops_core.control import contracts

    try:
        types = contracts.allowed_types(settings)
        with _plane(settings, clock).snapshot() as found:
            count = len(contracts.accepted(found) or {})
    except ValueError as error:
        raise OpsError(str(error), where=str(settings.contracts_dir), next_step="ops contracts show") from None
    return f"{count} accepted; allowed: {', '.join(types) or 'nothing'}"


def _works(settings: Settings, clock: Clock) -> Answer:
    from ops_core.control.running import open_works
    from ops_core.push.receipts import open_receipts

    plane = _plane(settings, clock)
    works = open_works(plane)
    with plane.snapshot() as found:
        fires = {str(receipt.get("work")): str(receipt["fire_id"]) for receipt in open_receipts(found)}
    running = {work.id for work in works if _may_run(work)}
    if cut_off := [fire for work, fire in fires.items() if work not in running]:
        return Answer(
            what="works",
            fine=False,
            detail=f"the live fire {cut_off[0]} was cut off",
            next_step="ops live-fire status completes it on paper; then look into the chat",
        )
    if left := [work.id for work in works if work.id not in running]:
        return Answer(
            what="works",
            fine=None,
            detail=f"{left[0]} was cut off" + (f", and {len(left) - 1} more" if len(left) > 1 else ""),
            next_step="ops cycle latest, ops incident list; the next stop or cycle closes its entry",
        )
    return Answer(what="works", fine=True, detail=f"running: {', '.join(sorted(running))}" if running else "none runs")


def _may_run(work: OpenWork) -> bool:
    """Whether its process is there. Of one that cannot be seen from here nobody knows, so it counts as being there."""
    from ops_core.control.running import processes

    here = processes.boot_id()
    if work.boot_id == here:
        return processes.alive(processes.Process(pid=work.pid, ppid=0, ticks=work.ticks))
    started_anew = work.boot_id.partition(" ")[0] != here.partition(" ")[0]
    return not (work.host == socket.gethostname() and started_anew)


def _writable(folder: Path) -> str:
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise OpsError("cannot be written to", where=str(there))
    return str(folder)


def _schedule(settings: Settings) -> Answer:
    from ops_core.cli.schedule import installed_here

    known = installed_here(settings)
    told = [f"{name} {state}" for name, state in known.items() if not state.startswith("not installed")]
    if any(state in {"installed", "differs"} or state.startswith("written") for state in known.values()):
        differs = [name for name, state in known.items() if state == "differs"]
        step = f"ops schedule install --{differs[0]} shows the difference" if differs else ""
        return Answer(what="schedule", fine=None if differs else True, detail=", ".join(told), next_step=step)
    return Answer(
        what="schedule",
        fine=None,
        detail="no scheduler of this host calls cycles" + (f" ({', '.join(told)})" if told else ""),
        next_step="ops schedule install --cron (or --systemd, --windows, …)",
    )
