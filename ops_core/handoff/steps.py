"""Runs what makes the results: one step after the other, each inside its own budget, each with a log file of its own.

The first step that fails ends it. Nothing that a step starts outlives the step, and no secret that is known stands in a
log.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.clock import Clock, isoformat
from ops_core.config import Settings, known_secrets
from ops_core.control.files import make_folder
from ops_core.control.running import Work
from ops_core.errors import OpsError
from ops_core.handoff.receipts import short
from ops_core.handoff.signing import without_key
from ops_core.operations import ProducerStep
from ops_core.remediation.child import OUTPUT_MAX_BYTES, Ended, run_child
from ops_core.remediation.plan import shown

LOGS_KEPT = 200


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """One step as it ended; `why` is empty where it did what it should."""

    name: str
    exit_code: int
    why: str
    elapsed_s: float
    log: str

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a receipt."""
        return {
            "name": self.name,
            "exit_code": self.exit_code,
            "why": self.why,
            "elapsed_s": round(self.elapsed_s, 3),
            "log": self.log,
        }


class StepFailed(OpsError):
    """A step did not do what it should; `done` are those that ran, it being the last."""

    def __init__(self, what: str, done: tuple[StepDone, ...], *, where: str, next_step: str) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.done = done


def run_steps(
    settings: Settings, clock: Clock, work: Work, run_id: str, *, hold: int | None, say: Callable[[str], None]
) -> tuple[StepDone, ...]:
    """Run the configured steps.

    Args:
        settings: the profile.
        clock: tells the time.
        work: the work that they are part of; an emergency stop ends them.
        run_id: of the publish, for the names of the logs.
        hold: the descriptor of the turn.
        say: told what happens.

    Raises:
        StepFailed: one of them failed.
        OpsError: its log cannot be written.
    """
    from ops_core.probes.instruments.redact import Redactor

    clean = Redactor(known_secrets(settings).values()).text
    folder = settings.logs_dir / "handoff"
    done: list[StepDone] = []
    for number, step in enumerate(settings.handoff.steps, 1):
        say(f"step {step.name}")
        begun_at = isoformat(clock.now())
        ended = _run(settings, step, work, hold)
        why = ended.why or (f"it ended with exit code {ended.exit_code}" if ended.exit_code else "")
        log = folder / f"{run_id}-{number:02d}-{step.name}.log"
        _write(log, _log(step, ended, begun_at, why, clean))
        done.append(
            StepDone(
                name=step.name,
                exit_code=ended.exit_code,
                why=short(clean(why)),
                elapsed_s=ended.elapsed_s,
                log=_named(settings, log),
            )
        )
        if why:
            raise StepFailed(
                f"nothing is published: the step {step.name} failed: {short(clean(why))}",
                tuple(done),
                where=_named(settings, log),
                next_step=f"see its log, put it right, then: ops handoff publish (tail {_named(settings, log)})",
            )
        say(f"  done in {ended.elapsed_s:.1f} s")
    _tidy(folder)
    return tuple(done)


def _run(settings: Settings, step: ProducerStep, work: Work, hold: int | None) -> Ended:
    try:
        return run_child(
            step.argv,
            timeout_s=step.budget_s,
            must_end=work.must_end,
            hold=hold,
            cwd=settings.root,
            env=without_key(settings, work.environ),
            leave_nothing=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Ended(exit_code=-1, why=f"it cannot be started: {why}", output="", elapsed_s=0.0)


def _log(step: ProducerStep, ended: Ended, begun_at: str, why: str, clean: Callable[[str], str]) -> str:
    whole = len(ended.output.encode("utf-8", "replace")) < OUTPUT_MAX_BYTES
    # Half a secret would not be found: a line whose beginning is gone is left out.
    output = ended.output if whole else ended.output.partition("\n")[2]
    lines = [
        f"step     {step.name}",
        f"argv     {clean(shown(step.argv))}",
        f"begun    {begun_at}",
        f"took     {ended.elapsed_s:.3f} s of {step.budget_s:g} s",
        f"ended    {clean(why) or 'done'}",
        "" if whole else f"\n(only the last {OUTPUT_MAX_BYTES} bytes of what it printed)\n",
    ]
    return "\n".join(lines) + "\n" + clean(output)


def _write(log: Path, text: str) -> None:
    temporary = log.with_name(f".{log.name}.{secrets.token_hex(4)}")
    try:
        make_folder(log.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        temporary.replace(log)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OpsError(f"nothing is published: a log cannot be written: {error.strerror}", where=str(log)) from None


def _tidy(folder: Path) -> None:
    for old in sorted(folder.glob("*.log"))[:-LOGS_KEPT]:
        with contextlib.suppress(OSError):
            old.unlink(missing_ok=True)


def _named(settings: Settings, path: Path) -> str:
    return str(path.relative_to(settings.root) if path.is_relative_to(settings.root) else path)
