"""Holds one fault in this process, and writes down what came of it: what a matrix run starts for each fault.

`python -m ops_core.drill.matrix.one FOLDER FAULT SEED REPOSITORY LANG`: the folder of the run, the fault, the seed, the
repository it is held for (empty: none), the language. The process is tied to whoever started it by its standard input,
takes its fault back when it is asked to end, and is ended by the kernel when it does not come to an end.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from ops_core.clock import Clock, SystemClock, isoformat
from ops_core.drill import leash
from ops_core.drill.fault import Fault
from ops_core.drill.faults import fault_named
from ops_core.drill.matrix.grid import told
from ops_core.drill.matrix.results import About, FaultResult, Status, held_folder, write_result
from ops_core.drill.own import all_faults, configuration_for
from ops_core.drill.promised import Rehearsal, about, judged_in
from ops_core.drill.rehearse import rehearse
from ops_core.errors import EXIT_DONE, EXIT_FAILED, OpsError
from ops_core.observation.record import Observation, read_observation
from ops_core.remediation.modules import said
from ops_core.verdict import Judged

LIMIT_S = 600
HELPED_S = 30.0
NOT_HELPED_S = 8.0


def hold(
    fault: Fault, *, folder: Path, seed: int, root: Path | None, lang: str, clock: Clock, say: Callable[[str], None]
) -> FaultResult:
    """Hold a fault, if it can be held on this machine, and tell what came of it.

    Args:
        fault: which.
        folder: of the run.
        seed: of the run.
        root: the repository whose checks and decision table are looked with; None where there is none.
        lang: of what is said and written.
        clock: tells the time and sleeps.
        say: told what happens, a line at a time.
    """
    begun_at, held = clock.now(), held_folder(folder, fault.name)
    lacking = fault.missing()
    if lacking:
        return _result(fault, seed, begun_at, clock, status=Status.SKIPPED.value, reason=lacking)
    random.seed(f"{seed} {fault.name}")
    # What does not help is given up sooner: only what does help may need its time.
    verify_s = HELPED_S if fault.curable and not fault.undone else NOT_HELPED_S
    try:
        with tempfile.TemporaryDirectory(prefix="ops-own-") as made:
            rehearsal = rehearse(
                fault,
                reports_dir=held,
                clock=clock,
                say=say,
                lang=lang,
                verify_s=verify_s,
                config=configuration_for(fault.stack, root, Path(made)),
            )
    except OpsError as error:
        say(str(error))
        return _not_held(fault, seed, begun_at, clock, held, error)
    except Exception as error:  # noqa: BLE001 - what a fault does is somebody's own code and may fail in any way
        traceback.print_exc(file=sys.stdout)
        broken = OpsError(f"the fault {fault.name} failed: {said(error)}")
        return _not_held(fault, seed, begun_at, clock, held, broken)
    return _held(fault, rehearsal, seed, begun_at, clock, folder)


def main(arguments: list[str]) -> int:
    """What this process is started for."""
    leash.tie(0, signal.SIGTERM)
    signal.signal(signal.SIGTERM, _asked_to_end)
    signal.alarm(LIMIT_S)
    folder, name, seed, repository, lang = arguments
    root = Path(repository) if repository else None
    try:
        fault = fault_named(name, all_faults(root))
        result = hold(fault, folder=Path(folder), seed=int(seed), root=root, lang=lang, clock=SystemClock(), say=_say)
        write_result(Path(folder), result)
    except OpsError as error:
        _say(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        _say("asked to end: the fault was withdrawn, and nothing is told about it")
        return EXIT_FAILED
    return EXIT_DONE


def _held(fault: Fault, rehearsal: Rehearsal, seed: int, begun_at: datetime, clock: Clock, folder: Path) -> FaultResult:
    return _result(
        fault,
        seed,
        begun_at,
        clock,
        status=(Status.FAILED if rehearsal.problems else Status.PASSED).value,
        judged=rehearsal.judged,
        findings=rehearsal.findings,
        unknown=rehearsal.unknown,
        missed=rehearsal.missed,
        false_alarms=rehearsal.false_alarms,
        rows=rehearsal.rows,
        decisions=rehearsal.decisions,
        remediation=rehearsal.remedied[-1] if rehearsal.remedied else None,
        remedied=rehearsal.remedied,
        state=rehearsal.state,
        detect_s=rehearsal.detect_s,
        decide_s=rehearsal.decide_s,
        recover_s=rehearsal.recover_s,
        record=_within(folder, rehearsal.record),
        healthy_record=_within(folder, rehearsal.healthy_record),
        restored=rehearsal.restored,
        refusal=rehearsal.refusal,
        problems=rehearsal.problems,
    )


def _not_held(fault: Fault, seed: int, begun_at: datetime, clock: Clock, held: Path, error: OpsError) -> FaultResult:
    """It did not come to its end. What was found before anything was broken is a false alarm, and no mere mishap."""
    record, seen = _look_told(error, held)
    alarms = about(seen, Judged.BAD)
    reason = error.what + (f" ({error.where})" if error.where else "")
    changed: dict[str, Any] = {"status": Status.ERROR.value, "reason": reason}
    if alarms:
        changed = {
            "status": Status.FAILED.value,
            "judged": judged_in(seen),
            "findings": alarms,
            "false_alarms": alarms,
            "problems": tuple(f"{told(one)} was found before anything was broken" for one in alarms),
            "reason": reason,
        }
    healthy = _within(held.parent.parent, record) if record is not None else None
    return _result(fault, seed, begun_at, clock, healthy_record=healthy, **changed)


def _result(fault: Fault, seed: int, begun_at: datetime, clock: Clock, **rest: Any) -> FaultResult:
    return FaultResult(
        fault=fault.name,
        stack=fault.stack.PROFILE,
        driver=fault.driver,
        suite=fault.looked_at_by,
        seed=seed,
        begun_at=isoformat(begun_at),
        ended_at=isoformat(clock.now()),
        expected=tuple(About(code=code, target=target) for code, target in fault.expected),
        **rest,
    )


def _look_told(error: OpsError, held: Path) -> tuple[Path | None, Observation | None]:
    """The look that an error is about; None where it is about something else, or the record cannot be read."""
    record = Path(error.where)
    if record.suffix != ".json" or not record.is_relative_to(held):
        return None, None
    try:
        return record, read_observation(record)
    except OpsError:
        return None, None


def _within(folder: Path, path: Path | None) -> str | None:
    return str(path.relative_to(folder)) if path is not None and path.is_relative_to(folder) else None


def _asked_to_end(_number: int, _frame: FrameType | None) -> None:
    # Once: what is being put back is not to be interrupted as well.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
