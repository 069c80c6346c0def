"""Holds a game day: one embedded stack, one fault after the other, and the incident loop that deals with each.

The loop is the real one, and nobody tells it what is broken: it looks, decides, acts behind the guard, verifies, and
reports. What became of a fault is then asked of the control store, not of the loop. The stack, its control store and
all processes are tied to this process and gone with it, however it ends; the fault that is held then is withdrawn
before.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from ops_core.clock import Clock, isoformat, new_run_id
from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.drill.base_stack import Stack
from ops_core.drill.fault import Fault
from ops_core.drill.gameday.plan import drawn_from, planned
from ops_core.drill.gameday.proving import History, prove
from ops_core.drill.gameday.results import (
    Ended,
    Fate,
    GameDay,
    Injected,
    Verified,
    fate_of,
    figures_of,
    write_day,
)
from ops_core.drill.matrix.results import runs_dir
from ops_core.drill.own import configuration_for
from ops_core.drill.promised import Rehearsal
from ops_core.drill.rehearse import ACTOR, rehearse_on, see_it_healthy, stack_of_its_own
from ops_core.drill.stack import EmbeddedStack
from ops_core.errors import OpsError, RecordError, UsageError
from ops_core.incident.store import Incidents
from ops_core.remediation.modules import said
from ops_core.slo.happened import happened_of
from ops_core.slo.recovery import Happened

HELD = "held"
LOG = "gameday.log"
DURATION_MAX_S = 8 * 3600


class Progress(Protocol):
    """Told what happens while a game day goes on."""

    def begin(self, duration_s: int) -> None:
        """The stack is healthy; from now on faults are injected for so long."""

    def started(self, fault: str) -> None:
        """A fault is being injected."""

    def ended(self, line: Injected) -> None:
        """A fault was withdrawn."""

    def tick(self) -> None:
        """Something happened."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A game day that is to be held: its folder, and what its plan is made of."""

    folder: Path
    seed: int
    duration_s: int
    catalogue: tuple[str, ...]


def begin_day(faults: Mapping[str, Fault], *, reports_dir: Path, seed: int, duration_s: int, clock: Clock) -> Begun:
    """What a game day will do.

    Raises:
        UsageError: it would last too long, or no time at all.
    """
    if not 0 < duration_s <= DURATION_MAX_S:
        raise UsageError(
            f"a game day does not last {duration_s} s",
            where="--duration",
            allowed=f"from 1s to {DURATION_MAX_S // 3600}h",
        )
    folder = runs_dir(reports_dir) / new_run_id(clock.now())
    return Begun(folder=folder, seed=seed, duration_s=duration_s, catalogue=drawn_from(faults.values()))


def hold_day(
    begun: Begun,
    faults: Mapping[str, Fault],
    *,
    root: Path | None,
    clock: Clock,
    progress: Progress,
    lang: str,
    at_most: int | None = None,
) -> GameDay:
    """Hold it, and write it down after every fault.

    Args:
        begun: what is to be held.
        faults: by name.
        root: the repository whose checks, remediations and decision table count; None for the shipped ones.
        clock: tells the time and sleeps.
        progress: told what happens.
        lang: language of the reports on incidents.
        at_most: faults after which it ends, whatever the time; None for no such limit.

    Raises:
        OpsError: the stack does not start, or is not healthy to begin with; or nothing can be written.
        KeyboardInterrupt: somebody ended it before it began. After that it is told as interrupted, and does not raise.
    """
    held = begun.folder / HELD
    try:
        held.mkdir(parents=True)
        log = (begun.folder / LOG).open("w", encoding="utf-8")
    except OSError as error:
        raise OpsError(f"the game day cannot be recorded: {error.strerror}", where=str(begun.folder)) from None
    with log, tempfile.TemporaryDirectory(prefix="ops-own-") as made:
        config = configuration_for(EmbeddedStack, root, Path(made))
        with stack_of_its_own(EmbeddedStack, reports_dir=held, clock=clock, config=config) as (stack, settings, plane):
            course = _Course(begun, faults, stack, settings, plane, clock, progress, lang, log)
            course.look()
            return course.hold(at_most)


