"""What is tried with a control plane and must not succeed, and what befalls it: people, clocks, cycles, callers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

from ops_core.config import Settings
from ops_core.control.model import window as windows
from ops_core.control.service import ControlPlane
from ops_core.drill.control_plane import (
    ACTOR,
    REASON,
    ControlStack,
    Skewed,
    approve,
    ask_for_window,
    key_of,
    opened,
    run_cycle,
)
from ops_core.drill.injectors import Test
from ops_core.drill.people import ASKS, FIRST, SECOND
from ops_core.errors import OpsError, Refused
from ops_core.operations import DAYS

AHEAD = timedelta(hours=1)
SHORT_S = 2
REQUEST = "REBOOT"
# Looked for in an interpreter of its own, these take some tenths of a second: long enough to be killed in the middle.
SLOW_TO_FIND = ("sqlalchemy.orm", "sqlalchemy.dialects", "alembic.config")
KILLS_MAX = 8
SERVE_S = 20.0
WEBHOOK = "/api/ops/alerts/alertmanager"

# -- what was tried ------------------------------------------------------------------------------------------------


def fired_without_window(settings: Settings, plane: ControlPlane) -> None:
    """Somebody starts a live fire that nobody permitted.

    Raises:
        OpsError: it was not refused.
    """
    from ops_core.push import fire

    outcome = fire(settings, plane, authorised=True)["outcome"]
    if outcome != "BLOCKED":
        raise OpsError(f"a live fire without a window came to {outcome}")


def asked_for_more(settings: Settings, plane: ControlPlane) -> None:
    """Somebody asks a cycle for what the allowlist does not name.

    Raises:
        OpsError: it was not refused.
    """
    result = run_cycle(settings, plane, REQUEST)["result"]
    if result != "ALLOWLIST_VIOLATION":
        raise OpsError(f"a cycle that was asked for {REQUEST} came to {result}")


def recorded(action: str) -> Test[ControlStack]:
    """The audit tells of such an act, and nobody has accepted what was found since."""

    def holds(stack: ControlStack, _service: str) -> bool:
        seen = {row.action: row.seq for row in opened(stack)[1].audit_rows()}
        return seen.get(action, 0) > seen.get("integrity.accepted", 0)

    return holds


# -- people and windows --------------------------------------------------------------------------------------------


def _with_message(stack: ControlStack) -> None:
    from ops_core.push import outbox

    _, plane = opened(stack)
    with plane.snapshot() as found:
        waiting = outbox.pending(found)
    if not waiting:
        outbox.add_message(plane, "weekly report")


def window_expired(stack: ControlStack, _service: str) -> None:
    """A window with both keys, under REAL_ENABLED, runs out while one is at it."""
    _with_message(stack)
    opened(stack)[1].set_gate("REAL_ENABLED", REASON)
    ask_for_window(stack, FIRST, SECOND, duration_s=SHORT_S)


def one_person_twice(stack: ControlStack, _service: str) -> None:
    """One person tries to give both keys: with a second account, by signing twice, in another's name.

    Raises:
        OpsError: one of these was taken.
    """
    from ops_core.control.people import SCOPES_DEFAULT, add_operator, list_operators

    _with_message(stack)
    plane = opened(stack)[1]
    plane.set_gate("REAL_ENABLED", REASON)
    ask_for_window(stack, FIRST)
    key = next(one.public_key for one in list_operators(plane) if one.name == FIRST)
    tries: dict[str, Callable[[], object]] = {
        "a second account with the same key": lambda: add_operator(
            plane, f"{FIRST}-again", public_key=key, scopes=SCOPES_DEFAULT
        ),
        "the same name in capitals": lambda: add_operator(
            plane, FIRST.upper(), key_file=key_of(stack, "capitals"), scopes=SCOPES_DEFAULT
        ),
        "the same key twice": lambda: approve(stack, plane, FIRST),
        "the own key in another's name": lambda: approve(stack, plane, SECOND, key=FIRST),
        "the key of who asked": lambda: approve(stack, plane, ASKS),
    }
    for what, attempt in tries.items():
        with contextlib.suppress(Refused):
            attempt()
            raise OpsError(f"one person could give both keys: {what} was taken")


def approver_left(stack: ControlStack, _service: str) -> None:
    """One of the two who approved is an operator no more."""
    from ops_core.control.people import revoke_operator

    _with_message(stack)
    plane = opened(stack)[1]
    plane.set_gate("REAL_ENABLED", REASON)
    ask_for_window(stack, FIRST, SECOND)
    revoke_operator(plane, SECOND)


def window_is(status: str, keys: int) -> Test[ControlStack]:
    """The latest window has that status and so many keys, while the gate is REAL_ENABLED."""

    def holds(stack: ControlStack, _service: str) -> bool:
        plane = opened(stack)[1]
        state, now = plane.state(), plane.clock.now()
        if state.window is None or plane.gate() != "REAL_ENABLED":
            return False
        return windows.window_status(state.window, now) == status and len(state.window.approvals) == keys

    return holds


def window_revoked(_settings: Settings, plane: ControlPlane) -> None:
    """Somebody takes the window back."""
    from ops_core.control.people import revoke_window

    revoke_window(plane, REASON)


# -- clocks and the calendar ---------------------------------------------------------------------------------------


def gate_from_the_future(stack: ControlStack, _service: str) -> None:
    """A host whose clock is an hour ahead sets the gate: seen from here, the clock was put back."""
    opened(stack, Skewed(base=stack.clock, by=AHEAD))[1].set_gate("DRY_RUN", REASON)


def recorded_ahead(stack: ControlStack, _service: str) -> None:
    """A host whose clock is an hour ahead records something after the window was asked for."""
    plane = opened(stack, Skewed(base=stack.clock, by=AHEAD))[1]
    with plane.transaction() as tx:
        tx.audit(at=plane.clock.now(), actor=ACTOR, action="drill.skewed", detail={"ahead_s": AHEAD.total_seconds()})


def behind(stack: ControlStack, _service: str) -> bool:
    """Something that counts is recorded as later than now: the gate, or an act since the window was asked for."""
    plane = opened(stack)[1]
    state, now = plane.state(), plane.clock.now()
    if state.gate_at is not None and state.gate_at > now:
        return True
    rows = plane.audit_rows()
    asked = max((row.seq for row in rows if row.action == "window.requested"), default=0)
    return any(row.action == "drill.skewed" and row.seq > asked for row in rows)


def closed_today(stack: ControlStack, _service: str) -> None:
    """Today is no trading day."""
    stack.arrange(trading_days=tuple(day for day in DAYS if day != stack.day()))


def closed_now(stack: ControlStack, _service: str) -> None:
    """It is noon, and trading ends at six in the morning."""
    stack.arrange(closes="06:00")


def not_as_arranged(stack: ControlStack, _service: str) -> bool:
    """The configuration is not the good one."""
    return stack.layout.config.read_text(encoding="utf-8") != stack.good.text()


# -- cycles --------------------------------------------------------------------------------------------------------


def cycle_due(stack: ControlStack, _service: str) -> None:
    """A slot began a minute ago, and nobody has run it."""
    stack.arrange(schedule_days=DAYS, at=f"{stack.local(-timedelta(minutes=1)):%H:%M}")


def cycle_missed(stack: ControlStack, _service: str) -> None:
    """The slot of this morning is over, and nobody has run it."""
    stack.arrange(schedule_days=DAYS, at=f"{stack.local(-timedelta(hours=2)):%H:%M}")


def cycle_failed(stack: ControlStack, _service: str) -> None:
    """A cycle needs a file that is not there."""
    stack.arrange(needs_files=["input/prices.csv"])
    run_cycle(*opened(stack))


def cycle_killed(stack: ControlStack, _service: str) -> None:
    """A cycle is killed (SIGKILL) in the middle, while it looks whether it has what it needs.

    Raises:
        OpsError: each one had ended before it could be killed.
    """
    stack.arrange(needs_modules=SLOW_TO_FIND)
    for _ in range(KILLS_MAX):
        _kill_a_cycle(stack)
        if latest_cycle_is("OPEN")(stack, ""):
            return
    raise OpsError(f"{KILLS_MAX} cycles ended before they could be killed", where=str(stack.work_dir))


def _kill_a_cycle(stack: ControlStack) -> None:
    cycle = subprocess.Popen(
        [sys.executable, "-P", "-m", "ops_core.cli", "cycle", "--json"],
        cwd=stack.work_dir,
        env={**os.environ, **stack.environ()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        store = opened(stack)[0].control_store
        with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True, timeout=1.0)) as looking:
            asked = "SELECT count(*) FROM cycle_run WHERE outcome = 'OPEN'"
            stack.wait(lambda: cycle.poll() is not None or _answer(looking, asked) > 0, "no cycle begins")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(cycle.pid, signal.SIGKILL)
        cycle.wait()


def _answer(looking: sqlite3.Connection, asked: str) -> int:
    try:
        return int(looking.execute(asked).fetchone()[0])
    except sqlite3.OperationalError:
        # It is being written to at this moment.
        return 0


def latest_cycle_is(*results: str) -> Test[ControlStack]:
    """The cycle that began last came to one of these."""

    def holds(stack: ControlStack, _service: str) -> bool:
        from ops_core.cycle import records

        with opened(stack)[1].snapshot() as found:
            run = records.newest(found)
        return run is not None and run.outcome in results

    return holds


# -- what a live fire needs ----------------------------------------------------------------------------------------


def outbox_emptied(_settings: Settings, plane: ControlPlane) -> None:
    """Every message that waits is withdrawn."""
    from ops_core.push import outbox

    with plane.snapshot() as found:
        waiting = outbox.pending(found)
    for message in waiting:
        outbox.withdraw(plane, message.id, REASON)


def outbox_is_empty(stack: ControlStack, _service: str) -> bool:
    """No message waits."""
    from ops_core.push import outbox

    with opened(stack)[1].snapshot() as found:
        return not outbox.pending(found)


def secret_opened(stack: ControlStack, _service: str) -> None:
    """The file of a secret can be read by everybody."""
    (stack.layout.secrets / "BOT_TOKEN").chmod(0o644)


def secret_is_open(stack: ControlStack, _service: str) -> bool:
    """Others than the owner may read it."""
    return bool((stack.layout.secrets / "BOT_TOKEN").stat().st_mode & 0o077)


def gate_shut(_settings: Settings, plane: ControlPlane) -> None:
    """Somebody sets the gate to DRY_RUN."""
    plane.set_gate("DRY_RUN", REASON)


def sender_off(_settings: Settings, plane: ControlPlane) -> None:
    """Somebody switches the sender off."""
    plane.disable_sender(REASON)


def sender_is_off(stack: ControlStack, _service: str) -> bool:
    """No message may leave."""
    return not opened(stack)[1].state().sender.enabled


# -- callers -------------------------------------------------------------------------------------------------------


def alert_forged(stack: ControlStack, _service: str) -> None:
    """Somebody sends alerts as if they were the monitoring system: without a token, and with wrong ones.

    Raises:
        OpsError: one was taken, or left a trace in the audit chain.
    """
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "ops_core.cli", "serve", "--port", "0", "--json"],
        cwd=stack.work_dir,
        env={**os.environ, **stack.environ()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    stack.server = server
    assert server.stdout is not None  # noqa: S101 - as it was asked for
    told = []
    for line in server.stdout:
        told.append(line)
        if line.startswith(b"}"):
            break
    else:
        raise OpsError("the server does not begin", where=str(stack.work_dir))
    address = str(json.loads(b"".join(told))["url"]).removeprefix("http://")
    before, statuses = _audit_head(stack), []
    for token in ("", "ops_" + "A" * 43, "Bearer", "' OR 1=1 --"):
        statuses.append(_sent(address, token))
        if statuses[-1] not in (401, 403):
            raise OpsError(f"a forged alert was answered with {statuses[-1]}", where=address)
    if _audit_head(stack) != before:
        raise OpsError("a forged alert left a trace in the audit chain", where=address)
    stack.refusal = f"{len(statuses)} requests answered with {', '.join(map(str, statuses))}"


def _audit_head(stack: ControlStack) -> tuple[int, str]:
    with opened(stack)[1].snapshot() as found:
        return found.head


def _sent(address: str, token: str) -> int:
    alert = {
        "status": "firing",
        "labels": {"alertname": "Forged", "runbook_target": "this-host", "runbook_severity": "SEV-1"},
        "startsAt": "2026-01-05T00:05:00.000Z",
    }
    body = {"version": "4", "groupKey": "forged", "status": "firing", "alerts": [alert]}
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    connection = http.client.HTTPConnection(address, timeout=SERVE_S)
    try:
        connection.request("POST", WEBHOOK, json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def forged_in_vain(stack: ControlStack, _service: str) -> bool:
    """The server runs, and nothing was opened."""
    from ops_core.incident.loop import list_incidents

    running = stack.server is not None and stack.server.poll() is None
    return running and not list_incidents(opened(stack)[1], stack.clock)


def alert_refused(stack: ControlStack, service: str) -> str:
    """How the forged alerts were answered; empty where something came of one all the same."""
    return f"{stack.refusal}; no incident, nothing in the audit chain" if forged_in_vain(stack, service) else ""
