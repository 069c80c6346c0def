"""What the facts mean: the risks, and what they make of the whole. Pure; the same facts give the same risks.

Every area adds risks and takes none away, so that more trouble never looks better. What could not be read is a risk,
and so is what nobody ever looked at: a host without any record is not OK.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from ops_core.clock import isoformat
from ops_core.decision.table import Severity
from ops_core.summary.model import Bundle, Control, Facts, Handoff, Overall, Risk, Run, Seen

OLD_AFTER = timedelta(hours=26)  # a day, and as much again as a schedule may be late
WHAT_MAX_CHARS = 240
NEXT_MAX_CHARS = 200
EVIDENCE_MAX = 5
EVIDENCE_MAX_CHARS = 120
NAMED_MAX = 3
HELD_BACK, STALE = "HELD_BACK", "STALE"
# Somebody offers what nobody should: not a mistake of the day, but for a person to look into.
SUSPICIOUS = frozenset({"TAMPERED", "BAD_SIGNATURE", "WRONG_PRODUCER", "REPLAYED"})
BLOCKED_CYCLES = frozenset({"STOPPED", "ALLOWLIST_VIOLATION", "WINDOW_NOT_ACTIVE"})
FAILED_CYCLES = frozenset({"PREFLIGHT_FAIL", "INTERRUPTED", "TIMED_OUT"})
FAILED_FIRES = frozenset({"PARTIAL", "FAILED", "STOPPED", "INTERRUPTED"})
OPEN = "OPEN"


def risks_of(facts: Facts) -> tuple[Risk, ...]:
    """All risks, the most urgent first, then by their codes."""
    found = {
        *_of_control(facts.control),
        *_of_observations(facts),
        *_of_integrity(facts),
        *_of_handoff(facts.handoff),
        *_of_runs(facts),
        *_of_incidents(facts),
        *_of_messages(facts),
        *_of_budgets(facts),
        *_of_unread(facts),
    }
    return tuple(sorted(found, key=lambda one: (one.severity.rank, one.code, one.what, one.evidence)))


def overall_of(risks: Iterable[Risk]) -> Overall:
    """What the risks make of the whole: the worst of them; OK only where there is none at all."""
    return max((one.weighs for one in risks), key=lambda one: one.rank, default=Overall.OK)


def _risk(code: str, severity: Severity, weighs: Overall, what: str, evidence: Sequence[str], next_step: str) -> Risk:
    return Risk(
        code=code,
        severity=severity,
        weighs=weighs,
        what=_cut(what, WHAT_MAX_CHARS),
        evidence=tuple(_cut(one, EVIDENCE_MAX_CHARS) for one in list(dict.fromkeys(evidence))[:EVIDENCE_MAX]),
        next_step=_cut(next_step, NEXT_MAX_CHARS),
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _of_control(control: Control) -> Iterator[Risk]:
    evidence = (control.evidence,)
    if control.problem:
        what = f"the control store cannot be used, which counts as stopped: {control.problem}"
        yield _risk(
            "STORE_PROBLEM", Severity.CRITICAL, Overall.FAIL, what, evidence, control.remedy or "ops store show"
        )
    elif control.stopped:
        what = f"the emergency stop is engaged: {control.stop_reason or 'no reason is recorded'}"
        step = 'when that is over: ops estop release --reason "…"'
        yield _risk("EMERGENCY_STOP", Severity.HIGH, Overall.BLOCKED, what, evidence, step)
    if control.gate_real:
        what = f"the gate stands at {control.gate}: what is permitted happens for real"
        step = 'when it is not needed any more: ops gate set DRY_RUN --reason "…"'
        yield _risk("GATE_REAL", Severity.MEDIUM, Overall.WARN, what, evidence, step)
    if control.sender_on:
        what = "the sender is switched on: messages may leave"
        step = 'when it is not needed any more: ops sender disable --reason "…"'
        yield _risk("SENDER_ON", Severity.MEDIUM, Overall.WARN, what, evidence, step)
    if control.window_open:
        what = "a window for a real run is open"
        yield _risk("WINDOW_OPEN", Severity.MEDIUM, Overall.WARN, what, evidence, "ops window status")


def _of_observations(facts: Facts) -> Iterator[Risk]:
    there = {one.suite for one in facts.seen}
    if any(one.area == "observations" for one in facts.unread):
        return
    if not there and not facts.expected:
        what = "nobody has ever looked, and no suite says whether anything is well"
        yield _risk("OBSERVATION_MISSING", Severity.MEDIUM, Overall.WARN, what, ("reports",), "ops observe")
    for suite in sorted(set(facts.expected) - there):
        what = f"nobody has ever looked: there is no record of the suite {suite}"
        step = f"ops observe --suite {suite}"
        yield _risk("OBSERVATION_MISSING", Severity.MEDIUM, Overall.WARN, what, (f"reports/{suite}",), step)
    for one in facts.seen:
        yield from _of_one(one, facts)


def _of_one(seen: Seen, facts: Facts) -> Iterator[Risk]:
    suite, run = seen.suite, f"{seen.suite}/{seen.run_id}"
    again = f"ops observe --suite {suite}"
    if seen.problem:
        what = f"the newest record of the suite {suite} cannot be read: {seen.problem}"
        yield _risk("OBSERVATION_UNREADABLE", Severity.MEDIUM, Overall.WARN, what, (run,), again)
    cited = [f"{run}:{one}" for one in seen.evidence] or [run]
    if seen.bad or seen.verdict == "UNHEALTHY":
        what = f"{suite} is UNHEALTHY: {_some(seen.bad) or 'it does not say what'}"
        step = f"ops decide reports/{suite}/{seen.run_id}.json, then: ops incident run --suite {suite}"
        yield _risk("OBSERVATION_UNHEALTHY", Severity.HIGH, Overall.FAIL, what, cited, step)
    if seen.unseen or (not seen.problem and seen.verdict not in {"HEALTHY", "UNHEALTHY"}):
        what = f"{suite} was not seen in full: {_some(seen.unseen) or seen.verdict or 'nothing was judged'}"
        yield _risk("OBSERVATION_UNKNOWN", Severity.MEDIUM, Overall.WARN, what, cited, again)
    if not seen.problem and (seen.finished_at is None or facts.asof - seen.finished_at > OLD_AFTER):
        since = "a time that is not known" if seen.finished_at is None else isoformat(seen.finished_at)
        what = f"the newest look of the suite {suite} is of {since}: nobody knows how it is now"
        yield _risk("OBSERVATION_OLD", Severity.LOW, Overall.WARN, what, (run,), again)


def _of_integrity(facts: Facts) -> Iterator[Risk]:
    for one in facts.breaches:
        severity, weighs = (Severity.MEDIUM, Overall.WARN) if one.put_right else (Severity.CRITICAL, Overall.FAIL)
        right = ", put right since" if one.put_right else ""
        what = f"{one.count} changed behind the program's back in {one.area}: {one.what}{right}"
        step = 'pytest checks/ -m integrity; once it was looked into: ops audit accept --reason "…"'
        yield _risk("INTEGRITY", severity, weighs, what, one.where or (f"integrity:{one.area}",), step)


def _of_handoff(handoff: Handoff | None) -> Iterator[Risk]:
    if handoff is None:
        return
    pull = f"handoff/{handoff.pull_id}" if handoff.pull_id else "bundles/current"
    if handoff.bundle is None:
        what = "no bundle is in force: there is nothing to operate on"
        yield _risk("NO_BUNDLE", Severity.HIGH, Overall.FAIL, what, (pull,), "ops handoff pull")
    else:
        yield from _of_bundle(handoff.bundle)
    if handoff.pull_outcome == "REFUSED":
        code, why = handoff.pull_code or "REFUSED", handoff.pull_reason or "it does not say why"
        what = f"the newest pull refused a bundle ({code}): {why}"
        on_purpose = code in {HELD_BACK, STALE}
        severity = Severity.CRITICAL if code in SUSPICIOUS else Severity.MEDIUM if on_purpose else Severity.HIGH
        weighs = Overall.WARN if on_purpose else Overall.FAIL
        yield _risk("BUNDLE_REFUSED", severity, weighs, what, (pull,), "ops handoff status, then ops handoff pull")
    elif handoff.pull_outcome == "FAILED":
        what = f"the newest pull failed: {handoff.pull_reason or 'it does not say why'}"
        yield _risk("PULL_FAILED", Severity.HIGH, Overall.WARN, what, (pull,), "ops handoff pull")


def _of_bundle(bundle: Bundle) -> Iterator[Risk]:
    evidence = (f"bundle/{bundle.id}",)
    if bundle.problem:
        what = f"the bundle in force is not what was taken: {bundle.problem}"
        step = "ops handoff status; then ops handoff pull, or ops handoff rollback"
        yield _risk("BUNDLE_TAMPERED", Severity.CRITICAL, Overall.FAIL, what, evidence, step)
    elif not bundle.fresh:
        what = f"the bundle in force was made {bundle.age_s / 3600:.1f} h ago and was good until {bundle.fresh_until}"
        step = "on the producer's host: ops handoff publish; then here: ops handoff pull"
        yield _risk("BUNDLE_STALE", Severity.MEDIUM, Overall.WARN, what, evidence, step)
    if bundle.by_hand:
        what = "the bundle in force was gone back to by hand"
        step = "publish a newer one; or take the newest again: ops handoff pull --again"
        yield _risk("BUNDLE_ROLLED_BACK", Severity.LOW, Overall.WARN, what, evidence, step)


def _of_runs(facts: Facts) -> Iterator[Risk]:
    unread = {one.area for one in facts.unread}
    if facts.control.problem:
        # What is not there to be read says nothing about what ran.
        return
    if facts.bundles:
        if facts.live_cycle is not None or not unread & {"live_cycle", "store"}:
            yield from _of_live_cycle(facts.live_cycle)
    elif facts.cycle is None and not unread & {"cycle", "store"}:
        step = "ops daily; by itself every day: ops schedule install --cron"
        what = "no cycle has run yet"
        yield _risk("CYCLE_NONE", Severity.MEDIUM, Overall.WARN, what, ("audit:cycle.begun",), step)
    if facts.missed:
        kind, last = ("live_cycle", facts.live_cycle) if facts.bundles else ("cycle", facts.cycle)
        evidence = [f"slot {key}" for key in facts.missed[-NAMED_MAX:]] + ([f"{kind}/{last.id}"] if last else [])
        what = f"{len(facts.missed)} due and run by nobody: {_some(facts.missed[-NAMED_MAX:])}"
        step = "ops schedule show; by hand: " + ("ops daily --split" if facts.bundles else "ops daily")
        yield _risk("CYCLE_MISSED", Severity.MEDIUM, Overall.WARN, what, evidence, step)
    if facts.cycle is not None:
        yield from _of_cycle(facts.cycle)
    if facts.live_fire is not None:
        yield from _of_fire(facts.live_fire)


def _of_cycle(run: Run) -> Iterator[Risk]:
    evidence, step = (f"cycle/{run.id}",), "ops cycle latest"
    if run.result == OPEN and run.alive:
        return
    if run.result in FAILED_CYCLES or run.result == OPEN:
        how = "began and did not end: its process is gone" if run.result == OPEN else f"ended as {run.result}"
        what = f"the latest cycle {how}: {run.cause}"
        yield _risk("CYCLE_FAILED", Severity.HIGH, Overall.FAIL, what, evidence, step)
    elif run.result in BLOCKED_CYCLES:
        what = f"the latest cycle was refused: {run.result}: {run.cause}"
        yield _risk("CYCLE_BLOCKED", Severity.MEDIUM, Overall.WARN, what, evidence, step)
    elif run.result != "OK":
        what = f"the latest cycle ended as {run.result or 'nothing known'}: {run.cause}"
        yield _risk("CYCLE_WARN", Severity.LOW, Overall.WARN, what, evidence, step)


def _of_fire(run: Run) -> Iterator[Risk]:
    evidence, step = (f"live_fire/{run.id}",), "ops live-fire latest; ops outbox list"
    if run.result == OPEN and not run.alive:
        what = "the latest live fire began and did not end: what it sent is not known"
        yield _risk("LIVE_FIRE_FAILED", Severity.HIGH, Overall.FAIL, what, evidence, step)
    elif run.result in FAILED_FIRES:
        what = f"the latest live fire ended as {run.result}: {run.cause}"
        yield _risk("LIVE_FIRE_FAILED", Severity.HIGH, Overall.FAIL, what, evidence, step)


def _of_live_cycle(run: Run | None) -> Iterator[Risk]:
    if run is None:
        what = "no live cycle has run yet"
        step = "ops daily --split"
        yield _risk("LIVE_CYCLE_NONE", Severity.MEDIUM, Overall.WARN, what, ("audit:live_cycle.ended",), step)
        return
    evidence, step = (f"live_cycle/{run.id}",), "ops live latest; again: ops live run"
    what = f"the latest live cycle ended as {run.result or 'nothing known'}: {run.cause}"
    if run.result == "BLOCKED":
        yield _risk("LIVE_CYCLE_BLOCKED", Severity.MEDIUM, Overall.WARN, what, evidence, step)
    elif run.result == "WARN":
        yield _risk("LIVE_CYCLE_WARN", Severity.LOW, Overall.WARN, what, evidence, step)
    elif run.result != "OK" and not (run.result == OPEN and run.alive):
        yield _risk("LIVE_CYCLE_FAILED", Severity.HIGH, Overall.FAIL, what, evidence, step)


def _of_incidents(facts: Facts) -> Iterator[Risk]:
    for one in facts.incidents:
        evidence, named = (f"incident/{one.id}",), f"{one.severity} {one.title}".strip() or "handled by the loop"
        severity = Severity.CRITICAL if one.severity == "SEV-1" else Severity.HIGH
        weighs = Overall.FAIL if one.severity == "SEV-1" else Overall.WARN
        step = f"ops incident show {one.id}"
        yield _risk("INCIDENT_OPEN", severity, weighs, f"an incident is open: {named}", evidence, step)
        if one.overdue:
            what = f"the others wait for an update about {named}"
            step = f'ops incident update {one.id} --text "…"'
            yield _risk("INCIDENT_OVERDUE", Severity.HIGH, Overall.WARN, what, evidence, step)


def _of_messages(facts: Facts) -> Iterator[Risk]:
    told = facts.messages
    step = "ops outbox list; ask whoever should have got them"
    if told.unknown:
        ids = [f"outbox/{one}" for one in told.unknown_ids] or ["outbox"]
        what = f"{told.unknown} messages may or may not have arrived: their sending was interrupted"
        yield _risk("OUTBOX_UNKNOWN", Severity.HIGH, Overall.WARN, what, ids, step)
    if told.failed:
        ids = [f"outbox/{one}" for one in told.failed_ids] or ["outbox"]
        what = f"{told.failed} messages certainly did not arrive"
        yield _risk("OUTBOX_FAILED", Severity.MEDIUM, Overall.WARN, what, ids, step)


def _of_budgets(facts: Facts) -> Iterator[Risk]:
    unknown = sorted({one.target for one in facts.budgets if one.state not in {"left", "spent"}})
    if unknown:
        what = f"nobody knows what is left of the error budget of {_some(unknown)}: too little was observed"
        step = "ops metrics; look more often: ops schedule install --cron"
        yield _risk("SLO_UNKNOWN", Severity.LOW, Overall.WARN, what, [f"slo/{one}" for one in unknown], step)
    for one in facts.budgets:
        if one.state == "spent":
            what = f"the error budget of {one.target} is spent: {one.why}"
            yield _risk("SLO_BUDGET_SPENT", Severity.HIGH, Overall.WARN, what, (f"slo/{one.target}",), "ops metrics")
        if one.burning:
            what = f"the error budget of {one.target} burns too fast"
            yield _risk("SLO_BURNING", Severity.HIGH, Overall.WARN, what, (f"slo/{one.target}",), "ops metrics")


def _of_unread(facts: Facts) -> Iterator[Risk]:
    for one in facts.unread:
        code = f"{one.area.upper()}_UNKNOWN" if one.area == "slo" else f"{one.area.upper()}_UNREADABLE"
        what = f"{one.area.replace('_', ' ')} could not be read, so nobody knows: {one.why}"
        yield _risk(code, Severity.HIGH, Overall.WARN, what, (one.where or one.area,), "ops doctor")
