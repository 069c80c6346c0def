"""When a run is operational, what it collects, and what is told when it cannot be followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hostile import HostileServer
from observing import Project

from ops_core.verdict import Judged, Verdict

Serve = Callable[..., HostileServer]

CHECK = """
@probe(budget_s=2)
def fine():
    open("looked", "a").write("x")
    return 1

@finding("own.bad")
def check_own(fine):
    assert fine == 1
"""
USAGE = 4


def looked(project: Project) -> int:
    path = project.root / "looked"
    return len(path.read_text()) if path.exists() else 0


def test_a_bare_pytest_touches_nothing(project: Project) -> None:
    """It does not even collect the checks, nor the conftest beside them."""
    project.check(CHECK)
    project.write("checks/conftest.py", "open('looked', 'a').write('x')")
    project.write("test_x.py", "def test_x(): pass")
    ran = project.run("-q", "--rootdir=.")
    assert ran.exit_code == 0
    assert "1 passed" in ran.output
    assert looked(project) == 0
    assert not (project.root / "reports").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("checks/",),
        ("checks",),
        ("checks/observe",),
        ("checks/observe/check_own.py",),
        ("checks/observe/check_own.py::check_own",),
        ("-m", "observe"),
        ("checks/", "-m", "observe"),
        ("-m", "observe and not other"),
        ("{root}/checks",),
        ("checks", "--ops-config=ops.toml"),
    ],
    ids=" ".join,
)
def test_naming_the_folder_or_the_marker_makes_a_run_operational(project: Project, arguments: tuple[str, ...]) -> None:
    """A path to checks, a suite's marker, or both."""
    project.check(CHECK)
    ran = project.run(*(part.format(root=project.root) for part in arguments))
    assert ran.exit_code == 0, ran.output
    assert ran.judged() == {"check_own": Judged.GOOD}
    assert looked(project) == 1
    assert ran.observation.suite == (
        "checks" if arguments[0].rstrip("/").endswith("checks") and "-m" not in arguments else "observe"
    )


def test_checks_run_from_any_folder_and_behind_a_link(project: Project) -> None:
    """The configuration is found beside the checks that are named, also where the checkout is a link to a release."""
    project.check(CHECK)
    project.configure()
    elsewhere = Project(project.root / "elsewhere")
    elsewhere.root.mkdir()
    (elsewhere.root / "link").symlink_to(project.root)
    for path in (f"{project.root}/checks", "../checks", "link/checks"):
        ran = elsewhere.run(path, configure=False)
        assert "1 passed" in ran.output, ran.output
        assert ran.exit_code == 0
    assert len(list(project.root.glob("reports/checks/2*[0-9a-f].json"))) == 3


def test_the_shipped_suite_stands_beside_the_users_own(project: Project, serve: Serve) -> None:
    """One run, one record; the shipped checks show their place in the package."""
    project.suites = ("observe",)
    project.target("web", health_url=serve().url())
    project.check(CHECK)
    ran = project.run("-m", "observe", "-k", "own or health_answers")
    assert ran.exit_code == 0, ran.output
    assert ran.judged() == dict.fromkeys(
        ["check_own", "check_health_answers_200", "check_health_answers_in_time"], Judged.GOOD
    )
    assert ran.judgement("check_health_answers_200", "web").where.startswith("checks/observe/check_health.py:")


def test_without_checks_of_ones_own_the_shipped_suite_is_enough(project: Project, serve: Serve) -> None:
    """A repository needs ops.toml and nothing more."""
    project.suites = ("observe",)
    project.target("web", health_url=serve().url())
    ran = project.run("-m", "observe", "-k", "health")
    assert ran.exit_code == 0, ran.output


def test_collecting_only_opens_no_socket_and_leaves_no_record(project: Project, serve: Serve) -> None:
    """Nor do the other ways to only show what there is."""
    server = serve()
    project.suites = ("observe",)
    project.target("web", health_url=server.url())
    project.check(CHECK)
    for option in (
        "--collect-only",
        "--fixtures",
        "--setup-plan",
        "--help",
    ):
        ran = project.run("checks/", "-m", "observe", "-k", "own or health", option)
        assert ran.exit_code == 0, (option, ran.output)
        assert "Traceback (most" not in ran.output
    assert server.connections == 0
    assert looked(project) == 0
    assert not list(project.root.glob("reports/*/*.json"))
    assert not list(project.root.glob("reports/*/*.hang*"))


