"""Reports say what the figures say, in two languages, with pictures that are valid, self-contained and readable."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from month import NOW, period, rehearse, told
from slo_world import World, utc
from write_slo_examples import EXAMPLES, examples

from ops_core.report.charts import Bar, Cell, Series, Strip, availability_chart, budget_chart, recovery_chart
from ops_core.slo.documents import documents, percent, write_documents
from ops_core.slo.figures import figures

SVG = "{http://www.w3.org/2000/svg}"
AGAIN = "PYTHONPATH=.:tests python tests/unit/slo/write_slo_examples.py writes them again"
HOSTILE = ["<script>alert(1)</script>", "a&b", '"><x', "]]>", "\x00\x1b[31m", "\u202e", "가나다 " * 30, ""]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return rehearse(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def written(world):
    return examples(world)


def parsed(text):
    """The picture as XML; it needs nothing from elsewhere, and says what it shows to who does not see it."""
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    ids = {one.get("id"): one.text for one in root if one.tag in {f"{SVG}title", f"{SVG}desc"}}
    assert root.get("aria-labelledby") == "title desc"
    assert all(ids[name] for name in ("title", "desc"))
    assert not re.search(r"<script|<image|<foreignObject|@import|url\((?!#)|href|\bon\w+=", text)
    assert text.count("http") == 1  # the name of the format
    assert "prefers-color-scheme:dark" in text
    return root


def test_the_examples_are_what_we_write_today(written):
    """The reports of the month of drills, to the byte, and no file beside them."""
    found = {str(path.relative_to(EXAMPLES)): path.read_text("utf-8") for path in EXAMPLES.rglob("*") if path.is_file()}
    assert sorted(found) == sorted(written), AGAIN
    for path, text in written.items():
        assert found[path] == text, f"{path}: {AGAIN}"


def test_the_monthly_report_has_the_figures_computed_by_hand(written):
    """What test_slo_month computes stands in the document, each figure with what it is from."""
    text = re.sub(" +", " ", written["en/2026-11/monthly.md"])
    ids = ["20261110T030000Z-000001", "20261117T050000Z-000002", "20261120T020000Z-000003", "20261124T010000Z-000004"]
    first_three, all_four = (", ".join(f"`{one}`" for one in ids[:count]) for count in (3, 4))
    for line in (
        f"| Mean time to recovery | less than 5 min | 2 min 16 s | **unknown** | {first_three}; 1 without a verified recovery |",
        "| Availability, the lowest of all targets | more than 99.9 % | 99.929 % | **met** | 1422 observations |",
        f"| Automatic recovery | more than 95 % | 75.000 % | **missed** | {all_four} |",
        f"| Security incidents | 0 | 1 | **missed** | `{ids[2]}` |",
        "| `shop` | 99.9 % | 99.985 % | **met** | 6 min | 2 | 1.6 % | 98.319 % | 711 |",
        "| `search` | 43 min 12 s | 30 min | 13 min 12 s (30.5 %) | **left** | 5m 0.0, 30m 0.0, 1h 0.0, 6h 0.0, 3d 0.0 |",
        f"| Mean time to detection | 30 s | {all_four} |",
        f"| The same of all, at least | 4 min 12 s | {all_four} |",
    ):
        assert line in text


def test_reports_are_written_beside_their_pictures(world, tmp_path):
    """Every picture that the document shows lies beside it; the figures as JSON too."""
    settings = replace(world.settings, reports_dir=tmp_path)
    files = write_documents(settings, told(world, period(world, "week", "2026-W47")), "ko")
    assert {path.parent for path in files} == {tmp_path / "slo" / "2026-W47"}
    text = (tmp_path / "slo" / "2026-W47" / "weekly.md").read_text("utf-8")
    shown = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text))
    assert shown == {"availability.svg", "budget.svg", "recovery.svg"}
    assert shown | {"weekly.md", "figures.json"} == {path.name for path in files}
    assert json.loads((tmp_path / "slo" / "2026-W47" / "figures.json").read_text())["period"]["key"] == "2026-W47"


def test_pictures_are_valid_and_need_nothing_from_elsewhere(written):
    """All of the examples, in both languages."""
    pictures = [text for path, text in written.items() if path.endswith(".svg")]
    assert len(pictures) == 12
    for text in pictures:
        parsed(text)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_month_of_which_nothing_is_known_is_told_as_that(tmp_path, lang):
    """No figure, no line in the budget's picture, and what follows is to look."""
    world = World(tmp_path, NOW)
    found = documents(figures(world.settings, world.plane, world.clock, period(world, "month", "2026-09")), lang)
    assert "100.000 %" not in found["monthly.md"]
    assert found["monthly.md"].count({"en": "**unknown**", "ko": "**미확인**"}[lang]) == 4 + 2 + 2
    assert not parsed(found["budget.svg"]).findall(f"{SVG}polyline")
    parsed(found["availability.svg"])
    parsed(found["recovery.svg"])


