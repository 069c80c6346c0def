"""How a hand-off is really broken: what is in force is changed, what is offered is forged, what is due is not done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ops_core.drill.control_plane import Skewed, opened
from ops_core.drill.injectors import Step, Test
from ops_core.drill.split_stack import (
    BEFORE,
    DECISION_FILE,
    FRESH_HOURS,
    PRODUCER,
    SplitStack,
    anew,
    exchange_of,
    lived,
    producing,
    published,
    pulled,
    seen,
    summed_up,
    write_results,
)
from ops_core.errors import OpsError
from ops_core.evidence import HandoffEvidence
from ops_core.handoff.installed import InForce, in_force, swap

FORGED, OTHER = "SELL", "WAIT"
STRANGER = "somebody"
# Old enough that the slot of this morning came after it, young enough to be worth something still.
YESTERDAY = timedelta(hours=20)
# What is pulled with so little left to live goes stale while one looks.
LEFT_S = 6.0
MANIFEST, FILE = "manifest.json", f"files/{DECISION_FILE}"
Looked = Callable[[HandoffEvidence], bool]


def sees(test: Looked) -> Test[SplitStack]:
    """What the suite reads is like that."""

    def holds(stack: SplitStack, _service: str) -> bool:
        return test(seen(stack))

    return holds


# -- in force ------------------------------------------------------------------------------------------------------


def _here(stack: SplitStack) -> InForce:
    here = in_force(opened(stack)[0])
    if here is None:
        raise OpsError("no bundle is in force", where=str(stack.layout.bundles))
    return here


def set_up_anew(stack: SplitStack, _service: str) -> None:
    """The operator's host is set up anew, and nobody pulls."""
    anew(stack)


def edited(stack: SplitStack, _service: str) -> None:
    """Somebody edits a file of the bundle in force."""
    path = _here(stack).path / FILE
    path.chmod(0o600)
    path.write_text(json.dumps({"decision": FORGED}) + "\n", encoding="utf-8")


def folder_gone(stack: SplitStack, _service: str) -> None:
    """The bundles are gone, the link with them; the record still says which one ought to be in force."""
    shutil.rmtree(stack.layout.bundles)


def link_moved(stack: SplitStack, _service: str) -> None:
    """Somebody has the link name an older bundle, whole and well signed, past the program."""
    older = _here(stack).bundle_id
    write_results(stack, OTHER)
    published(stack)
    pulled(stack)
    swap(stack.layout.bundles, older)


def gone_stale(stack: SplitStack, _service: str) -> None:
    """The producer hands over what it made nearly as long ago as results may be old, and then nothing more.

    Raises:
        OpsError: it was not taken in time.
    """
    write_results(stack, OTHER, age=timedelta(hours=FRESH_HOURS) - timedelta(seconds=LEFT_S))
    published(stack)
    pulled(stack)


# -- offered -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A bundle as somebody offers it; by default it is one that would be taken.

    Attributes:
        age: how long ago it says it was made.
        producer: of whom it says it is.
        own_key: whether it is signed with the producer's key; else with a stranger's.
        swapped: whether its file holds something else than was signed.
        cut: whether its file is missing.
    """

    age: timedelta = timedelta(0)
    producer: str = PRODUCER
    own_key: bool = True
    swapped: bool = False
    cut: bool = False


def offered(offer: Offer, code: str) -> Step[SplitStack]:
    """Such a bundle is pushed, and the operator's host pulls and refuses it with that code."""

    def do(stack: SplitStack, _service: str) -> None:
        settings, plane = producing(stack)
        with exchange_of(settings, plane) as exchange:
            base = exchange.fetch()
            number = json.loads(exchange.content(_entries(exchange, base)[MANIFEST]))["sequence"] + 1
            _push(exchange, base, _content(stack, offer, number), stack)
        pulled(stack, refused=code)

    return do


def offered_again(stack: SplitStack, _service: str) -> None:
    """Somebody pushes the bundle before this one once more, and it is refused."""
    with exchange_of(*producing(stack)) as exchange:
        base = exchange.fetch()
        old = _entries(exchange, f"{base}~1")
        _push(exchange, base, {path: exchange.content(one) for path, one in old.items()}, stack)
    pulled(stack, refused="REPLAYED")


def held_back(stack: SplitStack, _service: str) -> None:
    """A person rolls back, and the next pull is offered what was rolled back from."""
    from ops_core.handoff.rollback import rollback

    settings, plane = opened(stack)
    rollback(settings, plane, plane.clock, say=lambda _text: None)
    pulled(stack, refused="HELD_BACK")


def taken_again(stack: SplitStack, _service: str) -> None:
    """What was rolled back from is taken all the same, where the newest pull held it back."""
    found = seen(stack).pull
    if found is not None and found.code == "HELD_BACK":
        pulled(stack, again=True)


def refused(code: str) -> Test[SplitStack]:
    """The newest pull refused something with that code, and what is in force is whole all the same."""

    def holds(stack: SplitStack, _service: str) -> bool:
        found = seen(stack)
        whole = found.bundle is not None and not found.bundle.problem and found.bundle.fresh
        return whole and found.pull is not None and (found.pull.outcome, found.pull.code) == ("REFUSED", code)

    return holds


def _entries(exchange: Any, commit: str) -> dict[str, Any]:
    return {one.path: one for one in exchange.listing(commit)}


