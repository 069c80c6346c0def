"""What people type: figures and reports as text and as JSON, exit codes, and errors that say what is allowed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from month import rehearse
from slo_world import World
from support import ROOT
from test_slo_metrics_page import Collected

from ops_core.cli import main, metrics, report


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return rehearse(tmp_path_factory.mktemp("month"))


@pytest.fixture
def ops(repository, monkeypatch, capsys):
    """Types a command in the repository: its exit code and what it says on both."""
    # The month is the same on whatever day somebody runs the tests.
    for module in (metrics, report):
        monkeypatch.setattr(module, "clock", lambda: repository.clock)

    def typed(*argv):
        monkeypatch.chdir(repository.root)
        code = main(argv)
        told = capsys.readouterr()
        return code, told.out, told.err

    return typed


def test_metrics_of_a_week(ops):
    """Goals first, then targets, then what it was computed from; the exit code is 0, whatever was missed."""
    code, out, _ = ops("metrics", "--period", "week", "--at", "2026-W47")
    text = re.sub(" +", " ", out)
    assert code == 0
    assert "week 2026-W47 (2026-11-15 15:00 to 2026-11-22 15:00 UTC)" in text
    assert "\nMTTR < 5 min 1 min 24 s MET 2 incidents: " in text
    assert "\nsecurity incidents 0 1 MISSED 1 incident: " in text
    assert "\nshop 99.980 % MET 0.0 % 80.1 % LEFT 0.0 0.0 0.0 169\n" in text
    assert "\nmttd 20 s, 2 incidents, 2 recovered without a person, 0 without a verified recovery, 0 open\n" in text


def test_metrics_as_json(ops):
    """One document with ratios, seconds, verdicts and ids."""
    code, out, _ = ops("metrics", "--period", "week", "--at", "2026-W47", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["period"]["start"] == "2026-11-15T15:00:00.000Z"
    assert {goal["goal"]: goal["verdict"] for goal in told["goals"]} == {
        "mttr": "met", "availability": "met", "automatic": "met", "security": "missed",
    }  # fmt: skip
    assert told["targets"][0]["bad_s"] == 120
    assert told["targets"][0]["budget"]["left_s"] == 484.8
    assert len(told["recovery"]["automatic"]) == 2


def test_metrics_of_a_time_without_observations(ops):
    """Unknown in words, null in JSON."""
    _, out, _ = ops("metrics", "--at", "2026-09")
    assert out.count("UNKNOWN") >= 4
    assert "100.000 %" not in out
    _, out, _ = ops("metrics", "--at", "2026-09", "--json")
    assert {one["availability"] for one in json.loads(out)["targets"]} == {None}


def test_a_budget_that_burns_is_said(tmp_path, monkeypatch, capsys):
    """An alert that fires is told with its rates."""
    now = datetime.now(UTC)
    world = World(tmp_path, now, slo="observation_valid_s = 86400")
    world.look(now - timedelta(hours=5), shop="bad", search="good")
    monkeypatch.chdir(tmp_path)
    assert main(["metrics", "--period", "1d"]) == 0
    out = capsys.readouterr().out
    assert out.count("burning    shop: 1000.0 and 1000.0 over") == 3
    assert "burning    search" not in out


@pytest.mark.parametrize(
    "argv", [("metrics", "--period", "year"), ("report", "weekly", "--at", "2026-11"), ("metrics", "--at", "x")]
)
def test_what_is_no_period_is_a_usage_error(ops, argv):
    """64, with what is allowed."""
    code, out, err = ops(*argv)
    assert (code, out) == (64, "")
    assert "allowed" in err


def test_a_report_is_shown_or_written(ops, repository):
    """The same document on the terminal, in a file, and in JSON."""
    code, shown, _ = ops("report", "weekly", "--at", "2026-W47", "--lang", "ko")
    assert code == 0
    assert shown.startswith("# 주간 보고서 `2026-W47`\n")
    code, out, _ = ops("report", "weekly", "--at", "2026-W47", "--lang", "ko", "--write")
    assert code == 0
    folder = repository.settings.reports_dir / "slo" / "2026-W47"
    assert out.splitlines()[0] == "wrote  reports/slo/2026-W47/weekly.md"
    assert (folder / "weekly.md").read_text("utf-8") == shown
    _, out, _ = ops("report", "weekly", "--at", "2026-W47", "--lang", "ko", "--json")
    assert json.loads(out)["text"] == shown


def test_own_templates_come_first(ops, repository):
    """A template of the repository's stands in for ours; one that is broken is an error that says where."""
    own = repository.root / "templates"
    own.mkdir()
    try:
        (own / "weekly.md.j2").write_text("{{ view.key }}\n")
        assert ops("report", "weekly", "--at", "2026-W47")[1] == "2026-W47\n"
        (own / "weekly.md.j2").write_text("{{ view.nothing }}\n")
        code, _, err = ops("report", "weekly", "--at", "2026-W47")
        assert (code, "weekly.md.j2:1" in err) == (64, True)
    finally:
        (own / "weekly.md.j2").unlink()
        own.rmdir()


def test_a_refused_rollout_shows_its_figures(tmp_path, monkeypatch, capsys):
    """2, with the budgets, of which nobody knows anything here; as JSON in the error's document."""
    World(tmp_path, datetime.now(UTC))
    monkeypatch.chdir(tmp_path)
    assert main(["rollout", "--target", "search", "--", "true"]) == 2
    assert capsys.readouterr().err.startswith("budget    search  UNKNOWN  nobody knows: 100.0 % of 30 days were not")
    assert main(["rollout", "--json", "--target", "search", "--", "true"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["exit_code"], [one["target"] for one in told["budgets"]]) == (2, ["search"])


@pytest.mark.parametrize("argv", [("--override", "--", "true"), ("--timeout", "0", "--", "true"), ()])
def test_a_rollout_that_cannot_be_is_a_usage_error(tmp_path, monkeypatch, argv):
    """An override without a reason, no time, no command: 64."""
    World(tmp_path, datetime.now(UTC))
    monkeypatch.chdir(tmp_path)
    assert main(["rollout", *argv]) == 64


def test_the_page_about_it_lists_every_metric(tmp_path):
    """docs/slo.md names the metrics that there are, and no other."""
    now = datetime.now(UTC)
    world = World(tmp_path, now, slo="observation_valid_s = 86400\nbudget_days = 1")
    world.look(now - timedelta(days=1), shop="good")
    world.incident(
        began=now - timedelta(minutes=3), detected=now - timedelta(minutes=2), ended=now - timedelta(minutes=1)
    )
    world.clock.instant = now
    page = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8").split("## At /metrics")[1].split("```")[0]
    told = {
        name for row in re.findall(r"^\| (`ops_[^|]*) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert told == {name.partition("{")[0] for name in Collected(world).page()}
