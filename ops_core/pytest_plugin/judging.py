"""From pytest's outcome of a check to a judgement.

passed = seen and good. An assertion that fails = seen and bad. Everything else (a probe that could not look, a check
that crashed or hung) = not seen: a broken check must not accuse a healthy system, nor acquit a sick one.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import pytest

from ops_core.content import content_dir
from ops_core.errors import CannotLook
from ops_core.observation.record import Judgement
from ops_core.probes.registry import NotSeen
from ops_core.pytest_plugin.collection import finding_of, target_of
from ops_core.verdict import Judged

TEXT_MAX_CHARS = 1000
TIMEOUT_PREFIX = "Timeout ("
HUNG = "the check itself did not end in time"


def judge(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, suite: str) -> Judgement | None:
    """The judgement that this phase of a check settles; None when a later phase decides."""
    if report.passed and report.when != "call":
        return None
    judged, seen = _outcome(call, report)
    return Judgement(
        nodeid=item.nodeid,
        check=getattr(item, "originalname", None) or item.name,
        suite=suite,
        finding=finding_of(item),
        target=target_of(item),
        judged=judged,
        expected=expectation(item),
        seen=seen[:TEXT_MAX_CHARS],
        where=_where(item, call),
        duration_s=round(report.duration, 4),
    )


def not_judged(item: pytest.Item, suite: str, reason: str) -> Judgement:
    """The judgement of a check that was selected, but was never asked or never came to its end."""
    return Judgement(
        nodeid=item.nodeid,
        check=getattr(item, "originalname", None) or item.name,
        suite=suite,
        finding=finding_of(item),
        target=target_of(item),
        judged=Judged.UNKNOWN,
        expected=expectation(item),
        seen=reason[:TEXT_MAX_CHARS],
        where=f"{_shown(item)}:{(item.location[1] or 0) + 1}",
    )


def not_collected(nodeid: str, suite: str, reason: str) -> Judgement:
    """The judgement of what is known by its node id only: a file that could not be read, a check of a lost process."""
    file, _, name = nodeid.partition("::")
    check, _, rest = name.rpartition("::")[2].partition("[")
    return Judgement(
        nodeid=nodeid,
        check=check or Path(file).stem,
        suite=suite,
        finding=None,
        target=rest.removesuffix("]") or None,
        judged=Judged.UNKNOWN,
        seen=reason[:TEXT_MAX_CHARS],
        where=file,
    )


def _outcome(call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[Judged, str]:
    if report.passed:
        return Judged.GOOD, ""
    error = call.excinfo.value if call.excinfo is not None else None
    text = _text(error)
    if report.skipped:
        return Judged.SKIPPED, text
    if report.when != "call" or isinstance(error, NotSeen):
        return Judged.UNKNOWN, text.removeprefix("not seen: ")
    failed = isinstance(error, (AssertionError, pytest.fail.Exception))
    if failed and not text.startswith(TIMEOUT_PREFIX):
        return Judged.BAD, text
    if failed:
        return Judged.UNKNOWN, HUNG
    if isinstance(error, CannotLook):
        return Judged.UNKNOWN, error.what
    return Judged.UNKNOWN, f"the check itself raised {type(error).__name__}: {text}"


def _text(error: BaseException | None) -> str:
    """What an exception says: its first line, which for a failed assertion is the message the check gave."""
    if error is None:
        return ""
    try:
        text = str(getattr(error, "msg", None) or error).strip()
    except Exception:  # noqa: BLE001  # its class is a user's own
        text = ""
    return text.splitlines()[0].strip() if text else type(error).__name__


def expectation(item: pytest.Item) -> str:
    """What a check expects: the first line of its docstring, else its name in words."""
    function: Any = getattr(item, "function", None)
    text = inspect.getdoc(function) if function is not None else None
    if text:
        return text.splitlines()[0].strip()
    return (getattr(item, "originalname", None) or item.name).removeprefix("check_").replace("_", " ")


def _where(item: pytest.Item, call: pytest.CallInfo[None]) -> str:
    """`file:line` of the failing assertion in the check, or of the check itself."""
    line = (item.location[1] or 0) + 1
    if call.excinfo is not None and call.when == "call":
        for entry in call.excinfo.traceback:
            if str(entry.path) == str(item.path):
                line = entry.lineno + 1
    return f"{_shown(item)}:{line}"


def _shown(item: pytest.Item) -> str:
    """The file of a check: relative, and for a shipped check its place in the package, which says more."""
    # Asked for every check, so texts are compared: comparing paths makes new paths each time.
    text, shipped = str(item.path), f"{content_dir()}{os.sep}"
    if text.startswith(shipped):
        return text[len(shipped) :].replace(os.sep, "/")
    return item.location[0]


def told(text: str) -> str:
    """What pytest tells of an error, in one line: the error itself without the places; our own errors whole."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    if errors:
        return errors[-1]
    return "; ".join(" ".join(line.split()) for line in lines) or "no reason given"
