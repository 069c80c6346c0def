"""Every word that reports say and that no template holds: the English text is the key of its translation.

A key here is never built at run time, so that a test can prove the catalogues complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HOURS = "%(n)s h"
MINUTES = "%(n)s min"
SECONDS = "%(n)s s"

# What an incident came to.
STATES: Mapping[str, str] = MappingProxyType(
    {
        "open": "open",
        "recovered": "recovered",
        "escalated": "escalated",
        "refused": "refused by a guard",
        "interrupted": "interrupted",
    }
)

# How urgent a decision is, most urgent first, and what that asks of the reader.
SEVERITIES: Mapping[str, str] = MappingProxyType(
    {
        "critical": "critical",
        "high": "high",
        "medium": "medium",
        "low": "low",
    }
)
URGENCY: Mapping[str, str] = MappingProxyType(
    {
        "critical": "act now",
        "high": "act within 5 minutes",
        "medium": "act today",
        "low": "no hurry",
    }
)

VERDICTS: Mapping[str, str] = MappingProxyType(
    {
        "HEALTHY": "HEALTHY",
        "UNHEALTHY": "UNHEALTHY",
        "UNKNOWN": "UNKNOWN",
        "SKIPPED": "SKIPPED",
    }
)

# What an observation was made for.
PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "detection": "detection",
        "verification": "verification",
    }
)

# What became of a step of the plan.
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "planned": "planned",
        "armed": "armed, outcome not known",
        "done": "done",
        "failed": "failed",
        "refused": "refused",
        "skipped": "skipped",
        "undone": "undone",
    }
)

# What became of the way back.
UNDO: Mapping[str, str] = MappingProxyType(
    {
        "available": "available",
        "done": "done",
        "failed": "failed",
        "impossible": "impossible",
    }
)

# Sentences of the timeline by kind. Parameters in `CODE` are shown as code: they are typed or looked up as they stand.
TIMELINE: Mapping[str, str] = MappingProxyType(
    {
        "injected": "Fault %(fault)s injected on purpose",
        "opened": "First look at %(targets)s",
        "detected": "Found %(codes)s",
        "unknown": "Could not see %(codes)s",
        "decided": "Decided by row %(row)s: %(severity)s, remediation %(remediation)s",
        "attributed": "Because of %(target)s: %(codes)s",
        "undecided": "No row of the decision table matches %(codes)s: a person decides",
        "planned": "Planned %(steps)s steps of %(remediation)s, digest %(digest)s",
        "permitted": "The control plane permits %(remediation)s: %(reason)s",
        "refused": "A guard refuses %(remediation)s: %(reason)s",
        "approved": "%(actor)s approves the plan %(digest)s",
        "armed": "Armed step %(step)s: the permission is used up",
        "step": "Step %(step)s is %(outcome)s: %(command)s",
        "acted": "Applied %(remediation)s",
        "verified": "The same checks look again: %(verdict)s",
        "recovered": "Recovery verified",
        "unrecovered": "Still bad after %(remediation)s: %(codes)s",
        "undone": "Undone: %(reason)s",
        "undo_failed": "Could not be undone: %(reason)s",
        "escalated": "Handed to a person: %(reason)s",
        "interrupted": "Interrupted: %(reason)s",
        "note": "%(text)s",
    }
)
CODE = frozenset({"fault", "target", "targets", "codes", "row", "remediation", "digest", "step", "command", "actor"})
# Parameters that are words of ours and are themselves translated.
TRANSLATED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "severity": SEVERITIES,
        "outcome": OUTCOMES,
        "verdict": VERDICTS,
    }
)

# Sections of a report in which every statement has to cite evidence.
CITED_SECTIONS = (
    "Findings",
    "Impact",
    "Root cause",
    "Resolution",
    "Timeline",
    "Evidence",
    "Not seen",
    "Way back",
    "Situation",
    "Mitigation",
    "Recovery check",
    "Follow-up",
    "Rollback and redeployment",
    "Capacity and performance",
)


def all_words() -> frozenset[str]:
    """Every text of this module that needs a translation, except the note, which has no words of its own."""
    tables = (STATES, SEVERITIES, URGENCY, VERDICTS, PURPOSES, OUTCOMES, UNDO, TIMELINE)
    words = {text for table in tables for text in table.values()}
    return frozenset({*words, *CITED_SECTIONS, HOURS, MINUTES, SECONDS} - {TIMELINE["note"]})
