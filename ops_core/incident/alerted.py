"""`python -m ops_core.incident.alerted`: looks at what an alert wants looked at, in a process of its own.

One look at a time, whoever starts it: the next one is taken from the record when this one has ended. A look is work
that the emergency stop ends. It is begun in the record before it is begun: one that was cut off is told of, not taken
again by itself. The request `{config, profile, actor}` comes on standard input, the answer goes to standard output.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_core.clock import Clock, SystemClock
from ops_core.config import Settings, known_secrets, load_settings
from ops_core.control.requested import REQUEST_MAX_BYTES, texts_of
from ops_core.control.running.processes import MARK
from ops_core.errors import OpsError, Refused

if TYPE_CHECKING:
    from ops_core.control.service import ControlPlane
    from ops_core.incident.loop import IncidentOutcome

ACTOR = "alert"
WORK_KIND = "alert"
LOCK_NAME = "alerts.lock"
KEYS = ("config", "profile", "actor")
BUSY_WAIT_S = 120.0
BUSY_PAUSE_S = 0.5
CUT_OFF = "the look was cut off before it ended: look again by hand (ops observe), or ops incident run"


def look_next(settings: Settings, plane: ControlPlane, clock: Clock) -> dict[str, Any]:
    """Take the look that waits longest; say what came of it, and how many wait behind it.

    Returns:
        `incident` (None where nothing was done), `result`, and `left`: how many looks still wait.

    Raises:
        Refused: the emergency stop is engaged: everything waits.
        StoreUnusable: nothing can be recorded, so nothing is done.
    """
    from ops_core.control.running import registered
    from ops_core.incident import alerting

    with _turn(settings.state_dir) as mine:
        if not mine:
            return {"incident": None, "result": "somebody else is at it", "left": 0}
        with plane.snapshot() as found:
            lost, waiting = alerting.cut_off(found), alerting.pending(found)
        for incident in lost:
            _ended(plane, clock, incident, {"result": CUT_OFF}, CUT_OFF)
        if not waiting:
            return {"incident": None, "result": "nothing waits", "left": 0}
        incident, suite = waiting[0]
        with registered(plane, WORK_KIND) as work, _marked(work.environ):
            with plane.transaction() as change:
                detail = {"suite": suite, "work": work.id}
                change.audit(
                    at=clock.now(), actor=plane.actor, action=alerting.LOOK_BEGUN, subject=incident, detail=detail
                )
            result = _look(settings, plane, clock, incident, suite)
    with plane.snapshot() as found:
        left = len(alerting.pending(found))
    return {"incident": incident, "result": result, "left": left}


def _look(settings: Settings, plane: ControlPlane, clock: Clock, incident: str, suite: str) -> str:
    """Look and decide, attach what was found to the incident, and record the end of the look."""
    from ops_core.incident.opening import attach
    from ops_core.probes.instruments.redact import Redactor

    try:
        outcome = _run(settings, plane, clock, suite)
    except OpsError as error:
        told = Redactor(known_secrets(settings).values()).text(error.what)
        text = f"the look at the suite {suite} failed: {told}"
        _ended(plane, clock, incident, {"suite": suite, "result": "failed"}, text)
        return "failed"
    text = _told(outcome, suite)
    if outcome.incident_id is not None:
        try:
            attach(plane, clock, incident, outcome.incident_id, actor=ACTOR)
        except Refused:
            # Somebody has closed it meanwhile: what was seen is noted all the same.
            text += f" (it had ended before; the look is incident {outcome.incident_id})"
    detail = {"suite": suite, "result": outcome.outcome, "run": outcome.incident_id or ""}
    _ended(plane, clock, incident, detail, text)
    return outcome.outcome


def _run(settings: Settings, plane: ControlPlane, clock: Clock, suite: str) -> IncidentOutcome:
    from ops_core.incident.lock import LoopBusy
    from ops_core.incident.loop import run_incident

    until = clock.monotonic() + BUSY_WAIT_S
    while True:
        try:
            return run_incident(
                settings,
                suite=suite,
                plane=plane,
                clock=clock,
                say=lambda _line: None,
                lang=settings.lang,
                remediate=settings.alerts.remediate,
                actor=ACTOR,
            )
        except LoopBusy:
            if clock.monotonic() >= until:
                raise
            clock.sleep(BUSY_PAUSE_S)


def _told(outcome: IncidentOutcome, suite: str) -> str:
    seen = outcome.observation
    record = f", record {outcome.record.name}" if outcome.record else ""
    text = f"looked at the suite {suite}: {seen.verdict.value if seen else outcome.outcome}{record}"
    view = outcome.view
    if view is None:
        return text + "; there was nothing to decide"
    codes = ", ".join(dict.fromkeys(f"{one.code}[{one.target}]" if one.target else one.code for one in view.findings))
    cause = view.cause.get("en", "")
    remedy = view.remediation or "none: a person decides"
    return f"{text}; found {codes}; decided: {view.severity} {cause} (remedy: {remedy}); outcome: {outcome.outcome}"


def _ended(plane: ControlPlane, clock: Clock, incident: str, detail: Mapping[str, Any], text: str) -> None:
    from ops_core.incident import alerting
    from ops_core.incident.alerts import SOURCE
    from ops_core.incident.opening import note

    note(plane, clock, incident, text, actor=ACTOR, source=SOURCE)
    with plane.transaction() as change:
        change.audit(
            at=clock.now(), actor=plane.actor, action=alerting.LOOK_ENDED, subject=incident, detail=dict(detail)
        )


@contextmanager
def _marked(environ: Mapping[str, str]) -> Iterator[None]:
    """What is started within bears the mark by which an emergency stop finds it."""
    before = os.environ.get(MARK)
    os.environ[MARK] = environ[MARK]
    try:
        yield
    finally:
        del os.environ[MARK]
        if before is not None:
            os.environ[MARK] = before


@contextmanager
def _turn(folder: Path) -> Iterator[bool]:
    """Whether it is our turn; it is until the block ends, or this process does."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise OpsError(f"there can be no lock: {error.strerror}", where=str(folder / LOCK_NAME)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def read_request(raw: bytes) -> dict[str, str]:
    """The request.

    Raises:
        UsageError: it is none.
    """
    return texts_of(raw, KEYS, "a look")


def main() -> int:
    """Read the request, take a look, write what came of it."""
    from ops_core.control.opening import plane_of

    code = 0
    try:
        request = read_request(sys.stdin.buffer.read(REQUEST_MAX_BYTES + 1))
        settings, clock = load_settings(Path(request["config"]), request["profile"]), SystemClock()
        answer = look_next(settings, plane_of(settings, clock, request["actor"]), clock)
    except OpsError as error:
        answer, code = {**error.as_dict(), "exit_code": error.exit_code}, error.exit_code
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
