"""Reads what observations said about each target. A record that cannot be read is counted and named, never guessed.

A month of looks every five minutes is 8,640 files of 35 kB. Reading them whole takes seconds, and a scrape or a person
would wait for that each time. So what figures need of each record, a few bytes, is kept in an index beside them. The
records stay the truth: an entry counts only while its file is there as it was when it was read (size, time of change,
number), and an index that is missing, damaged or made for other findings is made anew. Whoever may write there may
change the records as well, so the index opens no door that was shut.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ops_core.clock import parse_instant
from ops_core.config import Settings
from ops_core.errors import RecordError
from ops_core.observation.journal import write_atomically
from ops_core.observation.record import SCHEMA_VERSION, read_report
from ops_core.slo.intervals import Seen, Sight
from ops_core.verdict import Judged

RECORDS_MAX = 200_000
RECORD_MAX_BYTES = 32 << 20
INDEX_MAX_BYTES = 256 << 20
INDEX_VERSION = 1
NAMED_MAX = 20
# A record is named when its run begins and judged when it ends; a clock that is put right lies between the two.
RUN_MAX = timedelta(hours=2)
_NAME = re.compile(
    r"([0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}Z)-[0-9a-z]{1,32}\.json"
)
_SEEN = {Judged.GOOD: Seen.GOOD, Judged.BAD: Seen.BAD, Judged.UNKNOWN: Seen.UNSEEN}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read.

    Attributes:
        sights: by target, what was seen of it.
        records: how many records say something about this profile.
        damaged: how many could not be read.
        named: the first of these, with the reason.
        left_out: how many more there are than anybody wants to read.
    """

    sights: Mapping[str, Sequence[Sight]]
    records: int
    damaged: int
    named: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class _File:
    """A record as the folder shows it; the stamp changes when somebody changes the file."""

    path: Path
    stamp: tuple[int, int, int]


def read_sights(settings: Settings, start: datetime, end: datetime, *, since: datetime | None = None) -> Reading:
    """Everything that bears on `[start, end)`: looks in it, and those before it that are still worth something then.

    A record that cannot be read may have said anything: of no target is anything known from when its run began.

    Args:
        settings: the profile.
        start: of the period that records are counted in.
        end: of that period.
        since: what happened from then on is wanted too.
    """
    since = min(start, since or start) - timedelta(seconds=settings.slo.observation_valid_s) - RUN_MAX
    sights: dict[str, list[Sight]] = {}
    records, damaged, left_out, named = 0, 0, 0, []
    for suite in settings.slo.suites:
        files = _files(settings.reports_dir / suite, since, end + RUN_MAX)
        left_out += max(0, len(files) - RECORDS_MAX)
        for name, entry in _entries(settings, suite, files[-RECORDS_MAX:]):
            if isinstance(entry, str):
                damaged += 1
                named.append(f"{suite}/{name}: {entry}")
                at = datetime.strptime(name[:16], "%Y%m%dT%H%M%S%z")
                for one in settings.targets:
                    sights.setdefault(one.name, []).append(Sight(at=at, seen=Seen.UNSEEN, source=suite))
            elif entry["profile"] == settings.profile:
                at = parse_instant(entry["at"])
                records += bool(entry["seen"]) and start <= at < end
                for target, seen in entry["seen"].items():
                    sights.setdefault(target, []).append(Sight(at=at, seen=Seen(seen), source=suite))
    return Reading(sights=sights, records=records, damaged=damaged, named=tuple(named[:NAMED_MAX]), left_out=left_out)


def _files(folder: Path, since: datetime, until: datetime) -> list[_File]:
    """The records of a folder whose runs began in that time, the earliest first. Links and pipes are none."""
    first, last = (f"{at:%Y%m%dT%H%M%SZ}" for at in (since, until))
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as listing:
        for one in listing:
            named = _NAME.fullmatch(one.name)
            if named is None or not first <= named[1] <= last:
                continue
            with contextlib.suppress(OSError):
                if one.is_file(follow_symlinks=False):
                    told = one.stat(follow_symlinks=False)
                    found.append(_File(path=Path(one.path), stamp=(told.st_size, told.st_mtime_ns, told.st_ino)))
    return sorted(found, key=lambda one: one.path.name)


