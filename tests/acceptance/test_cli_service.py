"""`ops runtime-health`, `ops bench` and `ops observe --allow-ready-degraded` as a person types them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile import Behaviour, HostileServer, free_port, never_answers
from observing import Project, clean_environment
from serving import DEGRADED, UNREADY, Service

from ops_core.cli import main
from ops_core.cli.runtime_health import base_of
from ops_core.errors import UsageError

Said = tuple[int, str, str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on an operator's machine, in an empty folder, without what this run of pytest has set."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], HostileServer]]:
    servers = []

    def start(behaviour: Behaviour) -> HostileServer:
        servers.append(HostileServer(behaviour))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*words: str) -> Said:
        capfd.readouterr()
        code = main(words)
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_healthy_service_is_two_lines_and_the_verdict(serve, typed, tmp_path) -> None:
    """Each with its path, status and time; nothing is left behind, and the slash at the end does not matter."""
    service = Service()
    code, out, err = typed("runtime-health", "--base-url", f"{serve(service).url('/')}")
    told = lines(out)
    assert (code, err) == (0, "")
    assert [line[:4] for line in told[:2]] == [
        ["liveness", "ok", "/health/live", "200"],
        ["readiness", "ok", "/health/ready", "200"],
    ]
    assert told[2:] == [["verdict", "HEALTHY"]]
    assert sorted(head.split()[1] for head in service.heads) == ["/health/live", "/health/ready"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ready", "options", "code", "seen"),
    [
        (DEGRADED, (), 1, "NOT OK  /health/ready  503"),
        (DEGRADED, ("--allow-ready-degraded",), 0, "ok      /health/ready  503"),
        (UNREADY, ("--allow-ready-degraded",), 1, "NOT OK  /health/ready  503"),
    ],
)
def test_a_degraded_mode_is_told_and_counts_unless_it_is_allowed(serve, typed, ready, options, code, seen) -> None:
    """What is away, and why; what is not ready without that word is never good enough."""
    found, out, _ = typed("runtime-health", "--base-url", serve(Service(ready=ready)).url(""), *options)
    assert found == code
    assert seen.split() == out.splitlines()[1].split()[1 : 1 + len(seen.split())]
    assert ("degraded (away: redis; redis is away)" in out) is (ready is DEGRADED)
    assert out.splitlines()[-1].split() == ["verdict", "HEALTHY" if code == 0 else "UNHEALTHY"]


def test_a_service_that_is_away_is_seen_to_be_and_one_that_hangs_is_not_seen(serve, typed) -> None:
    """Refused is an answer of the network, 1; silence is none, 3."""
    code, out, _ = typed("runtime-health", "--base-url", f"http://127.0.0.1:{free_port()}", "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["liveness"]["judged"]) == (1, "UNHEALTHY", "bad")
    assert "connection refused" in told["readiness"]["seen"]
    code, out, _ = typed("runtime-health", "--base-url", serve(never_answers).url(""))
    assert code == 3
    assert out.splitlines()[0].startswith("liveness   NOT SEEN  no answer within the budget of 5 s")
    assert out.splitlines()[-1].split() == ["verdict", "UNKNOWN"]


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8000", "ftp://h", "http://", "http://u:p@h", "http://h:99999", "http://h/?a=1", "http://h/#x",
     "http://h/${HOME}", 'http://h/"', "http://h/\n", "http://h/ x", "http://[::1", "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anything_is_asked(url) -> None:
    """With what is allowed; nothing of it gets into a configuration."""
    with pytest.raises(UsageError, match="no address"):
        base_of(url)


def test_an_address_may_have_a_path(typed) -> None:
    """As behind a gateway; a usage error is 64, also as JSON."""
    assert base_of("https://h.example:8443/api/") == "https://h.example:8443/api"
    code, out, _ = typed("runtime-health", "--base-url", "nowhere", "--json")
    assert (code, json.loads(out)["where"]) == (64, "--base-url")


def test_observe_takes_the_same_option(serve, typed, tmp_path) -> None:
    """The suite says what the short command says."""
    project = Project(tmp_path).target("one", ready_url=serve(Service(ready=DEGRADED)).url("/health/ready"))
    project.suites = ("service",)
    project.configure()
    for options, code in (((), 1), (("--allow-ready-degraded",), 0)):
        found, out, _ = typed("observe", "--suite", "service", "--json", *options)
        judged = {one["check"]: one["judged"] for one in json.loads(out)["judgements"]}
        assert found == code, out
        assert judged["check_service_is_not_degraded"] == ("bad" if code else "good")


def test_bench_tells_keeps_and_compares(serve, typed, tmp_path, monkeypatch) -> None:
    """Figures and limits; what --record keeps is what the next run is compared with; a limit stays a limit."""
    project = Project(tmp_path).target(
        "one", bench_url=serve(Service()).url("/api/items"), bench_requests=5, bench_max_ms=5000, bench_p95_max_ms=9000
    )
    project.suites = ("bench",)
    project.configure()
    monkeypatch.setenv("BENCH_PROFILE", "staging")
    code, out, _ = typed("bench", "--record")
    assert code == 0, out
    kept = json.loads((tmp_path / "reports/bench/staging-one-baseline.json").read_text())
    assert set(kept) == {"median_ms", "p95_ms", "at", "requests", "url"}
    assert (kept["requests"], 0 < kept["median_ms"] <= kept["p95_ms"]) == (5, True)
    assert lines(out)[1] == ["requests", "5", "of", "5,", "0", "failed"]
    assert lines(out)[-1] == ["verdict", "HEALTHY"]
    monkeypatch.setenv("BENCH_FAIL_THRESHOLD_MS", "0.0001")
    code, out, _ = typed("bench", "--json")
    told = json.loads(out)
    assert (code, [one["finding"] for one in told["wrong"]]) == (1, ["bench.slow"])
    assert told["targets"]["one"]["baseline_median_ms"] == kept["median_ms"]
    assert typed("bench", "--record")[0] == 1


def test_what_failed_is_no_baseline(serve, typed, tmp_path) -> None:
    """A service that refuses is quick; nothing is kept, and that is a failure."""
    project = Project(tmp_path).target("one", bench_url=serve(Service(bench=(503, {}))).url("/"), bench_requests=3)
    project.suites = ("bench",)
    project.configure()
    code, out, _ = typed("bench", "--record")
    assert code == 3
    assert "3 of 3 requests failed" in out
    assert not list((tmp_path / "reports/bench").glob("*-baseline.json"))
