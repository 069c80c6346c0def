"""`ops drill --healthy N`: looks at stacks in which nothing is broken. Whatever is found there is a false alarm."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.cli.drill_telling import columns_of, ended_by, writer_of
from ops_core.cli.options import clock
from ops_core.cli.output import counted, look_for, note, say, say_json, shown
from ops_core.content import own_templates
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS

if TYPE_CHECKING:
    from ops_core.drill.healthy.places import Place
    from ops_core.drill.healthy.results import Healthy, Rate

GREEN, RED = "1;32", "1;31"
VERDICTS = {
    "no_false_alarm": "no finding and no UNKNOWN while nothing was broken",
    "false_alarms": "FALSE ALARMS: something was found, or could not be seen, while nothing was broken",
    "unfinished": "the rounds did NOT come to their end",
}


def hold_healthy(
    *, rounds: int, stress: bool, reports: Path, lang: str, json: bool, places: Sequence[Place] | None = None
) -> int:
    """Hold healthy rounds, write what came of them, and say it.

    Args:
        rounds: looks of each suite.
        stress: whether every core is kept busy meanwhile, and the network slow where that is permitted.
        reports: where `drills/` lies.
        lang: language of the report.
        json: one document instead of text.
        places: what is looked at; all that there is by default.

    Raises:
        UsageError: so many are not held.
        OpsError: nothing can be written.
        KeyboardInterrupt: somebody ended it; what came until then is written down.
    """
    from ops_core.drill.healthy import pages, running
    from ops_core.drill.healthy.places import PLACES
    from ops_core.drill.healthy.progress import RoundsTeller
    from ops_core.drill.healthy.results import Ended
    from ops_core.drill.own import repository_of

    root = repository_of(Path.cwd())
    folder, begun = running.begin_rounds(rounds=rounds, stress=stress, reports_dir=reports, clock=clock())
    under = f", {counted(begun.busy, 'busy core')}" if stress else ""
    told = note if json else say
    told(f"healthy rounds {begun.run_id}: {counted(rounds, 'look')} of each suite{under}")
    teller = RoundsTeller(writer_of(json=json), clock(), columns_of(json=json))
    try:
        with ended_by(signal.SIGINT, signal.SIGTERM, once=True):
            held = running.hold_rounds(
                folder, begun, PLACES if places is None else places, root=root, clock=clock(), progress=teller
            )
    finally:
        teller.close()
    files = pages.write_pages(folder, held, lang=lang, templates=own_templates(root))
    if json:
        say_json({**held.to_json(), "files": [str(path) for path in files]})
    else:
        _tell(held, files, lang)
    if held.ended == Ended.INTERRUPTED:
        raise KeyboardInterrupt
    return _exit_code(held)


def _tell(held: Healthy, files: tuple[Path, ...], lang: str) -> None:
    from ops_core.drill.healthy.progress import alarm_told, place_told
    from ops_core.report.terminal import Row, label_lines

    rows = [Row(label=place.stack, value=place_told(place)) for place in held.places]
    if held.stress:
        rows.append(Row(label="cores", value=f"{held.busy} of {held.cores} kept busy"))
    rows += [Row(label=one.suite, value=_rate(one)) for one in held.suites]
    rows.append(Row(label="looks", value=_rate(held.total)))
    longest = max(held.looks, key=lambda look: look.used_s or 0.0, default=None)
    if longest is not None and longest.used_s is not None:
        used = f"{longest.used_s:.1f} s of {longest.budget_s:g} s used at most, by {longest.suite} {longest.number}"
        rows.append(Row(label="budget", value=used))
    for one in held.checks:
        if one.false:
            rows.append(Row(label="false", value=f"{one.suite}: {one.check}: {_rate(one)}", style="31"))
    alarms = dict.fromkeys(alarm_told(alarm) for look in held.looks for alarm in look.alarms)
    rows += [Row(label="raised", value=alarm, style="31") for alarm in alarms]
    rows += [
        Row(label="raised", value=f"{look.suite} {look.number}: {look.why or look.verdict}", style="31")
        for look in held.looks
        if not look.clean and not look.alarms
    ]
    rows += [Row(label="problem", value=held.why, style="31")] if held.why else []
    rows += [Row(label="written", value=shown(path), copied=True) for path in files]
    good = held.outcome == "no_false_alarm"
    rows.append(Row(label="verdict", value=VERDICTS[held.outcome], style=GREEN if good else RED))
    say()
    for line in label_lines(rows, look_for(lang)):
        say(line)


def _rate(one: Rate) -> str:
    """`0 of 30 false: at most 9.5 % at 95 %`."""
    from ops_core.drill.healthy.rates import CONFIDENCE

    kinds = f" ({one.found} found, {one.unknown} not seen)" if one.false else ""
    return f"{one.false} of {one.looks} false{kinds}: at most {one.at_most:.1%} at {CONFIDENCE:.0%}".replace("%", " %")


def _exit_code(held: Healthy) -> int:
    from ops_core.drill.healthy.results import Outcome

    if held.outcome is Outcome.NO_FALSE_ALARM:
        return EXIT_DONE
    return EXIT_FAILED if held.outcome is Outcome.UNFINISHED else EXIT_FINDINGS
