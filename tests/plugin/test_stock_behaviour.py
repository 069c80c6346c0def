"""Checks are ordinary pytest tests: what people and tools know of pytest works."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable

import hostile
import pytest
from hostile import HostileServer
from observing import Project

from ops_core.observation.record import read_observation
from ops_core.verdict import Judged, Verdict

Serve = Callable[..., HostileServer]
GOOD, BAD, UNKNOWN, SKIPPED = Judged.GOOD, Judged.BAD, Judged.UNKNOWN, Judged.SKIPPED

CHECKS = """
@probe(budget_s=5, needs="health_url")
async def asked(target, http):
    return await http.get(target.health_url)

@probe(budget_s=1)
def unseen():
    raise CannotLook("nobody there")

@finding("a.bad")
def check_a_good(asked):
    assert asked.status == 200

@finding("b.bad")
def check_b_bad(asked):
    \"\"\"It answers 201.\"\"\"
    assert asked.status == 201, asked.explain()

@finding("c.bad")
def check_c_unseen(unseen):
    pass

@finding("d.bad")
def check_d_cannot(asked):
    raise CannotLook("not from that")

@finding("e.bad")
@pytest.mark.skip(reason="not today")
def check_e_skipped(asked):
    pass
"""
ALL = {
    "check_a_good": GOOD,
    "check_b_bad": BAD,
    "check_c_unseen": UNKNOWN,
    "check_d_cannot": UNKNOWN,
    "check_e_skipped": SKIPPED,
}


@pytest.fixture
def checks(project: Project, serve: Serve) -> Project:
    project.target("web", health_url=serve().url())
    project.check(CHECKS)
    return project


@pytest.mark.parametrize(
    "options",
    [
        ("-q",), ("-vv", "--durations=3", "--color=yes"), ("--tb=short", "-s"), ("--tb=long", "-l", "-rA", "--capture=sys"),
        ("-p", "no:cacheprovider", "--strict-markers", "--strict-config"), ("-p", "no:terminal"), ("-p", "no:timeout"),
        ("-qq", "--no-header", "--no-summary"), ("--json-report",), ("-W", "error", "--import-mode=importlib"),
        ("-p", "no:logging", "-p", "no:faulthandler", "-p", "no:metadata", "-p", "no:warnings"), ("--tb=no",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_usual_options_change_no_judgement(checks: Project, options: tuple[str, ...]) -> None:
    """passed, failed, error and skipped mean what they mean; the record is whole; exit code 1."""
    ran = checks.run("checks/", "-m", "observe", *options)
    assert ran.exit_code == 1, ran.output
    path = checks.root / ".report.json" if "--json-report" in options else ran.record_path
    observation = read_observation(path)
    assert {j.check: j.judged for j in observation.judgements} == ALL, ran.output
    assert observation.verdict is Verdict.UNHEALTHY
    assert not observation.interrupted
    for fallen in (
        "INTERNALERROR",
        "Traceback (most recent",
        "Exception ignored",
        "ResourceWarning",
        "PytestUnknownMarkWarning",
    ):
        assert fallen not in ran.output, ran.output
    if "no:terminal" not in options:
        assert "VERDICT" in ran.output


def test_the_terminal_counts_unseen_as_errors(checks: Project) -> None:
    """Failed is seen and bad, error could not be seen."""
    ran = checks.run("checks/", "-v")
    assert "1 failed, 1 passed, 1 skipped, 2 errors" in ran.output
    for line in (
        "check_d_cannot[web] ERROR",
        "check_c_unseen ERROR",
        "check_b_bad[web] FAILED",
        "check_a_good[web] PASSED",
    ):
        assert line in ran.output


def test_what_was_expected_and_seen_is_recorded(checks: Project) -> None:
    """And where, and by which evidence."""
    judgement = checks.run().judgement("check_b_bad", "web")
    assert judgement.expected == "It answers 201."
    assert "200 after" in judgement.seen
    assert judgement.where == "checks/observe/check_own.py:22"
    assert judgement.evidence == ("asked[web]",)
    assert judgement.finding == "b.bad"


def test_k_selects_and_only_looks_for_what_is_selected(project: Project, serve: Serve) -> None:
    """Targets that no selected check is about are not asked."""
    one, other = serve(), serve()
    project.target("one", health_url=one.url()).target("other", health_url=other.url())
    project.check(CHECKS)
    ran = project.run("checks/", "-k", "good and one")
    assert ran.judged("check_a_good") == {"one": GOOD}
    assert (one.connections, other.connections) == (1, 0)
    assert [record.id for record in ran.observation.evidence] == ["asked[one]"]


def test_x_stops_and_the_rest_is_unknown(checks: Project) -> None:
    """The record is whole and says why it is short."""
    ran = checks.run("checks/", "-x")
    assert ran.exit_code == 1
    assert ran.judged() == {**dict.fromkeys(ALL, UNKNOWN), "check_a_good": GOOD, "check_b_bad": BAD}
    assert ran.observation.interrupted == "stopping after 1 failures"
    assert "not judged: stopping after 1 failures" in ran.judgement("check_d_cannot", "web").seen


def test_x_at_the_very_end_is_no_interruption(checks: Project) -> None:
    """Everything was judged."""
    ran = checks.run("checks/", "-x", "-k", "good or bad")
    assert ran.judged() == {"check_a_good": GOOD, "check_b_bad": BAD}
    assert not ran.observation.interrupted


@pytest.mark.parametrize(
    "distribution",
    [
        (),
        pytest.param(("--dist=loadfile",), marks=pytest.mark.slow),
        pytest.param(("--maxprocesses=1",), marks=pytest.mark.slow),
    ],
    ids=["load", "loadfile", "one"],
)
def test_xdist_judges_the_same(project: Project, serve: Serve, distribution: tuple[str, ...]) -> None:
    """Evidence and judgements come from the workers; each worker asks a target once."""
    server = serve()
    project.target("web", health_url=server.url())
    project.check(CHECKS)
    ran = project.run("checks/", "-m", "observe", "-n", "2", *distribution)
    assert ran.exit_code == 1, ran.output
    assert ran.judged() == ALL
    assert {record.id for record in ran.observation.evidence} == {"asked[web]", "unseen"}
    assert server.connections <= 2
    assert not ran.observation.interrupted
    assert "VERDICT" in ran.output
    journal = next(project.root.glob("reports/*/*.journal.jsonl")).read_text().splitlines()
    assert [json.loads(line)["type"] for line in journal].count("run") == 1
    assert json.loads(journal[0])["type"] == "run"


def test_a_worker_that_dies_loses_no_judgement(checks: Project) -> None:
    """What it was to judge is unknown, not missing."""
    checks.check("@finding('x.y')\ndef check_dies():\n    os._exit(1)\n", name="checks/observe/check_dies.py")
    ran = checks.run("checks/", "-n", "1")
    assert ran.judged() == {**ALL, "check_dies": UNKNOWN}, ran.output
    assert "crashed" in ran.judgement("check_dies").seen
    assert ran.exit_code == 1


@pytest.mark.slow
def test_x_with_xdist_loses_no_judgement(project: Project) -> None:
    """What no worker came to is unknown."""
    text = "".join(f"@finding('x.y')\ndef check_{n}():\n    assert {n} != 0\n" for n in range(50))
    project.check(text)
    ran = project.run("checks/", "-n", "2", "-x")
    assert len(ran.observation.judgements) == 50, ran.output
    assert ran.judged()["check_0"] is BAD
    assert "stopping after 1 failures" in ran.observation.interrupted


def test_junitxml_carries_the_properties(checks: Project) -> None:
    """Finding, target, judgement and evidence of each check."""
    ran = checks.run("checks/", "-m", "observe", "--junitxml=junit.xml")
    assert ran.exit_code == 1
    cases = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in ET.parse(checks.root / "junit.xml").iter("testcase")
    }
    assert cases["check_b_bad[web]"] == {"finding": "b.bad", "target": "web", "judged": "bad", "evidence": "asked[web]"}
    assert cases["check_a_good[web]"]["judged"] == "good"
    assert cases["check_c_unseen"] == {"finding": "c.bad", "target": "", "judged": "unknown", "evidence": "unseen"}
    assert cases["check_d_cannot[web]"]["judged"] == "unknown"
    assert cases["check_e_skipped[web]"]["judged"] == "skipped"


def test_the_report_goes_where_it_is_wanted(checks: Project) -> None:
    """By our option, or by those of pytest-json-report; latest.json lies beside it."""
    for options in (
        ("--ops-record=a/own.json",),
        ("--json-report-file=a/own.json",),
        ("--json-report", "--json-report-file=a/own.json"),
    ):
        checks.run("checks/", *options)
        assert {j.check: j.judged for j in read_observation(checks.root / "a" / "own.json").judgements} == ALL
        assert read_observation(checks.root / "a" / "latest.json").verdict is Verdict.UNHEALTHY
        (checks.root / "a" / "own.json").unlink()
        assert not list(checks.root.glob("reports/*/*.json"))


def test_the_report_is_an_ordinary_json_report(checks: Project) -> None:
    """Its format unchanged, our part added."""
    report = checks.run().report
    assert {"created", "duration", "exitcode", "root", "environment", "summary", "tests", "runbook"} <= set(report)
    assert report["summary"]["failed"] == 1
    assert report["summary"]["error"] == 2
    by_id = {test["nodeid"].rpartition("::")[2]: test for test in report["tests"]}
    assert by_id["check_b_bad[web]"]["metadata"]["runbook"] == {
        "finding": "b.bad",
        "target": "web",
        "evidence": ["asked[web]"],
    }
    assert by_id["check_d_cannot[web]"]["outcome"] == "error"


def test_without_json_report_it_is_told(checks: Project) -> None:
    """The record is made by it."""
    ran = checks.run("checks/", "-p", "no:pytest_jsonreport")
    assert ran.exit_code == 4
    assert "an operational run needs the plugin pytest-json-report" in ran.output


def test_a_report_that_cannot_be_written_is_told(checks: Project) -> None:
    """The verdict is said all the same."""
    (checks.root / "reports").write_text("a file in the way")
    ran = checks.run()
    assert "could not be written" in ran.output or "cannot be written" in ran.output
    assert "VERDICT" in ran.output
    assert ran.exit_code == 1
    assert "INTERNALERROR" not in ran.output


def test_lf_runs_what_failed(checks: Project) -> None:
    """pytest's own cache knows the checks by their node ids."""
    checks.run("checks/")
    ran = checks.run("checks/", "--lf")
    assert set(ran.judged()) == {"check_b_bad", "check_c_unseen", "check_d_cannot"}


