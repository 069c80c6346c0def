"""What a rehearsal says at its end."""

from __future__ import annotations

from pathlib import Path

from ops_core.drill.rehearse import Rehearsal
from ops_core.report.ending import incident_lines
from ops_core.report.terminal import Look, Row, label_lines


def rehearsal_lines(rehearsal: Rehearsal, look: Look, base: Path) -> list[str]:
    """The incident's end, the measured times, and whether the runbook did what it promised."""
    files = [str(path.relative_to(base) if path.is_relative_to(base) else path) for path in rehearsal.outcome.files]
    lines = ["", *incident_lines(rehearsal.shown, look, files)] if rehearsal.shown else []
    times = ", ".join(
        f"{name} {seconds:.1f} s"
        for name, seconds in (
            ("detected", rehearsal.detect_s),
            ("decided", rehearsal.decide_s),
            ("recovered", rehearsal.recover_s),
        )
        if seconds is not None
    )
    good = not rehearsal.problems
    rows = [Row(label="rehearsal", value=f"{rehearsal.fault}: {'as promised' if good else 'NOT as promised'}")]
    if times:
        rows += [Row(label="measured", value=f"{times} after the fault was in force")]
    rows += [Row(label="problem", value=problem, style="31") for problem in rehearsal.problems]
    return [*lines, "", *label_lines(rows, look)]
