"""A control plane to break: a site of its own without services, and any stack's control plane opened for a drill.

The site has a past: its store was made a day ago by an injected clock, and a cycle has run since, so that a slot that
nobody ran can be missed. Its local time is noon, in whatever zone that is now: no drill is near midnight.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from ops_core.clock import Clock, new_run_id
from ops_core.config import Settings, load_settings
from ops_core.control.opening import plane_of
from ops_core.control.service import ControlPlane
from ops_core.drill.base_stack import Stack
from ops_core.drill.people import ASKS, FIRST, SECOND
from ops_core.drill.work_dir import ServiceSpec, WorkDir, digest_below, write_private
from ops_core.errors import UsageError
from ops_core.operations import DAYS

ACTOR = "drill"
REASON = "a rehearsal on a site of its own"
PAST = timedelta(days=1)
NOON = 12
WINDOW_S = 3600
ALLOWLIST = "execution_allowlist_v1.json"
PERMITTED = {"contract": "execution_allowlist_v1", "request_types": ["OPS_CYCLE", "LIVE_FIRE"]}
SECRETS = MappingProxyType({"BOT_TOKEN": "1234567:" + "A" * 34 + "b", "BOT_CHAT": "-100200300"})
END_S = 10.0

_TOML = """\
default_profile = "site"
suites = ["observe", "daily", "live_fire", "integrity", "handoff"]

[profiles.site]
drill = true
control_dir = "${{OPS_CONTROL_DIR:-control}}"
state_dir = "${{OPS_STATE_DIR:-state}}"
reports_dir = "${{OPS_REPORTS_DIR:-reports}}"
logs_dir = "${{OPS_LOGS_DIR:-logs}}"
contracts_dir = "docs/contracts"

[profiles.site.trading]
zone = "{zone}"
days = {trading_days}
opens = "{opens}"
closes = "{closes}"

[profiles.site.schedule]
zone = "{zone}"
days = {schedule_days}
at = "{at}"
grace_minutes = 30

[profiles.site.cycle]
needs_files = {needs_files}
needs_modules = {needs_modules}

[profiles.site.push]
telegram_url = "http://127.0.0.1:9"
telegram_token = "BOT_TOKEN"
telegram_chat = "BOT_CHAT"

[profiles.site.secrets]
BOT_TOKEN = {{ file = "secrets/BOT_TOKEN" }}
BOT_CHAT = {{ file = "secrets/BOT_CHAT" }}

