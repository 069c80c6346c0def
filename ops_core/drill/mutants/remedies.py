"""Mutants of remediations: one step is left out of the plan, and faults that need it are drilled for real.

A remediation without one of its steps must not be believed: the drill has to end otherwise than promised, because it
does not heal, its verification fails, it is undone, or it is escalated. Few drills are held: one for each step of each
remediation that the run saw work, and up to three others where a mutant gets by.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_core.clock import Clock
from ops_core.drill.fault import Fault
from ops_core.drill.matrix.results import (
    FaultResult,
    MatrixRun,
    RunHead,
    Status,
    held_folder,
    read_result,
    result_path,
    write_head,
)
from ops_core.drill.matrix.running import Begun, hold_all
from ops_core.drill.matrix.worker import Command, command_line
from ops_core.drill.mutants.model import Change, Fate, Mutant, Part
from ops_core.errors import OpsError, RecordError
from ops_core.remediation.catalogue import FOLDER, Catalogue

TRIES_MAX = 4
DRILL_LIMIT_S = 150.0
INCIDENT_MAX_BYTES = 16 << 20
MODULE = '''"""{name} without the step {number}."""

from dataclasses import replace
from pathlib import Path

from ops_core.remediation import Plan, PlanContext, remediation
from ops_core.remediation.catalogue import load_folders

ORIGINAL = load_folders({folders}).get({name!r})


@remediation({name!r})
def weakened(context: PlanContext) -> Plan:
    """The plan, without one of its steps."""
    plan = ORIGINAL.planner(context)
    return replace(plan, steps=plan.steps[:{number}] + plan.steps[{number} + 1 :])
'''


@dataclass(frozen=True, kw_only=True)
class StepMutant:
    """A remediation without one of its steps, and the faults that it healed, the quickest first."""

    mutant: Mutant
    remediation: str
    number: int
    of: int
    faults: tuple[FaultResult, ...]


def step_mutants(run: MatrixRun, catalogue: Catalogue, where: Callable[[str], str]) -> list[StepMutant]:
    """A mutant for each step of each remediation that a drill of the run saw to be the whole cure.

    Args:
        run: a matrix run with its incidents.
        catalogue: the remediations there are.
        where: how the place of a remediation is told.
    """
    cured: dict[str, list[tuple[FaultResult, list[str]]]] = {}
    for result in run.of(Status.PASSED):
        # An incident tells all steps that were carried out: those of one plan only where there was one.
        cure = result.remedied[0] if len(result.remedied) == 1 else None
        if cure is not None and cure.verified and not cure.undone and cure.name in catalogue.by_name:
            steps = _steps(run.folder, result, cure.name)
            if steps:
                cured.setdefault(cure.name, []).append((result, steps))
    made = []
    for name, some in sorted(cured.items()):
        longest = max((steps for _, steps in some), key=len)
        for number, step in enumerate(longest):
            faults = sorted(
                (one for one, steps in some if len(steps) == len(longest)), key=lambda one: one.recover_s or 0.0
            )
            made.append(
                StepMutant(
                    mutant=Mutant(
                        id=f"remediation:{name}:{number}",
                        part=Part.REMEDIATION,
                        change=Change.STEP_DROPPED,
                        name=name,
                        where=where(name),
                        was=f"step {number + 1} of {len(longest)}: {step}",
                        becomes="nothing",
                    ),
                    remediation=name,
                    number=number,
                    of=len(longest),
                    faults=tuple(_unlike(faults)),
                )
            )
    return made


def never_alone(run: MatrixRun, mutants: Sequence[StepMutant]) -> list[str]:
    """Remediations that drills of the run saw work, but none as the whole cure: their steps are not told apart."""
    worked = {one.name for result in run.of(Status.PASSED) for one in result.remedied if one.verified}
    return [
        f"remediation {name}: in every drill another one was begun as well, so nobody knows which steps were its own"
        for name in sorted(worked - {one.remediation for one in mutants})
    ]


def judge_steps(
    run: MatrixRun,
    mutants: Sequence[StepMutant],
    faults: Mapping[str, Fault],
    *,
    catalogue: Catalogue,
    root: Path | None,
    scratch: Path,
    jobs: int,
    clock: Clock,
    lang: str,
    say: Callable[[str], None],
    told_so_far: Callable[[Sequence[Fate], int], object] = lambda _fates, _drills: None,
) -> tuple[list[Fate], int]:
    """Drill for each mutant until something notices it; what became of each, and how many drills that took.

    Args:
        run: the matrix run that the mutants come from.
        mutants: see `step_mutants`.
        faults: the catalogue.
        catalogue: the remediations there are.
        root: the repository that the run was held for; None where there was none.
        scratch: a folder that is thrown away.
        jobs: drills at once.
        clock: tells the time.
        lang: of what is said.
        say: told how far it is.
        told_so_far: handed what is certain after each batch of drills, and how many there were.

    Raises:
        OpsError: nothing can be written, or no drill can be started.
    """
    killed: dict[str, Fate] = {}
    told: dict[str, list[str]] = {one.mutant.id: [] for one in mutants}
    known = {one.mutant.id: _tried_with(one, faults) for one in mutants}
    drills = 0
    while True:
        # A run holds each fault once: what needs the same fault waits for the next one, or takes another.
        batch: dict[str, StepMutant] = {}
        for one in mutants:
            left = known[one.mutant.id]
            free = next((result for result in left if result.fault not in batch), None)
            if one.mutant.id not in killed and free is not None:
                left.remove(free)
                batch[free.fault] = one
        if not batch:
            break
        folder = scratch / f"run-{drills}"
        roots = {
            fault: _repository(scratch / f"root-{drills}-{fault}", root, one, catalogue) for fault, one in batch.items()
        }
        drills += len(batch)
        hold_all(
            _begin(folder, run.seed, sorted(batch)),
            [faults[name] for name in sorted(batch)],
            command=_command(folder, run.seed, roots, lang),
            jobs=jobs,
            clock=clock,
            progress=_Counted(say),
            limit_s=DRILL_LIMIT_S,
        )
        for name, one in batch.items():
            noticed, why = noticed_by(folder, name, one)
            told[one.mutant.id].append(f"{name}: {why}")
            if noticed:
                killed[one.mutant.id] = Fate(mutant=one.mutant, killed_by=name, how=why)
        certain = [one for one in mutants if one.mutant.id in killed or not known[one.mutant.id]]
        told_so_far([killed.get(one.mutant.id) or _survivor(one, told[one.mutant.id]) for one in certain], drills)
    return [killed.get(one.mutant.id) or _survivor(one, told[one.mutant.id]) for one in mutants], drills


def _tried_with(one: StepMutant, faults: Mapping[str, Fault]) -> list[FaultResult]:
    """The faults that a mutant is tried with; each step begins with another one, so that many are drilled at once."""
    some = [result for result in one.faults if result.fault in faults]
    first = one.number % len(some) if some else 0
    return [*some[first:], *some[:first]][:TRIES_MAX]


class _Counted:
    """Tells how many drills of a batch have ended."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._total, self._done = say, 0, 0

    def begin(self, total: int, jobs: int) -> None:
        """So many faults are to be held."""
        self._total = total
        self._say(f"remediations: {total} drills, {jobs} at once, each with a remediation that lacks a step")

    def started(self, fault: str) -> None:
        """A fault is being held."""

    def ended(self, result: FaultResult) -> None:
        """A fault has been held."""
        self._done += 1
        self._say(f"  {self._done} of {self._total}: {result.fault}")

    def tick(self) -> None:
        """Some time has passed."""


