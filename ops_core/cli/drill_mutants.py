"""`ops drill --mutate`: the runbook is weakened in one place at a time; does the matrix notice?"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.cli.drill_coverage import root_with_parts, settings_for
from ops_core.cli.drill_telling import ended_by
from ops_core.cli.options import clock
from ops_core.cli.output import note, say, say_fitted, say_json, say_table, shown
from ops_core.errors import EXIT_DONE, EXIT_FINDINGS

if TYPE_CHECKING:
    from ops_core.drill.mutants.model import Fates

FAIL_UNDER = 95.0


def kill_mutants(
    *, run: str, reports: Path, fail_under: float | None, own: bool = False, jobs: int | None, lang: str, json: bool
) -> int:
    """Make and judge all mutants of a matrix run, write what became of them beside it, and say it.

    Args:
        run: its id; `newest` names the newest.
        reports: where reports lie.
        fail_under: percent of mutants below which the exit code is 1; 95 by default.
        own: whether only what the repository defines itself is weakened.
        jobs: how many pytest or drills at once.
        lang: of what drills say.
        json: one document instead of text.

    Raises:
        UsageError: there is no such run; there is no repository whose own parts are meant.
        ConfigError: what is to be weakened cannot be read.
        OpsError: nothing can be written, or no drill can be started.
        KeyboardInterrupt: somebody ended it; what came until then is written down.
    """
    from ops_core.drill.matrix.results import load_run, run_folder
    from ops_core.drill.matrix.running import usual_jobs
    from ops_core.drill.mutants.judging import judge_all, write_fates
    from ops_core.drill.own import all_faults, repository_of

    folder = run_folder(reports, run)
    root = repository_of(Path.cwd())
    least = FAIL_UNDER if fail_under is None else fail_under
    kept: list[Path] = []

    def keep(so_far: Fates) -> None:
        kept[:] = write_fates(folder, so_far)

    try:
        with ended_by(signal.SIGTERM):
            fates = judge_all(
                load_run(folder),
                settings_for(root),
                all_faults(root),
                root=root,
                only_below=root_with_parts(root) if own else None,
                base=Path.cwd(),
                jobs=jobs or usual_jobs(),
                clock=clock(),
                lang=lang,
                say=note if json else say,
                keep=keep,
            )
    except KeyboardInterrupt:
        note(f"what came until then is in {shown(folder)}" if kept else "nothing was judged to its end")
        raise
    files = write_fates(folder, fates)
    if json:
        say_json({**fates.as_dict(), "fail_under": least, "files": [str(path) for path in files]})
    else:
        _tell(fates, files, least)
    return EXIT_DONE if fates.overall.percent >= least else EXIT_FINDINGS


def _tell(fates: Fates, files: tuple[Path, ...], least: float) -> None:
    from ops_core.drill.mutants.absent import told_not_asked

    overall = fates.overall
    say()
    say(f"mutants of {fates.run_id}: {fates.replays} replays, {fates.drills} drills, {fates.took_s:.0f} s")
    say_table(
        [
            (one.of, f"{one.killed:>4} of {one.made:<4} killed", f"{one.percent:5.1f} %")
            for one in (*fates.by_part(), *fates.by_change(), overall)
        ],
        "  ",
    )
    if fates.survivors:
        say("survivors")
    for fate in fates.survivors:
        one = fate.mutant
        say_fitted("  ", f"{one.name}, {one.change.value}, {one.where}")
        say_fitted("      was      ", one.was)
        say_fitted("      becomes  ", one.becomes)
        say_fitted("      because  ", fate.how)
    for told in told_not_asked(fates):
        say(f"not asked: {told}")
    for told in fates.not_judged:
        say(f"not judged: {told}")
    if overall.percent < least:
        say(f"{overall.percent:.1f} % is less than {least:g} %")
    for path in files:
        say(f"written {shown(path)}")