def test_assertions_of_checks_are_rewritten(project: Project) -> None:
    """What was seen stands in the message without a word from the check."""
    project.check(
        "@probe(budget_s=1)\ndef one(): return {'a': 1}\n@finding('x.y')\ndef check_it(one):\n    assert one['a'] == 2\n"
    )
    assert project.run().judgement("check_it").seen == "assert 1 == 2"


def test_one_probe_feeds_many_checks(project: Project, serve: Serve) -> None:
    """A struggling system is asked once."""
    server = serve()
    project.target("web", health_url=server.url())
    project.check(
        CHECKS + "".join(f"\n@finding('m.x')\ndef check_m{n}(asked): assert asked.status == 200\n" for n in range(20))
    )
    ran = project.run()
    assert len(ran.observation.judgements) == 25
    assert server.connections == 1


def test_checks_in_classes_and_with_parameters_of_their_own(checks: Project) -> None:
    """As pytest has them."""
    checks.check(
        """
        class CheckGroup:
            @finding("x.y")
            def check_inside(self, asked):
                assert asked.status == 200

        @pytest.mark.parametrize("wanted", [200, 201])
        @finding("x.z")
        def check_many(asked, wanted):
            assert asked.status == wanted

        @pytest.fixture
        def status(asked):
            return asked.status

        @finding("x.w")
        def check_through_a_fixture(status):
            assert status == 200
        """,
        name="checks/observe/check_more.py",
    )
    checks.write(
        "checks/observe/conftest.py", (checks.root / "checks/observe/check_own.py").read_text().split("@finding")[0]
    )
    ran = checks.run("checks/", "-k", "inside or many or through")
    judged = {j.nodeid.rpartition("::")[2]: (j.judged, j.target, j.evidence) for j in ran.observation.judgements}
    assert judged == {
        "check_inside[web]": (GOOD, "web", ("asked[web]",)),
        "check_many[web-200]": (GOOD, "web", ("asked[web]",)),
        "check_many[web-201]": (BAD, "web", ("asked[web]",)),
        "check_through_a_fixture[web]": (GOOD, "web", ("asked[web]",)),
    }, ran.output


