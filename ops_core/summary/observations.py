"""The newest record of each suite, as a summary needs it: what was bad, what was not seen, and on which evidence."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_core.clock import parse_instant
from ops_core.config import Settings
from ops_core.errors import RecordError
from ops_core.observation.record import SCHEMA_VERSION, read_report
from ops_core.summary.model import Seen
from ops_core.verdict import Judged, Verdict

RECORD = re.compile(r"([0-9]{8}T[0-9]{6}Z-[0-9a-z]{1,32})\.json")
SUITE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
SUITES_MAX = 50
TRIED_MAX = 50
NAMED_MAX = 20
# What these suites find is told from where it is recorded, or is a question that may be answered with no: the steps of
# the daily list are in the receipt of the cycle, what lies around the store is compared with it, nobody wants to fire
# all the time, a bundle and its cycle have risks of their own, and a benchmark compares with itself.
TOLD_OTHERWISE = frozenset({"daily", "integrity", "live_fire", "handoff", "bench"})
# Folders of reports that hold no observations of their own.
NO_SUITES = frozenset({"replay", "incidents", "ops", "tickets", "slo", "drills", "examples"})


def expected_suites(settings: Settings) -> tuple[str, ...]:
    """The suites that say whether the targets of this profile are well."""
    return tuple(sorted({settings.suite_of(target.name) for target in settings.targets}))


def newest_seen(settings: Settings, expected: tuple[str, ...]) -> tuple[Seen, ...]:
    """The newest observation of each suite that has any, by their names."""
    found = (_newest(settings, suite) for suite in _suites(settings, expected))
    return tuple(one for one in found if one is not None)


def _suites(settings: Settings, expected: tuple[str, ...]) -> list[str]:
    """Those expected, and those of the user's own that have left records."""
    try:
        there = {one.name for one in os.scandir(settings.reports_dir) if one.is_dir(follow_symlinks=False)}
    except FileNotFoundError:
        there = set()
    own = sorted(one for one in there - TOLD_OTHERWISE - NO_SUITES if SUITE.fullmatch(one))
    return sorted({*expected, *own[:SUITES_MAX]})


def _newest(settings: Settings, suite: str) -> Seen | None:
    """The newest record of this profile that is no replay; one that cannot be read may have said anything."""
    folder = settings.reports_dir / suite
    try:
        there = os.listdir(folder)  # noqa: PTH208 - of ten thousand files nothing but the names
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in sorted(filter(RECORD.fullmatch, there), reverse=True)[:TRIED_MAX]:
        seen = _read(folder / name, suite, settings.profile)
        if seen is not None:
            return seen
    return None


def _read(path: Path, suite: str, profile: str) -> Seen | None:
    """What a record says; None where it is another profile's, or says what was seen another time."""
    try:
        part = read_report(path)
        if part.get("profile") != profile or part.get("replayed_from"):
            return None
        return _told(part, suite, path.stem)
    except RecordError as error:
        return Seen(suite=suite, run_id=path.stem, problem=error.what[:200])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return Seen(suite=suite, run_id=path.stem, problem=f"it is damaged: {type(error).__name__}")


def _told(part: Mapping[str, Any], suite: str, run_id: str) -> Seen:
    if part["schema"] != SCHEMA_VERSION:
        raise RecordError(f"it has schema {part['schema']!r}")
    bad: list[str] = []
    unseen: list[str] = []
    cited: list[str] = []
    for one in part["judgements"]:
        judged = Judged(one["judged"])
        if judged not in {Judged.BAD, Judged.UNKNOWN}:
            continue
        named = f"{one['finding'] or 'check.unnamed'}" + (f"[{one['target']}]" if one["target"] else "")
        (bad if judged is Judged.BAD else unseen).append(named)
        cited += [str(evidence) for evidence in one["evidence"]]
    return Seen(
        suite=suite,
        run_id=run_id,
        finished_at=parse_instant(part["finished_at"]),
        verdict=Verdict(part["verdict"]).value,
        bad=tuple(dict.fromkeys(bad))[:NAMED_MAX],
        unseen=tuple(dict.fromkeys(unseen))[:NAMED_MAX],
        evidence=tuple(dict.fromkeys(cited))[:NAMED_MAX],
    )