def test_setup_only_judges_nothing_and_is_not_green(project: Project) -> None:
    """Fixtures without checks."""
    project.check(CHECK)
    ran = project.run("checks/", "--setup-only")
    assert ran.exit_code != 0
    assert ran.observation.verdict is not Verdict.HEALTHY


# -- green on nothing ------------------------------------------------------------------------------------------------------


def test_all_skipped_is_not_green(project: Project) -> None:
    """Nothing was judged."""
    project.check("@pytest.mark.skip(reason='why')\n@finding('x.y')\ndef check_own(): pass\n")
    ran = project.run()
    assert ran.exit_code == 5
    assert ran.observation.verdict is Verdict.SKIPPED


def test_no_target_for_any_check_is_not_green(project: Project) -> None:
    """The shipped checks over a target that sets nothing."""
    project.suites = ("observe",)
    project.target("nothing")
    ran = project.run("-m", "observe", "-k", "health or guard")
    assert ran.exit_code == 5
    assert ran.observation.verdict is Verdict.SKIPPED
    assert "no target sets health_url" in ran.judgement("check_health_answers_200").seen


def test_nothing_selected_is_not_green(project: Project) -> None:
    """A typing error in -k."""
    project.check(CHECK)
    ran = project.run("checks/", "-k", "nobody")
    assert ran.exit_code == 5
    assert ran.observation.verdict is Verdict.SKIPPED
    assert looked(project) == 0


def test_an_empty_folder_is_not_green(project: Project) -> None:
    """No checks at all."""
    (project.root / "checks" / "observe").mkdir(parents=True)
    ran = project.run("-m", "observe")
    assert ran.exit_code == 5


# -- what cannot be followed -------------------------------------------------------------------------------------------------


def assert_told(ran, *said: str, exit_code: int = USAGE) -> None:
    for text in said:
        assert text in ran.output, ran.output
    assert "Traceback (most" not in ran.output
    assert "INTERNALERROR" not in ran.output
    assert ran.exit_code == exit_code, ran.output


def test_without_a_configuration_it_is_told_what_to_do(project: Project) -> None:
    """Exit code 4, no traceback, nothing run."""
    project.check(CHECK)
    for arguments in (("checks/",), ("checks/", "-m", "observe"), ("checks/observe/check_own.py",)):
        assert_told(project.run(*arguments, configure=False), "ops.toml", "ops init")
    assert looked(project) == 0


def test_a_folder_called_checks_of_another_kind_is_left_alone(project: Project) -> None:
    """Somebody else's project with us installed."""
    project.write("checks/test_x.py", "def test_x(): pass")
    ran = project.run("checks/", configure=False)
    assert ran.exit_code == 0
    assert "runbook: profile" not in ran.output
    ran = project.run("-m", "observe", configure=False)
    assert ran.exit_code == 5


def test_a_configuration_that_cannot_be_followed_is_told(project: Project) -> None:
    """File, line, key."""
    project.check(CHECK)
    path = project.configure()
    path.write_text("[profiles.default.targets.web]\nhealth_url = 'nowhere'\n")
    assert_told(
        project.run(configure=False),
        "'nowhere' is not allowed here",
        f"{path}:2, profiles.default.targets.web.health_url",
    )
    path.write_text("[profiles")
    assert_told(project.run(configure=False), "ops.toml is not valid TOML")
    path.write_text("suites = ['nobody']\n[profiles.default.targets.web]\n")
    assert_told(project.run(configure=False), "there is no shipped suite 'nobody'", "observe")
    path.unlink()
    assert_told(project.run("checks/", "--ops-config=other.toml", configure=False), "other.toml does not exist")
    assert looked(project) == 0


def test_an_unknown_profile_is_told(project: Project) -> None:
    """With those there are."""
    project.check(CHECK)
    assert_told(project.run("checks/", "--profile=nobody"), "there is no profile 'nobody'", "allowed  default")


def test_a_check_without_finding_is_refused(project: Project) -> None:
    """All of them are named, with their places."""
    project.check(CHECK + "\ndef check_nameless(fine): pass\n\ndef check_other(): pass\n")
    ran = project.run()
    assert_told(
        ran, "every check says which finding it raises", "check_own.py:16 check_nameless", "check_own.py:18 check_other"
    )
    assert looked(project) == 0
    assert not list(project.root.glob("reports/*/*"))
    assert "VERDICT" not in ran.output


