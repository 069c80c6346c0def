"""From what pytest tells to what is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_core.errors import CannotLook
from ops_core.probes.registry import NotSeen
from ops_core.pytest_plugin import judging
from ops_core.pytest_plugin.judging import HUNG, not_collected, told
from ops_core.verdict import Judged


def outcome(error: BaseException | None, when: str = "call") -> tuple[Judged, str]:
    """What is judged of a phase that ended like this."""

    def phase() -> None:
        if error is not None:
            raise error

    call = pytest.CallInfo.from_call(phase, when=when)
    skipped = isinstance(error, pytest.skip.Exception)
    report = pytest.TestReport(
        nodeid="x", location=("x", 0, "x"), keywords={}, outcome="passed" if error is None else "skipped" if skipped else "failed",
        longrepr=None, when=when,
    )  # fmt: skip
    return judging._outcome(call, report)


@pytest.mark.parametrize(
    ("error", "judged", "seen"),
    [
        (None, Judged.GOOD, ""),
        (AssertionError("it is bad\nand more"), Judged.BAD, "it is bad"),
        (AssertionError(), Judged.BAD, "AssertionError"),
        (pytest.fail.Exception("told"), Judged.BAD, "told"),
        (pytest.fail.Exception("Timeout (>5.0s) from pytest-timeout."), Judged.UNKNOWN, HUNG),
        (pytest.skip.Exception("why"), Judged.SKIPPED, "why"),
        (CannotLook("no way", where="here"), Judged.UNKNOWN, "no way"),
        (NotSeen("not there"), Judged.UNKNOWN, "not there"),
        (RuntimeError("boom"), Judged.UNKNOWN, "the check itself raised RuntimeError: boom"),
        (SystemExit(0), Judged.UNKNOWN, "the check itself raised SystemExit: 0"),
    ],
)
def test_only_an_assertion_says_bad(error: BaseException | None, judged: Judged, seen: str) -> None:
    """Everything else that is not an end without error is unknown."""
    assert outcome(error) == (judged, seen)


@pytest.mark.parametrize("error", [AssertionError("x"), RuntimeError("x"), NotSeen("x"), pytest.fail.Exception("x")])
@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_what_fails_around_a_check_is_unknown(error: BaseException, when: str) -> None:
    """A fixture that breaks accuses nobody."""
    assert outcome(error, when) == (Judged.UNKNOWN, "x")
    assert outcome(NotSeen("not seen: why"), when) == (Judged.UNKNOWN, "why")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.py:3: in f\n    g()\nE   ValueError: boom\nE   more", "more"),
        ("a.py:3\nE   ModuleNotFoundError: No module named 'x'", "ModuleNotFoundError: No module named 'x'"),
        ("it is wrong\n  where    x:1\n  allowed  a", "it is wrong; where x:1; allowed a"),
        ("worker 'gw0' crashed while running 'x'", "worker 'gw0' crashed while running 'x'"),
        ("", "no reason given"),
    ],
)
def test_what_pytest_tells_in_many_lines_is_told_in_one(text: str, said: str) -> None:
    """The error, not the places."""
    assert told(text) == said


@pytest.mark.parametrize(
    ("nodeid", "check", "target"),
    [
        ("checks/observe/check_a.py", "check_a", None),
        ("checks/observe/check_a.py::check_x", "check_x", None),
        ("checks/observe/check_a.py::check_x[core-api]", "check_x", "core-api"),
        ("checks/observe/check_a.py::CheckGroup::check_x[a[b]]", "check_x", "a[b]"),
    ],
)
def test_a_node_id_says_check_and_target(nodeid: str, check: str, target: str | None) -> None:
    """As far as it does."""
    judgement = not_collected(nodeid, "observe", "gone")
    assert (judgement.check, judgement.target, judgement.judged) == (check, target, Judged.UNKNOWN)
    assert judgement.where == str(Path("checks/observe/check_a.py"))