def _push(exchange: Any, base: str, content: Mapping[str, bytes], stack: SplitStack) -> None:
    commit = exchange.commit(base, content, "as if nothing had happened\n", STRANGER, stack.clock.now())
    if not exchange.push(commit):
        raise OpsError("somebody else was quicker", where=str(stack.layout.remote))


def _content(stack: SplitStack, offer: Offer, number: int) -> dict[str, bytes]:
    from ops_core.control.people.keys import make_key
    from ops_core.handoff.model import BundleFile, new_manifest
    from ops_core.handoff.signing import signed

    key, data = stack.layout.key, json.dumps({"decision": OTHER}).encode()
    if not offer.own_key:
        key = stack.layout.spare / "stranger.pem"
        key.unlink(missing_ok=True)
        make_key(key)
    bare = new_manifest(
        producer=offer.producer,
        sequence=number,
        created_at=stack.clock.now() - offer.age,
        source_revision="",
        fresh_hours=FRESH_HOURS,
        files=[BundleFile(path=DECISION_FILE, size=len(data), sha256=hashlib.sha256(data).hexdigest())],
    )
    told = {MANIFEST: signed(bare, key.read_text(encoding="utf-8"), where="a rehearsal").as_bytes()}
    if offer.cut:
        return told
    # As long as what was signed, so that nothing but its digest tells.
    return {**told, FILE: data.replace(OTHER.encode(), FORGED.encode()) if offer.swapped else data}


# -- due -----------------------------------------------------------------------------------------------------------


def no_summary(stack: SplitStack, _service: str) -> None:
    """A host that was set up anew: somebody pulled and ran the live cycle, and nobody made a summary."""
    anew(stack)
    pulled(stack)
    lived(stack)


def summary_old(stack: SplitStack, _service: str) -> None:
    """The last summary is two days old; all else was done today."""
    from ops_core.summary.summary import regenerate

    past = Skewed(base=stack.clock, by=-timedelta(days=2))
    anew(stack, past)
    settings, plane = opened(stack, past)
    regenerate(settings, plane, past)
    pulled(stack)
    lived(stack)


def no_live_cycle(stack: SplitStack, _service: str) -> None:
    """A host that was set up anew: somebody pulled and made a summary, and nobody ran the live cycle."""
    anew(stack)
    pulled(stack)
    summed_up(stack)


def slot_missed(stack: SplitStack, _service: str) -> None:
    """The live cycle ran yesterday, and nobody ran the slot of this morning."""
    past = Skewed(base=stack.clock, by=-YESTERDAY)
    write_results(stack, OTHER, age=YESTERDAY)
    published(stack)
    anew(stack, past)
    pulled(stack, clock=past)
    lived(stack, clock=past)
    stack.arrange(schedule_days=(stack.day(),))
    summed_up(stack)


def nothing_decided(stack: SplitStack, _service: str) -> None:
    """The producer hands over a decision that is none, and the live cycle fails on it."""
    write_results(stack, 7)
    published(stack)
    pulled(stack)
    lived(stack, "FAILED")


def cycle_killed(stack: SplitStack, _service: str) -> None:
    """A live cycle is killed (SIGKILL) while it shows its preview: it began and did not end.

    Raises:
        OpsError: it did not come so far.
    """
    # Of a bundle that was shown today nothing is shown again.
    write_results(stack, OTHER)
    published(stack)
    pulled(stack)
    marker = stack.layout.spare / "shown"
    marker.unlink(missing_ok=True)
    argv = (sys.executable, "-c", _SHOWN_FOR_LONG, str(stack.config), stack.PROFILE, str(marker))
    with subprocess.Popen(argv, env={**os.environ, **stack.environ()}, stdin=subprocess.DEVNULL) as child:
        try:
            stack.wait(lambda: marker.exists() or child.poll() is not None, "the live cycle shows nothing")
        finally:
            child.send_signal(signal.SIGKILL)
    if not marker.exists():
        raise OpsError(f"the live cycle ended with {child.returncode}", where=str(stack.work_dir))
    marker.unlink()


_SHOWN_FOR_LONG = """\
import os, pathlib, sys, time
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.live.run import run

def show(text):
    pathlib.Path(sys.argv[3]).touch()
    time.sleep(60)
    return ""

settings = load_settings(pathlib.Path(sys.argv[1]), sys.argv[2], os.environ)
run(settings, plane_of(settings, SystemClock(), "drill"), show=show)
"""


def decided_on_gone(stack: SplitStack, _service: str) -> None:
    """What the live cycle decided on is deleted, after a newer bundle was put in force."""
    old = _kept(stack, _here(stack).bundle_id)
    write_results(stack, OTHER)
    published(stack)
    pulled(stack)
    shutil.rmtree(old)


def decided_on_edited(stack: SplitStack, _service: str) -> None:
    """What the live cycle decided on is edited, after a newer bundle was put in force."""
    old = _kept(stack, _here(stack).bundle_id) / FILE
    write_results(stack, BEFORE)
    published(stack)
    pulled(stack)
    old.chmod(0o600)
    old.write_text(json.dumps({"decision": FORGED}) + "\n", encoding="utf-8")


def _kept(stack: SplitStack, bundle_id: str) -> Path:
    return stack.layout.bundles / bundle_id
