"""`ops drill --random`: a game day. Random faults on one stack for a while, and the runbook deals with them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.cli.drill_matrix import SEEDS
from ops_core.cli.drill_telling import columns_of, ended_by, writer_of
from ops_core.cli.gate import span_s
from ops_core.cli.options import clock
from ops_core.cli.output import counted, look_for, note, say, say_json, shown
from ops_core.content import own_templates
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS

if TYPE_CHECKING:
    from ops_core.drill.gameday.results import GameDay
    from ops_core.drill.matrix.grid import Times

DURATION = "10m"
GREEN, RED = "1;32", "1;31"
VERDICTS = {
    "none_lost": "every incident recovered or was escalated, none was lost, and all of it verifies",
    "lost": "LOST: faults that nobody would have heard of",
    "not_verified": "NOT VERIFIED: what was recorded does not hold",
    "not_as_promised": "none was lost, but NOT everything went as promised",
    "unfinished": "the game day did NOT come to its end",
}


def hold_gameday(*, duration: str | None, seed: int | None, reports: Path, lang: str, json: bool) -> int:
    """Hold a game day, write what came of it, and say it.

    Args:
        duration: how long faults are injected, such as `30s`, `10m` or `1h`; ten minutes by default.
        seed: what the faults are drawn from; a random one by default.
        reports: where `drills/` lies.
        lang: language of the reports.
        json: one document instead of text.

    Raises:
        UsageError: it is no such span of time, or too long a one.
        OpsError: the stack does not start or is not healthy, or nothing can be written.
        KeyboardInterrupt: somebody ended it; the fault was withdrawn, and what came until then is written down.
    """
    import secrets

    from ops_core.drill.gameday import pages, running
    from ops_core.drill.gameday.progress import DayTeller
    from ops_core.drill.gameday.results import Ended
    from ops_core.drill.own import all_faults, repository_of

    root = repository_of(Path.cwd())
    faults = all_faults(root)
    begun = running.begin_day(
        faults,
        reports_dir=reports,
        seed=secrets.randbelow(SEEDS) if seed is None else seed,
        duration_s=span_s(duration or DURATION, "--duration"),
        clock=clock(),
    )
    told = note if json else say
    told(f"game day {begun.folder.name}, seed {begun.seed}: {counted(len(begun.catalogue), 'fault')} to draw from")
    teller = DayTeller(writer_of(json=json), clock(), columns_of(json=json))
    try:
        with ended_by(signal.SIGINT, signal.SIGTERM, once=True):
            day = running.hold_day(begun, faults, root=root, clock=clock(), progress=teller, lang=lang)
    finally:
        teller.close()
    files = pages.write_pages(begun.folder, day, lang=lang, templates=own_templates(root))
    if json:
        say_json({**day.to_json(), "problems": list(day.problems), "files": [str(path) for path in files]})
    else:
        _tell(day, files, lang)
    if day.ended == Ended.INTERRUPTED:
        raise KeyboardInterrupt
    return _exit_code(day)


def _tell(day: GameDay, files: tuple[Path, ...], lang: str) -> None:
    from ops_core.report.terminal import Row, label_lines

    figures, verified = day.figures, day.verified
    different = f"{figures.different} of {len(day.catalogue)} different ones"
    fates = f"{figures.recovered} recovered, {figures.escalated} escalated, {figures.lost} lost"
    rows = [
        Row(label="faults", value=f"{figures.injected} in {day.lasted_s:.0f} s, {different}"),
        Row(label="incidents", value=fates),
        Row(label="promises", value=f"kept for {figures.as_promised} of {counted(figures.injected, 'fault')}"),
        Row(label="MTTD", value=_times(figures.mttd_s, figures.detect)),
        Row(label="MTTR", value=_times(figures.mttr_s, figures.recover)),
    ]
    if verified is not None:
        chain = f"{counted(verified.audit_rows, 'row')} of {counted(verified.stores, 'control store')}"
        records = f"{counted(verified.observations, 'record')} of looks, {counted(verified.incidents, 'incident')}"
        rows.append(Row(label="verified", value=f"audit chain: {chain}; {records} with their reports"))
    rows += [Row(label="problem", value=problem, style="31") for problem in day.problems]
    rows += [Row(label="written", value=shown(path), copied=True) for path in files]
    good = day.outcome == "none_lost"
    rows.append(Row(label="verdict", value=VERDICTS[day.outcome], style=GREEN if good else RED))
    say()
    for line in label_lines(rows, look_for(lang)):
        say(line)


def _times(mean_s: float | None, times: Times) -> str:
    if mean_s is None or times.median_s is None or times.p95_s is None or times.longest_s is None:
        return "not known: there is nothing to measure"
    spread = f"p50 {times.median_s:.1f} s, p95 {times.p95_s:.1f} s, longest {times.longest_s:.1f} s"
    return f"mean {mean_s:.1f} s, {spread}, of {counted(times.count, 'incident')}"


def _exit_code(day: GameDay) -> int:
    from ops_core.drill.gameday.results import Outcome

    if day.outcome is Outcome.NONE_LOST:
        return EXIT_DONE
    return EXIT_FAILED if day.outcome is Outcome.UNFINISHED and not day.figures.lost else EXIT_FINDINGS