def _survivor(one: StepMutant, told: Sequence[str]) -> Fate:
    why = f"no drill needed it ({'; '.join(told)})" if told else "its faults are not in the catalogue any more"
    return Fate(mutant=one.mutant, how=why)


def noticed_by(folder: Path, fault: str, one: StepMutant) -> tuple[bool, str]:
    """Whether a drill did not go as promised, and how it went."""
    try:
        result = read_result(result_path(folder, fault))
    except RecordError as error:
        return False, f"it could not be drilled: {error.what}"
    if result.status == Status.FAILED:
        return True, result.problems[0] if result.problems else f"it ended {result.state}"
    if result.status == Status.PASSED:
        if len(_steps(folder, result, one.remediation)) >= one.of:
            return False, "it was drilled with every step: this stack does not take a repository's remediations"
        last = next((done for done in reversed(result.remedied) if done.name == one.remediation), None)
        return False, f"it ended {result.state}" + (", verified" if last is not None and last.verified else "")
    # What lacks its only step is no plan, and whoever wants to carry it out is told so.
    refused = f"plan {one.remediation!r}" in result.reason
    return refused, f"it could not be {'planned' if refused else 'drilled'}: {result.reason}"


def _repository(place: Path, root: Path | None, one: StepMutant, catalogue: Catalogue) -> Path:
    """The repository as it is, with one remediation that lacks a step."""
    place.mkdir(parents=True)
    own = root / FOLDER if root is not None else None
    if root is not None:
        for beside in root.iterdir():
            if beside.name != FOLDER and not beside.name.startswith("."):
                (place / beside.name).symlink_to(beside)
    original = Path(catalogue.get(one.remediation).where.rpartition(":")[0])
    (place / FOLDER).mkdir()
    if own is not None and own.is_dir():
        for beside in own.iterdir():
            # What else its module offers comes from the original; a module of ours beside it would offer it twice.
            if beside.is_file() and beside.resolve() != original.resolve():
                shutil.copyfile(beside, place / FOLDER / beside.name)
    kept = place / "original"
    kept.mkdir()
    for beside in original.parent.glob("*.py"):
        shutil.copyfile(beside, kept / beside.name)
    text = MODULE.format(name=one.remediation, number=one.number, folders=f"(Path({str(kept)!r}),)")
    (place / FOLDER / f"{original.stem}.py").write_text(text, encoding="utf-8")
    return place


