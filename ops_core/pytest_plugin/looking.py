"""Where the evidence of a run comes from: from looking now, or from a recording. Checks cannot tell which."""

from __future__ import annotations

import functools
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops_core.clock import Clock
from ops_core.config import Settings, known_secrets
from ops_core.evidence import ControlEvidence, Evidence, EvidenceRecord, evidence_id
from ops_core.observation.replay import Recorded, not_recorded, open_recorded
from ops_core.probes.instruments.context import LastGood, Lookout
from ops_core.probes.instruments.redact import Redactor
from ops_core.probes.registry import NotSeen, ProbeDefinition
from ops_core.targets import Target

if TYPE_CHECKING:
    from ops_core.observation.engine import Engine
    from ops_core.observation.journal import Journal
    from ops_core.observation.look import Pair

PROGRESS_AFTER_S = 1.0
LEAST_S = 0.1
OWN_FILES = 64


class RetriedWarning(pytest.PytestWarning):
    """Something was seen only after a retry."""


class Looking:
    """Hands out the evidence of one run.

    Args:
        settings: what is looked at.
        replay: the report to take evidence from instead of looking.
        clock: tells the time.

    Raises:
        RecordError: the report to replay cannot be read.
    """

    def __init__(self, settings: Settings, replay: Path | None, clock: Clock) -> None:
        self.settings = settings
        self.configured = time.monotonic()
        self.recorded: Recorded | None = open_recorded(replay) if replay is not None else None
        found = self.recorded.targets if self.recorded else settings.targets
        self.targets: dict[str, Target] = {target.name: target for target in found}
        self._clock = clock
        self.control = self._read_control()
        self._engine: Engine | None = None
        self._journal: Journal | None = None
        self._replayed: dict[str, EvidenceRecord] = {}
        self._told_retried: set[str] = set()
        self._progress_shown = False
        self.problems: list[str] = []

    @functools.cached_property
    def redact(self) -> Redactor:
        """Hides the values of all secrets of the profile."""
        return Redactor(known_secrets(self.settings).values())

    @property
    def used_s(self) -> float:
        """Seconds since the run was configured."""
        return round(time.monotonic() - self.configured, 3)

    def start(self, pairs: Sequence[Pair], *, journal: Path, head: dict[str, Any]) -> None:
        """Start looking for all pairs, or look them up in the recording.

        Args:
            pairs: what the selected checks judge.
            journal: where evidence is noted as it arrives.
            head: the journal's first line.

        Raises:
            RecordError: the recording is damaged.
        """
        if self.recorded is not None:
            recorded = self.recorded.records()
            for pair in pairs:
                missing = not_recorded(
                    pair.definition.name, pair.target.name if pair.target else None, self.recorded.path
                )
                self._replayed[pair.id] = recorded.get(pair.id, missing)
            return
        from ops_core.observation.engine import Engine
        from ops_core.observation.journal import Journal
        from ops_core.pytest_plugin.process import open_file_limit

        try:
            self._journal = Journal(journal, {**head, "pairs": len(pairs)})
        except OSError as error:
            self.problems.append(f"the journal cannot be written: {error}")
        self._engine = Engine(
            pairs,
            lookout_for=self._lookouts(),
            total_s=max(LEAST_S, self.settings.budgets.total_s - self.used_s),
            in_flight_max=max(8, min(self.settings.budgets.in_flight_max, (open_file_limit() - OWN_FILES) // 2)),
            sink=self._journal.evidence if self._journal else lambda _: None,
        )
        self._engine.start()

    def wait(self, ids: Sequence[str], *, show: bool) -> None:
        """Wait until all of `ids` are answered; on a terminal, with a line that says so after a second."""
        if self._engine is not None:
            self._engine.wait(ids, tick=self._progress if show else None)
        self.end_progress()

    def evidence_of(self, definition: ProbeDefinition, target: str | None) -> EvidenceRecord:
        """The record of a pair, waiting for it if need be."""
        one = evidence_id(definition.name, target)
        known = self._engine.ids if self._engine is not None else self._replayed
        if one not in known:
            raise NotSeen(f"the probe {definition.name!r} must be an argument of the check, not asked for by name")
        return self._engine.record(one) if self._engine is not None else self._replayed[one]

    def records(self, ids: Sequence[str] | None = None) -> list[EvidenceRecord]:
        """All answers there are, or those for `ids`, without waiting."""
        if self._engine is not None:
            return self._engine.records() if ids is None else self._engine.records_of(ids)
        return [record for one, record in self._replayed.items() if ids is None or one in ids]

    def tell_retried(self, records: Sequence[EvidenceRecord], item: pytest.Item) -> None:
        """Warn, once, of evidence that needed a retry. Not by `warnings`: where those are errors nothing may break."""
        for record in records:
            if record.id in self._told_retried:
                continue
            self._told_retried.add(record.id)
            text = f"{record.id}: answered at attempt {record.attempts}"
            told = warnings.WarningMessage(RetriedWarning(text), RetriedWarning, str(item.path), 0)
            details = {"warning_message": told, "when": "runtest", "nodeid": item.nodeid, "location": None}
            item.config.hook.pytest_warning_recorded.call_historic(kwargs=details)

    def stop(self, reason: str) -> None:
        """End looking: what is unanswered is answered with `reason`."""
        self.end_progress()
        if self._engine is not None:
            self._engine.stop(reason)
            if self._engine.sink_problem:
                self.problems.append(f"the journal is incomplete: {self._engine.sink_problem}")
        if self._journal is not None:
            try:
                self._journal.end(reason)
            except OSError as error:
                self.problems.append(f"the journal could not be completed: {error}")

    def end_progress(self) -> None:
        """Take the progress line away."""
        if self._progress_shown and sys.__stderr__:
            sys.__stderr__.write("\x1b[K")
            sys.__stderr__.flush()
            self._progress_shown = False

    def _progress(self) -> None:
        engine = self._engine
        if engine is None or sys.__stderr__ is None or not sys.__stderr__.isatty():
            return
        elapsed_s = time.monotonic() - engine.started
        if elapsed_s < PROGRESS_AFTER_S:
            return
        done, of = engine.progress()
        # Behind what pytest has written on this line, with the cursor put back: it goes on as if nothing were there.
        line = f"{done} of {of} seen, {elapsed_s:.0f} of {engine.total_s:.0f} s"
        sys.__stderr__.write(f"\x1b7\x1b[K  {line}\x1b8")
        sys.__stderr__.flush()
        self._progress_shown = True

    def _lookouts(self) -> Callable[[Callable[[], float]], Lookout]:
        from ops_core.probes.instruments.transport import TlsContexts

        tls = TlsContexts(self.settings.ca_file)

        def lookout_for(now: Callable[[], float]) -> Lookout:
            return Lookout(
                settings=self.settings,
                redact=self.redact,
                tls=tls,
                now=now,
                read_control=self._read_control,
                read_last_good=self._read_last_good,
                read_operations=self._read_operations,
            )

        return lookout_for

    def _read_control(self) -> ControlEvidence:
        if self.recorded is not None:
            part = self.recorded.part
            return ControlEvidence(
                store="",
                stopped=bool(part.get("stopped", True)),
                stop_reason=str(part.get("stop_reason", "")),
                gate=str(part.get("gate", "UNKNOWN")),
            )
        from ops_core.control.reading import read_control_of

        return read_control_of(self.settings, self._clock.now())

    def _read_last_good(self, target: str) -> LastGood:
        from ops_core.control.location import location_of
        from ops_core.control.reading import read_last_good

        found = read_last_good(location_of(self.settings), target, ("release", "config", "schema", "image"))
        release, config, schema, image = found
        return LastGood(
            release=release.name if release else None,
            config=config.name if config else None,
            schema=schema.name if schema else None,
            image=image.digest if image else None,
        )

    def _read_operations(self, what: str) -> Evidence:
        from ops_core.pytest_plugin.operations import read

        return read(what, self.settings, self._clock)