[profiles.site.targets.this-host.vars]
nothing = "to look at"
"""


@dataclass(frozen=True, kw_only=True)
class Skewed:
    """A clock that goes ahead of another one, or behind it."""

    base: Clock
    by: timedelta

    def now(self) -> datetime:
        """What it shows."""
        return self.base.now() + self.by

    def monotonic(self) -> float:
        """As the other one: nobody is away for that long."""
        return self.base.monotonic()

    def sleep(self, seconds: float) -> None:
        """As the other one."""
        self.base.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """When a site trades, when its cycles are due, and what they need. Times are those of its zone."""

    zone: str
    schedule_days: tuple[str, ...]
    trading_days: tuple[str, ...] = DAYS
    opens: str = "00:00"
    closes: str = "24:00"
    at: str = "09:05"
    needs_files: tuple[str, ...] = ()
    needs_modules: tuple[str, ...] = ()

    def text(self) -> str:
        """The `ops.toml` that says so."""
        lists = ("trading_days", "schedule_days", "needs_files", "needs_modules")
        told = {name: json.dumps(getattr(self, name)) for name in lists}
        return _TOML.format(zone=self.zone, opens=self.opens, closes=self.closes, at=self.at, **told)


@dataclass(frozen=True)
class SiteDir(WorkDir):
    """The work directory of a site: `ops.toml`, contracts, secrets, and what the control plane keeps."""

    KIND: ClassVar[str] = "site"
    SERVICES: ClassVar[Mapping[str, ServiceSpec]] = {}

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.root / "ops.toml"

    @property
    def contracts(self) -> Path:
        """What was agreed on."""
        return self.root / "docs" / "contracts"

    @property
    def secrets(self) -> Path:
        """The values of its secrets."""
        return self.root / "secrets"

    @property
    def spare(self) -> Path:
        """What an injector sets aside, to be put back when the fault is withdrawn."""
        return self.root / "spare"

    def lay_out(self) -> None:
        """Everything but the store, as it is known to be good; what lies there beside it is removed."""
        for folder in (self.contracts, self.secrets, self.spare):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in self.contracts.iterdir():
            if one.name != ALLOWLIST:
                one.unlink()
        write_private(self.contracts / ALLOWLIST, json.dumps(PERMITTED, indent=2) + "\n")
        for name, value in SECRETS.items():
            write_private(self.secrets / name, value + "\n")


class ControlStack(Stack[SiteDir]):
    """A site whose control plane is broken: no service runs, so it starts in a moment."""

    LAYOUT = SiteDir
    PROFILE = "site"
    SUITE = "integrity"
    DIR_VARIABLE = "OPS_SITE_DIR"
    DRIVER = "control"

    def __init__(self, work_dir: Path, *arguments: Any, **named: Any) -> None:
        super().__init__(work_dir, *arguments, **named)
        self.config = self.layout.config
        self.may_fire = False
        self.server: subprocess.Popen[bytes] | None = None
        self.refusal = ""
        self._here = False
        local = self.clock.now()
        offset = (NOON - local.hour + 11) % 24 - 11  # -11 to 12
        # The sign of these zones is the other way round than everywhere else.
        zone = f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"
        self._local = timezone(timedelta(hours=offset))
        self.good = Arrangement(zone=zone, schedule_days=(self.day(3),))

    @property
    def running(self) -> bool:
        return self._here

    def local(self, by: timedelta = timedelta(0)) -> datetime:
        """The time of the site's zone, or that and so much."""
        return (self.clock.now() + by).astimezone(self._local)

    def day(self, later: int = 0) -> str:
        """The name of today in the site's zone, or of a later day."""
        return DAYS[self.local(timedelta(days=later)).weekday()]

    def start(self, *, detached: bool = False) -> None:
        """Lay out the site and give it a past.

        Raises:
            UsageError: the directory belongs to something else, or nothing can be left running.
        """
        if detached:
            raise UsageError("a site has nothing to leave running", where=str(self.work_dir))
        self.layout.claim()
        self.layout.lay_out()
        self.arrange()
        self._here = True
        settings, plane = opened(self, Skewed(base=self.clock, by=-PAST))
        plane.create()
        plane.release(REASON)
        run_cycle(settings, plane)
        record_tickets(plane)

    def stop(self) -> None:
        self.end_server()
        self._here = False

    def end_server(self) -> None:
        """End the server that a fault has started, if there is one."""
        server, self.server = self.server, None
        if server is not None:
            server.terminate()
            try:
                server.wait(END_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stdout is not None:
                server.stdout.close()

    def arrange(self, **changes: Any) -> None:
        """Write the good configuration, or one that differs from it."""
        write_private(self.layout.config, replace(self.good, **changes).text())

    def standing(self) -> dict[str, str]:
        layout = self.layout
        told = {one.name: digest_below(one) for one in (layout.contracts, layout.secrets, layout.spare)}
        window = opened(self)[1].state().window
        return {
            **told,
            "configuration": digest_of(layout.config),
            "window": "none" if window is None or not self.may_fire else window.status.value,
            "server": "none" if self.server is None else "running",
        }

    def make_good(self, service: str) -> None:
        """There is no service; the control plane is put back by `put_back`."""

    def answers(self, service: str) -> bool:
        return service in self.layout.SERVICES


def digest_of(path: Path) -> str:
    """SHA-256 of a file, shortened; empty where it cannot be read."""
    import hashlib

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def opened(stack: Stack[Any], clock: Clock | None = None) -> tuple[Settings, ControlPlane]:
    """The configuration that means a stack, and its control plane; by another clock than the stack's if given."""
    settings = load_settings(stack.config, stack.PROFILE, {**os.environ, **stack.environ()})
    return settings, plane_of(settings, clock or stack.clock, ACTOR)


def run_cycle(settings: Settings, plane: ControlPlane, *types: str) -> dict[str, Any]:
    """One cycle by hand, of the configured request types unless others are named; its receipt."""
    from ops_core.cycle.run import run

    return run(settings, plane, request_types=types or None)


def record_tickets(plane: ControlPlane, count: int = 1) -> None:
    """Entries of the request journal."""
    from ops_core.control import tickets

    with plane.transaction() as tx:
        for number in range(count):
            at = plane.clock.now()
            tickets.record(tx, "requests", at=at, actor=ACTOR, request_type="OPS_CYCLE", note=REASON, number=number)
    plane.show()


def key_of(stack: Stack[Any], person: str) -> Path:
    """The file of a person's key."""
    return stack.work_dir / "people" / person


def know_people(stack: Stack[Any], plane: ControlPlane) -> None:
    """One who asks and two who approve, with keys of their own; those who are known stay."""
    from ops_core.control.people import SCOPES_DEFAULT, add_operator, list_operators

    key_of(stack, ASKS).parent.mkdir(mode=0o700, exist_ok=True)
    known = {one.name for one in list_operators(plane)}
    for name in (ASKS, FIRST, SECOND):
        if name not in known:
            add_operator(plane, name, key_file=key_of(stack, name), scopes=SCOPES_DEFAULT)


def ask_for_window(stack: Stack[Any], *keys: str, duration_s: int = WINDOW_S) -> None:
    """A window for what would be sent now, in place of any other, with the keys of those people."""
    from ops_core.control.model.window import is_open
    from ops_core.control.people import request_window, revoke_window
    from ops_core.push import offer, recover

    settings, plane = opened(stack)
    know_people(stack, plane)
    recover(plane)
    if is_open(plane.state(), plane.clock.now()):
        revoke_window(plane, REASON)
    run_id = new_run_id(plane.clock.now())
    request_window(
        plane, lambda found: offer(found, settings, run_id), operator=ASKS, reason=REASON, duration_s=duration_s
    )
    for name in keys:
        approve(stack, plane, name)


def approve(stack: Stack[Any], plane: ControlPlane, name: str, key: str = "") -> None:
    """Give the key of a person for the open window; or that of somebody else in their name."""
    from ops_core.control.people import approve_window, sign

    window = plane.state().window
    digest = window.permit_digest if window is not None else ""
    approve_window(plane, operator=name, signature=sign(key_of(stack, key or name), digest), digest=digest)


def ready_to_fire(stack: ControlStack, _service: str) -> None:
    """Everything that a live fire needs: a message, the gate, a window with two keys, the sender. Nothing is sent."""
    from ops_core.push import outbox

    stack.may_fire = True
    settings, plane = opened(stack)
    with plane.snapshot() as found:
        waiting = outbox.pending(found)
    if not waiting:
        outbox.add_message(plane, "weekly report")
    plane.set_gate("REAL_ENABLED", REASON)
    ask_for_window(stack, FIRST, SECOND)
    plane.enable_sender(outbox.channel_of(settings), REASON)


def put_back(stack: ControlStack, _service: str) -> None:
    """The site as it is known to be good, whatever was done to it. Only what differs is touched, so it can be repeated.

    What was found meanwhile stays in the audit, and is accepted. A log that was cut cannot be made whole, and a store
    that was lost is not brought back: the log counts as it is, and the store that was made in its place is in force.
    """
    from ops_core.control.integrity.accepting import accept_look

    stack.end_server()
    stack.layout.lay_out()
    stack.arrange()
    settings, plane = opened(stack)
    plane.create()
    if not (stack.may_fire and _is_ready(settings, plane)):
        at_rest(stack, "")
        if stack.may_fire:
            ready_to_fire(stack, "")
    if not _cycle_is_good(settings, plane):
        run_cycle(settings, plane)
    if _is_accused(settings, plane):
        accept_look(plane, settings, REASON)


def at_rest(stack: Stack[Any], _service: str) -> None:
    """Any stack's control plane, released and at MOCK_ONLY as a rehearsal begins; a store that is gone is made anew."""
    _, plane = opened(stack)
    plane.create()
    state = plane.state()
    if state.stopped:
        plane.release(REASON)
    if state.gate != "MOCK_ONLY":
        plane.set_gate("MOCK_ONLY", REASON)


def _is_ready(settings: Settings, plane: ControlPlane) -> bool:
    from ops_core.push import look

    return not look(settings, plane).missing


def _cycle_is_good(settings: Settings, plane: ControlPlane) -> bool:
    from ops_core.cycle.reading import read_daily

    seen = read_daily(settings, plane.clock)
    return seen.result in {"OK", "WARN"} and not seen.missed and (seen.due_run or not seen.due_slot)


def _is_accused(settings: Settings, plane: ControlPlane) -> bool:
    from ops_core.control.integrity.survey import read_integrity

    return bool(read_integrity(settings, plane.clock).breaches)
