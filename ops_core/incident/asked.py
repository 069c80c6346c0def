"""Which checks tell whether a remediation helped: those of its target, and those of what failed because of it. Pure.

A remediation is judged by its own target. What failed because of that target is asked again as well and gets a while
to come back, but does not turn a cure into a failure: if it is still bad when its dependency is well, it has a cause
of its own, and the next look at everything will say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops_core.incident.looks import Look
from ops_core.observation.record import Observation
from ops_core.verdict import Judged, Verdict


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Node ids of the checks to ask again: `own` have to be good, `others` are waited for."""

    own: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def nodeids(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys([*self.own, *self.others]))

    def helped(self, observation: Observation) -> bool:
        """Whether everything that has to be good was seen and is good."""
        if observation.verdict is Verdict.HEALTHY:
            return True
        judged = {judgement.nodeid: judgement.judged for judgement in observation.judgements}
        return all(judged.get(nodeid) is Judged.GOOD for nodeid in self.own)


def asked_again(look: Look, decision: Mapping[str, Any], target: str | None, leaves: Sequence[str]) -> Asked:
    """What to ask about a remediation of `target` that rests on a decision.

    Args:
        look: what the decision was made on.
        decision: as it was recorded.
        target: whom the remediation was about: the target of the decision, or one of its dependents.
        leaves: codes that the remediation leaves behind on purpose.
    """
    others: tuple[str, ...] = ()
    if target == decision["target"]:
        # Without dependencies these are all codes of the target, and then it is asked about everything.
        codes = {*decision["findings"], *decision["attributed"]}
        others = tuple(
            nodeid
            for other in decision.get("dependents", ())
            for nodeid in look.nodeids(other["target"], other["findings"])
        )
    else:
        codes = {code for other in decision["dependents"] if other["target"] == target for code in other["findings"]}
    return Asked(own=look.nodeids(target, codes.difference(leaves)), others=others)


def codes_of(decision: Mapping[str, Any], target: str | None) -> tuple[str, ...]:
    """The codes that a remediation of `target` is to answer, those that decided first."""
    if target == decision["target"]:
        return tuple(dict.fromkeys([*decision["findings"], *decision["attributed"]]))
    named = (other["findings"] for other in decision.get("dependents", ()) if other["target"] == target)
    return tuple(dict.fromkeys(code for codes in named for code in codes))
