"""`ops drill --matrix`: every fault, each on a stack of its own, and what the runbook made of all of them."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.cli.drill_telling import columns_of, ended_by, writer_of
from ops_core.cli.options import clock
from ops_core.cli.output import counted, look_for, note, say, say_json, shown
from ops_core.content import own_templates
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, UsageError

if TYPE_CHECKING:
    from ops_core.drill.fault import Fault
    from ops_core.drill.matrix.grid import MatrixView
    from ops_core.drill.matrix.running import Begun

SEEDS = 1 << 31


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for."""

    suites: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    jobs: int | None = None
    seed: int | None = None
    resume: str | None = None
    strict: bool = False


def hold_matrix(wanted: Wanted, *, reports: Path, lang: str, json: bool) -> int:
    """Hold what is wanted, write the pages, and say what came of it.

    Raises:
        UsageError: there is no such fault, suite or run.
        OpsError: nothing can be written, or no process can be started.
        KeyboardInterrupt: somebody ended it; what came until then is written down.
    """
    from ops_core.drill.matrix import grid, pages, running
    from ops_core.drill.matrix.progress import Teller
    from ops_core.drill.matrix.results import load_run
    from ops_core.drill.matrix.worker import command_line
    from ops_core.drill.own import all_faults, repository_of

    root = repository_of(Path.cwd())
    faults = tuple(all_faults(root).values())
    begun = _begun(wanted, faults, reports)
    teller = Teller(writer_of(json=json), clock(), columns_of(json=json))
    told = note if json else say
    told(f"matrix {begun.head.run_id}, seed {begun.head.seed}: {counted(len(begun.head.faults), 'fault')}")
    interrupted = None
    try:
        with ended_by(signal.SIGTERM):
            running.hold_all(
                begun,
                faults,
                command=command_line(begun.folder, begun.head.seed, root, lang),
                jobs=wanted.jobs or running.usual_jobs(),
                clock=clock(),
                progress=teller,
            )
    except KeyboardInterrupt as interruption:
        interrupted = interruption
    finally:
        teller.close()
    run = load_run(begun.folder)
    view = grid.view_of(run)
    files = pages.write_pages(begun.folder, view, lang=lang, templates=own_templates(root))
    if interrupted is not None:
        note(f"what came until then is in {shown(begun.folder)}; go on with: ops drill --matrix --resume {run.run_id}")
        raise interrupted
    if json:
        say_json({**view.to_json(), "files": [str(path) for path in files]})
    else:
        _tell(view, files, lang)
    return _exit_code(view, strict=wanted.strict)


def chosen(faults: tuple[Fault, ...], wanted: Wanted) -> list[Fault]:
    """The faults that are named, and seen by one of the suites that are named.

    Raises:
        UsageError: there is no such fault or suite.
    """
    from ops_core.drill.faults import fault_named

    by_name = {fault.name: fault for fault in faults}
    some = [fault_named(name, by_name) for name in wanted.faults] if wanted.faults else list(faults)
    known = sorted({fault.looked_at_by for fault in faults})
    for suite in wanted.suites:
        if suite not in known:
            raise UsageError(f"no fault is seen by a suite {suite!r}", where="--suite", allowed=", ".join(known))
    return [fault for fault in some if not wanted.suites or fault.looked_at_by in wanted.suites]


def _begun(wanted: Wanted, faults: tuple[Fault, ...], reports: Path) -> Begun:
    import secrets

    from ops_core.drill.matrix.results import run_folder
    from ops_core.drill.matrix.running import begin_run, resumed_run

    if wanted.resume is None:
        seed = secrets.randbelow(SEEDS) if wanted.seed is None else wanted.seed
        some = chosen(faults, wanted)
        return begin_run(some, reports_dir=reports, seed=seed, suites=wanted.suites, clock=clock())
    if wanted.suites or wanted.faults or wanted.seed is not None:
        raise UsageError(
            "a run that goes on holds what it set out to hold", where="--resume", allowed="--resume without a choice"
        )
    return resumed_run(run_folder(reports, wanted.resume))


def _tell(view: MatrixView, files: tuple[Path, ...], lang: str) -> None:
    from ops_core.report.terminal import Row, label_lines

    figures = view.figures
    parts = [f"{figures.held} of {figures.planned} held", f"{figures.passed} as promised"]
    parts += [f"{figures.failed} NOT as promised"] if figures.failed else []
    parts += [f"{figures.errors + figures.missing} could not be held"] if figures.errors + figures.missing else []
    parts += [f"{figures.skipped} skipped"] if figures.skipped else []
    alarms = f"{figures.missed} missed, {counted(figures.false_alarms, 'false alarm')}, {figures.unknown} not seen"
    remedies = f"{counted(figures.remediations_verified, 'remediation')} verified, {counted(figures.undos, 'undo')}"
    raised = f"{figures.checks_raised} of {figures.checks_seen} checks, {counted(figures.findings_raised, 'code')}"
    rows = [
        Row(label="faults", value=", ".join(parts)),
        Row(label="findings", value=f"{raised}; {alarms}"),
        Row(label="decisions", value=f"{counted(figures.rows_matched, 'row')} matched"),
        Row(label="remedies", value=remedies),
    ]
    for took in view.times:
        if took.median_s is not None and took.p95_s is not None and took.longest_s is not None:
            times = f"median {took.median_s:.1f} s, p95 {took.p95_s:.1f} s, longest {took.longest_s:.1f} s"
            rows.append(Row(label=took.of, value=times))
    for one in view.results:
        if one.status in ("failed", "error"):
            why = "; ".join(part for part in (*one.problems, one.reason) if part)
            rows.append(Row(label="problem", value=f"{one.fault}: {why}", style="31"))
    rows += [Row(label="damaged", value=one, style="31") for one in view.damaged]
    rows += [
        Row(label="skipped", value=f"{one.fault}: {one.reason}") for one in view.results if one.status == "skipped"
    ]
    if not figures.complete:
        rows.append(Row(label="incomplete", value="not every fault was held"))
    rows += [Row(label="written", value=shown(path)) for path in files]
    say()
    for line in label_lines(rows, look_for(lang)):
        say(line)


def _exit_code(view: MatrixView, *, strict: bool) -> int:
    from ops_core.drill.matrix.grid import Outcome

    if view.figures.outcome == Outcome.NOT_HELD:
        return EXIT_FAILED
    short = view.figures.outcome == Outcome.NOT_AS_PROMISED or (strict and not view.figures.complete)
    return EXIT_FINDINGS if short else EXIT_DONE
