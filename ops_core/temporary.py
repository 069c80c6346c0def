"""Configurations that are in force for a while: what they are called, so that everybody can tell them from a change.

A degraded mode, or limits that were lowered against an overload, is a version of its own beside the one that it was
made from. Its name says what it is and where it leads back to, so nothing that is recorded elsewhere can get lost: what
is in force is what the link says. It is never taken for a new version, nor for a good one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

UNTIL = "OPS_TEMPORARY_UNTIL"
BASE_DIGEST = "OPS_TEMPORARY_BASE_DIGEST"
_NAME = re.compile(r"(?P<base>.+)\.ops-(?P<kind>degraded|lowered)")


class Kind(StrEnum):
    """Why a configuration is in force for a while."""

    DEGRADED = "degraded"
    LOWERED = "lowered"


FACTS = {Kind.DEGRADED: "degraded.on", Kind.LOWERED: "limits.lowered"}


@dataclass(frozen=True, kw_only=True)
class Temporary:
    """What the name of such a version says: the version that it was made from, and why."""

    base: str
    kind: Kind


def temporary_of(version: str) -> Temporary | None:
    """What the name of a version says; None where it is not temporary."""
    found = _NAME.fullmatch(version)
    return None if found is None else Temporary(base=found["base"], kind=Kind(found["kind"]))


def name_for(base: str, kind: Kind) -> str:
    """The name of the temporary version that is made from `base`."""
    return f"{base}.ops-{kind.value}"


def kinds_of(version: str) -> tuple[Kind, ...]:
    """Why a version is in force for a while, the latest reason first; empty where it is not."""
    kinds = []
    while found := temporary_of(version):
        kinds.append(found.kind)
        version = found.base
    return tuple(kinds)


def lasting(version: str) -> str:
    """The version that all temporary ones on top of it lead back to; itself where it is not temporary."""
    while found := temporary_of(version):
        version = found.base
    return version
