"""Making the record of a run: at its end, or from outside of a main thread that hangs."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from ops_core.clock import isoformat
from ops_core.observation.journal import write_atomically
from ops_core.observation.record import KEY, Observation, to_plain
from ops_core.observation.replay import describe_target
from ops_core.targets import Target
from ops_core.verdict import Verdict, verdict_of

if TYPE_CHECKING:
    from ops_core.pytest_plugin.session import RunbookSession


def observation_of(session: RunbookSession) -> Observation:
    """The observation as it stands now."""
    control, recorded = session.looking.control, session.looking.recorded
    judgements = session.judgements.all
    verdict = verdict_of(judgement.judged for judgement in judgements)
    if verdict is Verdict.HEALTHY and session.interrupted:
        # A run that was cut short has not seen everything it was asked to see.
        verdict = Verdict.UNKNOWN
    return Observation(
        run_id=session.run_id,
        suite=session.suite,
        profile=str(recorded.part.get("profile")) if recorded else session.settings.profile,
        drill=recorded.part.get("drill") is True if recorded else session.settings.drill,
        gate=control.gate,
        stopped=control.stopped,
        stop_reason=control.problem or control.stop_reason,
        started_at=isoformat(session.started_at),
        finished_at=isoformat(session.clock.now()),
        total_s=session.settings.budgets.total_s,
        used_s=session.looking.used_s,
        interrupted=session.interrupted,
        replayed_from=str(recorded.part.get("run_id", "")) if recorded else "",
        targets=tuple(_described(session, target) for target in session.looking.targets.values()),
        evidence=tuple(session.looking.records()),
        judgements=judgements,
        verdict=verdict,
    )


def part_of_report(session: RunbookSession, observation: Observation) -> dict[str, Any]:
    """Our part of the JSON report. Evidence that workers sent is JSON already."""
    plain = to_plain(observation)
    if session.judgements.worker_records:
        plain["evidence"] = list(session.judgements.worker_records.values())
    return plain


def finish_from_outside(session: RunbookSession, status: int) -> None:
    """Write the record and say the verdict while the main thread hangs: what pytest itself would do at its end."""
    from ops_core.pytest_plugin.ending import finish

    if session.observation is None:
        session.observation = observation_of(session)
    ours = part_of_report(session, session.observation)
    report = {"created": time.time(), "exitcode": status, KEY: ours}
    write_atomically(session.record_path, json.dumps(report))
    capture = session.config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    finish(session, session.observation)
    sys.stdout.flush()


def _described(session: RunbookSession, target: Target) -> dict[str, Any]:
    redact = session.looking.redact
    described = describe_target(target)
    for key, value in described.items():
        # By value only: `guard_secret` and its like hold the names of secrets.
        described[key] = redact.text(value) if isinstance(value, str) else redact.value(value)
    return described
