"""One operational run: starts the probes when collection has ended, hands out evidence, collects judgements, records.

With pytest-xdist each worker looks for the checks it collected and sends evidence and judgements along with its test
reports; the controller only records. Without it, both happen here.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from ops_core.clock import SystemClock, isoformat, new_run_id
from ops_core.config import Target, known_secrets
from ops_core.errors import OpsError
from ops_core.evidence import ControlEvidence, EvidenceRecord, evidence_id
from ops_core.observation.record import KEY, Judgement, Observation, json_safe, to_plain
from ops_core.observation.replay import Recorded, describe_target, not_recorded, open_recorded
from ops_core.probes.instruments.context import LastGood, Lookout
from ops_core.probes.instruments.redact import Redactor
from ops_core.probes.registry import OBSERVER, REGISTRY, ProbeDefinition
from ops_core.pytest_plugin import collection, judging
from ops_core.pytest_plugin.selection import Selection
from ops_core.verdict import Judged, Verdict, verdict_of

CHECK_TIMEOUT_S = 5
GRACE_S = 2.0
PROGRESS_AFTER_S = 1.0
SHIPPED_PROBES = ("health", "guard", "stream", "process", "deployment", "control")
EVIDENCE_IDS: pytest.StashKey[tuple[str, ...]] = pytest.StashKey()


class RunbookSession:
    """The hooks of an operational run. Registered only when there is one."""

    def __init__(self, config: pytest.Config, selection: Selection) -> None:
        self.config = config
        self.selection = selection
        self.settings = selection.settings
        self.clock = SystemClock()
        self.configured = time.monotonic()
        self.started_at = self.clock.now()
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.is_worker = worker is not None
        self.run_id = worker["ops_run_id"] if worker else new_run_id(self.started_at)
        self.replayed: Recorded | None = open_recorded(Path(config.option.replay)) if config.option.replay else None
        self.targets = {t.name: t for t in (self.replayed.targets if self.replayed else self.settings.targets)}
        self.control = self._read_control()
        self.engine: Any = None
        self.journal: Any = None
        self.answers: dict[str, EvidenceRecord] = {}
        self.plain_records: dict[str, dict[str, Any]] = {}
        self.judgements: dict[tuple[str, str], Judgement] = {}
        self.interrupted = ""
        self.observation: Observation | None = None
        self.progress_shown = False
        self.suite = self._suite_name()
        self.record_path = self._record_path()
        self._configure()

    # -- setting up ----------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        config, option = self.config, self.config.option
        config.stash[OBSERVER] = self
        config.addinivalue_line("python_files", "check_*.py")
        config.addinivalue_line("markers", f"{collection.TARGET_MARK}(name): the target a check is about; set by us")
        for suite in self.selection.suites:
            config.addinivalue_line("markers", f"{suite}: the checks of the suite {suite!r}")
        if not (option.json_report or option.collectonly):
            option.json_report = True
            # Kept out of the record: what nobody reads and a thousand targets would make large.
            option.json_report_omit = [*option.json_report_omit, "collectors", "keywords", "streams"]
            option.json_report_file = str(self.record_path)
            option.json_report_verbosity = -1
        elif option.json_report and config.option.json_report_file:
            self.record_path = Path(config.invocation_params.dir, option.json_report_file)
        if option.tbstyle == "auto":
            # Each failure is told as expected / seen / where below; a traceback into a check tells nobody more.
            option.tbstyle = "no"
            option.reportchars = "" if option.reportchars == "fE" else option.reportchars

    def register_probes(self) -> None:
        """Make the shipped probes and the `target` fixture known to pytest."""
        import importlib

        from ops_core.pytest_plugin import fixtures

        for name in SHIPPED_PROBES:
            module = importlib.import_module(f"ops_core.probes.{name}")
            self.config.pluginmanager.register(module, f"runbook-probe-{name}")
        self.config.pluginmanager.register(fixtures, "runbook-fixtures")

    def _suite_name(self) -> str:
        words = str(self.config.option.markexpr or "").split()
        named = [suite for suite in self.selection.suites if suite in words]
        if not named:
            paths = [Path(os.path.normpath(Path(self.config.invocation_params.dir, a.split("::")[0]))) for a in self.config.args]
            named = sorted({s for s in map(self.selection.suite_of, paths) if s and s != "checks"})
        return "-".join(named) or "checks"

    def _record_path(self) -> Path:
        if self.config.option.ops_record:
            return Path(self.config.invocation_params.dir, self.config.option.ops_record)
        kind = "replay" if self.replayed else self.suite
        return self.settings.reports_dir / kind / f"{self.run_id}.json"

    def _read_control(self) -> ControlEvidence:
        if self.replayed:
            part = self.replayed.part
            gate, stopped = str(part.get("gate", "unknown")), bool(part.get("stopped", True))
            return ControlEvidence(store="", stopped=stopped, stop_reason=str(part.get("stop_reason", "")), gate=gate)
        from ops_core.control.reading import read_control

        return read_control(self.settings.control_store, self.clock.now())

    # -- collecting ----------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        names = list(self.targets)
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        mode = "replay of " + str(self.replayed.path) if self.replayed else f"gate {self.control.gate}"
        if not self.replayed:
            stop = self.control.problem or self.control.stop_reason
            mode += f", emergency stop {'ENGAGED: ' + stop if self.control.stopped else 'released'}"
        return [
            f"runbook: profile {self.settings.profile}, {mode}",
            f"targets: {shown} (within {self.settings.budgets.total_s:g} s)",
        ]

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
        if collection.is_check_file(module_path) and self.selection.suite_of(module_path) is not None:
            return collection.CheckModule.from_parent(parent, path=module_path)
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        collection.parametrize(metafunc, list(self.targets.values()))

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        suite = self.selection.suite_of(item.path)
        if suite is not None:
            if suite in self.selection.suites:
                item.add_marker(suite)
            item.add_marker(pytest.mark.timeout(CHECK_TIMEOUT_S, func_only=True, method="signal"))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        checks = [item for item in items if self.selection.suite_of(item.path) is not None]
        nameless = collection.without_finding(checks)
        if nameless:
            raise pytest.UsageError(
                "every check says which finding it raises\n  where    "
                + "\n           ".join(nameless)
                + '\n  next     decorate it with @finding("subject.state")'
            )
        only = set(self.config.option.ops_only)
        if only:
            unknown = only - {item.nodeid for item in items}
            if unknown:
                raise pytest.UsageError(f"--ops-only names a check that there is not: {sorted(unknown)[0]}")
            self.config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in only])
            items[:] = [item for item in items if item.nodeid in only]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.config.option.collectonly or not session.items:
            return
        pairs: dict[str, Any] = {}
        for item in session.items:
            own = collection.pairs_of(item, self.targets, self.settings.budgets)
            item.stash[EVIDENCE_IDS] = tuple(pair.id for pair in own)
            pairs.update((pair.id, pair) for pair in own)
        if self.replayed:
            try:
                recorded = self.replayed.records()
            except OpsError as error:
                raise pytest.UsageError(str(error)) from None
            for one, pair in pairs.items():
                target = pair.target.name if pair.target else None
                missing = not_recorded(pair.definition.name, target, self.replayed.path)
                self.answers[one] = recorded.get(one, missing)
        else:
            self._start(list(pairs.values()))

    def _start(self, pairs: list[Any]) -> None:
        from ops_core.observation.engine import Engine
        from ops_core.observation.journal import Journal
        from ops_core.probes.instruments.transport import TlsContexts
        from ops_core.pytest_plugin.process import open_file_limit

        settings = self.settings
        head = {"run_id": self.run_id, "profile": settings.profile, "started_at": isoformat(self.started_at)}
        try:
            self.journal = Journal(
                self.record_path.with_suffix(".journal.jsonl"), None if self.is_worker else {**head, "pairs": len(pairs)}
            )
        except OSError as error:
            self._warn(f"the journal cannot be written: {error}")
        redact = Redactor(known_secrets(settings).values())
        tls = TlsContexts(settings.ca_file)
        files = open_file_limit()

        def lookout_for(now: Any) -> Lookout:
            return Lookout(
                settings=settings,
                redact=redact,
                tls=tls,
                now=now,
                read_control=self._read_control,
                read_last_good=self._read_last_good,
            )

        used_s = time.monotonic() - self.configured
        self.engine = Engine(
            pairs,
            lookout_for=lookout_for,
            total_s=max(0.1, settings.budgets.total_s - used_s),
            in_flight_max=max(8, min(settings.budgets.in_flight_max, (files - 64) // 2)),
            sink=self.journal.evidence if self.journal else lambda _: None,
        )
        self.engine.start()

    def _read_last_good(self, target: str) -> LastGood:
        from ops_core.control.reading import read_last_good

        release, config = read_last_good(self.settings.control_store, target)
        return LastGood(release=release.name if release else None, config=config.name if config else None)

    # -- running -------------------------------------------------------------------------------------------------

    def pytest_sessionstart(self) -> None:
        if self.is_worker or threading.current_thread() is not threading.main_thread():
            return

        def on_sigterm(_signum: int, _frame: object) -> None:
            self.interrupted = "ended by SIGTERM"
            # Raised in the main thread: pytest ends the session in order and the record is written.
            raise KeyboardInterrupt(self.interrupted)

        signal.signal(signal.SIGTERM, on_sigterm)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Wait for the evidence here, outside of pytest's capturing, so that progress can be shown."""
        if self.engine is not None and (ids := item.stash.get(EVIDENCE_IDS, ())):
            self.engine.wait(ids, tick=self._progress)
        self._end_progress()
        return (yield)

    def evidence_of(self, definition: ProbeDefinition, target: str | None) -> EvidenceRecord:
        """The record of a pair (see `ops_core.probes.registry.Observer`)."""
        one = evidence_id(definition.name, target)
        if self.engine is not None:
            record: EvidenceRecord = self.engine.record(one)
            if record.attempts > 1 and record.seen:
                import warnings

                warnings.warn(RetriedWarning(f"{one}: seen good only at attempt {record.attempts}"), stacklevel=2)
            return record
        return self.answers[one]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        suite = self.selection.suite_of(item.path)
        judgement = judging.judge(item, call, report, suite) if suite is not None else None
        if judgement is None:
            return report
        ids = item.stash.get(EVIDENCE_IDS, ())
        records = [record for one in ids if (record := self._answer(one)) is not None]
        judgement = dataclasses.replace(
            judgement, evidence=ids, retried=any(record.attempts > 1 and record.seen for record in records)
        )
        data: dict[str, Any] = {"judgement": json_safe(dataclasses.asdict(judgement))}
        if self.is_worker:
            data["records"] = [json_safe(dataclasses.asdict(record)) for record in records]
        report.runbook = data  # type: ignore[attr-defined]  # an extra attribute travels with the report, xdist included
        report.user_properties += [
            ("finding", judgement.finding or ""),
            ("target", judgement.target or ""),
            ("judged", str(judgement.judged)),
            ("evidence", " ".join(ids)),
        ]
        return report

    def _answer(self, one: str) -> EvidenceRecord | None:
        if self.engine is not None:
            return next((record for record in self.engine.records_of([one])), None)
        return self.answers.get(one)

    def pytest_json_runtest_metadata(self, item: pytest.Item) -> dict[str, Any]:
        """What a check stands for, in its entry of the JSON report."""
        if self.selection.suite_of(item.path) is None:
            return {}
        return {
            KEY: {
                "finding": collection.finding_of(item),
                "target": collection.target_of(item),
                "evidence": list(item.stash.get(EVIDENCE_IDS, ())),
            }
        }

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        data = getattr(report, "runbook", None)
        if data and report.when == "call" and data["judgement"]["judged"] == Judged.UNKNOWN:
            return "error", "E", "ERROR"
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "runbook", None)
        if not data or self.is_worker:
            return
        raw = data["judgement"]
        values = {**raw, "judged": Judged(raw["judged"]), "evidence": tuple(raw["evidence"])}
        self.judgements[report.nodeid, ""] = Judgement(**values)
        for record in data.get("records", ()):
            self.plain_records[record["id"]] = record

    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which run it belongs to."""
        node.workerinput["ops_run_id"] = self.run_id

    pytest_configure_node = pytest.hookimpl(optionalhook=True)(pytest_configure_node)
    pytest_json_runtest_metadata = pytest.hookimpl(optionalhook=True)(pytest_json_runtest_metadata)

    def pytest_keyboard_interrupt(self) -> None:
        self.interrupted = self.interrupted or "interrupted from the keyboard"

    # -- ending --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        self._end_progress()
        if self.engine is not None:
            self.engine.stop(self.interrupted or "the run ended before it was looked at")
        if session.exitstatus == pytest.ExitCode.OK and not self._judged() and not self.config.option.collectonly:
            # Green on nothing is a defect.
            if not self.is_worker:
                session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        result = yield
        if not self.is_worker and not self.config.option.collectonly:
            self._finish()
        from ops_core.pytest_plugin.process import end_process_in_time

        end_process_in_time(int(session.exitstatus))
        return result

    def _judged(self) -> bool:
        return any(j.judged is not Judged.SKIPPED for j in self.judgements.values())

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Add our part to the report before json-report saves it."""
        self.observation = self._observe()
        json_report[KEY] = to_plain(self.observation)
        if self.plain_records:
            json_report[KEY]["evidence"] = list(self.plain_records.values())

    def _observe(self) -> Observation:
        now = self.clock.now()
        judgements = tuple(self.judgements.values())
        records = self.engine.records() if self.engine is not None else list(self.answers.values())
        return Observation(
            run_id=self.run_id,
            suite=self.suite,
            profile=str(self.replayed.part.get("profile")) if self.replayed else self.settings.profile,
            drill=self.settings.drill,
            gate=self.control.gate,
            stopped=self.control.stopped,
            stop_reason=self.control.problem or self.control.stop_reason,
            started_at=isoformat(self.started_at),
            finished_at=isoformat(now),
            total_s=self.settings.budgets.total_s,
            used_s=round(time.monotonic() - self.configured, 3),
            interrupted=self.interrupted,
            replayed_from=str(self.replayed.part.get("run_id", "")) if self.replayed else "",
            targets=tuple(describe_target(target) for target in self.targets.values()),
            evidence=tuple(records),
            judgements=judgements,
            verdict=self._verdict(judgements),
        )

    def _verdict(self, judgements: tuple[Judgement, ...]) -> Verdict:
        verdict = verdict_of(j.judged for j in judgements)
        # A run that was cut short has not seen everything it was asked to see.
        return Verdict.UNKNOWN if verdict is Verdict.HEALTHY and self.interrupted else verdict

    def _finish(self) -> None:
        from ops_core.pytest_plugin import ending

        if self.journal is not None:
            try:
                self.journal.end(self.interrupted or "complete")
            except OSError as error:
                self._warn(f"the journal could not be completed: {error}")
        if self.observation is not None:
            ending.finish(self, self.observation)

    # -- telling -------------------------------------------------------------------------------------------------

    def _terminal(self) -> Any:
        return self.config.pluginmanager.getplugin("terminalreporter")

    def _warn(self, text: str) -> None:
        print(f"runbook: {text}", file=sys.stderr)  # noqa: T201  # there is no other place left to say it

    def _progress(self) -> None:
        """A line that says what we wait for; only on a terminal, only after a second."""
        elapsed_s = time.monotonic() - self.engine.started
        if elapsed_s < PROGRESS_AFTER_S or self.is_worker or not sys.__stderr__ or not sys.__stderr__.isatty():
            return
        done, of = self.engine.progress()
        # Behind what pytest has written on this line, with the cursor put back: it goes on as if nothing had been there.
        line = f"{done} of {of} seen, {elapsed_s:.0f} of {self.engine.total_s:.0f} s"
        sys.__stderr__.write(f"\x1b7\x1b[K  {line}\x1b8")
        sys.__stderr__.flush()
        self.progress_shown = True

    def _end_progress(self) -> None:
        if self.progress_shown and sys.__stderr__:
            sys.__stderr__.write("\x1b[K")
            sys.__stderr__.flush()
            self.progress_shown = False


class RetriedWarning(pytest.PytestWarning):
    """Something was seen good only after a retry."""
