"""One fault in a process of its own: what becomes of it where it cannot be held."""

import pytest

from ops_core.clock import SystemClock
from ops_core.drill.fault import Fault
from ops_core.drill.matrix.one import hold
from ops_core.drill.matrix.results import Status
from ops_core.drill.stack import EmbeddedStack
from ops_core.errors import OpsError


class Broken(EmbeddedStack):
    """A stack that does not start."""

    ERROR: Exception = OpsError("core does not answer", where="/logs")

    def __enter__(self):
        raise self.ERROR


class Strange(Broken):
    """A stack whose code is wrong."""

    ERROR = KeyError("port")


def held(tmp_path, **changed):
    """What comes of a fault."""
    kept = {
        "name": "x",
        "stack": Broken,
        "description": {"en": "x"},
        "findings": ("health.not_ok",),
        "remediation": None,
        "do": lambda *_: None,
        "holds": lambda *_: False,
    }
    said = []
    result = hold(
        Fault(**{**kept, **changed}),
        folder=tmp_path,
        seed=3,
        root=None,
        lang="en",
        clock=SystemClock(),
        say=said.append,
    )
    return result, said


def test_what_it_needs_and_is_not_there_skips_it(tmp_path):
    """With the reason, and without anything being started."""
    result, _ = held(tmp_path, needs=("no-such-program-anywhere",))
    assert (result.status, result.reason) == (Status.SKIPPED, "it needs no-such-program-anywhere")
    assert (result.restored, result.judged, result.seed) == (None, (), 3)
    assert [(one.code, one.target) for one in result.expected] == [("health.not_ok", "core-api")]


@pytest.mark.parametrize(
    ("stack", "reason"),
    [(Broken, "core does not answer (/logs)"), (Strange, "the fault x failed: KeyError: 'port'")],
)
def test_what_cannot_be_held_says_why(tmp_path, stack, reason):
    """A foreseen failure and a mistake in somebody's own code alike: an error, never a pass, and no traceback for people."""
    result, _ = held(tmp_path, stack=stack)
    assert (result.status, result.reason, result.restored) == (Status.ERROR, reason, None)
