"""What came of each fault of a matrix run, as files that outlive a killed run and are read back strictly.

    reports/drills/<run id>/run.json              what was to be held, in which order, from which seed
    reports/drills/<run id>/faults/<fault>.json   what came of one fault, written when it has ended
    reports/drills/<run id>/held/<fault>/         its records, its incident, and what it said

A file that is damaged says nothing: it is told by name and counts as not held, and the others are read all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ops_core.errors import RecordError, UsageError
from ops_core.observation.journal import write_atomically
from ops_core.report.strict import decode, encode
from ops_core.verdict import Judged

RESULT_SCHEMA = "drill_fault_v1"
RUN_SCHEMA = "drill_run_v1"
FOLDER = "drills"
RESULTS = "faults"
HELD = "held"
RUN_FILE = "run.json"
RESULT_MAX_BYTES = 8 << 20
RESULTS_MAX = 10_000
FAULT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-z]{1,16}")


class Status(StrEnum):
    """How a fault ended: as promised, otherwise, not held because something it needs is missing, or not to an end."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class About:
    """A finding about a target; None stands for the control plane."""

    code: str
    target: str | None


@dataclass(frozen=True, kw_only=True)
class JudgedCheck:
    """What one check said about one target in the first look after the fault (`judged` is a value of `Judged`)."""

    suite: str
    check: str
    finding: str | None
    target: str | None
    judged: str


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What the decision table said about one target."""

    target: str | None
    row: str | None
    remediation: str | None


@dataclass(frozen=True, kw_only=True)
class Remedied:
    """A remediation that was begun, and how far it came."""

    name: str
    target: str | None
    applied: bool
    verified: bool
    undone: bool


@dataclass(frozen=True, kw_only=True)
class FaultResult:
    """What came of one fault. Instants are ISO 8601 in UTC; seconds count from when the fault was in force.

    Attributes:
        schema: `drill_fault_v1`.
        fault: its name.
        stack: the profile of the stack it was held on.
        driver: on what it works: process, container, service, control or bundle.
        suite: which looked.
        seed: of the run.
        begun_at: when its stack was started.
        ended_at: when its stack was gone.
        status: a value of `Status`.
        reason: why it was skipped, or why it did not come to its end; empty otherwise.
        judged: every check of the first look after the fault.
        findings: what that look found.
        unknown: what that look could not see.
        expected: what it had to find.
        missed: expected and not found.
        false_alarms: found though nothing of the kind was broken, or found before anything was.
        rows: rows of the decision table that matched, in the order in which they did.
        decisions: what the table said by target.
        remediation: the last one that was begun; None where none was.
        remedied: all that were begun, in order.
        state: what the incident came to; `unknown` or `healthy` where none was opened, None where nothing was held.
        detect_s: seconds until it was found.
        decide_s: seconds until it was decided what to do.
        recover_s: seconds until the recovery was verified.
        record: record of the first look, relative to the folder of the run.
        healthy_record: record of the look before the fault, likewise.
        restored: whether the stack was as before once the fault was withdrawn; None where nothing was broken.
        problems: in which ways the runbook did not do what the catalogue promises.
        refusal: how it was refused at the door, where no check has to see it; empty otherwise.
    """

    schema: str = RESULT_SCHEMA
    fault: str
    stack: str
    driver: str
    suite: str
    seed: int
    begun_at: str
    ended_at: str
    status: str
    reason: str = ""
    judged: tuple[JudgedCheck, ...] = ()
    findings: tuple[About, ...] = ()
    unknown: tuple[About, ...] = ()
    expected: tuple[About, ...] = ()
    missed: tuple[About, ...] = ()
    false_alarms: tuple[About, ...] = ()
    rows: tuple[str, ...] = ()
    decisions: tuple[Decided, ...] = ()
    remediation: Remedied | None = None
    remedied: tuple[Remedied, ...] = ()
    state: str | None = None
    detect_s: float | None = None
    decide_s: float | None = None
    recover_s: float | None = None
    record: str | None = None
    healthy_record: str | None = None
    restored: bool | None = None
    problems: tuple[str, ...] = ()
    refusal: str = ""

    @classmethod
    def from_json(cls, value: object, where: str = "result") -> FaultResult:
        """The result that `to_json` was called on.

        Raises:
            RecordError: it is not such a record.
        """
        # Runs from before refusals were told have none.
        result = decode(cls, {"refusal": "", **value} if isinstance(value, dict) else value, where)
        _one_of(result.schema, (RESULT_SCHEMA,), f"{where}.schema")
        _one_of(result.status, tuple(Status), f"{where}.status")
        if not FAULT_NAME.fullmatch(result.fault):
            raise RecordError(f"not the name of a fault: {ascii(result.fault)[:60]}", where=f"{where}.fault")
        for index, one in enumerate(result.judged):
            _one_of(one.judged, tuple(Judged), f"{where}.judged[{index}].judged")
        return result

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object; `from_json` makes an equal result of it."""
        encoded: dict[str, Any] = encode(self)
        return encoded


