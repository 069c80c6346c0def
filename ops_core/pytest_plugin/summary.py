"""What an operational run says at its end: from the observation to the lines of the verdict."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.clock import parse_instant
from ops_core.config import Settings
from ops_core.errors import OpsError
from ops_core.observation.record import Judgement, Observation
from ops_core.report.seen import FindingView, UnknownView
from ops_core.report.terminal import Advice, Look, Result, verdict_lines
from ops_core.targets import dependencies_in
from ops_core.verdict import Judged, Verdict

if TYPE_CHECKING:
    from ops_core.decision.match import Decision


def summary_lines(
    observation: Observation, *, settings: Settings, look: Look, record: Path, invoked_from: Path, notes: Sequence[str]
) -> list[str]:
    """The findings, what was not seen, the verdict, and what to do about it."""
    told = list(notes)
    advice: tuple[Advice, ...] = ()
    try:
        advice = _advice(observation, settings, invoked_from)
    except OpsError as error:
        told.append(f"no advice: {error.what} ({error.where})")
    if settings.drill and any(t.supervisor_conf and not t.supervisor_conf.exists() for t in settings.targets):
        told.append("the embedded stack is not up; `ops drill up` starts it")
    told += [f"{j.check}[{j.target}] was good only after a retry" for j in observation.judgements if j.retried]
    counts = Counter(judgement.judged for judgement in observation.judgements)
    result = Result(
        verdict=observation.verdict,
        good=counts[Judged.GOOD],
        bad=counts[Judged.BAD],
        unknown=counts[Judged.UNKNOWN],
        skipped=counts[Judged.SKIPPED],
        findings=tuple(_finding(j) for j in observation.judgements if j.judged is Judged.BAD),
        unseen=tuple(_unseen(j) for j in observation.judgements if j.judged is Judged.UNKNOWN),
        advice=advice,
        used_s=observation.used_s,
        total_s=observation.total_s,
        record=shown_path(record, invoked_from),
        interrupted=observation.interrupted,
        command=_next_command(observation, settings, invoked_from),
        notes=tuple(told),
    )
    return ["", *verdict_lines(result, look)]


def shown_path(path: Path, base: Path) -> str:
    """`path` relative to where the command was typed, if it lies below."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _finding(judgement: Judgement) -> FindingView:
    return FindingView(
        code=judgement.finding or "",
        target=judgement.target,
        check=judgement.check,
        expected=judgement.expected,
        seen=judgement.seen,
        where=judgement.where,
        evidence=judgement.evidence,
    )


def _unseen(judgement: Judgement) -> UnknownView:
    return UnknownView(
        code=judgement.finding or "", target=judgement.target, reason=judgement.seen, evidence=judgement.evidence
    )


def _advice(observation: Observation, settings: Settings, invoked_from: Path) -> tuple[Advice, ...]:
    if not observation.findings and not observation.unknown:
        return ()
    # Only now: most runs have nothing to decide, and need neither the table nor what reads it.
    from ops_core.decision.inforce import table_in_force
    from ops_core.decision.match import advice_for_unknown, decide

    decisions = decide(
        table_in_force(settings),
        observation.findings,
        observation.facts,
        observation.unknown,
        parse_instant(observation.finished_at),
        dependencies_in(settings.targets),
    )
    if decisions:
        return tuple(
            Advice(
                target=decision.target,
                cause=decision.causes,
                severity=decision.severity.value,
                action=decision.actions,
                command=_command(decision, settings, invoked_from),
                dependents=tuple((other.target, other.findings) for other in decision.dependents),
            )
            for decision in decisions
        )
    unknown = advice_for_unknown(observation.unknown)
    if unknown is None:
        return ()
    return (
        Advice(
            target=None,
            cause={lang: unknown.cause(lang) for lang in ("en", "ko")},
            severity="high",
            action={lang: unknown.action(lang) for lang in ("en", "ko")},
            command=_next_command(observation, settings, invoked_from),
        ),
    )


def _command(decision: Decision, settings: Settings, invoked_from: Path) -> str:
    return _typed("ops incident run", settings, invoked_from) if decision.remediation else ""


def _next_command(observation: Observation, settings: Settings, invoked_from: Path) -> str:
    return _typed("ops observe", settings, invoked_from) if observation.verdict is Verdict.UNKNOWN else ""


def _typed(command: str, settings: Settings, invoked_from: Path) -> str:
    """`command` with the options that make it mean the same repository and profile from where we are."""
    if not invoked_from.is_relative_to(settings.root):
        command += f" --config {shlex.quote(str(settings.path))}"
    return command if settings.profile_is_default else f"{command} --profile {shlex.quote(settings.profile)}"
