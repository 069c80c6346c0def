"""Applies the steps of a plan, each at most once: arm, then act, then record.

A step is armed in a transaction that asks the guard once more; from then on it counts as begun, whatever happens to us.
Whoever finds it armed looks at its outcome: there, so it is done; provably never begun, so it may be armed once more;
anything else is for a person. A step whose outcome is there already is not run at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ops_core.clock import Clock
from ops_core.remediation.child import Ended, run_child
from ops_core.remediation.guard import GuardRefused
from ops_core.remediation.plan import CommandSays, Step
from ops_core.remediation.probing import Answer, Mark, Seen, look, never_begun

PAUSE_S = 0.05
DETAIL_MAX_CHARS = 400
CANNOT_TELL_S = 10.0
NEVER_BEGUN = "interrupted before it had any effect"


class StepState(StrEnum):
    """What is recorded about a step."""

    PLANNED = "planned"
    ARMED = "armed"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Result(StrEnum):
    """How applying ended."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A step as the ledger has it. `mark` is what the world looked like when it was last armed."""

    state: StepState
    mark: Mark


class Ledger(Protocol):
    """Where steps are recorded: durable before anything is done, and changed only from the state it was believed in."""

    def recorded(self, index: int) -> Recorded:
        """What is recorded about a step."""

    def arm(self, index: int, *, mark: Mark, again: str) -> None:
        """Record that a step is begun now, if the guard permits it.

        Args:
            index: which.
            mark: what the world looks like just before.
            again: empty the first time; then why it may be begun once more.

        Raises:
            GuardRefused: acting is not permitted now; nothing was changed.
            StoreConflict: the step is not in the state that it was believed to be in.
        """

    def finish(self, index: int, state: StepState, *, detail: str, elapsed_s: float | None) -> None:
        """Record what became of a step."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """How far it got. `step` counts from 1 and names the step that it ended at; 0 where all are done."""

    result: Result
    step: int = 0
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs steps and looks at outcomes.

    Attributes:
        clock: tells the time and sleeps.
        folder: where commands are run.
        must_end: asked while a step runs; a text is the reason to kill it.
        redact: takes secrets out of what a command prints.
        environ: the environment of commands, with the mark by which an emergency stop finds them; ours by default.
        hold: a descriptor that lives as long as any step does, such as that of the lock on the incident.
        say: told what happens, a line at a time.
    """

    clock: Clock
    folder: Path
    must_end: Callable[[], str]
    redact: Callable[[str], str]
    environ: Mapping[str, str] | None = None
    hold: int | None = None
    say: Callable[[str], None] = lambda _line: None

    def apply(self, steps: Sequence[Step], ledger: Ledger) -> Applied:
        """Bring every step to its end, beginning with the first that is not done.

        Raises:
            StoreUnusable: what happens cannot be recorded. A step that is armed by then stays armed.
        """
        for index, step in enumerate(steps):
            try:
                found = self._bring_to_an_end(index, step, ledger)
            except GuardRefused as refusal:
                self.say(f"refused: {refusal.what}")
                return Applied(result=Result.REFUSED, step=index + 1, reason=refusal.what, code=refusal.code)
            if found.result is not Result.DONE:
                return found
        return Applied(result=Result.DONE)

    def settle(self, steps: Sequence[Step], ledger: Ledger) -> None:
        """Look what became of a step that was found armed, and begin nothing."""
        for index, step in enumerate(steps):
            recorded = ledger.recorded(index)
            if recorded.state is StepState.ARMED:
                seen = self._wait(step, self._deadline(step))
                state = StepState.DONE if seen.answer is Answer.HOLDS else StepState.UNKNOWN
                ledger.finish(index, state, detail=f"found after an interruption: {seen.detail}", elapsed_s=None)

    def _bring_to_an_end(self, index: int, step: Step, ledger: Ledger) -> Applied:
        recorded = ledger.recorded(index)
        if recorded.state is StepState.DONE:
            return Applied(result=Result.DONE)
        if recorded.state is StepState.FAILED:
            return Applied(result=Result.FAILED, step=index + 1, reason=f"{step.name}: failed before")
        if recorded.state is StepState.UNKNOWN:
            return Applied(result=Result.UNKNOWN, step=index + 1, reason=f"{step.name}: its outcome is not known")
        if recorded.state is StepState.ARMED:
            return self._resume(index, step, ledger, recorded.mark)
        seen = look(step.outcome, self.folder)
        if seen.answer is Answer.HOLDS and not step.repeatable:
            # Nothing was begun, so there is nothing to arm; the record says so.
            ledger.finish(index, StepState.DONE, detail=f"already so: {seen.detail}", elapsed_s=None)
            return Applied(result=Result.DONE)
        return self._act(index, step, ledger, seen.mark)

    def _resume(self, index: int, step: Step, ledger: Ledger, mark: Mark) -> Applied:
        """A step that somebody armed and did not finish: look, and act only where that proves to be the first time."""
        deadline = self._deadline(step)
        seen = self._wait(step, deadline)
        if seen.answer is Answer.HOLDS:
            ledger.finish(
                index, StepState.DONE, detail=f"found done after an interruption: {seen.detail}", elapsed_s=None
            )
            return Applied(result=Result.DONE)
        if step.repeatable or never_begun(mark, seen):
            again = look(step.outcome, self.folder)
            if again.answer is not Answer.HOLDS and (step.repeatable or never_begun(mark, again)):
                return self._act(index, step, ledger, again.mark, again=NEVER_BEGUN)
            seen = self._wait(step, deadline)
            if seen.answer is Answer.HOLDS:
                ledger.finish(index, StepState.DONE, detail=f"found done: {seen.detail}", elapsed_s=None)
                return Applied(result=Result.DONE)
        detail = self._shortened(f"it was interrupted, and nobody can tell whether it had its effect: {seen.detail}")
        ledger.finish(index, StepState.UNKNOWN, detail=detail, elapsed_s=None)
        return Applied(result=Result.UNKNOWN, step=index + 1, reason=f"{step.name}: {detail}")

    def _act(self, index: int, step: Step, ledger: Ledger, mark: Mark, again: str = "") -> Applied:
        ledger.arm(index, mark=mark, again=again)
        self.say(f"step {index + 1}: {step.name}")
        try:
            ended = run_child(
                step.argv,
                timeout_s=step.timeout_s,
                must_end=self.must_end,
                hold=self.hold,
                cwd=self.folder,
                env=self.environ,
            )
        except OSError as error:
            ended = Ended(exit_code=-1, why=f"cannot be started: {error.strerror}", output="", elapsed_s=0.0)
        stop = self.must_end() if ended.why else ""
        if stop:
            return self._stopped(index, step, ledger, ended, stop)
        # A supervisor knows at once; a command may have told somebody else to start or stop it.
        patient = ended.exit_code == 0 and isinstance(step.outcome, CommandSays)
        seen = self._wait(step, self._deadline(step, ended), patient=patient)
        if seen.answer is Answer.HOLDS:
            detail = "" if ended.exit_code == 0 else self._told(ended, seen)
            ledger.finish(index, StepState.DONE, detail=detail, elapsed_s=round(ended.elapsed_s, 3))
            return Applied(result=Result.DONE)
        detail = self._told(ended, seen)
        known = seen.answer is Answer.HOLDS_NOT
        state = StepState.FAILED if known else StepState.UNKNOWN
        ledger.finish(index, state, detail=detail, elapsed_s=round(ended.elapsed_s, 3))
        self.say(f"step {index + 1}: {state.value}: {detail}")
        result = Result.FAILED if known else Result.UNKNOWN
        return Applied(result=result, step=index + 1, reason=f"{step.name}: {detail}")

    def _stopped(self, index: int, step: Step, ledger: Ledger, ended: Ended, stop: str) -> Applied:
        seen = look(step.outcome, self.folder)
        state = StepState.DONE if seen.answer is Answer.HOLDS else StepState.UNKNOWN
        detail = self._shortened(f"ended by the emergency stop: {seen.detail}")
        ledger.finish(index, state, detail=detail, elapsed_s=round(ended.elapsed_s, 3))
        self.say(f"step {index + 1}: {detail}")
        return Applied(result=Result.STOPPED, step=index + 1, reason=stop, code="stopped")

    def _wait(self, step: Step, deadline: float, *, patient: bool = False) -> Seen:
        """Look until the outcome is there, or is not going to be.

        `patient`: also wait for an outcome that is not there yet, because its command says that it worked.
        """
        unanswered_until = min(deadline, self.clock.monotonic() + CANNOT_TELL_S)
        while True:
            seen = look(step.outcome, self.folder)
            until = unanswered_until if seen.answer is Answer.CANNOT_TELL else deadline
            waiting = seen.answer in {Answer.CHANGING, Answer.CANNOT_TELL} or (
                patient and seen.answer is Answer.HOLDS_NOT
            )
            if not waiting or self.clock.monotonic() >= until or self.must_end():
                return seen
            self.clock.sleep(PAUSE_S)

    def _deadline(self, step: Step, ended: Ended | None = None) -> float:
        return self.clock.monotonic() + max(0.0, step.timeout_s - (ended.elapsed_s if ended else 0.0))

    def _told(self, ended: Ended, seen: Seen) -> str:
        lines = [line.strip() for line in self.redact(ended.output).splitlines() if line.strip()]
        how = ended.why or f"exit {ended.exit_code}"
        return self._shortened("; ".join([how, *lines[-2:], seen.detail]))

    @staticmethod
    def _shortened(text: str) -> str:
        return text if len(text) <= DETAIL_MAX_CHARS else text[: DETAIL_MAX_CHARS - 1] + "…"