def test_what_could_not_be_read_stands_in_the_report(tmp_path):
    """Damaged records by name, and a store that cannot be read."""
    world = World(tmp_path, NOW)
    world.look(utc("2026-11-10 03:00"), shop="good")
    (world.settings.reports_dir / "observe" / "20261110T040000Z-abcdef.json").write_text("{")
    world.settings.control_store.write_bytes(b"no store")
    text = documents(figures(world.settings, world.plane, world.clock, period(world, "month", "2026-11")), "en")[
        "monthly.md"
    ]
    assert "20261110T040000Z-abcdef.json" in text
    assert "**Incidents:**" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_a_picture(text):
    """Names from elsewhere stay text: as valid XML, without effect."""
    cell = Cell(label=text, good=0.5, bad=0.25, unknown=0.25, tip=text)
    for picture in (
        availability_chart([Strip(label=text, total=text, cells=[cell] * 31)], "en"),
        budget_chart([Series(label=text, values=[1.0, None, -5.0])], [text] * 3, "en"),
        recovery_chart([Bar(label=text, seconds=1e9, done=False)], 300.0, "en"),
    ):
        parsed(picture)


@pytest.mark.parametrize("count", [0, 1, 100])
def test_pictures_of_nothing_and_of_much_stay_in_their_frame(count):
    """No target, one, or a hundred: numbers are finite, and what is drawn lies inside the picture."""
    days = [f"11-{day:02d}" for day in range(1, 31)]
    cells = [Cell(label=day, good=0.0, bad=1.0, unknown=0.0, tip="") for day in days]
    for picture in (
        availability_chart([Strip(label=f"t{n}", total="1", cells=cells) for n in range(count)], "en"),
        budget_chart([Series(label=f"t{n}", values=[1 - n / 7] * 30) for n in range(count)], days, "en"),
        recovery_chart([Bar(label=f"t{n}", seconds=n * 10.0, done=True) for n in range(count)], 300.0, "en"),
    ):
        root = parsed(picture)
        width, height = (float(root.get(name)) for name in ("width", "height"))
        for one in root.iter(f"{SVG}rect"):
            if one.get("x"):
                assert 0 <= float(one.get("x")) <= float(one.get("x")) + float(one.get("width")) <= width
                assert 0 <= float(one.get("y")) <= float(one.get("y")) + float(one.get("height")) <= height
        for one in root.iter(f"{SVG}text"):
            assert 0 <= float(one.get("x")) <= width
            assert 0 <= float(one.get("y")) <= height


def test_percentages_are_cut_and_not_rounded():
    """99.9999 % is not 100 %, and what is just below a promise is not shown as kept."""
    assert percent(0.999999) == "99.999 %"
    assert percent(0.9989999) == "99.899 %"
    assert percent(1.0) == "100.000 %"
    assert percent(0.29) == "29.000 %"
    assert percent(-1.976, 1) == "-197.6 %"
    assert percent(None) == ""


def test_the_clock_of_a_zone_decides_the_days(world):
    """The first cell of the month is the first of November in Seoul, which begins at 15:00 UTC the day before."""
    found = told(world, period(world, "month", "2026-11"))
    first = found.targets[0].days[0]
    assert (first.day.isoformat(), first.availability.totals.length) == ("2026-11-01", timedelta(days=1))
