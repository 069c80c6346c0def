"""What the kinds of evidence say of themselves."""

from __future__ import annotations

import pytest

from ops_core.evidence import (
    CommandEvidence,
    ControlEvidence,
    DeploymentEvidence,
    Evidence,
    GuardEvidence,
    HttpEvidence,
    ProcessEvidence,
    StreamEvidence,
    ValueEvidence,
    evidence_id,
)


def http(status: int | None = 200, **more) -> HttpEvidence:
    return HttpEvidence(**{"method": "GET", "url": "http://x/", "status": status, **more})


def test_ids_name_probe_and_target() -> None:
    """Or the probe alone."""
    assert evidence_id("health", "core") == "health[core]"
    assert evidence_id("control", None) == "control"


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (http(503, elapsed_ms=12.4, size_bytes=3), "GET http://x/: 503 after 12 ms, 3 bytes"),
        (http(None, error="connection refused", elapsed_ms=1), "GET http://x/: connection refused after 1 ms"),
        (http(None, error="TLS failed", error_detail="why", elapsed_ms=1), "GET http://x/: TLS failed (why) after 1 ms"),
        (http(200, error="not valid HTTP", error_detail="cut", size_bytes=4), "GET http://x/: 200, then not valid HTTP (cut) after 0 ms, 4 bytes"),
        (GuardEvidence(without=http(401), wrong=http(200), right=http(None, error="reset")),
         "http://x/: without secret 401, wrong secret 200, right secret reset"),
        (GuardEvidence(without=http(401), wrong=http(401), right=None),
         "http://x/: without secret 401, wrong secret 401, right secret not asked"),
        (StreamEvidence(url="u", status=200, size_bytes=9, events=1, comments=2, watched_ms=1500),
         "GET u: 200, 9 bytes, 1 events and 2 heartbeats in 1.5 s"),
        (StreamEvidence(url="u", error="reset"), "GET u: reset"),
        (StreamEvidence(url="u", status=200, error="reset", error_detail="why"), "GET u: 200, then reset (why)"),
        (ProcessEvidence(name="core", supervisor="c", state="RUNNING", pid=5, os_state="T"),
         "process core: RUNNING, pid 5, system state T"),
        (ProcessEvidence(name="core", supervisor="c", state="FATAL", exit_status=3, detail="too quick"),
         "process core: FATAL, exit status 3 (too quick)"),
        (CommandEvidence(argv=("a", "b"), exit_code=2, elapsed_ms=1, stdout="out\n", stderr="one\ntwo\n"), "a b: exit 2, two"),
        (CommandEvidence(argv=("a",), exit_code=0, elapsed_ms=1, stdout="", stderr=""), "a: exit 0"),
        (ControlEvidence(store="s", stopped=True, stop_reason="why", gate="DRY_RUN"), "emergency stop engaged (why), gate DRY_RUN"),
        (ControlEvidence(store="s", stopped=False, stop_reason="", gate="DRY_RUN"), "emergency stop released, gate DRY_RUN"),
        (ControlEvidence(store="s", stopped=True, stop_reason="", gate="", problem="gone"), "emergency stop counts as engaged: gone"),
        (ValueEvidence(value=[1]), "saw [1]"),
    ],
)  # fmt: skip
def test_evidence_says_what_was_seen(evidence: Evidence, said: str) -> None:
    """In one line."""
    assert evidence.explain() == said


def test_retrying_is_for_what_may_pass() -> None:
    """A server error, a refused connection, a silent stream; not for a 404, which is an answer."""
    assert http(404).ok
    assert not http(503).ok
    assert not http(None, error="connection refused").ok
    assert not http(200, error="connection reset").ok
    assert GuardEvidence(without=http(401), wrong=http(401), right=None).ok
    assert not GuardEvidence(without=http(401), wrong=http(500), right=None).ok
    assert not StreamEvidence(url="u", status=200).ok
    assert not CommandEvidence(argv=("a",), exit_code=1, elapsed_ms=0, stdout="", stderr="").ok
    assert ValueEvidence(value=None).ok


@pytest.mark.parametrize(
    ("state", "os_state", "running", "frozen"),
    [
        ("RUNNING", "S", True, False),
        ("RUNNING", "T", True, True),
        ("RUNNING", "t", True, True),
        ("RUNNING", "Z", False, False),
        ("RUNNING", None, False, False),
        ("STARTING", "S", False, False),
        ("FATAL", None, False, False),
    ],
)
def test_a_process_runs_when_both_say_so(state: str, os_state: str | None, running: bool, frozen: bool) -> None:
    """Supervisor and system."""
    seen = ProcessEvidence(name="x", supervisor="c", state=state, os_state=os_state)
    assert (seen.running, seen.frozen) == (running, frozen)


@pytest.mark.parametrize(
    ("release", "good", "facts"),
    [("v2", "v1", ("release.unproven",)), ("v1", "v1", ()), ("v1", None, ()), (None, "v1", ("release.unproven",))],
)
def test_what_was_never_seen_good_is_a_fact(release: str | None, good: str | None, facts: tuple[str, ...]) -> None:
    """It accuses nobody; it steers the decision. Where nothing was recorded nothing is claimed."""
    seen = DeploymentEvidence(
        release=release, release_exists=True, release_good=good, config="1", config_exists=True, config_good="1"
    )
    assert seen.facts == facts


def test_bodies_are_json_where_they_are_whole() -> None:
    """A cut one is not guessed at."""
    assert http(body_excerpt='{"a": 1}').json() == {"a": 1}
    with pytest.raises(ValueError, match="was cut after 4 characters"):
        http(body_excerpt='{"a"', truncated=True).json()
    with pytest.raises(ValueError, match="Expecting"):
        http(body_excerpt="no").json()


def test_headers_are_found_by_any_case() -> None:
    """The first of them."""
    seen = http(headers=(("X-A", "1"), ("x-a", "2")))
    assert seen.header("x-A") == "1"
    assert seen.header("x-b") is None
