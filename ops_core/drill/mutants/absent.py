"""What a run cannot have noticed because the faults that have to notice it were not held. Pure.

A part of the catalogue, or a machine without Docker, says nothing about the checks, rows and remediations that other
faults are there for. Such a mutant neither was noticed nor survived: it was not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ops_core.drill.fault import Fault
from ops_core.drill.matrix.results import MatrixRun, Status
from ops_core.drill.mutants.model import Fate, Fates, Mutant, Part


def not_held(run: MatrixRun, faults: Mapping[str, Fault]) -> tuple[Fault, ...]:
    """The faults of the catalogue that the run did not hold to an end."""
    held = {result.fault for status in (Status.PASSED, Status.FAILED) for result in run.of(status)}
    return tuple(fault for name, fault in faults.items() if name not in held)


def with_absent(fates: Sequence[Fate], absent: Sequence[Fault]) -> tuple[Fate, ...]:
    """The same, where a mutant that nothing noticed names the faults that have to notice it and were not held."""
    return tuple(fate if fate.killed else replace(fate, not_held=_concerned(fate.mutant, absent)) for fate in fates)


def told_not_asked(fates: Fates) -> list[str]:
    """A line for each part of the runbook: how many mutants the run was not asked about, and what was not held."""
    lines = []
    for part in Part:
        some = [one for one in fates.not_asked if one.mutant.part is part]
        made = sum(one.mutant.part is part for one in fates.fates)
        names = {name for one in some for name in one.not_held}
        if some:
            told = f"{part.value}s: {len(some)} of {made} mutants"
            lines.append(f"{told}; faults for them that were not held: {len(names)}, such as {min(names)}")
    return lines


def _concerned(mutant: Mutant, absent: Sequence[Fault]) -> tuple[str, ...]:
    return tuple(fault.name for fault in absent if _has_to_notice(fault, mutant))


def _has_to_notice(fault: Fault, mutant: Mutant) -> bool:
    if mutant.part is Part.CHECK:
        return fault.looked_at_by == mutant.suite and any(code in mutant.codes for code, _ in fault.expected)
    if mutant.part is Part.ROW:
        return any(one.row == mutant.name for one in fault.all_parts)
    return any(mutant.name in (one.remediation, *one.then) for one in fault.all_parts)
