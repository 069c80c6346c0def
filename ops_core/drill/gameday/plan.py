"""Which faults a game day holds, in which order. Pure: the same seed and the same names give the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from ops_core.drill.fault import ESCALATED, RECOVERED, Fault
from ops_core.drill.stack import EmbeddedStack


def drawn_from(faults: Iterable[Fault]) -> tuple[str, ...]:
    """The names of the faults that a game day may hold, sorted.

    They are those of the embedded stack that open an incident with which the loop deals by itself, and that need
    nothing else: no program of the machine's, and nothing that would have to be done before the stack is seen healthy.
    So one repository has one plan for a seed, whatever the machine.
    """
    return tuple(
        sorted(
            fault.name
            for fault in faults
            if fault.stack is EmbeddedStack
            and fault.ends in (RECOVERED, ESCALATED)
            and not fault.by_hand
            and fault.prepare is None
            and not fault.needs
        )
    )


def planned(names: Iterable[str], seed: int) -> Iterator[str]:
    """The faults in the order in which they are held, without end: each comes once before any comes again."""
    drawn = sorted(set(names))
    chance = random.Random(seed)  # noqa: S311 - an order is drawn, not a secret
    while drawn:
        chance.shuffle(drawn)
        yield from tuple(drawn)