def test_a_probe_in_a_conftest_stands_in_for_a_shipped_one(project: Project, serve: Serve) -> None:
    """The shipped checks then judge what the user's probe saw."""
    server = serve(hostile.unavailable)
    project.suites = ("observe",)
    project.target("web", health_url=server.url())
    project.write(
        "checks/conftest.py",
        """
        from ops_core import probe, HttpEvidence
        @probe(budget_s=1, needs="health_url")
        def health(target):
            return HttpEvidence(method="GET", url=target.health_url, status=200)
        """,
    )
    project.check("@finding('x.y')\ndef check_own(health):\n    assert health.status == 200\n")
    ran = project.run("-m", "observe", "-k", "own or answers_200")
    assert ran.judged("check_own") == {"web": GOOD}, ran.output
    assert server.connections == 0


def test_helpers_of_ones_own_are_used_through_the_client(project: Project, serve: Serve) -> None:
    """An async helper that wants an httpx client gets a real one."""
    server = serve()
    project.target("web", health_url=server.url())
    project.write(
        "checks/observe/helpers.py",
        "async def status_of(client, url):\n    return (await client.get(url)).status_code\n",
    )
    project.check(
        """
        from helpers import status_of
        @probe(budget_s=5, needs="health_url")
        async def own(target, http):
            async with http.client() as client:
                return [await status_of(client, target.health_url) for _ in range(3)]
        @finding("x.y")
        def check_it(own): assert own == [200] * 3
        """
    )
    ran = project.run()
    assert ran.exit_code == 0, ran.output
    assert len(ran.observation.record("own[web]").actions) == 3
    assert server.connections == 3


