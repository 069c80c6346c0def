"""What an operational run says at its end."""

from __future__ import annotations


def summary_lines(observation, **kw):
    return ["VERDICT " + observation.verdict] + [f"{j.judged} {j.nodeid} {j.seen}" for j in observation.judgements] + kw["notes"]
