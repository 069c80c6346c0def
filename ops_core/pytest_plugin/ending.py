"""The end of an operational run: mark what was seen good, refresh `latest.json`, say the verdict.

The verdict is the last thing on the screen, so it is written after pytest's own last line.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ops_core.errors import OpsError
from ops_core.evidence import ContainerEvidence, Evidence, SchemaEvidence
from ops_core.observation.journal import write_atomically
from ops_core.observation.record import Observation
from ops_core.verdict import Judged

if TYPE_CHECKING:
    from ops_core.pytest_plugin.session import RunbookSession

PLAIN_WIDTH = 100
Seen = TypeVar("Seen", bound=Evidence)


def finish(session: RunbookSession, observation: Observation) -> None:
    """Everything that happens after the record is on disk."""
    notes = list(session.looking.problems)
    if not session.looking.recorded:
        _refresh_latest(session, notes)
        _mark_good(session, observation, notes)
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
    # Under xdist only the workers know what was left out, so nothing is proven there.
    if observation.interrupted or not (session.whole_suite and session.selected):
        return
    good = healthy_targets(observation, session.selected)
    proven = (t for t in session.settings.targets if t.name in good and t.proving_suite == observation.suite)
    linked = [t for t in proven if t.release_link or t.config_link or t.container]
    there = session.settings.control_url or session.settings.control_store.is_file()
    if not linked or not there:
        return
    from ops_core.control.deployments import remember_good

    for target in linked:
        try:
            schema, image = schema_seen(observation, target.name), image_seen(observation, target.name)
            remember_good(session.settings, target, session.clock, schema, image)
        except OpsError as error:
            notes.append(f"what is in force at {target.name} could not be marked good: {error.what}")


def schema_seen(observation: Observation, target: str) -> str | None:
    """The one revision of a target's schema that was seen in force."""
    seen = _seen(observation, target, SchemaEvidence)
    return seen.current[0] if seen is not None and len(seen.current) == 1 else None


def image_seen(observation: Observation, target: str) -> str | None:
    """The image that a target's container was seen to run."""
    seen = _seen(observation, target, ContainerEvidence)
    return seen.image_id or None if seen is not None else None


def _seen(observation: Observation, target: str, kind: type[Seen]) -> Seen | None:
    """The first evidence of that kind about a target."""
    about = (record.evidence for record in observation.evidence if record.target == target)
    return next((evidence for evidence in about if isinstance(evidence, kind)), None)


def healthy_targets(observation: Observation, selected: Mapping[str, str | None]) -> set[str]:
    """The targets about which every selected check has judged, all of them good and none only after a retry.

    Args:
        observation: what was judged.
        selected: the target of each check that was to judge, by node id.
    """
    judged = {judgement.nodeid for judgement in observation.judgements}
    verdicts: dict[str, bool] = {}
    for nodeid, target in selected.items():
        if target is not None:
            verdicts[target] = verdicts.get(target, True) and nodeid in judged
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
        invoked_from=session.invoked_from,
        notes=notes,
    )
    reporter.ensure_newline()
    for line in lines:
        reporter.write_line(line)
    # What comes after this may hang, and then the process ends without emptying its buffers.
    reporter.flush()
