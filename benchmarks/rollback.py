"""A rollback by hand, as the incident runbook has it, against `ops incident run`: same service, same fault, for real.

The fault is a configuration without the internal secret, so that the guard lets everybody in. By hand means the
runbook's own script, its waits included; looking and deciding have happened before. The same part of `ops incident run`
is what lies between the decision and its verification; the whole command looks and decides first, looks at everything
once more, and writes the reports.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks import measure, places
from benchmarks.measure import Run

FAULT = "secret-missing"
BY_HAND = Path(__file__).with_name("rollback_by_hand.sh")


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


class Stack:
    """An embedded stack that stays up, in a repository of its own."""

    def __init__(self, python: Path) -> None:
        self.python = python
        self.home = places.WORK / "rollback"
        shutil.rmtree(self.home, ignore_errors=True)
        places.write(self.home, {"ops.toml": (places.ROOT / "ops.toml").read_text(encoding="utf-8")})
        self.work = self.home / "embedded"
        self.core, soul, dashboard = free_ports(3)
        self.environ = {
            "OPS_EMBEDDED_DIR": str(self.work),
            "OPS_STATE_DIR": str(self.home / "state"),
            "OPS_CONTROL_DIR": str(self.home / "control"),
            "OPS_LOGS_DIR": str(self.home / "logs"),
            "OPS_REPORTS_DIR": str(self.home / "reports"),
            "OPS_CORE_PORT": str(self.core),
            "OPS_SOUL_PORT": str(soul),
            "OPS_DASHBOARD_PORT": str(dashboard),
        }

    def ops(self, *words: str, expect: int | None = 0) -> Run:
        """Run `ops`; stop the benchmark where it does not end as it should."""
        done = measure.run([self.python.with_name("ops"), *words], cwd=self.home, more=self.environ)
        if expect is not None and done.exit != expect:
            raise SystemExit(f"ops {' '.join(words)} ended with {done.exit}\n{done.output}")
        return done

    def by_hand(self) -> Run:
        """Carry out the runbook's script, then end the server that it started."""
        more = {"WORK": str(self.work), "PORT": str(self.core), "PYTHON": str(self.python)}
        done = measure.run(["bash", BY_HAND], cwd=self.home, more={**self.environ, **more})
        started = re.search(r"^pid (\d+)$", done.output, re.MULTILINE)
        if started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(started[1]), signal.SIGTERM)
        return done


@contextlib.contextmanager
def stack_up(python: Path) -> Iterator[Stack]:
    """A stack that was seen good once, so that there is something to go back to."""
    stack = Stack(python)
    stack.ops("drill", "up")
    try:
        stack.ops("observe")
        yield stack
    finally:
        stack.ops("drill", "down", expect=None)


@dataclasses.dataclass
class Ours:
    """Our runs, and what of each lies between decision and verification, and decision and recovery."""

    verified: list[Run] = dataclasses.field(default_factory=list)
    recovered: list[Run] = dataclasses.field(default_factory=list)
    whole: list[Run] = dataclasses.field(default_factory=list)

    def add(self, home: Path, run: Run) -> None:
        """Take a run of `ops incident run`, with what the incident's record in that repository says."""
        if run.exit != 0:
            raise SystemExit(f"ops incident run ended with {run.exit}\n{run.output}")
        [record] = (home / "reports" / "incidents").glob("*/incident.json")
        timeline = json.loads(record.read_text(encoding="utf-8"))["timeline"]
        at = {kind: datetime.fromisoformat(entry["at"]) for entry in reversed(timeline) for kind in [entry["kind"]]}
        self.whole.append(run)
        self.verified.append(dataclasses.replace(run, wall_s=(at["verified"] - at["decided"]).total_seconds()))
        self.recovered.append(dataclasses.replace(run, wall_s=(at["recovered"] - at["decided"]).total_seconds()))

    def table(self, title: str, hand: list[Run]) -> str:
        """The table of both ways."""
        rows = [["by hand: the runbook's script", measure.seconds(hand), "1.0 x", _by_hand(hand[-1])]]
        rows += [
            [name, measure.seconds(runs), f"{1 / measure.paired_ratio(runs, hand):.1f} x", _ours(runs[-1])]
            for name, runs in {
                "ours: decided, rolled back, verified by the check that found it": self.verified,
                "ours: and seen healthy by the whole suite": self.recovered,
                "ours: the whole of `ops incident run`, with looking first and reports": self.whole,
            }.items()
        ]
        return measure.table(title, ["what", "wall time, median (range)", "times as fast", "how it ended"], rows)


def main(rounds: int) -> None:
    """Print the table of this benchmark."""
    python = places.product()
    hand: list[Run] = []
    ours = Ours()
    for _ in range(rounds):
        with stack_up(python) as stack:
            stack.ops("drill", "inject", FAULT)
            hand.append(stack.by_hand())
        with stack_up(python) as stack:
            stack.ops("drill", "inject", FAULT)
            ours.add(stack.home, stack.ops("incident", "run", expect=None))
    print(ours.table("Rolling back a configuration", hand))


def _by_hand(run: Run) -> str:
    asked = re.findall(r"^(health|guard|again) (\d+)$", run.output, re.MULTILINE)
    return ", ".join(f"{name} {status}" for name, status in asked) or f"exit {run.exit}"


def _ours(run: Run) -> str:
    told = re.search(r"^ INCIDENT\s+(\S+)", run.output, re.MULTILINE)
    return told[1] if told else f"exit {run.exit}"
