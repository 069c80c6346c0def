"""Does every supervised process run, and is it awake?"""

import pytest

from ops_core import ProcessEvidence, finding


@pytest.mark.observe
@finding("process.not_running")
def check_process_runs(supervised: ProcessEvidence) -> None:
    """The supervisor holds the process to be running, and the system has it."""
    assert supervised.running, supervised.explain()


@pytest.mark.observe
@finding("process.frozen")
def check_process_is_awake(supervised: ProcessEvidence) -> None:
    """The process is not stopped by a signal or a debugger."""
    assert not supervised.frozen, supervised.explain()