def _begin(folder: Path, seed: int, names: Sequence[str]) -> Begun:
    head = RunHead(run_id=folder.name, seed=seed, begun_at="", faults=tuple(names))
    try:
        write_head(folder, head)
    except OSError as error:
        raise OpsError(f"the run cannot be recorded: {error.strerror}", where=str(folder)) from None
    return Begun(folder=folder, head=head)


def _command(folder: Path, seed: int, roots: Mapping[str, Path], lang: str) -> Command:
    def of(fault: Fault) -> list[str]:
        return command_line(folder, seed, roots[fault.name], lang)(fault)

    return of


def _steps(folder: Path, result: FaultResult, remediation: str) -> list[str]:
    """What was done for a fault, step by step; nothing where that cannot be read."""
    for path in sorted((held_folder(folder, result.fault) / "incidents").glob("*/incident.json")):
        try:
            if path.stat().st_size > INCIDENT_MAX_BYTES:
                continue
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        steps = told.get("plan_steps") if isinstance(told, dict) else None
        if isinstance(steps, list) and told.get("remediation") == remediation:
            return [_short(step) for step in steps]
    return []


def _short(step: object) -> str:
    told = step.get("command") if isinstance(step, dict) else step
    text = " ".join(Path(word).name if word.startswith("/") else word for word in str(told).split())
    return text if len(text) <= 120 else text[:119] + "…"


def _unlike(results: Iterable[FaultResult]) -> Iterable[FaultResult]:
    """Faults with other rows first: a step that one of them does not need, another one may."""
    told: set[tuple[str, ...]] = set()
    later = []
    for result in results:
        if result.rows in told:
            later.append(result)
        else:
            told.add(result.rows)
            yield result
    yield from later
