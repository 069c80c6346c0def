"""Which checks tell whether a remediation helped: those of its target, and those of what failed because of it. Pure.

A remediation is judged by its own target. What failed because of that target is asked again as well and gets a while
to come back, but does not turn a cure into a failure: if it is still bad when its dependency is well, it has a cause
of its own, and the next look at everything will say so.

Where a remediation answers nothing that was found, since it leaves all of that as it is on purpose, no check can say
that it helped. Then everything is asked, and it must have made nothing about its target worse.
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
    """Node ids of the checks to ask again: `own` have to be good, `others` are waited for.

    With codes that are `known`, everything is asked: what is not good about `target` has to be one of them, which were
    not good before or are left on purpose.
    """

    own: tuple[str, ...]
    others: tuple[str, ...] = ()
    target: str | None = None
    known: frozenset[str] | None = None

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to ask: nothing was found that a remediation could answer."""
        return not self.nodeids and self.known is None

    @property
    def nodeids(self) -> tuple[str, ...]:
        """All of them, each once; none stands for the whole suite."""
        return tuple(dict.fromkeys([*self.own, *self.others]))

    def helped(self, observation: Observation) -> bool:
        """Whether everything that has to be good was seen and is good."""
        if observation.verdict is Verdict.HEALTHY:
            return True
        if self.known is not None:
            about = (one for one in observation.judgements if one.target == self.target)
            return all(one.judged in {Judged.GOOD, Judged.SKIPPED} or one.finding in self.known for one in about)
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
    own = look.nodeids(target, codes.difference(leaves))
    if own or not codes:
        return Asked(own=own, others=others)
    bad = {one.code for one in look.bad if one.target == target}
    unseen = {one.code for one in look.unseen if one.target == target}
    return Asked(own=(), target=target, known=frozenset(bad | unseen | {*leaves}))


def codes_of(decision: Mapping[str, Any], target: str | None) -> tuple[str, ...]:
    """The codes that a remediation of `target` is to answer, those that decided first."""
    if target == decision["target"]:
        return tuple(dict.fromkeys([*decision["findings"], *decision["attributed"]]))
    named = (other["findings"] for other in decision.get("dependents", ()) if other["target"] == target)
    return tuple(dict.fromkeys(code for codes in named for code in codes))
