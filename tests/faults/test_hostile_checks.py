"""A check, a fixture or an import that hangs is not the target's fault, and the run ends in time all the same."""

from __future__ import annotations

import json

import pytest
from faults_expecting import assert_ended_in_time
from observing import GRACE_S, Project, Ran

from ops_core.verdict import Judged, Verdict

GOOD, BAD, UNKNOWN = Judged.GOOD, Judged.BAD, Judged.UNKNOWN

PROBE = """
@probe(budget_s=2)
def fine():
    return 1

@finding("x.other")
def check_a_first(fine):
    assert fine == 1
"""


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project(tmp_path)
    project.budgets = {"total_s": 3}
    return project


def assert_told_although_hung(ran: Ran) -> None:
    """The record is whole and says that the run was cut short; the verdict was printed."""
    observation = ran.observation
    assert observation.used_s <= observation.total_s + GRACE_S
    assert "hung" in observation.interrupted
    assert "VERDICT" in ran.output
    assert ran.exit_code == 2


HANGS = {
    "loop": "while True: pass",
    "sleep": "time.sleep(3600)",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "regex": "import re; re.match('(a+)+$', 'a' * 64 + 'b')",
}


def test_a_check_that_hangs_is_unknown_and_the_others_are_judged(project: Project) -> None:
    """However it hangs."""
    text = PROBE
    for name, body in HANGS.items():
        text += f"\n@finding('x.{name}')\ndef check_{name}(fine):\n    {body}\n"
    text += "\n@finding('x.other')\ndef check_z_last(fine):\n    assert fine == 2\n"
    project.check(text)
    ran = project.run()
    assert_ended_in_time(ran)
    expected = {**{f"check_{name}": UNKNOWN for name in HANGS}, "check_a_first": GOOD, "check_z_last": BAD}
    assert ran.judged() == expected, ran.output
    assert "did not end in time" in ran.judgement("check_loop").seen


@pytest.mark.slow
def test_a_check_that_hangs_for_every_target_costs_its_time_once(project: Project) -> None:
    """It is not asked again about the other two hundred."""
    for number in range(200):
        project.target(f"t{number}", vars={"own_url": "x"})
    project.check(
        """
        @probe(budget_s=2, needs="own_url")
        def fine(target):
            return target.name

        @finding("x.y")
        def check_hangs(fine):
            time.sleep(3600)

        @finding("x.z")
        def check_fine(fine, target):
            assert fine == target.name
        """
    )
    ran = project.run()
    assert_ended_in_time(ran)
    assert set(ran.judged("check_hangs").values()) == {UNKNOWN}
    assert set(ran.judged("check_fine").values()) == {GOOD}
    assert "not asked again" in ran.judgement("check_hangs", "t199").seen


STUBBORN = """
@finding("x.y")
def check_stubborn(fine):
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass

@finding("x.z")
def check_z_never_reached(fine):
    pass
"""


def test_a_check_that_swallows_its_timeout_ends_with_the_run(project: Project) -> None:
    """What was judged stands, the rest is unknown, and it is said which check hangs and where."""
    project.check(PROBE + STUBBORN)
    ran = project.run()
    assert_told_although_hung(ran)
    assert ran.judged() == {"check_a_first": GOOD, "check_stubborn": UNKNOWN, "check_z_never_reached": UNKNOWN}
    assert "check_stubborn" in ran.observation.interrupted
    assert "check_own.py:" in ran.observation.interrupted
    assert ran.observation.verdict is Verdict.UNKNOWN


@pytest.mark.slow
def test_without_the_timeout_plugin_a_hanging_check_ends_with_the_run(project: Project) -> None:
    """The net does not depend on another plugin."""
    project.check(PROBE + "\n@finding('x.y')\ndef check_hangs(fine):\n    time.sleep(3600)\n")
    ran = project.run("checks/", "-m", "observe", "-p", "no:timeout")
    assert_told_although_hung(ran)
    assert ran.judged() == {"check_a_first": GOOD, "check_hangs": UNKNOWN}


@pytest.mark.slow
@pytest.mark.parametrize(
    "files",
    [
        {"checks/observe/check_own.py": PROBE + "\n@pytest.fixture\ndef slow():\n    time.sleep(3600)\n"
         "\n@finding('x.y')\ndef check_it(slow, fine): pass\n"},
        {"checks/observe/check_own.py": PROBE + "\n@pytest.fixture\ndef slow():\n    yield\n    time.sleep(3600)\n"
         "\n@finding('x.y')\ndef check_it(slow, fine): pass\n"},
        {"checks/observe/check_own.py": PROBE, "conftest.py": "import time\ndef pytest_sessionfinish(): time.sleep(3600)"},
        {"checks/observe/check_own.py": PROBE, "checks/observe/check_x.py": "import time; time.sleep(3600)"},
        {"checks/observe/check_own.py": PROBE, "conftest.py": "import time\ndef pytest_unconfigure(): time.sleep(3600)"},
    ],
    ids=["fixture", "teardown", "sessionfinish", "import", "unconfigure"],
)  # fmt: skip
def test_whatever_else_hangs_the_run_ends_with_a_record(project: Project, files: dict[str, str]) -> None:
    """A fixture, its end, another plugin's hook, an import."""
    for name, text in files.items():
        (project.check if name.endswith("check_own.py") else project.write)(name=name, text=text)
    ran = project.run()
    assert ran.observation.used_s <= ran.observation.total_s + 12
    assert ran.output.count("VERDICT") == 1
    # Once everything is judged it stands, whatever happens while pytest and its other plugins tidy up.
    assert ran.exit_code == (0 if "def pytest_" in str(files) else 2)
    assert bool(ran.observation.interrupted) is (ran.exit_code == 2)