def _entries(settings: Settings, suite: str, files: Sequence[_File]) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """What each record says, from the index where that knows the file, else from the record."""
    path = index_of(settings, suite)
    known = _read_index(path, settings.slo.counted)
    fresh = False
    for one in files:
        name = one.path.name
        kept = known.get(name)
        if kept is None or kept["stamp"] != list(one.stamp):
            kept = {"stamp": list(one.stamp), "told": _told(one, settings.slo.counted)}
            if isinstance(kept["told"], str) and not one.path.exists():
                # Somebody tidied up meanwhile: what is not there says nothing.
                continue
            known[name], fresh = kept, True
        yield name, kept["told"]
    if fresh:
        _write_index(path, known, settings)


def index_of(settings: Settings, suite: str) -> Path:
    """Where the index of a suite's records lies."""
    return settings.reports_dir / "slo" / f".index-{suite}.json"


def _told(file: _File, counted: Sequence[str]) -> dict[str, Any] | str:
    """What a record says of each target, or why it cannot be read."""
    if file.stamp[0] > RECORD_MAX_BYTES:
        return f"larger than {RECORD_MAX_BYTES >> 20} MiB"
    try:
        return entry_of(read_report(file.path), counted)
    except RecordError as error:
        return error.what[:200]


def entry_of(part: Mapping[str, Any], counted: Sequence[str]) -> dict[str, Any]:
    """What figures need of an observation: when it was judged, and the worst that was judged of each target.

    Only the fields that are used are looked at, so that a record of a later version with more in it can be read.

    Raises:
        RecordError: one of them is not as it must be.
    """
    try:
        if part["schema"] != SCHEMA_VERSION:
            raise RecordError(f"the observation has schema {part['schema']!r}")
        # A replay says what was seen another time.
        judgements = [] if part["replayed_from"] else part["judgements"]
        seen: dict[str, int] = {}
        for one in judgements:
            target, judged = one["target"], Judged(one["judged"])
            if one["finding"] in counted and isinstance(target, str) and judged in _SEEN:
                seen[target] = max(_SEEN[judged], seen.get(target, 0))
        if not isinstance(part["profile"], str):
            raise RecordError("the observation is damaged: profile")
        return {"at": parse_instant(part["finished_at"]).isoformat(), "profile": part["profile"], "seen": seen}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"the observation is damaged: {type(error).__name__} {error}"[:200]) from None


def _read_index(path: Path, counted: Sequence[str]) -> dict[str, Any]:
    """The entries that were kept; none where they cannot be relied on."""
    try:
        if not path.is_file() or path.stat().st_size > INDEX_MAX_BYTES:
            return {}
        kept = json.loads(path.read_bytes())
        if [kept["version"], kept["counted"]] != [INDEX_VERSION, list(counted)]:
            return {}
        return {name: one for name, one in kept["records"].items() if _fit(one)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _fit(one: Any) -> bool:
    """Whether an entry is as we write it."""
    if not isinstance(one, dict) or not isinstance(one.get("stamp"), list):
        return False
    told: Any = one.get("told")
    if isinstance(told, str):
        return True
    try:
        parse_instant(told["at"])
        return isinstance(told["profile"], str) and all(Seen(value) for value in told["seen"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _write_index(path: Path, known: Mapping[str, Any], settings: Settings) -> None:
    """Keep the entries of files that are still there. Where that is not possible the next reader reads them again."""
    folder = settings.reports_dir / path.name.removeprefix(".index-").removesuffix(".json")
    with contextlib.suppress(OSError):
        there = set(os.listdir(folder))  # noqa: PTH208 - of ten thousand files nothing but the names
        newest = sorted(name for name in known if name in there)[-RECORDS_MAX:]
        kept = {"version": INDEX_VERSION, "counted": list(settings.slo.counted)}
        text = json.dumps({**kept, "records": {name: known[name] for name in newest}}, separators=(",", ":"))
        write_atomically(path, text)