BROKEN = {
    "unknown-argument": (
        "@probe(budget_s=1)\ndef odd(htp): pass\n",
        ["a probe cannot be given 'htp'", "did you mean 'http'?"],
    ),
    "two-of-a-name": (
        "@probe(budget_s=1)\ndef odd(): pass\n@probe(budget_s=1)\ndef odd(): pass\n",
        ["the probe 'odd' is defined twice", "give one of them another name"],
    ),
    "bad-code": ("@finding('Nope')\ndef check_x(): pass\n", ["'Nope' is not a finding code"]),
    "own-http-evidence": ("class HttpEvidence(Evidence): pass\n", ["there is evidence called 'HttpEvidence' already"]),
    "syntax": ("def check_x(:\n", ["SyntaxError"]),
    "import": ("import nobody_has_this\n", ["No module named 'nobody_has_this'"]),
    "raises": ("raise RuntimeError('boom')\n", ["boom"]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_told_and_the_others_are_judged(project: Project, kind: str) -> None:
    """Never green: what the file would have judged is unknown; and one broken file blinds nobody."""
    text, said = BROKEN[kind]
    project.check(CHECK)
    project.check(text, name="checks/observe/check_broken.py")
    ran = project.run()
    assert ran.exit_code == 1, ran.output
    assert ran.judged()["check_own"] is Judged.GOOD
    broken = ran.judgement("check_broken")
    assert broken.judged is Judged.UNKNOWN
    assert ran.observation.verdict is Verdict.UNKNOWN
    # Where a line is broken depends on how long the folder of this test is called.
    told = " ".join(ran.output.split())
    for part in said:
        assert part in told, ran.output
    assert said[0] in broken.seen
    assert "INTERNALERROR" not in ran.output


def test_a_probe_in_a_conftest_that_cannot_work_is_told(project: Project) -> None:
    """As pytest tells of a broken conftest, with our words."""
    project.check(CHECK)
    project.write("checks/conftest.py", "from ops_core import probe\n@probe(budget_s=1)\ndef odd(htp): pass\n")
    ran = project.run()
    assert ran.exit_code == USAGE
    assert "a probe cannot be given 'htp'" in ran.output
    assert "did you mean 'http'?" in ran.output


def test_only_takes_the_checks_that_are_named(project: Project) -> None:
    """And knows when one does not exist."""
    project.check(CHECK + "\n@finding('x.y')\ndef check_other(): pass\n")
    ran = project.run("checks/", "--ops-only", "checks/observe/check_own.py::check_own")
    assert ran.judged() == {"check_own": Judged.GOOD}
    assert_told(
        project.run("checks/", "--ops-only", "checks/x.py::nobody"), "--ops-only names a check that there is not"
    )


def test_two_probes_of_one_name_in_two_files_are_refused(project: Project) -> None:
    """Evidence is told apart by the name: one check would judge what the other's probe saw."""
    one = "@probe(budget_s=1)\ndef ping(): return {0}\n@finding('x.y')\ndef check_{0}(ping): assert ping == {0}\n"
    project.check(one.format(1), name="checks/observe/check_one.py")
    project.check(one.format(2), name="checks/observe/check_two.py")
    assert_told(
        project.run(), "two probes of this run are called 'ping'", "check_one.py:6", "check_two.py:6", "conftest.py"
    )
    ran = project.run("checks/observe/check_two.py")
    assert ran.judged() == {"check_2": Judged.GOOD}


def test_a_stand_in_for_a_shipped_probe_must_be_asked_the_same_way(project: Project) -> None:
    """Once for each target, or once."""
    project.suites = ("observe",)
    project.target("web", health_url="http://127.0.0.1:1/")
    project.write("conftest.py", "from ops_core import probe\n@probe(budget_s=1)\ndef health(): return 1\n")
    ran = project.run("-m", "observe")
    assert ran.judgement("check_health").judged is Judged.UNKNOWN
    assert "the probe 'health' cannot stand in for the shipped one" in ran.judgement("check_health").seen
    assert f"{project.root}/conftest.py:2" in ran.judgement("check_health").seen