@pytest.mark.slow
def test_a_probe_that_keeps_the_interpreter_to_itself_leaves_the_journal(project: Project) -> None:
    """Not even a thread gets to run then: the process ends all the same, and says where it hung."""
    project.check(
        PROBE
        + """
@probe(budget_s=1)
def greedy():
    time.sleep(0.5)
    import re
    re.match("(a+)+$", "a" * 64 + "b")

@finding("x.y")
def check_greedy(greedy): pass
"""
    )
    process = project.start("checks/", "-m", "observe")
    process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    journal = next(project.root.glob("reports/observe/*.journal.jsonl")).read_text().splitlines()
    assert [json.loads(line).get("id") for line in journal] == [None, "fine"]
    assert "greedy" in next(project.root.glob("reports/observe/*.hang*.txt")).read_text()


RAISES = {
    "runtime_error": ("raise RuntimeError('boom')", UNKNOWN),
    "system_exit": ("raise SystemExit(0)", UNKNOWN),
    "base_exception": ("raise BaseException('boom')", UNKNOWN),
    "unprintable": ("raise Unprintable", UNKNOWN),
    "assertion": ("assert fine == 2", BAD),
    "own_assertion": ("raise AssertionError('told\\nmore')", BAD),
    "pytest_fail": ("pytest.fail('told')", BAD),
    "pytest_skip": ("pytest.skip('told')", Judged.SKIPPED),
    "cannot_look": ("raise CannotLook('told')", UNKNOWN),
    "long": ("assert 'x' * 10_000_000 == fine", BAD),
    "surrogate": ("assert False, 'told \\udcff'", BAD),
    "timeout_error": ("raise TimeoutError('told')", UNKNOWN),
    "recursion": ("check_recursion(fine)", UNKNOWN),
    "returns": ("return 1", GOOD),
}


def test_a_check_that_crashes_accuses_nobody(project: Project) -> None:
    """Only an assertion that fails says that something was seen bad; everything else is unknown."""
    text = (
        PROBE + "\nclass Unprintable(Exception):\n    def __str__(self): raise RuntimeError\n    __repr__ = __str__\n"
    )
    for name, (body, _) in RAISES.items():
        text += f"\n@finding('x.{name}')\ndef check_{name}(fine):\n    {body}\n"
    project.budgets = {"total_s": 20}
    project.check(text)
    ran = project.run()
    judged = ran.judged()
    judged.pop("check_a_first")
    assert judged == {f"check_{name}": wanted for name, (_, wanted) in RAISES.items()}, ran.output
    assert ran.judgement("check_own_assertion").seen == "told"
    assert ran.record_path.stat().st_size < 2_000_000
    assert not ran.observation.interrupted


def test_a_check_that_presses_ctrl_c_leaves_a_record(project: Project) -> None:
    """KeyboardInterrupt and pytest.exit end the run in order."""
    for body, told in (("raise KeyboardInterrupt", "keyboard"), ("pytest.exit('enough')", "enough")):
        project.check(PROBE + f"\n@finding('x.y')\ndef check_ends(fine):\n    {body}\n")
        ran = project.run()
        assert told in ran.observation.interrupted
        assert ran.judged() == {"check_a_first": GOOD, "check_ends": UNKNOWN}
        assert ran.exit_code == 2


def test_a_check_that_ends_the_process_leaves_the_journal(project: Project) -> None:
    """Nothing can be recorded after os._exit; what was seen is on disk already."""
    project.check(PROBE + "\n@finding('x.y')\ndef check_z_ends(fine):\n    os._exit(0)\n")
    process = project.start("checks/", "-m", "observe")
    process.communicate(timeout=60)
    lines = [json.loads(line) for line in next(project.root.glob("reports/*/*.jsonl")).read_text().splitlines()]
    assert [line["type"] for line in lines] == ["run", "evidence"]


def test_a_check_that_leaves_a_thread_does_not_hold_up_the_end(project: Project) -> None:
    """No daemon, and never ending: the process ends with pytest's own exit code."""
    project.check(
        PROBE
        + "\n@finding('x.y')\ndef check_it(fine):\n    threading.Thread(target=time.sleep, args=(3600,)).start()\n"
    )
    ran = project.run()
    assert ran.exit_code == 0, ran.output
    assert ran.observation.verdict is Verdict.HEALTHY
