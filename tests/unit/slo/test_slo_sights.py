"""Records are read, damaged ones counted and named; the index saves reading and changes nothing."""

from __future__ import annotations

import json
import os

import pytest
from slo_world import World, minutes, utc, write_record

from ops_core.slo import sights
from ops_core.slo.figures import figures
from ops_core.slo.intervals import Seen, Timeline
from ops_core.slo.periods import days_until
from ops_core.slo.sights import index_of, read_sights

NOW = utc("2026-11-10 12:00")
START = utc("2026-11-10 00:00")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, NOW, zone="UTC")


def read(world):
    return read_sights(world.settings, START, NOW)


def seen(reading, target="shop"):
    return [(one.at, one.seen) for one in sorted(reading.sights.get(target, ()), key=lambda one: one.at)]


def test_of_each_target_the_worst_that_counts_is_taken(world):
    """Bad before unseen before good; findings that do not count, and targets that were not judged, say nothing."""
    world.look(utc("2026-11-10 03:00"), shop="good", search="unknown")
    write_record(world.settings, utc("2026-11-10 04:00"), {"shop": "bad"}, finding="guard.open")
    write_record(world.settings, utc("2026-11-10 05:00"), {"shop": "skipped"})
    world.look(utc("2026-11-10 06:00"), shop="bad")
    found = read(world)
    assert seen(found) == [(utc("2026-11-10 03:00"), Seen.GOOD), (utc("2026-11-10 06:00"), Seen.BAD)]
    assert seen(found, "search") == [(utc("2026-11-10 03:00"), Seen.UNSEEN)]
    assert (found.records, found.damaged) == (2, 0)


def test_replays_other_profiles_and_other_files_say_nothing(world):
    """A replay tells of another time; `latest.json` and files of other names are no records, links and folders neither."""
    at = utc("2026-11-10 03:00")
    path = write_record(world.settings, at, {"shop": "good"})
    write_record(world.settings, at, {"shop": "bad"}, number=2, replayed="reports/observe/x.json")
    write_record(world.settings, at, {"shop": "bad"}, number=3, profile="other")
    (path.with_name("latest.json")).write_bytes(path.read_bytes())
    (path.with_name("20261199T030000Z-abcdef.json")).write_text("no such day")
    (path.with_name("20261110T030000Z-000009.json")).symlink_to(path)
    (path.with_name("20261110T030000Z-00000a.json")).mkdir()
    os.mkfifo(path.with_name("20261110T030000Z-00000b.json"))
    found = read(world)
    assert seen(found) == [(at, Seen.GOOD)]
    assert (found.records, found.damaged) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"runbook": {}}', '{"runbook": {"schema": 2}}', "[" * 100_000, '{"runbook": []}', "\x00\xff",
        '{"runbook": {"schema": 1, "replayed_from": "", "judgements": [{"target": "shop"}], "profile": "default", "finished_at": ""}}',
        '{"runbook": {"schema": 1, "replayed_from": "", "judgements": [], "profile": "default", "finished_at": "yesterday"}}',
        '{"runbook": {"schema": 1, "replayed_from": "", "judgements": 7, "profile": "default", "finished_at": "2026-11-10T03:00:00Z"}}',
    ],
)  # fmt: skip
def test_a_damaged_record_is_named_and_makes_the_time_behind_it_unknown(world, text):
    """It may have said anything. What was seen before it counts no longer, and nothing crashes."""
    world.look(utc("2026-11-10 03:00"), shop="good", search="good")
    (world.settings.reports_dir / "observe" / "20261110T030500Z-abcdef.json").write_text(text, encoding="latin-1")
    found = read(world)
    assert found.damaged == 1
    assert found.named[0].startswith("observe/20261110T030500Z-abcdef.json: ")
    totals = Timeline(found.sights["shop"], minutes(10)).totals(START, NOW)
    assert totals.good == minutes(5)
    told = figures(world.settings, world.plane, world.clock, days_until(NOW, 1, "UTC"))
    assert not told.complete
    assert told.to_json()["read"]["observations_damaged"] == 1


