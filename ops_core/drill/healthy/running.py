"""Holds healthy rounds: each stack is started, nothing in it is broken, and its suites look at it again and again.

With stress every core is kept busy while they look, and the services are as far away as a slow network makes them. The
stack is started before that: how long a start takes then is another question. Everything is tied to this process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ops_core.clock import Clock, isoformat, new_run_id
from ops_core.config import Settings
from ops_core.drill.base_stack import Stack
from ops_core.drill.healthy import network
from ops_core.drill.healthy.network import How, NotPermitted, Slowness
from ops_core.drill.healthy.places import Place
from ops_core.drill.healthy.results import (
    Ended,
    Healthy,
    Look,
    Visited,
    alarms_of,
    checks_of,
    write_healthy,
)
from ops_core.drill.healthy.stress import Busy, busy, cores
from ops_core.drill.matrix.results import HELD, runs_dir
from ops_core.drill.own import configuration_for
from ops_core.drill.rehearse import stack_of_its_own
from ops_core.errors import OpsError, UsageError
from ops_core.observation.launch import ObservationFailed, observe
from ops_core.verdict import Verdict

ROUNDS_MAX = 10_000
NOTHING_FAR = "nothing of it is asked over the network"


class Progress(Protocol):
    """Told what happens while the rounds go on."""

    def begin(self, total: int) -> None:
        """So many looks are to come."""

    def visited(self, place: Visited) -> None:
        """A stack is up, or is not looked at."""

    def looking(self, number: int, suite: str) -> None:
        """A look begins."""

    def looked(self, look: Look) -> None:
        """A look is over."""


def begin_rounds(*, rounds: int, stress: bool, reports_dir: Path, clock: Clock) -> tuple[Path, Healthy]:
    """The folder of the run, and the rounds before the first one.

    Raises:
        UsageError: they would be none, or too many.
    """
    if not 0 < rounds <= ROUNDS_MAX:
        raise UsageError(f"{rounds} rounds are not held", where="--healthy", allowed=f"1 to {ROUNDS_MAX}")
    folder, now = runs_dir(reports_dir) / new_run_id(clock.now()), isoformat(clock.now())
    number = cores()
    return folder, Healthy(
        run_id=folder.name,
        rounds=rounds,
        stress=stress,
        cores=number,
        busy=number if stress else 0,
        begun_at=now,
        ended_at=now,
        ended=Ended.RUNNING.value,
    )


def hold_rounds(
    folder: Path, rounds: Healthy, places: Sequence[Place], *, root: Path | None, clock: Clock, progress: Progress
) -> Healthy:
    """Hold them, and write them down after every look.

    Args:
        folder: of the run.
        rounds: as `begin_rounds` made them.
        places: what is looked at.
        root: the repository whose checks and configuration count; None for the shipped ones.
        clock: tells the time and sleeps.
        progress: told what happens.

    Returns:
        What came of them; also where somebody ended them (`Ended.INTERRUPTED`), or a stack does not start.

    Raises:
        OpsError: nothing can be written.
    """
    course = _Course(folder, rounds, root, clock, progress)
    course.note()
    ended, why = Ended.HELD, ""
    there = [(place, place.stack.lacking()) for place in places]
    progress.begin(rounds.rounds * sum(len(place.suites) for place, lacking in there if not lacking))
    try:
        for place, lacking in there:
            if lacking:
                course.visit(Visited(stack=_name(place), suites=place.suites, skipped=lacking))
            else:
                course.hold(place)
    except KeyboardInterrupt:
        ended = Ended.INTERRUPTED
    except OpsError as error:
        ended, why = Ended.BROKEN_OFF, error.what + (f" ({error.where})" if error.where else "")
    course.note(ended=ended.value, why=why)
    return course.rounds


class _Course:
    """Rounds that go on."""

    def __init__(self, folder: Path, rounds: Healthy, root: Path | None, clock: Clock, progress: Progress) -> None:
        self.folder, self.rounds, self.root = folder, rounds, root
        self.clock, self.progress = clock, progress

    def note(self, **changes: Any) -> None:
        """Write down what is known."""
        self.rounds = replace(self.rounds, ended_at=isoformat(self.clock.now()), **changes)
        write_healthy(self.folder, self.rounds)

    def visit(self, place: Visited) -> None:
        """A stack is looked at from now on, or is not."""
        self.note(places=(*self.rounds.places, place))
        self.progress.visited(place)

    def hold(self, place: Place) -> None:
        """Start a stack, put it under stress where that is wanted, and look at it."""
        held = self.folder / HELD / _name(place)
        with ExitStack() as around, tempfile.TemporaryDirectory(prefix="ops-own-") as made:
            refused = _enter_network(around) if self.rounds.stress and place.slowed else ""
            config = configuration_for(place.stack, self.root, Path(made))
            stack, settings, _ = around.enter_context(
                stack_of_its_own(place.stack, reports_dir=held, clock=self.clock, config=config)
            )
            if place.prepare is not None:
                place.prepare(stack, "")
            with _stressed(place, stack, self.rounds, refused) as (slowness, load):
                self.visit(Visited(stack=_name(place), suites=place.suites, network=slowness))
                for number in range(1, self.rounds.rounds + 1):
                    for suite in place.suites:
                        self.look(place, settings, suite, number)
                    if len(load.pids) != self.rounds.busy:
                        raise OpsError("the processes that keep the cores busy are gone: there was no stress")

    def look(self, place: Place, settings: Settings, suite: str, number: int) -> None:
        """Let a suite look once, and note what it raised."""
        self.progress.looking(number, suite)
        begun_at, begun_s = self.clock.now(), self.clock.monotonic()
        record = settings.reports_dir / suite / f"{new_run_id(begun_at)}.json"
        about: dict[str, Any]
        try:
            seen = observe(settings, suite=suite, record=record).observation
        except ObservationFailed as error:
            about = {"verdict": Verdict.UNKNOWN.value, "budget_s": settings.budgets.total_s, "why": error.what}
        else:
            about = {
                "verdict": seen.verdict.value,
                "checks": checks_of(seen),
                "alarms": alarms_of(seen),
                "used_s": seen.used_s,
                "budget_s": seen.total_s,
                "record": str(record.relative_to(self.folder)),
            }
        look = Look(
            number=number,
            stack=_name(place),
            suite=suite,
            begun_at=isoformat(begun_at),
            took_s=round(self.clock.monotonic() - begun_s, 3),
            **about,
        )
        self.note(looks=(*self.rounds.looks, look))
        self.progress.looked(look)


def _name(place: Place) -> str:
    """What a stack is called: its profile, and the driver where that is told apart by nothing else."""
    return place.stack.PROFILE if place.stack.DRIVER != "bundle" else place.stack.DRIVER


def _enter_network(around: ExitStack) -> str:
    """Go into a network of our own; why there is none, or nothing."""
    try:
        around.enter_context(network.own_network())
    except NotPermitted as error:
        return error.what
    return ""


@contextmanager
def _stressed(place: Place, stack: Stack[Any], rounds: Healthy, refused: str) -> Iterator[tuple[Slowness | None, Busy]]:
    """The stress that is wanted: how the network is slow (None: it is not to be), and what keeps the cores busy."""
    with ExitStack() as around:
        slowness: Slowness | None = None
        if rounds.stress:
            slowness = Slowness(how=How.NONE.value, why=refused or NOTHING_FAR)
        if rounds.stress and place.slowed and not refused:
            try:
                slowness = around.enter_context(network.slowed(stack.ports[name] for name in place.slowed))
            except NotPermitted as error:
                slowness = Slowness(how=How.NONE.value, why=error.what)
        yield slowness, around.enter_context(busy(rounds.busy))
