"""Changes behind the program's back, at random and by the thousand, and crashes between commit and export.

`python tests/tampering.py FOLDER SEED` waits on standard input: for each line it forks a process that changes and exports
without end, and tells its process id; whoever started it kills that one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

from mirrored import ALLOWLIST, World, past_the_program

from ops_core.control import contracts, logs
from ops_core.control.audit import GENESIS_HASH, AuditRow, next_row
from ops_core.control.checkpoint import CheckpointBroken, checkpoint_of, verify_history
from ops_core.control.integrity.survey import area_of
from ops_core.control.model import ControlState
from ops_core.errors import CannotLook

MIRRORS = (
    "state/execution_gate.json",
    "state/emergency_stop.json",
    "state/real_sender_enable.json",
    "state/tickets/requests.jsonl",
    "state/tickets/preflight.jsonl",
    "reports/ops/daily/ops_report_latest.json",
    "reports/ops/daily/snapshots/ops_run_R1.json",
    "reports/ops/daily/snapshots/ops_run_R2.json",
    "reports/ops/push/live_fire/live_fire_latest.json",
    "reports/tickets/preflight/preflight_000004.json",
)
NOBODY = 65534


class Missed(AssertionError):
    """Something was changed and not found, had an effect, or was found where nothing had been changed."""


class Tamperer:
    """Changes one thing at a time, asks whether it was found, and puts everything right."""

    def __init__(self, root: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(root).begin()
        (self.world.settings.logs_dir / "cron.log").write_text("started\nended\n" * 5, encoding="utf-8")
        self.older: dict[str, list[bytes]] = {}
        self.counts: dict[str, int] = {}
        self.kept = [self._checkpoint()]
        self.settle()

    def settle(self) -> None:
        """Let everything be as it must be, and accepted."""
        world = self.world
        for path in MIRRORS:
            self.older.setdefault(path, []).append((world.root / path).read_bytes())
        getattr(world.plane, self.random.choice(["engage", "release"]))(f"step {self.random.random()}")
        if self.random.random() < 0.3:
            world.ticket(note=self.random.random())
            world.ticket("preflight", missing=[str(self.random.random())])
        world.export()
        self.accept()

    def accept(self) -> None:
        """Mark the logs, and accept what was found."""
        world = self.world
        world.wait()
        with world.plane.transaction() as tx:
            logs.mark(tx, world.settings, world.clock.now(), always=True)
            tx.audit(at=world.clock.now(), actor="kim", action="integrity.accepted", detail={})
        world.export()
        world.wait()
        world.export()

    def round(self) -> None:
        """One change of each area but those of the store itself, found each by itself."""
        self.one("mirrors", self._mirror)
        self.one("tickets", self._journal)
        self.one("logs", self._log)
        self.one("contracts", self._contract)
        self.chain()
        self.store()

    def one(self, area: str, change: Callable[[], tuple[str, str]]) -> None:
        """Make one change; it is found under its own name and nothing else is, and changes nothing that counts.

        Raises:
            Missed: otherwise.
        """
        world, before = self.world, self._in_force()
        where, what = change()
        found = [one for one in world.breaches() if not one.put_right]
        # A folder's disappearance shows in each file that it held.
        if not any(one.where == where or one.where.endswith(f"/{where}") for one in found):
            raise Missed(f"{area}: {what} of {where} was not found")
        strange = [
            one
            for one in found
            if not (one.where == where or one.where.endswith(f"/{where}") or what in {"swap", "dir"})
        ]
        if strange:
            raise Missed(f"{area}: {what} of {where} was taken for {strange[0].explain()}")
        after = self._in_force()
        if (
            after[0] != before[0]
            or (area != "contracts" and after != before)
            or (area == "contracts" and any(after[1]))
        ):
            raise Missed(f"{area}: {what} of {where} had an effect: {after}")
        self._put_right(area, where, what)
        self.counts[area] = self.counts.get(area, 0) + 1

    def chain(self) -> None:
        """Rewrite the history, cleverly or not; whoever kept a checkpoint finds it.

        Raises:
            Missed: nobody does.
        """
        rows = list(self.world.plane.audit_rows())
        kept = self.random.choice([self.kept[-1], *self.kept])
        made, what = self._rewritten(rows, int(kept["seq"]))
        try:
            verify_history(made, [kept])
        except CheckpointBroken:
            self.counts["chain"] = self.counts.get("chain", 0) + 1
        else:
            raise Missed(f"chain: {what} was not found")
        verify_history(rows, [kept])
        if self.random.random() < 0.1:
            self.kept.append(self._checkpoint())

    def store(self) -> None:
        """Change one value in a table past the program: a finding, or a store that counts as stopped.

        Raises:
            Missed: neither.
        """
        world = self.world
        path = world.settings.control_store
        copy = path.with_name("copy.db")
        shutil.copy2(path, copy)
        table = self.random.choice(["audit", "audit", "ticket", "fire", "cycle_run", "contract", "control_state"])
        try:
            with past_the_program(path) as connection:
                what = self._cell(connection, table)
            try:
                found = [
                    one
                    for one in world.breaches()
                    if not one.put_right and one.area in {"chain", "tickets", "contracts"}
                ]
            except CannotLook:
                found = [True]
                if not world.plane.state().stopped:
                    raise Missed(f"store: {what}: unusable, and not stopped") from None
            if not found:
                raise Missed(f"store: {what} was not found")
        finally:
            shutil.copy2(copy, path)
            path.chmod(0o600)
        self.counts["store"] = self.counts.get("store", 0) + 1

    def _cell(self, connection: sqlite3.Connection, table: str) -> str:
        columns = {
            "audit": ("at", "actor", "action", "subject", "detail", "hash"),
            "ticket": ("line", "journal"),
            "fire": ("receipt",),
            "cycle_run": ("receipt",),
            "contract": ("digest", "name"),
            "control_state": ("document", "head_hash", "seal"),
        }
        column = self.random.choice(columns[table])
        [rows] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        offset = self.random.randrange(rows)
        key, value = connection.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1 OFFSET {offset}").fetchone()
        if self.random.random() < 0.2 and table in {"ticket", "contract"}:
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (key,))
            return f"row {key} of {table} removed"
        changed = self._text(value)
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, key))
        return f"{column} of row {key} of {table}: {value[:60]!r} became {changed[:60]!r}"

    def _text(self, value: str) -> str:
        place = self.random.randrange(len(value) + 1)
        new = self.random.choice('0123456789abcdefxyz{}", 점')
        changed = self.random.choice(
            [value[:place] + new + value[place + 1 :], value[:place] + new + value[place:], value[:place]]
        )
        return changed if changed != value else value + new

    def _rewritten(self, rows: list[AuditRow], until: int) -> tuple[list[AuditRow], str]:
        """A history that is not the one that was kept: something before the kept row differs, or the row is gone."""
        what = self.random.choice(
            ["edit", "edit sealed", "remove sealed", "insert sealed", "swap sealed", "cut", "hole"]
        )
        place = self.random.randrange(until)
        if what == "cut":
            return rows[:place], f"cut after row {place}"
        if what == "hole":
            return rows[:place] + rows[place + 1 :], f"row {place + 1} gone"
        name = self.random.choice(
            [one.name for one in fields(AuditRow) if one.name in {"at", "actor", "action", "subject"}]
        )
        changed = replace(rows[place], **{name: self._text(getattr(rows[place], name))})
        if what == "edit":
            return [*rows[:place], changed, *rows[place + 1 :]], f"{name} of row {place + 1}"
        made = {
            "edit sealed": [*rows[:place], changed, *rows[place + 1 :]],
            "remove sealed": rows[:place] + rows[place + 1 :],
            "insert sealed": [*rows[:place], changed, *rows[place:]],
            "swap sealed": [*rows[: place - 1], rows[place], rows[place - 1], *rows[place + 1 :]]
            if place
            else rows[1:],
        }[what]
        return _sealed(made), f"{what} at row {place + 1}"

    def _mirror(self) -> tuple[str, str]:
        name = self.random.choice(MIRRORS)
        path = self.world.root / name
        if self.random.random() < 0.08:
            folder, ending = self.random.choice(
                [("reports/ops/daily/snapshots/ops_run_", "json"), ("state/tickets/more_", "jsonl")]
            )
            name = f"{folder}{self.random.randrange(10**6)}.{ending}"
            (self.world.root / name).write_bytes(path.read_bytes())
            return name, "added"
        older = [one for one in self.older[name] if one != path.read_bytes()]
        if older and self.random.random() < 0.15:
            path.write_bytes(self.random.choice(older))
            return name, "older copy"
        return name, self._file(path)

    def _journal(self) -> tuple[str, str]:
        name = self.random.choice([one for one in MIRRORS if one.endswith(".jsonl")])
        path = self.world.root / name
        lines = path.read_bytes().splitlines(keepends=True)
        place = self.random.randrange(len(lines))
        forged = json.dumps({**json.loads(lines[place]), "actor": "lee"}, sort_keys=True, separators=(",", ":"))
        made = {
            "edited": [*lines[:place], forged.encode() + b"\n", *lines[place + 1 :]],
            "removed": lines[:place] + lines[place + 1 :],
            "appended": [*lines, forged.encode() + b"\n"],
            "repeated": [*lines, lines[place]],
            "inserted": [*lines[:place], forged.encode() + b"\n", *lines[place:]],
            "cut": [*lines[:place], lines[place][:-5]],
            "reversed": lines[::-1] if len(lines) > 1 else [],
        }
        what = self.random.choice(list(made))
        path.write_bytes(b"".join(made[what]))
        return name, what

    def _log(self) -> tuple[str, str]:
        name = self.random.choice(["ops.log", "cron.log"])
        path = self.world.settings.logs_dir / name
        what = self.random.choice(["flip", "cut", "delete", "replace", "link", "folder", "insert"])
        data = path.read_bytes()
        place = self.random.randrange(len(data))
        if what == "flip":
            path.write_bytes(data[:place] + bytes([data[place] ^ (1 << self.random.randrange(8))]) + data[place + 1 :])
        elif what == "cut":
            path.write_bytes(data[:place])
        elif what == "insert":
            path.write_bytes(data[:place] + b"\x00" + data[place:])
        elif what == "replace":
            path.write_bytes(self.random.randbytes(len(data) + 10))
        else:
            self._displace(path, what)
        return f"logs/{name}", what

    def _contract(self) -> tuple[str, str]:
        folder = self.world.contracts
        if self.random.random() < 0.15:
            name = f"{self.random.choice(['', '.', 'x'])}{self.random.randrange(10**6)}.json"
            (folder / name).write_text('{"contract": "execution_allowlist_v1", "request_types": ["REBOOT"]}')
            return f"contracts/{name}", "added"
        name = self.random.choice([ALLOWLIST, ALLOWLIST, "contract_ops_scheduler_v1.md"])
        if name == ALLOWLIST and self.random.random() < 0.3:
            self.world.allow("OPS_CYCLE", "LIVE_FIRE", f"REBOOT{self.random.randrange(100)}")
            return f"contracts/{name}", "widened"
        what = self._file(folder / name, around=False)
        return f"contracts/{name}", what

    def _file(self, path: Path, *, around: bool = True) -> str:
        """Change a file in one of many ways; its content, or what it is."""
        data = path.read_bytes()
        place = self.random.randrange(len(data))
        end = self.random.randrange(place, len(data)) + 1
        contents = {
            "flip": data[:place] + bytes([data[place] ^ (1 << self.random.randrange(8))]) + data[place + 1 :],
            "remove": data[:place] + data[end:],
            "insert": data[:place] + self.random.randbytes(self.random.randrange(1, 9)) + data[place:],
            "cut": data[:place],
            "append": data + self.random.choice([b"\n", b" ", b"{}", b"\x00"]),
            "repeat": data + data,
            "crlf": data.replace(b"\n", b"\r\n"),
            "real": data.replace(b"DRY_RUN", b"REAL_ENABLED").replace(b"true", b"false") + b"\n",
            "noise": self.random.randbytes(self.random.randrange(1, 5000)),
        }
        others = ["delete", "link", "folder", "pipe"] + (["hard link", "mode", "owner"] if around else [])
        what = self.random.choice([*contents, *others])
        if what in contents:
            path.write_bytes(contents[what] if contents[what] != data else data + b"x")
        else:
            what = self._displace(path, what)
        return what

    def _displace(self, path: Path, what: str) -> str:
        aside = self.world.root / f"aside-{self.random.randrange(10**9)}"
        if what == "owner" and os.geteuid() != 0:
            what = "mode"
        if what in {"link", "folder", "pipe", "delete"}:
            path.rename(aside)
        if what == "link":
            path.symlink_to(aside)  # which holds what was there: the content alone does not make it right
        elif what == "folder":
            path.mkdir()
        elif what == "pipe":
            os.mkfifo(path)
        elif what == "hard link":
            os.link(path, aside)
        elif what == "mode":
            path.chmod(self.random.choice([0o600, 0o666, 0o777, 0o444, 0o4644]))
        elif what == "owner":
            os.chown(path, NOBODY, -1)
        return what

    def _put_right(self, area: str, where: str, what: str) -> None:
        world = self.world
        if area == "contracts":
            self._contracts_again()
        elif area == "logs":
            self._log_again(world.root / where)
        elif world.export().problems:
            raise Missed(f"{area}: {what} of {where} could not be put right")
        if [one for one in world.breaches() if not one.put_right and one.area != "logs"]:
            raise Missed(f"{area}: {what} of {where} is still there after it was put right: {world.breaches()}")
        if area == "mirrors" and area_of(where) not in {one.area for one in world.breaches()}:
            raise Missed(f"{area}: {what} of {where} was forgotten once it was put right")
        if area == "logs" or self.random.random() < 0.1:
            self.accept()

    def _contracts_again(self) -> None:
        shutil.rmtree(self.world.contracts)
        self.world.contracts.mkdir()
        self.world.allow("OPS_CYCLE", "LIVE_FIRE")
        (self.world.contracts / "contract_ops_scheduler_v1.md").write_text("# Contract\n", encoding="utf-8")

    def _log_again(self, path: Path) -> None:
        if path.is_dir():
            path.rmdir()
        elif path.is_symlink():
            path.unlink()
        if not path.exists() or not path.stat().st_size:
            path.write_text("begun anew\n" * 3, encoding="utf-8")

    def _in_force(self) -> tuple[ControlState, tuple[bool, ...]]:
        world = self.world
        with world.plane.snapshot() as tx:
            types = ("OPS_CYCLE", "LIVE_FIRE", "REBOOT")
            return tx.state, tuple(not contracts.request_problem(tx, world.settings, one) for one in types)

    def _checkpoint(self) -> dict[str, object]:
        with self.world.plane.snapshot() as tx:
            return checkpoint_of(tx, self.world.settings)


def _sealed(rows: list[AuditRow]) -> list[AuditRow]:
    """The acts as a chain that proves itself, as somebody would make it who knows how."""
    head, made = (0, GENESIS_HASH), []
    for row in rows:
        made.append(
            next_row(
                head, at=row.at, actor=row.actor, action=row.action, subject=row.subject, detail=json.loads(row.detail)
            )
        )
        head = (made[-1].seq, made[-1].hash)
    return made


class Killed(BaseException):
    """Stands for the end of the process: from here on no call of the system is made any more."""


@contextlib.contextmanager
def killed_at(number: int) -> Iterator[list[str]]:
    """Let the call of the system of that number, counted over those that leave a trace, be the last one.

    Yields the names of the calls that were made.
    """
    made: list[str] = []

    def dying(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if len(made) >= number:
                raise Killed
            made.append(name)
            return real(*arguments, **named)

        return call

    names = ("rename", "unlink", "fsync", "mkdir", "write")
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(os, name, dying(name, getattr(os, name))))
        for name in ("_note_intent", "_record", "_note"):
            from ops_core.control import mirrors

            stack.enter_context(mock.patch.object(mirrors, name, dying(name, getattr(mirrors, name))))
        for name in ("_rotate", "_remember", "_finish", "_append"):
            stack.enter_context(mock.patch.object(logs, name, dying(name, getattr(logs, name))))
        yield made


def act(world: World, chance: random.Random) -> None:
    """Something that people do, exported or not."""
    what = chance.randrange(9)
    if what < 3:
        world.plane.engage(f"r{chance.random()}")
    elif what < 5:
        world.plane.release(f"r{chance.random()}")
    elif what == 5:
        world.plane.set_gate(chance.choice(["DRY_RUN", "MOCK_ONLY"]), f"r{chance.random()}")
    elif what == 6:
        world.ticket(chance.choice(["requests", "results", "preflight"]), note=chance.random())
    elif what == 7:
        world.cycle(f"C{chance.randrange(10**9)}")
    else:
        world.fire(f"F{chance.randrange(10**9)}")
    if chance.random() < 0.3:
        world.wait(chance.choice([1, 61]))
    if chance.random() < 0.1:
        logs.write(world.settings, world.clock.now(), "noise", text="x" * chance.randrange(4000))
    if chance.random() < 0.5:
        world.export()


def calm(world: World, when: str) -> None:
    """Nobody is accused, and everything comes right.

    Raises:
        Missed: somebody is, or it does not.
    """
    if found := world.breaches():
        raise Missed(f"{when}: {found[0].explain()}")
    world.wait()
    if done := world.export().problems:
        raise Missed(f"{when}: {done[0]}")
    world.wait()
    world.export()
    if found := world.breaches():
        raise Missed(f"{when}, and then exported: {found[0].explain()}")
    if late := world.pending():
        raise Missed(f"{when}, and then exported: {late} are still late")


def injected_crashes(root: Path, seed: int, rounds: int) -> int:
    """Die at a random call, again and again, also while the crash before is being repaired; returns how often."""
    chance, died = random.Random(seed), 0
    world = World(root).begin()
    with mock.patch.object(logs, "ROTATE_BYTES", 6000), mock.patch.object(logs, "ROTATED_MAX", 3):
        for _ in range(rounds):
            for _ in range(chance.choice([1, 1, 2, 3])):
                number = chance.randrange(30)
                try:
                    with killed_at(number) as made:
                        act(world, chance)
                except Killed:
                    died += 1
                    when = f"killed after {number} calls, the last one {made[-1] if made else 'none'}"
                    _forget_thread()
                    if found := world.breaches():
                        raise Missed(f"{when}: {found[0].explain()}") from None
            calm(world, "after the crashes")
    return died


def _forget_thread() -> None:
    from ops_core.control import mirrors

    mirrors._here.exporting = False


def _serve(root: Path, seed: int) -> None:
    """Fork, for each line of standard input, a process that changes and exports until it is killed."""
    world = World(root).begin()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for number, _ in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            chance = random.Random(seed + number)
            world.clock.sleep(86_400.0 * (number + 1))
            logs.ROTATE_BYTES, logs.ROTATED_MAX = 6000, 3
            while True:
                act(world, chance)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("gone\n")
        sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