class _Course:
    """A game day that goes on: the stack, what was injected into it, and what the control store says about that."""

    def __init__(
        self,
        begun: Begun,
        faults: Mapping[str, Fault],
        stack: Stack[Any],
        settings: Settings,
        plane: ControlPlane,
        clock: Clock,
        progress: Progress,
        lang: str,
        log: IO[str],
    ) -> None:
        self.begun, self.faults, self.stack, self.settings, self.plane = begun, faults, stack, settings, plane
        self.clock, self.progress, self.lang, self.log = clock, progress, lang, log
        self.lines: list[Injected] = []
        self.happened: list[Happened] = []
        self.unexplained: list[str] = []
        self.seen: set[str] = set()
        self.now: tuple[Fault, str] | None = None
        self.history = History(settings, plane, begun.folder)

    def look(self) -> None:
        """See the stack healthy with every suite that has to see a fault."""
        for suite in dict.fromkeys(self.faults[name].looked_at_by for name in self.begun.catalogue):
            see_it_healthy(self.stack, self.settings, self.say, suite)

    def hold(self, at_most: int | None) -> GameDay:
        """Inject faults until the time is up, and verify what came of it."""
        self.begun_at, self.begun_s = self.clock.now(), self.clock.monotonic()
        self.progress.begin(self.begun.duration_s)
        why = ""
        try:
            ended, why = self._go_on(at_most)
        except KeyboardInterrupt:
            ended = Ended.INTERRUPTED
            if self.now is not None:
                self.lines.append(
                    self._line(
                        *self.now, fate=Fate.INTERRUPTED, why="somebody ended the game day, and it was withdrawn"
                    )
                )
        ended_at, lasted_s = isoformat(self.clock.now()), self.clock.monotonic() - self.begun_s
        if ended is not Ended.INTERRUPTED:
            self.unexplained += [one.id for one, _ in self._opened()]
        states = {one.id: one.state for one in self.happened}
        verified = prove(self.history, self.begun.folder / HELD, states)
        return self._day(ended, why, ended_at, lasted_s, verified)

    def say(self, line: str) -> None:
        """What the loop says goes to the log."""
        self.log.write(f"{isoformat(self.clock.now())}  {line}\n")
        self.log.flush()
        self.progress.tick()

    def _go_on(self, at_most: int | None) -> tuple[Ended, str]:
        for number, name in enumerate(planned(self.begun.catalogue, self.begun.seed)):
            over = self.clock.monotonic() - self.begun_s >= self.begun.duration_s
            if over or number == at_most:
                break
            self.now = self.faults[name], isoformat(self.clock.now())
            self.progress.started(name)
            try:
                line = self._held(*self.now)
            except OpsError as error:
                self.lines.append(self._line(*self.now, fate=Fate.LOST, why=error.what))
                return Ended.BROKEN_OFF, f"what became of {name} cannot be told: {error.what}"
            self.now = None
            self.lines.append(line)
            self.history.note()
            self._day(Ended.RUNNING, "", isoformat(self.clock.now()), self.clock.monotonic() - self.begun_s, None)
            self.progress.ended(line)
            if not line.restored:
                try:
                    self.look()
                except OpsError as error:
                    where = error.where or error.what
                    return Ended.BROKEN_OFF, f"the stack is not well after {name} was withdrawn: {where}"
        return Ended.TIME_UP, ""

    def _held(self, fault: Fault, injected_at: str) -> Injected:
        """Inject a fault, let the loop deal with it, withdraw it, and ask the store what became of it."""
        random.seed(f"{self.begun.seed} {len(self.lines) + 1} {fault.name}")
        begun_s, rehearsal, failed = self.clock.monotonic(), None, ""
        try:
            rehearsal = rehearse_on(
                self.stack,
                fault,
                settings=self.settings,
                plane=self.plane,
                clock=self.clock,
                say=self.say,
                lang=self.lang,
            )
        except OpsError as error:
            failed = error.what
        except Exception as error:  # noqa: BLE001 - what a fault does is somebody's own code and may fail in any way
            failed = said(error)
        if failed:
            self.say(failed)
        took_s = self.clock.monotonic() - begun_s
        opened = list(self._opened())
        own = [one for one, about in opened if about == fault.name]
        self.unexplained += [one.id for one, about in opened if about != fault.name]
        self.happened += [one for one, _ in opened]
        fate, why = fate_of(own)
        if failed:
            fate, why = Fate.LOST, f"the drill failed: {failed}"
        return self._line(fault, injected_at, fate=fate, why=why, took_s=took_s, own=own, rehearsal=rehearsal)

    def _line(
        self,
        fault: Fault,
        injected_at: str,
        *,
        fate: Fate,
        why: str,
        took_s: float = 0.0,
        own: list[Happened] | None = None,
        rehearsal: Rehearsal | None = None,
    ) -> Injected:
        first = own[0] if own else None
        recovery = first.recovery if first is not None else None
        about: dict[str, Any] = {}
        if rehearsal is not None:
            about = {
                "found": tuple(dict.fromkeys(one.code for one in rehearsal.findings)),
                "rows": rehearsal.rows,
                "remedied": tuple(one.name for one in rehearsal.remedied),
                "restored": rehearsal.restored,
                "problems": rehearsal.problems,
            }
        return Injected(
            number=len(self.lines) + 1,
            fault=fault.name,
            injected_at=injected_at,
            fate=fate.value,
            why=why,
            incident=first.id if first is not None else None,
            detect_s=first.detection.total_seconds() if first is not None else None,
            recover_s=recovery.total_seconds() if recovery is not None else None,
            took_s=round(took_s, 3),
            **about,
        )

    def _opened(self) -> Iterator[tuple[Happened, str]]:
        """The incidents that the loop opened since the last time, the earliest first, and the faults they are about.

        Those that people handle are none of its: a fault may bring one along, about which people forgot something.
        """
        incidents = Incidents(self.plane, self.clock, ACTOR)
        for one in reversed(incidents.listed(self.settings.profile)):
            if one.id not in self.seen and not one.of_people:
                self.seen.add(one.id)
                with contextlib.suppress(RecordError):  # what cannot be read is about no fault, which then is lost
                    yield happened_of(one, incidents.events(one.id)), str(one.data.get("fault", ""))

    def _day(self, ended: Ended, why: str, ended_at: str, lasted_s: float, verified: Verified | None) -> GameDay:
        day = GameDay(
            run_id=self.begun.folder.name,
            seed=self.begun.seed,
            duration_s=self.begun.duration_s,
            catalogue=self.begun.catalogue,
            begun_at=isoformat(self.begun_at),
            ended_at=ended_at,
            lasted_s=round(lasted_s, 3),
            ended=ended.value,
            why=why,
            injected=tuple(self.lines),
            unexplained=tuple(self.unexplained),
            figures=figures_of(self.lines, self.happened, self.begun_at, self.clock.now()),
            verified=verified,
        )
        try:
            write_day(self.begun.folder, day)
        except OSError as error:
            raise OpsError(f"the game day cannot be recorded: {error.strerror}", where=str(self.begun.folder)) from None
        return day
