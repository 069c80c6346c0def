"""All mutants of a matrix run: made, judged, and told as files beside the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.decision.inforce import table_in_force
from ops_core.decision.table import DecisionTable
from ops_core.drill.coverage.claims import is_below
from ops_core.drill.fault import Fault
from ops_core.drill.matrix.results import FaultResult, MatrixRun, Status, json_text
from ops_core.drill.mutants.absent import not_held, told_not_asked, with_absent
from ops_core.drill.mutants.model import Fate, Fates
from ops_core.drill.mutants.remedies import StepMutant, judge_steps, never_alone, step_mutants
from ops_core.drill.mutants.replaying import Judging, check_files, judge_checks
from ops_core.drill.mutants.rows import Drilled, RowMutant, judge_rows, row_mutants
from ops_core.errors import RecordError
from ops_core.observation.journal import write_together
from ops_core.observation.record import Observation, read_observation
from ops_core.remediation.catalogue import Catalogue, load_catalogue

JSON_FILE = "mutants.json"
MARKDOWN_FILE = "mutants.md"
LOOKS_MAX = 50


def judge_all(
    run: MatrixRun,
    settings: Settings,
    faults: Mapping[str, Fault],
    *,
    root: Path | None,
    base: Path,
    jobs: int,
    clock: Clock,
    lang: str,
    say: Callable[[str], None],
    keep: Callable[[Fates], object],
    only_below: Path | None = None,
) -> Fates:
    """Weaken checks, rows and remediations, and see what the run notices.

    Checks and rows are judged on what was recorded, remediations by drills, which take longest: what is known is handed
    to `keep` before them and after each batch of them, so that whoever ends it has that.

    Args:
        run: a matrix run with its records.
        settings: of the repository that it was held for.
        faults: the catalogue.
        root: that repository; None where the shipped one counts.
        base: places below this folder are told relative to it.
        jobs: how many pytest or drills at once.
        clock: tells the time.
        lang: of what drills say.
        say: told how far it is.
        keep: handed what is known so far; in it, what was not judged yet is told.
        only_below: weaken only what is defined below this folder; None: everything.

    Raises:
        ConfigError: what is to be weakened cannot be read.
        KeyboardInterrupt: somebody ended it; everything that was started has ended.
        OpsError: nothing can be written, or no drill can be started.
    """
    begun_s = clock.monotonic()
    table, catalogue = table_in_force(settings), load_catalogue(settings)
    rows, steps, untold = _weakened(run, table, catalogue, base, only_below)
    with tempfile.TemporaryDirectory(prefix="ops-mutants-") as made:
        scratch = Path(made)
        # A database server that is not root has to pass through to what a drill starts below.
        scratch.chmod(0o711)
        looks = partial(judge_checks, root=root, scratch=scratch / "checks", jobs=jobs, say=say, only_below=only_below)
        on_records = _with_rows(run, faults, table, rows, looks(run, check_files(root, base)), say)
        on_records.not_judged += untold

        def known(healed: Sequence[Fate], drills: int) -> Fates:
            told = _together(run, on_records, healed, drills=drills, steps=len(steps), absent=not_held(run, faults))
            return replace(told, took_s=round(clock.monotonic() - begun_s, 1))

        keep(known((), 0))
        healed, drills = judge_steps(
            run,
            steps,
            faults,
            catalogue=catalogue,
            root=root,
            scratch=scratch,
            jobs=jobs,
            clock=clock,
            lang=lang,
            say=say,
            told_so_far=lambda healed, drills: keep(known(healed, drills)),
        )
    return known(healed, drills)


def _with_rows(
    run: MatrixRun,
    faults: Mapping[str, Fault],
    table: DecisionTable,
    rows: Sequence[RowMutant],
    checks: Judging,
    say: Callable[[str], None],
) -> Judging:
    """What the records say about checks, and about rows; with what could not be judged of anything."""
    drilled, unread = drilled_in(run, faults)
    say(f"decision table: {len(rows)} mutants on what {len(drilled)} drills saw")
    return Judging(
        fates=[*checks.fates, *judge_rows(table, rows, drilled)],
        replays=checks.replays,
        not_judged=[*checks.not_judged, *unread],
    )


def _together(
    run: MatrixRun, on_records: Judging, healed: Sequence[Fate], *, drills: int, steps: int, absent: Sequence[Fault]
) -> Fates:
    """What is known so far; of `steps` mutants of remediations, those that are not in `healed` were not judged yet."""
    left = steps - len(healed)
    waiting = (f"{left} of {steps} mutants of remediations: their drills were not held",) if left else ()
    return Fates(
        run_id=run.run_id,
        fates=with_absent((*on_records.fates, *healed), absent),
        took_s=0.0,
        replays=on_records.replays,
        drills=drills,
        not_judged=(*on_records.not_judged, *waiting),
    )


def drilled_in(run: MatrixRun, faults: Mapping[str, Fault]) -> tuple[list[Drilled], list[str]]:
    """What the looks of each drill saw, and which of them cannot be read."""
    drilled, unread = [], []
    for result in run.results:
        fault = faults.get(result.fault)
        if fault is None or result.status not in (Status.PASSED, Status.FAILED):
            continue
        looks = []
        for path in _records(run.folder, result):
            try:
                looks.append(read_observation(path))
            except RecordError as error:
                unread.append(f"{path.relative_to(run.folder)}: {error.what}")
        bad = tuple(look for look in looks if look.findings)
        if bad:
            drilled.append(Drilled(fault=fault, looks=bad, depends_on=_depends_on(bad[0])))
    return drilled, unread


def write_fates(folder: Path, fates: Fates) -> tuple[Path, ...]:
    """Write what became of the mutants into the folder of the run.

    Raises:
        OpsError: a file cannot be written.
    """
    texts = {
        JSON_FILE: json_text(fates.as_dict()),
        MARKDOWN_FILE: "\n".join(_markdown(fates)) + "\n",
    }
    return write_together(folder, texts, "the mutants")


def _weakened(
    run: MatrixRun, table: DecisionTable, catalogue: Catalogue, base: Path, only_below: Path | None
) -> tuple[list[RowMutant], list[StepMutant], list[str]]:
    rows = row_mutants(table, lambda row: _place(row.where, base))
    steps = step_mutants(run, catalogue, lambda name: _place(catalogue.get(name).where, base))
    return (
        [one for one in rows if is_below(one.row.where, only_below)],
        [one for one in steps if is_below(catalogue.get(one.remediation).where, only_below)],
        never_alone(run, steps) if only_below is None else [],
    )


def _place(where: str, base: Path) -> str:
    path, _, line = where.rpartition(":")
    return f"{Path(path).relative_to(base)}:{line}" if path and Path(path).is_relative_to(base) else where


def _records(folder: Path, result: FaultResult) -> list[Path]:
    """The records of a drill from its first look after the fault on: none of them saw it healthy before."""
    if result.record is None:
        return []
    first = folder / result.record
    found = [
        path
        for path in first.parent.glob("*.json")
        if path.name >= first.name and path.name != "latest.json" and not path.is_symlink()
    ]
    return sorted(found)[:LOOKS_MAX]


def _depends_on(look: Observation) -> dict[str, tuple[str, ...]]:
    found = {}
    for one in look.targets:
        below = one.get("depends_on")
        if isinstance(below, list | tuple) and below:
            found[str(one.get("name"))] = tuple(map(str, below))
    return found


def _markdown(fates: Fates) -> list[str]:
    overall = fates.overall
    took = f"{fates.replays} replays and {fates.drills} drills in {fates.took_s:.0f} s"
    lines = [
        f"# Mutants of the matrix run {fates.run_id}",
        "",
        f"{overall.killed} of {overall.made} killed, {overall.percent:.1f} %. {took}.",
        *(["", f"{len(fates.not_asked)} more were not asked: see below."] if fates.not_asked else []),
        "",
        "| | killed | asked | % |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.of} | {one.killed} | {one.made} | {one.percent:.1f} |"
        for one in (*fates.by_part(), *fates.by_change(), overall)
    ]
    lines += ["", "## Survivors", ""]
    for fate in fates.survivors:
        one = fate.mutant
        lines += [
            f"- `{one.name}`, {one.change.value}, `{one.where}`",
            f"  - was {_code(one.was)}, becomes {_code(one.becomes)}",
            f"  - {_code(fate.how)}",
        ]
    if not fates.survivors:
        lines.append("None.")
    if fates.not_asked:
        lines += ["", "## Not asked", "", "The faults that have to notice these were not held in this run.", ""]
        lines += [f"- {told}" for told in told_not_asked(fates)]
    if fates.not_judged:
        lines += ["", "## Not judged", "", *(f"- {_code(one)}" for one in fates.not_judged)]
    return lines


def _code(text: str) -> str:
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"
