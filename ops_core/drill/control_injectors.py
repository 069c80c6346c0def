"""How a control plane is really broken: stopped, left open, and changed behind the program's back."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.control.verified import TAIL_ROWS
from ops_core.drill.base_stack import Stack
from ops_core.drill.control_plane import ALLOWLIST, PERMITTED, REASON, ControlStack, opened, record_tickets
from ops_core.drill.injectors import Step, Test
from ops_core.errors import OpsError

FORGED = "somebody"
REQUEST = "REBOOT"
GATE, STOP, SENDER = "execution_gate.json", "emergency_stop.json", "real_sender_enable.json"
JOURNAL = "tickets/requests.jsonl"

PlaneStep = Callable[[Settings, ControlPlane], None]


def acted(act: PlaneStep) -> Step[Stack[Any]]:
    """An act on the control plane, done with the functions that people's commands call."""

    def do(stack: Stack[Any], _service: str) -> None:
        act(*opened(stack))

    return do


def engaged(_settings: Settings, plane: ControlPlane) -> None:
    """Somebody engages the emergency stop."""
    plane.engage("the drill smells smoke")


def left_open(_settings: Settings, plane: ControlPlane) -> None:
    """The gate stands at REAL_ENABLED, and nobody carries out anything."""
    plane.set_gate("REAL_ENABLED", REASON)


def latched(stack: Stack[Any], _service: str) -> None:
    """Somebody makes the latch beside the store, as with `touch`."""
    from ops_core.control.files import latch_path

    latch_path(opened(stack)[0].control_store).touch()


def store_lost(stack: Stack[Any], _service: str) -> None:
    """The file of the store is gone; whoever opens it next makes an empty one, which is stopped."""
    opened(stack)[0].control_store.unlink()


def is_stopped(stack: Stack[Any], _service: str) -> bool:
    """What counts is a stop."""
    return opened(stack)[1].state().stopped


def gate_stands(gate: str) -> Test[Stack[Any]]:
    """The gate that counts is that one."""

    def holds(stack: Stack[Any], _service: str) -> bool:
        return opened(stack)[1].gate() == gate

    return holds


# -- behind the program's back -------------------------------------------------------------------------------------


def rewritten(name: str, old: str, new: str) -> Step[ControlStack]:
    """A passage of a mirror below the state folder becomes another one."""

    def do(stack: ControlStack, _service: str) -> None:
        path = stack.state_dir / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise OpsError(f"the mirror does not say {old!r}", where=str(path))
        path.write_text(text.replace(old, new), encoding="utf-8")

    return do


def says(name: str, text: str) -> Test[ControlStack]:
    """A mirror says that; what counts is the store, which says otherwise."""

    def holds(stack: ControlStack, _service: str) -> bool:
        try:
            told = (stack.state_dir / name).read_text(encoding="utf-8")
        except OSError:
            return False
        state = opened(stack)[1].state()
        return text in told and state.gate == "MOCK_ONLY" and not (state.stopped or state.sender.enabled)

    return holds


def stop_mirror_deleted(stack: ControlStack, _service: str) -> None:
    """Somebody deletes the file that says whether everything is stopped."""
    (stack.state_dir / STOP).unlink()


def stop_mirror_gone(stack: ControlStack, _service: str) -> bool:
    """It is not there."""
    return not (stack.state_dir / STOP).exists()


def log_cut(stack: ControlStack, _service: str) -> None:
    """The second half of the program's log disappears."""
    path = opened(stack)[0].logs_dir / "ops.log"
    os.truncate(path, path.stat().st_size // 2)


def log_deleted(stack: ControlStack, _service: str) -> None:
    """The program's log disappears."""
    (opened(stack)[0].logs_dir / "ops.log").unlink()


def log_differs(stack: ControlStack, _service: str) -> bool:
    """A log is not what it was when it was last marked."""
    from ops_core.control import logs

    settings, plane = opened(stack)
    with plane.snapshot() as found:
        return bool(logs.judged(found, settings))


def allowlist_widened(stack: ControlStack, _service: str) -> None:
    """Somebody adds a request type to the allowlist, and nobody accepts it."""
    wider = {**PERMITTED, "request_types": [*PERMITTED["request_types"], REQUEST]}
    (stack.layout.contracts / ALLOWLIST).write_text(json.dumps(wider, indent=2) + "\n", encoding="utf-8")


def contract_added(stack: ControlStack, _service: str) -> None:
    """A contract appears that nobody accepted."""
    (stack.layout.contracts / "contract_of_nobody_v1.md").write_text("# Everything is allowed\n", encoding="utf-8")


def contracts_differ(stack: ControlStack, _service: str) -> bool:
    """The folder of contracts holds something that it should not."""
    names = {one.name for one in stack.layout.contracts.iterdir()}
    return names != {ALLOWLIST} or REQUEST in (stack.layout.contracts / ALLOWLIST).read_text(encoding="utf-8")


@contextlib.contextmanager
def past_the_program(stack: Stack[Any]) -> Iterator[sqlite3.Connection]:
    """A connection to the store of somebody who takes its triggers away, and puts them back when done."""
    connection = sqlite3.connect(opened(stack)[0].control_store)
    try:
        with connection:
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            yield connection
            for _, sql in triggers:
                connection.execute(sql)
    finally:
        connection.close()


def long_history(stack: ControlStack, _service: str) -> None:
    """So many acts that whoever opens the store does not check how they began; who verifies it whole does."""
    record_tickets(opened(stack)[1], TAIL_ROWS)


def cell_edited(table: str, column: str, text: str, row: int = 1) -> Step[ControlStack]:
    """A value in a row of a table becomes another one; the old one is kept aside."""

    def do(stack: ControlStack, _service: str) -> None:
        with past_the_program(stack) as store:
            asked = f"SELECT {column} FROM {table} WHERE rowid = ?"  # noqa: S608 - names of ours
            [old] = store.execute(asked, (row,)).fetchone()
            (stack.layout.spare / table).write_text(json.dumps([row, old]), encoding="utf-8")
            store.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (text, row))  # noqa: S608 - likewise

    return do


def cell_restored(table: str, column: str) -> Step[ControlStack]:
    """The value that was kept aside is put back."""

    def do(stack: ControlStack, _service: str) -> None:
        kept = stack.layout.spare / table
        if kept.is_file():
            row, old = json.loads(kept.read_text(encoding="utf-8"))
            with past_the_program(stack) as store:
                store.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (old, row))  # noqa: S608 - likewise
            kept.unlink()

    return do


def kept_aside(name: str) -> Test[ControlStack]:
    """Something was taken away, and lies aside."""

    def holds(stack: ControlStack, _service: str) -> bool:
        return (stack.layout.spare / name).exists()

    return holds


def host_key_replaced(stack: ControlStack, _service: str) -> None:
    """Somebody puts a key of their own in the place of the host's, to sign a history of their own with it."""
    from ops_core.control import checkpoint

    path = checkpoint.key_path(opened(stack)[0])
    path.rename(stack.layout.spare / path.name)
    checkpoint.make_key(path)


def host_key_restored(stack: ControlStack, _service: str) -> None:
    """The host's own key is put back."""
    from ops_core.control import checkpoint

    path = checkpoint.key_path(opened(stack)[0])
    if (stack.layout.spare / path.name).exists():
        (stack.layout.spare / path.name).replace(path)