def test_every_instrument_can_be_used_by_plain_and_async_probes(project: Project, serve: Serve) -> None:
    """The same names, with and without await."""
    server, stream = serve(), serve(hostile.stream_of_heartbeats)
    project.target("web", health_url=server.url(), stream_url=stream.url())
    project.check(
        """
        @probe(budget_s=5, needs=("health_url", "stream_url"))
        def plain(target, http, sse, command, control, deployments, secrets):
            return [http.get(target.health_url).status, sse.watch(target.stream_url, window_s=3).comments,
                    command.run("true").exit_code, control.state().stopped, deployments.of(target).release_exists, list(secrets)]

        @probe(budget_s=5, needs=("health_url", "stream_url"))
        async def awaited(target, http, sse, command, control, deployments, secrets):
            return [(await http.get(target.health_url)).status, (await sse.watch(target.stream_url, window_s=3)).comments,
                    (await command.run("true")).exit_code, control.state().stopped, deployments.of(target).release_exists, list(secrets)]

        @finding("x.y")
        def check_both(plain, awaited):
            assert plain == awaited == [200, 1, 0, True, True, []]
        """
    )
    ran = project.run()
    assert ran.exit_code == 0, ran.output


RETRIED = """
tries = []

@probe(budget_s=5, attempts=3, until=lambda seen: seen == 3)
def third():
    tries.append(1)
    return len(tries)

@probe(budget_s=5, attempts=3)
async def raising():
    raise RuntimeError("never")

@probe(budget_s=5, attempts=2)
def never():
    return HttpEvidence(method="GET", url="x", status=500)

@probe(budget_s=5, attempts=3)
def at_once():
    return 1

@finding("x.third")
def check_third(third): assert third == 3
@finding("x.again")
def check_third_again(third): assert third == 3
@finding("x.raising")
def check_raising(raising): pass
@finding("x.never")
def check_never(never): assert never.status == 200
@finding("x.at_once")
def check_at_once(at_once): pass
"""


@pytest.mark.parametrize("strict", [(), ("-W", "error")], ids=["", "strict"])
def test_what_was_seen_only_after_a_retry_is_never_silently_green(project: Project, strict: tuple[str, ...]) -> None:
    """A warning, and a flag in the record; also where warnings are errors nothing becomes unknown by that."""
    project.check(RETRIED)
    ran = project.run("checks/", *strict)
    judged = {j.check: (j.judged, j.retried) for j in ran.observation.judgements}
    assert judged == {
        "check_third": (GOOD, True),
        "check_third_again": (GOOD, True),
        "check_raising": (UNKNOWN, False),
        "check_never": (BAD, True),
        "check_at_once": (GOOD, False),
    }, ran.output
    assert ran.observation.record("third").attempts == 3
    assert "third: answered at attempt 3" in ran.output


def test_a_probe_asked_for_by_name_is_told_how_to(project: Project, serve: Serve) -> None:
    """getfixturevalue cannot be seen ahead."""
    project.target("web", health_url=serve().url())
    project.check("@finding('x.y')\ndef check_it(request):\n    request.getfixturevalue('health')\n")
    ran = project.run()
    assert "must be an argument of the check" in ran.judgement("check_it").seen
    assert ran.judgement("check_it").judged is UNKNOWN


def test_other_tests_may_run_in_the_same_session(checks: Project) -> None:
    """They are no checks: they are not judged, and need no finding."""
    checks.write("tests/test_x.py", "def test_x(): pass\ndef test_y(): assert 0\n")
    ran = checks.run("checks/", "tests/")
    assert ran.judged() == ALL
    assert ran.exit_code == 1
