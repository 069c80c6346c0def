"""The hooks of an operational run, in the order in which pytest calls them.

They start the probes when collection has ended, give each check its evidence, turn outcomes into judgements, and put
both into the record. With pytest-xdist each worker looks for the checks it collected and sends evidence and judgements
along with its test reports; the controller records.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from ops_core.clock import SystemClock, isoformat, new_run_id
from ops_core.errors import OpsError, UsageError
from ops_core.observation.look import Pair
from ops_core.observation.record import KEY, Observation
from ops_core.probes import SHIPPED_PROBES
from ops_core.probes.registry import OBSERVER
from ops_core.pytest_plugin import collection, handing_in, judging
from ops_core.pytest_plugin.judgements import Judgements
from ops_core.pytest_plugin.limits import CheckLimits
from ops_core.pytest_plugin.looking import Looking
from ops_core.pytest_plugin.net import Net
from ops_core.pytest_plugin.process import StopSignals, end_process_in_time
from ops_core.pytest_plugin.recording import observation_of, part_of_report
from ops_core.pytest_plugin.selection import CHECKS, Selection

# What pytest-json-report calls its file when nobody names one.
NO_REPORT_NAMED = ".report.json"
EVIDENCE_IDS: pytest.StashKey[tuple[str, ...]] = pytest.StashKey()


def evidence_ids(item: pytest.Item) -> tuple[str, ...]:
    """The ids of the evidence that an item judges."""
    none: tuple[str, ...] = ()
    return item.stash.get(EVIDENCE_IDS, none)


class RunbookSession:
    """Registered with pytest only when the run is operational.

    Raises:
        RecordError: the report to replay cannot be read.
    """

    def __init__(self, config: pytest.Config, selection: Selection) -> None:
        self.config = config
        self.selection = selection
        self.settings = selection.settings
        self.clock = SystemClock()
        self.started_at = self.clock.now()
        self.invoked_from = Path(config.invocation_params.dir)
        replay = config.option.replay
        self.looking = Looking(self.settings, self.invoked_from / replay if replay else None, self.clock)
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.is_worker = worker is not None
        self.run_id: str = worker["ops_run_id"] if worker else new_run_id(self.started_at)
        self.suite = self._suite_name()
        self.record_path = self._record_path()
        self.judgements = Judgements(selection.suite_of, config.rootpath)
        self.selected: dict[str, str | None] = {}
        self.whole_suite = self._names_folders_only()
        self.interrupted = ""
        self.collected = False
        self.finishing = False
        self.judged: int | None = None
        self.status: int | None = None
        self.signals = StopSignals(self._on_stop_signal)
        self.observation: Observation | None = None
        deadline = self.looking.configured + self.settings.budgets.total_s
        self.limits = CheckLimits(config, deadline)
        self.net = Net(deadline, self._stalled)
        self._configure()

    # -- setting up ----------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        config, option = self.config, self.config.option
        if not hasattr(option, "json_report"):
            raise UsageError(
                "an operational run needs the plugin pytest-json-report", next_step="leave out the -p no:…"
            )
        config.stash[OBSERVER] = self.looking
        config.addinivalue_line("python_files", "check_*.py")
        config.addinivalue_line("markers", f"{collection.TARGET_MARK}(name): the target a check is about; set by us")
        for suite in self.selection.suites:
            config.addinivalue_line("markers", f"{suite}: the checks of the suite {suite!r}")
        if option.json_report:
            # The user wants the report in a place of their own; our part goes there with it.
            if option.json_report_file:
                self.record_path = self.invoked_from / option.json_report_file
        elif not self.shows_only:
            option.json_report = True
            # Kept out of the record: what nobody reads and a thousand targets would make large.
            option.json_report_omit = [*option.json_report_omit, "collectors", "keywords", "streams"]
            if option.json_report_file in {"", NO_REPORT_NAMED} or option.ops_record:
                option.json_report_file = str(self.record_path)
            self.record_path = self.invoked_from / option.json_report_file
            option.json_report_verbosity = -1
        # One file of checks that cannot be read must not keep us from looking at everything else.
        option.continue_on_collection_errors = True
        if not hasattr(option, "tbstyle"):
            # Without the terminal plugin its options do not exist, and pytest-json-report asks for this one.
            option.tbstyle = "no"
        if option.tbstyle == "auto":
            # Each failure is told as expected / seen / where; a traceback into a check tells nobody more.
            option.tbstyle = "no"
            option.reportchars = "" if option.reportchars == "fE" else option.reportchars

    @property
    def shows_only(self) -> bool:
        """Whether pytest only shows what there is: then nothing is looked at."""
        names = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan", "cacheshow")
        return any(getattr(self.config.option, name, None) for name in names)

    def register_probes(self) -> None:
        """Make the shipped probes and the `target` fixture known to pytest."""
        from ops_core.pytest_plugin import fixtures

        for name in SHIPPED_PROBES:
            module = importlib.import_module(f"ops_core.probes.{name}")
            self.config.pluginmanager.register(module, f"runbook-probe-{name}")
        self.config.pluginmanager.register(fixtures, "runbook-fixtures")

    def _suite_name(self) -> str:
        words = str(self.config.option.markexpr or "").split()
        named = [suite for suite in self.selection.suites if suite in words]
        if not named:
            paths = [Path(os.path.normpath(self.invoked_from / arg.split("::")[0])) for arg in self.config.args]
            # A path below the suite's folder is in the suite, and so is the folder itself.
            below = [path / "any" if path.is_dir() else path for path in paths]
            named = sorted({s for s in map(self.selection.suite_of, below) if s and s != CHECKS})
        return "-".join(named) or CHECKS

    def _names_folders_only(self) -> bool:
        """Whether no single file or check was named, which would leave out others of its suite."""
        return all((self.invoked_from / arg).is_dir() for arg in self.config.args)

    def _record_path(self) -> Path:
        if self.config.option.ops_record:
            return self.invoked_from / str(self.config.option.ops_record)
        kind = "replay" if self.looking.recorded else self.suite
        return self.settings.reports_dir / kind / f"{self.run_id}.json"

    # -- collecting ----------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        names = list(self.looking.targets)
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        control = self.looking.control
        stop = f"ENGAGED: {control.problem or control.stop_reason}" if control.stopped else "released"
        mode = f"gate {control.gate}, emergency stop {stop}"
        if self.looking.recorded:
            mode = f"replay of {self.looking.recorded.path}"
        return [
            f"runbook: profile {self.settings.profile}, {mode}",
            f"targets: {shown} (within {self.settings.budgets.total_s:g} s)",
        ]

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
        if collection.is_check_file(module_path) and self.selection.suite_of(module_path) is not None:
            return collection.CheckModule.from_parent(parent, path=module_path)
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        seat = self.selection.seat_of(metafunc.definition.path)
        collection.parametrize(metafunc, list(self.looking.targets.values()), seat)

    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> pytest.Class | None:
        return collection.make_group(collector, name, obj)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        suite = self.selection.suite_of(item.path)
        if suite is not None:
            if suite in self.selection.suites:
                item.add_marker(suite)
            self.limits.collected(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.net.beat()
        if report.failed:
            self.whole_suite = False
            self.judgements.take(report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """The last word on what is asked: whoever refuses the run before or here keeps it from looking."""
        result = yield
        nameless = collection.without_finding([i for i in items if self.selection.suite_of(i.path) is not None])
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
                raise pytest.UsageError(f"--ops-only names a check that there is not: {min(unknown)}")
            self.config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in only])
            items[:] = [item for item in items if item.nodeid in only]
        self.collected = True
        return result

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        if any(self.selection.suite_of(item.path) == self.suite for item in items):
            self.whole_suite = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.collected and not self.shows_only:
            self.judgements.expect(session.items)
        self.selected = {item.nodeid: collection.target_of(item) for item in session.items}
        # pytest calls this also when collecting has failed or was interrupted.
        if self.shows_only or not session.items or not self.collected:
            return
        pairs = self._pairs(session.items)
        head = {"run_id": self.run_id, "profile": self.settings.profile, "started_at": isoformat(self.started_at)}
        try:
            self.looking.start(
                list(pairs.values()),
                journal=self.record_path.with_suffix(".journal.jsonl"),
                head=head,
            )
        except OpsError as error:
            raise pytest.UsageError(str(error)) from None
        self.net.arm_hard(self.record_path.with_suffix(f".hang{os.getpid()}.txt"))

    def _pairs(self, items: list[pytest.Item]) -> dict[str, Pair]:
        pairs: dict[str, Pair] = {}
        for item in items:
            seat = self.selection.seat_of(item.path)
            own = collection.pairs_of(item, self.looking.targets, self.settings.budgets, seat)
            item.stash[EVIDENCE_IDS] = tuple(pair.id for pair in own)
            for pair in own:
                before = pairs.setdefault(pair.id, pair).definition
                if before is not pair.definition:
                    raise pytest.UsageError(collection.two_of_a_name(before, pair.definition))
        return pairs

    # -- running -------------------------------------------------------------------------------------------------

    def pytest_sessionstart(self) -> None:
        self.net.start()
        if self.is_worker or threading.current_thread() is not threading.main_thread():
            return
        self.signals.listen()

    def _on_stop_signal(self, name: str) -> None:
        if not self.finishing:
            self.interrupted = f"ended by {name}"
            # Raised in the main thread: pytest ends the session in order and the record is written.
            raise KeyboardInterrupt(self.interrupted)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        said = str(getattr(excinfo.value, "msg", "") or excinfo.value)
        self.interrupted = self.interrupted or said or "interrupted from the keyboard"

    def pytest_enter_pdb(self) -> None:
        self.net.take_away()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Wait for the evidence here, outside of pytest's capturing, so that progress can be shown."""
        self.looking.wait(evidence_ids(item), show=not self.is_worker)
        self.net.beat()
        result = yield
        if self.selection.suite_of(item.path) is not None:
            self.limits.about_to_run(item)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        suite = self.selection.suite_of(item.path)
        if suite is None:
            return report
        handing_in.redact_report(report, self.looking.redact)
        judgement = judging.judge(item, call, report, suite)
        if judgement is None:
            return report
        if judgement.seen == judging.HUNG:
            self.limits.hung(item)
        ids = evidence_ids(item)
        records = self.looking.records(ids)
        retried = [record for record in records if record.attempts > 1 and record.seen]
        seen = self.looking.redact.text(judgement.seen)
        judgement = dataclasses.replace(judgement, evidence=ids, retried=bool(retried), seen=seen)
        handing_in.attach(report, item, judgement, records if self.is_worker else ())
        self.looking.tell_retried(retried, item)
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_runtest_metadata(self, item: pytest.Item) -> dict[str, Any]:
        """What a check stands for, in its entry of the JSON report."""
        if self.selection.suite_of(item.path) is None:
            return {}
        found = {"finding": collection.finding_of(item), "target": collection.target_of(item)}
        return {KEY: {**found, "evidence": list(evidence_ids(item))}}

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        return handing_in.status_of(report, alone=not self.config.pluginmanager.hasplugin("terminal"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.net.beat()
        if not self.is_worker:
            self.judgements.take(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which run it belongs to."""
        node.workerinput["ops_run_id"] = self.run_id

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """What a worker is going to judge, so that nothing gets lost with a worker."""
        self.judgements.expect_remote(ids)

    # -- ending --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Stop looking before the report is made; say the verdict after pytest has said its own."""
        self.finishing = True
        self.net.ending()
        self._complete(str(session.shouldfail or session.shouldstop or ""))
        recording = not self.is_worker and not self.shows_only
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
            # Nothing was looked at: there is no record to make, and the latest one stays the latest.
            self.config.option.json_report_file = None
            recording = False
        if recording and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = self.judgements.exit_status()
        if recording and not self.interrupted:
            self.judged = int(session.exitstatus)
        result = yield
        if recording and self.observation is not None:
            from ops_core.pytest_plugin.ending import finish

            finish(self, self.observation)
        self.status = int(session.exitstatus)
        end_process_in_time(lambda: int(session.exitstatus))
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self) -> Generator[None, object, object]:
        """Watch until all others are done."""
        try:
            return (yield)
        finally:
            self.net.take_away()
            self.signals.release()

    def _complete(self, why_early: str = "") -> None:
        """Stop looking; whatever was selected has a judgement in the end."""
        if self.judgements.missing and not self.is_worker:
            self.interrupted = self.interrupted or why_early or "the run ended early"
        self.looking.stop(self.interrupted or "the run ended before it was looked at")
        if not self.is_worker:
            self.judgements.complete(self.interrupted, self.looking.redact.text)

    def _stalled(self, where: str) -> None:
        """The main thread hangs: end the run from here. Called in a thread of the net."""
        from ops_core.pytest_plugin.recording import finish_from_outside

        status = int(pytest.ExitCode.INTERRUPTED)
        try:
            if self.status is not None:
                # All is said and done: something hangs while pytest takes itself apart.
                status = self.status
            elif self.judged is not None:
                # Everything was judged: what hangs is somebody else's tidying up, and it changes no judgement.
                status = self.judged
                finish_from_outside(self, status)
            elif not (self.is_worker or self.shows_only):
                hanging = next(iter(self.judgements.missing), "pytest itself")
                self.interrupted = self.interrupted or f"the run hung in {hanging} ({where})"
                self._complete()
                finish_from_outside(self, status)
        finally:
            os._exit(status)

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Add our part to the report before json-report saves it."""
        self.observation = observation_of(self)
        for key, value in json_report.items():
            json_report[key] = self.looking.redact.value(value)
        json_report[KEY] = part_of_report(self, self.observation)