@dataclass(frozen=True, kw_only=True)
class RunHead:
    """What a matrix run set out to do, written before the first fault.

    Attributes:
        schema: `drill_run_v1`.
        run_id: its name, and that of its folder.
        seed: what reproduces the order, and everything else that is random.
        begun_at: instant.
        suites: what the choice was narrowed to; empty is every suite.
        faults: names, in the order in which they are held.
    """

    schema: str = RUN_SCHEMA
    run_id: str
    seed: int
    begun_at: str
    suites: tuple[str, ...] = ()
    faults: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MatrixRun:
    """A matrix run as far as it came. `damaged` names what could not be read, and why."""

    run_id: str
    seed: int
    results: tuple[FaultResult, ...]
    begun_at: str = ""
    suites: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    folder: Path = field(default=Path(), compare=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """Faults that were to be held and have no result that can be read."""
        held = {result.fault for result in self.results}
        return tuple(name for name in self.planned if name not in held)

    def of(self, status: Status) -> tuple[FaultResult, ...]:
        """The results that ended so."""
        return tuple(result for result in self.results if result.status == status)


def runs_dir(reports_dir: Path) -> Path:
    """Where matrix runs lie."""
    return reports_dir / FOLDER


def result_path(folder: Path, fault: str) -> Path:
    """Where what came of a fault lies in the folder of a run."""
    return folder / RESULTS / f"{fault}.json"


def held_folder(folder: Path, fault: str) -> Path:
    """Where the records, reports and the log of one fault lie in the folder of a run."""
    return folder / HELD / fault


def write_head(folder: Path, head: RunHead) -> None:
    """Write down what the run in `folder` is to do.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(folder / RUN_FILE, json_text(encode(head)))


def write_result(folder: Path, result: FaultResult) -> Path:
    """Write down what came of a fault; a reader sees all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    path = result_path(folder, result.fault)
    write_atomically(path, json_text(result.to_json()))
    return path


def read_head(folder: Path) -> RunHead:
    """What the run in `folder` set out to do.

    Raises:
        RecordError: there is no such file, or it is damaged.
    """
    path = folder / RUN_FILE
    head = decode(RunHead, read_json(path), str(path))
    _one_of(head.schema, (RUN_SCHEMA,), f"{path}.schema")
    if head.run_id != folder.name:
        raise RecordError(f"the run is {ascii(head.run_id)[:60]}, not {folder.name}", where=str(path))
    for name in head.faults:
        if not FAULT_NAME.fullmatch(name):
            raise RecordError(f"not the name of a fault: {ascii(name)[:60]}", where=f"{path}.faults")
    return head


def read_result(path: Path) -> FaultResult:
    """What came of one fault.

    Raises:
        RecordError: there is no such file, it is damaged, or it is about another fault than its name says.
    """
    result = FaultResult.from_json(read_json(path), str(path))
    if f"{result.fault}.json" != path.name:
        raise RecordError(f"the file is about the fault {result.fault}", where=str(path))
    return result


def load_run(folder: Path) -> MatrixRun:
    """The matrix run in `folder`, as far as it came; what is damaged is told in it and counts as not held.

    The results come in the order of the run; results of faults that were not to be held are told as damaged.

    Raises:
        RecordError: it is no folder of a run, or what it set out to do cannot be read.
    """
    head = read_head(folder)
    results: dict[str, FaultResult] = {}
    damaged: list[str] = []
    for path in _result_paths(folder):
        try:
            result = read_result(path)
        except RecordError as error:
            damaged.append(f"{path.name}: {error.what}")
            continue
        if result.fault in head.faults:
            results[result.fault] = result
        else:
            damaged.append(f"{path.name}: the run was not to hold that fault")
    return MatrixRun(
        run_id=head.run_id,
        seed=head.seed,
        begun_at=head.begun_at,
        suites=head.suites,
        planned=head.faults,
        results=tuple(results[name] for name in head.faults if name in results),
        damaged=tuple(damaged),
        folder=folder,
    )


def newest_run(reports_dir: Path) -> Path | None:
    """The folder of the newest matrix run under the reports; None where there is none."""
    folders = runs_dir(reports_dir)
    if not folders.is_dir():
        return None
    runs = (path for path in folders.iterdir() if RUN_ID.fullmatch(path.name) and (path / RUN_FILE).is_file())
    return max(runs, key=lambda path: path.name, default=None)


def run_folder(reports_dir: Path, run_id: str) -> Path:
    """The folder of a run that is named; `newest` names the newest.

    Raises:
        UsageError: there is no such run.
    """
    newest = newest_run(reports_dir)
    folder = newest if run_id == "newest" else runs_dir(reports_dir) / run_id
    known = run_id == "newest" or RUN_ID.fullmatch(run_id)
    if folder is None or not known or not (folder / RUN_FILE).is_file():
        raise UsageError(
            f"there is no matrix run {run_id!r}",
            where=str(runs_dir(reports_dir)),
            allowed=newest.name if newest else "none was ever begun",
            next_step="ops drill --matrix",
        )
    return folder


def _result_paths(folder: Path) -> Iterator[Path]:
    kept = folder / RESULTS
    if not kept.is_dir():
        return
    paths = sorted(path for path in kept.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    if len(paths) > RESULTS_MAX:
        raise RecordError(f"there are {len(paths)} results", where=str(kept), allowed=f"at most {RESULTS_MAX}")
    yield from paths


def read_json(path: Path, max_bytes: int = RESULT_MAX_BYTES) -> object:
    """The JSON value that a drill wrote down.

    Raises:
        RecordError: there is none, it is larger than `max_bytes`, or it is not JSON.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as error:
        raise RecordError(f"it cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > max_bytes:
        raise RecordError(f"it is larger than {max_bytes} bytes", where=str(path))
    try:
        value: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise RecordError("it is not JSON", where=str(path)) from None
    return value


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise RecordError(f"unknown value {ascii(value)[:60]}", where=where, allowed=", ".join(allowed))


def json_text(value: object) -> str:
    """What a drill writes down of a JSON value."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
