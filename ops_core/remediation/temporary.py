"""Configurations for a while: putting one in force, taking it away again, and which of them are over.

A temporary version is written beside the one in force, from its very content, and put in force by the same swap of the
link and restart as any other version. It says itself until when it is meant and what it was made from. Nothing but what
the links say is consulted to tell which are over, so a lost record, or a person who went back by hand, confuses nobody.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops_core import temporary
from ops_core.clock import isoformat, parse_instant
from ops_core.config import Settings
from ops_core.remediation import overlay
from ops_core.remediation.context import NOTHING_TO_GO_BACK_TO, Deployed, PlanContext
from ops_core.remediation.plan import FileHolds, PlanRefused, Step, as_text
from ops_core.temporary import Kind, Temporary

WRITE_S = 10.0
SCRIPT = Path(overlay.__file__).resolve()
LEAVING = {Kind.DEGRADED: "leave_degraded_mode", Kind.LOWERED: "restore_limits"}


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way to a version and, where there is one, the way back; else why there is none."""

    old: str
    new: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]
    no_undo: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class InForce:
    """A temporary configuration in force. `until` is None where it has no end of its own, or says none that counts."""

    target: str
    version: str
    kind: Kind
    until: datetime | None


def settings_of(context: PlanContext) -> dict[str, str]:
    """The settings in the configuration in force.

    Raises:
        PlanRefused: it is not a file that can be read as such.
    """
    return overlay.settings_in(_text(context.deployed("config"), context))


def put_in_force(context: PlanContext, kind: Kind, changes: Mapping[str, str], until: datetime | None = None) -> Way:
    """The way to a configuration that is the one in force but for these settings.

    Raises:
        PlanRefused: there is no configuration that one could be made from, or one of that kind is in force already.
    """
    found = context.deployed("config")
    text, where = _text(found, context), f"{context.target.name}, {found.link}"
    old = str(found.in_force)
    kinds = temporary.kinds_of(old)
    if kind in kinds:
        raise PlanRefused(f"the configuration of {context.target.name} is {kind.value} already", where=where)
    if kind is Kind.DEGRADED and kinds:
        # What has an end of its own stays on top, so that it can be taken away when it is over.
        raise PlanRefused(
            f"limits of {context.target.name} are lowered",
            where=where,
            next_step=f"ops remediate {LEAVING[Kind.LOWERED]} --target {context.target.name} --apply",
        )
    new = temporary.name_for(old, kind)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    told = {**changes, temporary.UNTIL: isoformat(until) if until else "", temporary.BASE_DIGEST: digest}
    folder = found.link.parent / found.text_for(new)
    path, base = as_text(folder), as_text(found.link.parent / found.text_for(old))
    content = overlay.overlaid(text, told).encode("utf-8")
    write = Step(
        name=f"write {new}"[:120],
        argv=(
            as_text(sys.executable),
            "-I",
            "-S",
            as_text(SCRIPT),
            base,
            digest,
            path,
            *(f"{key}={value}" for key, value in told.items()),
        ),
        timeout_s=WRITE_S,
        outcome=FileHolds(path=path, sha256=hashlib.sha256(content).hexdigest()),
        repeatable=True,
    )
    return Way(
        old=old,
        new=new,
        steps=(write, *found.swap_steps(new), *context.restart_steps()),
        undo=(*found.link_steps(str(found.text)), *context.way_back_steps()),
        no_undo={},
    )


def take_away(context: PlanContext, kind: Kind) -> Way:
    """The way back to the version that the temporary one in force was made from.

    Raises:
        PlanRefused: none of that kind is in force, or what it was made from is gone or was changed.
    """
    found = context.deployed("config")
    where = f"{context.target.name}, {found.link}"
    old = str(found.in_force)
    known = temporary.temporary_of(old)
    if known is None or kind not in temporary.kinds_of(old):
        raise PlanRefused(f"the configuration of {context.target.name} is not {kind.value}", where=where)
    if known.kind is not kind:
        raise PlanRefused(
            f"it is {known.kind.value} on top of that",
            where=where,
            next_step=f"ops remediate {LEAVING[known.kind]} --target {context.target.name} --apply",
        )
    said = overlay.settings_in(_text(found, context)).get(temporary.BASE_DIGEST, "")
    _check_base(found, known, said, where)
    undo = (*found.link_steps(str(found.text)), *context.way_back_steps()) if found.exists else ()
    return Way(
        old=old,
        new=known.base,
        steps=(*found.swap_steps(known.base), *context.restart_steps()),
        undo=undo,
        no_undo={} if undo else NOTHING_TO_GO_BACK_TO,
    )


def temporaries_in_force(settings: Settings) -> tuple[InForce, ...]:
    """Every temporary configuration in force. What cannot be read is not temporary as far as anybody knows."""
    found = []
    for target in settings.targets:
        link = target.config_link
        if link is None:
            continue
        try:
            version = link.readlink().name
            known = temporary.temporary_of(version)
            if known is None:
                continue
            with link.open("rb") as file:
                text = file.read(overlay.BYTES_MAX).decode("utf-8", "replace")
        except OSError:
            continue
        until = _instant(overlay.settings_in(text).get(temporary.UNTIL, ""))
        found.append(InForce(target=target.name, version=version, kind=known.kind, until=until))
    return tuple(found)


def due_restorations(found: Sequence[InForce], now: datetime) -> tuple[InForce, ...]:
    """Those that are over at `now`, the longest over first. What has no end is never over by itself."""
    over = [one for one in found if one.until is not None and one.until <= now]
    return tuple(sorted(over, key=lambda one: (one.until or now, one.target)))


def _check_base(found: Deployed, known: Temporary, said: str, where: str) -> None:
    if found.base_digest is None:
        raise PlanRefused(
            f"{known.base}, which it was made from, cannot be put in force: {found.base_problem or 'it is missing'}",
            where=where,
            next_step=f"deploy {known.base} again, then look again",
        )
    if found.base_digest != said:
        raise PlanRefused(
            f"{known.base} is not what it was when {found.in_force} was made from it",
            where=where,
            allowed=f"content with the digest {said or 'that was recorded'}",
            next_step="find out who changed it; ops remediate rollback_config goes to the last good one",
        )


def _text(found: Deployed, context: PlanContext) -> str:
    if found.content is None or found.text is None:
        raise PlanRefused(
            f"the configuration of {context.target.name} is not a file of KEY=VALUE lines that can be read",
            where=f"{context.target.name}, {found.link}",
            allowed=f"a text file of at most {overlay.BYTES_MAX} bytes behind the link",
        )
    return found.content


def _instant(text: str) -> datetime | None:
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        return None