def test_a_record_that_is_too_large_is_not_read(world, monkeypatch):
    """It is named as damaged, with its limit."""
    monkeypatch.setattr(sights, "RECORD_MAX_BYTES", 10)
    world.look(utc("2026-11-10 03:00"), shop="good")
    found = read(world)
    assert (found.damaged, found.sights["shop"][0].seen) == (1, Seen.UNSEEN)
    assert "larger than" in found.named[0]


def test_more_records_than_anybody_reads_are_counted(world, monkeypatch):
    """The latest are read, and how many were left out is said."""
    monkeypatch.setattr(sights, "RECORDS_MAX", 2)
    for minute in range(5):
        world.look(utc(f"2026-11-10 03:0{minute}"), shop="good")
    found = read(world)
    assert (found.records, found.left_out) == (2, 3)
    assert seen(found)[0][0] == utc("2026-11-10 03:03")


def test_the_index_spares_reading_and_the_records_stay_the_truth(world, monkeypatch):
    """What is known is not read again; a record that changed is, and one that was deleted says nothing any more."""
    for hour in (3, 4, 5):
        world.look(utc(f"2026-11-10 0{hour}:00"), shop="good")
    first = read(world)
    asked = []
    whole = sights.read_report
    monkeypatch.setattr(sights, "read_report", lambda path: (asked.append(path.name), whole(path))[1])
    assert read(world) == first
    assert asked == []
    changed = write_record(world.settings, utc("2026-11-10 04:00"), {"shop": "bad"}, number=2)
    (world.settings.reports_dir / "observe" / "20261110T050000Z-000003.json").unlink()
    assert [one for _, one in seen(read(world))] == [Seen.GOOD, Seen.BAD]
    assert asked == [changed.name]
    assert len(json.loads(index_of(world.settings, "observe").read_text())["records"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "\x00", '{"version": 1}', '{"version": 1, "counted": [], "records": {}}', "[" * 100_000,
        '{"version": 1, "counted": "COUNTED", "records": []}',
        '{"version": 1, "counted": "COUNTED", "records": {"20261110T030000Z-000001.json": {"stamp": [], "told": {"at": 1}}}}',
        '{"version": 1, "counted": "COUNTED", "records": {"20261110T030000Z-000001.json": {"stamp": "STAMP", "told": null}}}',
        ('{"version": 1, "counted": "COUNTED", "records": {"20261110T030000Z-000001.json": {"stamp": "STAMP", "told": '
        '{"at": "2026-11-10T03:00:00Z", "profile": "default", "seen": {"shop": 9}}}}}'),
    ],
)  # fmt: skip
def test_an_index_that_cannot_be_relied_on_is_made_anew(world, text):
    """Whatever stands in it, the figures are those of the records."""
    world.look(utc("2026-11-10 03:00"), shop="bad")
    found = read(world)
    path = index_of(world.settings, "observe")
    made = path.read_text()
    told = (world.settings.reports_dir / "observe" / "20261110T030000Z-000001.json").stat()
    text = text.replace('"COUNTED"', json.dumps(list(world.settings.slo.counted)))
    path.write_text(text.replace('"STAMP"', str([told.st_size, told.st_mtime_ns, told.st_ino])), encoding="utf-8")
    assert read(world) == found
    assert path.read_text() == made


def test_where_no_index_can_be_kept_the_figures_are_the_same(world):
    """A file lies where the folder would be: each reader reads the records."""
    world.look(utc("2026-11-10 03:00"), shop="good")
    (world.settings.reports_dir / "slo").write_text("in the way")
    assert seen(read(world)) == [(utc("2026-11-10 03:00"), Seen.GOOD)]


def test_without_any_record_nothing_is_known(world):
    """No folder, no figures, no error."""
    assert read(world) == sights.Reading(sights={}, records=0, damaged=0, named=(), left_out=0)
