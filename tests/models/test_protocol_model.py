"""The protocol of live fire, looked at in every order in which its parts can happen: `control.pml`, searched by Spin.

The tests of the code try many orders; this tries all of them, on a model of two runs, two messages and two who fire.
What the parts of the model stand for:

| in the model                               | in the code                                                            |
| ------------------------------------------ | ---------------------------------------------------------------------- |
| `atomic` over the store                    | one transaction of `ops_core.control.service.ControlPlane`             |
| `people`: request, approve, revoke, sender | `ops_core.control.model.window`, `ops_core.control.model.sender`       |
| `seen`                                     | the digest that an approval names and signs                            |
| `PERMITTED`, `burn`                        | `preconditions` and `burn` of `ops_core.control.model.live_fire`       |
| `firer`: claim, send, record               | the sending of `ops_core.push`: one run, one message after the other   |
| `recovery`                                 | recovery in `ops_core.push`, `lock_down` of the model                  |
| `stopper`, `alive`, `runs`                 | the registry of running work, and the acknowledgement of the stop      |
| `murderer`                                 | whatever ends a process: the stop, the kernel, a power cut             |

The gate, the calendar, the self test and the allowlist are left out: they are conditions that the same transaction
looks at, in the same way as the sender. Each planted mistake shows that a claim of the model can fail.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support import need_program

MODEL = Path(__file__).with_name("control.pml")
DEPTH_MAX = 20_000
MEMORY_MAX_MB = 1024
# With these, a promise is broken: the claim that notices.
MISTAKES = {
    "FIRE_BEFORE_BURN": "window[w]==",
    "WINDOW_NOT_CONSUMED": "window[w]==",
    "SENDER_LEFT_ON": "!(stale)",
    "BURN_WITHOUT_RECHECK": "fired[w]==1",
    "TTL_NOT_LOOKED_AT": "!(ran_out[w])",
    "REQUESTER_MAY_APPROVE": "key1[w]!=1",
    "ONE_PERSON_TWICE": "key1[w]!=key2[w]",
    "KEY_FOR_ANOTHER_WINDOW": "assertion violated seen",
    "TWO_WINDOWS_OPEN": "asked<2",
    "ACKNOWLEDGED_ON_FLAG": "!(acknowledged)",
    "CLAIM_WITHOUT_RECHECK": "!(told)",
    "CLAIM_WITHOUT_SWAP": "left[m]<=1",
    "SEND_BEFORE_CLAIM": "left[m]<=1",
    "SENDING_IS_SENT_AGAIN": "left[m]<=1",
    "RECOVERY_LEAVES_OPEN": "!(sender)",
}
# With these, something is never done.
STANDSTILLS = {"NOBODY_RECOVERS": "runs_end", "WORK_BEGINS_WHILE_STOPPED": "stop_ends"}
PROGRESS = ("PROGRESS", "MESSAGES=1", "WINDOWS=1")

pytestmark = pytest.mark.slow


def search(folder: Path, *defines: str, claim: str = "", optimise: str = "-O0") -> str:
    """What Spin's verifier says about the model: for a claim about progress under weak fairness, else for safety."""
    spin, gcc = need_program("spin"), need_program("gcc")
    how = ["-DNFAIR=3"] if claim else ["-DSAFETY"]
    arguments = ["-a", "-f", "-N", claim] if claim else []
    for argv in (
        [spin, "-a", *(f"-D{one}" for one in defines), str(MODEL)],
        [gcc, optimise, "-w", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MAX_MB}", *how, "-o", "pan", "pan.c"],
    ):
        made = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout + made.stderr
    argv = ["./pan", f"-m{DEPTH_MAX}", "-b", *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300).stdout


def assert_searched_whole(said: str) -> None:
    """Everything was looked at, and nothing was found."""
    assert re.search(r"errors: 0$", said, re.MULTILINE), said
    assert "Full statespace search" in said, said
    for incomplete in ("not completed", "too small", "out of memory", "memory limit", "depth limit"):
        assert incomplete not in said, said


def test_the_protocol_keeps_its_promises_in_every_order(tmp_path: Path) -> None:
    """At most once; only with window, keys and sender burnt; nothing after an acknowledged stop; one winner a window."""
    said = search(tmp_path, optimise="-O2")
    assert_searched_whole(said)
    # All that is written in the model happens in some order, but that the one who asked approves.
    never = re.findall(r"control\.pml:\d+, state \d+, \"(.*)\"$", said, re.MULTILINE)
    assert [what for what in never if what != "-end-"] == ["key2[(asked-1)] = 1", "((key1[(asked-1)]==0))", "else"]


@pytest.mark.parametrize("claim", STANDSTILLS.values())
def test_nothing_stays_half_done(tmp_path: Path, claim: str) -> None:
    """Whatever crashes, each run ends and each stop is acknowledged, if only everybody who can move moves at last."""
    assert_searched_whole(search(tmp_path, *PROGRESS, claim=claim))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(tmp_path: Path, mistake: str) -> None:
    """The claim that forbids it fails, and no other comes before."""
    said = search(tmp_path, mistake)
    assert re.search(r"errors: 1$", said, re.MULTILINE), said
    violated = re.search(r"^pan:1: (assertion violated .*) \(at depth \d+\)$", said, re.MULTILINE)
    assert violated, said
    assert MISTAKES[mistake] in violated[1]


@pytest.mark.parametrize("mistake", STANDSTILLS)
def test_a_planted_standstill_is_found(tmp_path: Path, mistake: str) -> None:
    """Without recovery a run may stay open, and where work may begin while stopped, a stop is never acknowledged."""
    said = search(tmp_path, *PROGRESS, mistake, claim=STANDSTILLS[mistake])
    assert "acceptance cycle" in said, said
    assert re.search(r"errors: 1$", said, re.MULTILINE), said


def test_every_mistake_of_the_model_is_planted() -> None:
    """No switch of the model is left unused, and none is tried that it does not have."""
    switches = set(re.findall(r"^#ifn?def ([A-Z_]+)", MODEL.read_text(encoding="utf-8"), re.MULTILINE))
    assert switches - {"MESSAGES", "WINDOWS", "PROGRESS"} == MISTAKES.keys() | STANDSTILLS.keys()
