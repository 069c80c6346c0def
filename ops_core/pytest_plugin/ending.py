"""The end of an operational run: mark what was seen good, refresh `latest.json`, say the verdict.

The verdict is the last thing on the screen, so it is written after pytest's own last line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_core.errors import OpsError
from ops_core.observation.journal import write_atomically
from ops_core.observation.record import Observation
from ops_core.verdict import Judged

if TYPE_CHECKING:
    from ops_core.pytest_plugin.session import RunbookSession

PLAIN_WIDTH = 100


def finish(session: RunbookSession, observation: Observation) -> None:
    """Everything that happens after the record is on disk."""
    notes: list[str] = []
    if not session.replayed:
        _refresh_latest(session, notes)
        _mark_good(session, observation, notes)
    if session.engine is not None and session.engine.sink_problem:
        notes.append(f"the journal is incomplete: {session.engine.sink_problem}")
    _say(session, observation, notes)


def _refresh_latest(session: RunbookSession, notes: list[str]) -> None:
    record = session.record_path
    try:
        if record.name != "latest.json":
            write_atomically(record.with_name("latest.json"), record.read_text(encoding="utf-8"))
    except OSError as error:
        notes.append(f"the record could not be written: {error}")


def _mark_good(session: RunbookSession, observation: Observation, notes: list[str]) -> None:
    """A release and configuration under which every check of a target was good is worth rolling back to."""
    good = healthy_targets(observation)
    linked = [t for t in session.settings.targets if t.name in good and (t.release_link or t.config_link)]
    if not linked or observation.interrupted or not session.settings.control_store.is_file():
        return
    from ops_core.control.deployments import remember_good

    for target in linked:
        try:
            remember_good(session.settings, target, session.clock)
        except OpsError as error:
            notes.append(f"what is in force at {target.name} could not be marked good: {error.what}")


def healthy_targets(observation: Observation) -> set[str]:
    """The targets about which every judgement is good and not only after a retry."""
    verdicts: dict[str, bool] = {}
    for judgement in observation.judgements:
        if judgement.target is not None and judgement.judged is not Judged.SKIPPED:
            fine = judgement.judged is Judged.GOOD and not judgement.retried
            verdicts[judgement.target] = verdicts.get(judgement.target, True) and fine
    return {target for target, fine in verdicts.items() if fine}


def _say(session: RunbookSession, observation: Observation, notes: list[str]) -> None:
    reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    from ops_core.pytest_plugin.summary import summary_lines
    from ops_core.report.terminal import Look

    writer = session.config.get_terminal_writer()
    encoding = str(getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    look = Look(
        width=writer.fullwidth if writer.hasmarkup else PLAIN_WIDTH,
        colour=writer.hasmarkup,
        unicode=encoding.startswith("utf"),
        lang=session.config.option.ops_lang or session.settings.lang,
    )
    lines = summary_lines(
        observation,
        settings=session.settings,
        look=look,
        record=session.record_path,
        invoked_from=Path(session.config.invocation_params.dir),
        notes=notes,
    )
    reporter.ensure_newline()
    for line in lines:
        reporter.write_line(line)
