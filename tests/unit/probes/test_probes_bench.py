"""How quick a service is: what is asked, which limits are in force, and what it is compared with."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import Service

from ops_core.errors import CannotLook
from ops_core.probes import bench
from ops_core.probes.bench import baseline_name, limits_of, p95_of
from ops_core.targets import Target

TARGET = Target(name="one", bench_max_ms=100, bench_p95_max_ms=200)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing that whoever runs the tests has set."""
    for name in ("BENCH_PROFILE", "BENCH_FAIL_THRESHOLD_MS", "BENCH_FAIL_P95_THRESHOLD_MS"):
        monkeypatch.delenv(name, raising=False)


def test_limits_of_the_environment_stand_in_for_those_of_the_configuration():
    """Each alone or both; who set them is told, and an empty variable sets nothing."""
    assert limits_of(TARGET, {}) == bench.Limits(profile="default", max_ms=100, p95_max_ms=200, set_by="ops.toml")
    both = {"BENCH_PROFILE": "staging", "BENCH_FAIL_THRESHOLD_MS": "250", "BENCH_FAIL_P95_THRESHOLD_MS": " 400.5 "}
    assert limits_of(TARGET, both) == bench.Limits(
        profile="staging",
        max_ms=250,
        p95_max_ms=400.5,
        set_by="BENCH_FAIL_THRESHOLD_MS and BENCH_FAIL_P95_THRESHOLD_MS",
    )
    one = limits_of(TARGET, {"BENCH_FAIL_P95_THRESHOLD_MS": "7", "BENCH_FAIL_THRESHOLD_MS": ""})
    assert (one.max_ms, one.p95_max_ms, one.set_by) == (100, 7, "BENCH_FAIL_P95_THRESHOLD_MS")


@pytest.mark.parametrize("value", ["fast", "0", "-1", "nan", "inf", "1e9", "250ms"])
def test_a_limit_that_is_none_is_not_passed_over(value):
    """A typing mistake must not mean that there is no limit."""
    with pytest.raises(CannotLook, match=r"BENCH_FAIL_THRESHOLD_MS=.* is no limit"):
        limits_of(TARGET, {"BENCH_FAIL_THRESHOLD_MS": value})


@pytest.mark.parametrize("name", ["../up", "a/b", "-x", "a b"])
def test_a_profile_names_a_file_and_nothing_else(name):
    """It becomes a part of a path."""
    with pytest.raises(CannotLook, match="BENCH_PROFILE is no name"):
        limits_of(TARGET, {"BENCH_PROFILE": name})


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200))
def test_p95_was_measured_and_95_of_100_do_not_exceed_it(times_ms):
    """The smallest such value."""
    found = p95_of(times_ms)
    assert found in times_ms
    assert sum(one <= found for one in times_ms) >= 0.95 * len(times_ms)
    assert sum(one < found for one in times_ms) < 0.95 * len(times_ms)


def asked(look, serve, service=None, **fields):
    url = serve(service or Service()).url("/api/items?limit=1")
    return look("bench", bench_url=url, **{"bench_requests": 5, **fields})


def test_as_many_requests_are_made_as_were_wanted(look, serve):
    """One after the other, each timed; without a baseline there is nothing to compare with."""
    service = Service()
    seen = asked(look, serve, service)
    assert len(service.heads) == 5
    assert (seen.wanted, seen.done, seen.failed, seen.baseline_median_ms, seen.baseline_problem) == (5, 5, 0, None, "")
    assert 0 < seen.median_ms <= seen.p95_ms


def test_requests_that_fail_are_counted_and_not_timed(look, serve):
    """A refusal is quick; that makes no service quick."""
    seen = asked(look, serve, Service(bench=(503, {})))
    assert (seen.done, seen.failed, seen.median_ms, seen.p95_ms) == (5, 5, None, None)
    assert "503" in seen.failure


def test_it_ends_before_its_time_is_up_with_what_was_measured(look, serve, monkeypatch):
    """What could be asked until then counts."""
    monkeypatch.setattr(bench, "ASKING_S", 0.2)
    seen = asked(look, serve, bench_requests=100_000)
    assert 0 < seen.done < 100_000


def test_a_baseline_is_found_by_profile_and_target(look, serve, tmp_path, monkeypatch):
    """One that was recorded under another name is another one."""
    path = tmp_path / "reports" / baseline_name("one", "staging")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"median_ms": 2.5, "p95_ms": 9, "at": "2026-01-05T00:00:00Z"}))
    assert asked(look, serve).baseline_median_ms is None
    monkeypatch.setenv("BENCH_PROFILE", "staging")
    seen = asked(look, serve)
    assert (seen.profile, seen.baseline_median_ms, seen.baseline_p95_ms, seen.baseline_at[:10]) == (
        "staging", 2.5, 9, "2026-01-05",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"median_ms": 1}', '{"median_ms": true, "p95_ms": 2}', '{"median_ms": NaN, "p95_ms": 2}',
     '{"median_ms": 0, "p95_ms": 2}', '{"median_ms": "1", "p95_ms": 2}', "[" * 100_000, "x" * 300_000],
)  # fmt: skip
def test_a_damaged_baseline_is_told_and_never_taken_for_none(look, serve, tmp_path, text):
    """Else whoever damages it has nothing to fear from being slow."""
    path = tmp_path / "reports" / baseline_name("one", "default")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    seen = asked(look, serve, bench_requests=1)
    assert seen.baseline_median_ms is None
    assert "baseline" in seen.baseline_problem
