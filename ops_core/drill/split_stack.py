"""Two hosts with a bare repository between them, to break what is handed over: a site that takes bundles, its producer.

Everything is real but the distance: keys, commits, signatures, and the functions that `ops handoff`, `ops summary` and
`ops live` call. No service runs. The operator's host is the site itself; the producer's lies in a folder of it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from ops_core.clock import Clock
from ops_core.config import Settings, load_settings
from ops_core.control.opening import plane_of
from ops_core.control.service import ControlPlane
from ops_core.drill.control_plane import ACTOR, REASON, ControlStack, SiteDir, at_rest, digest_of, opened
from ops_core.drill.work_dir import digest_below, write_private
from ops_core.errors import OpsError, UsageError
from ops_core.evidence import HandoffEvidence

PRODUCER = "drill-producer"
PRODUCING = "producer"
BRANCH, FOLDER = "main", "handoff/daily"
DECISION_FILE = "decision.json"
FRESH_HOURS = 26.0
GOOD, BEFORE = "HOLD", "BUY"
ENDED_WELL = frozenset({"OK", "WARN"})

_OPERATOR = f"""
[profiles.site.handoff]
repository = "checkout"
branch = "{BRANCH}"
folder = "{FOLDER}"
fresh_hours = {FRESH_HOURS}
bundles_dir = "bundles"
decision_file = "{DECISION_FILE}"
producers = {{{{ {PRODUCER} = "{{public}}" }}}}
"""
_PRODUCER = f"""\
[profiles.{PRODUCING}]
drill = true
role = "producer"
control_dir = "control"
state_dir = "state"
reports_dir = "reports"
logs_dir = "logs"

[profiles.{PRODUCING}.targets.this-host.vars]
nothing = "to look at"

[profiles.{PRODUCING}.secrets]
SIGNING_KEY = {{ file = "signing.pem" }}

[profiles.{PRODUCING}.handoff]
repository = "checkout"
branch = "{BRANCH}"
folder = "{FOLDER}"
fresh_hours = {FRESH_HOURS}
producer = "{PRODUCER}"
signing_key = "SIGNING_KEY"
results = "results"
decision_file = "{DECISION_FILE}"
"""


@dataclass(frozen=True)
class SplitDir(SiteDir):
    """The work directory: the operator's host, the producer's in a folder of it, and the repository between them."""

    KIND: ClassVar[str] = "split site"

    @property
    def remote(self) -> Path:
        """The bare repository between the hosts."""
        return self.root / "remote.git"

    @property
    def bundles(self) -> Path:
        """Where the operator's host puts bundles."""
        return self.root / "bundles"

    @property
    def producer(self) -> Path:
        """The producer's host."""
        return self.root / "producer"

    @property
    def key(self) -> Path:
        """The producer's private key."""
        return self.producer / "signing.pem"

    @property
    def results(self) -> Path:
        """What the producer hands over."""
        return self.producer / "results"


class SplitStack(ControlStack):
    """A site that takes bundles, and has done its day: pulled, summed up, run the live cycle."""

    LAYOUT = SplitDir
    SUITE = "handoff"
    DRIVER = "bundle"
    layout: SplitDir

    @classmethod
    def lacking(cls) -> str:
        return "" if shutil.which("git") else "it needs git"

    def start(self, *, detached: bool = False) -> None:
        """Make both hosts and the repository, hand over two bundles, and do the day with the second.

        Raises:
            UsageError: the directory belongs to something else, or nothing can be left running.
            OpsError: git cannot be run, or something is not taken.
        """
        if detached:
            raise UsageError("a site has nothing to leave running", where=str(self.work_dir))
        self.layout.claim()
        self._lay_out_hosts()
        self._here = True
        for _, plane in (opened(self), producing(self)):
            plane.create()
            plane.release(REASON)
        # There has to be an older one that somebody can offer again.
        for decision in (BEFORE, GOOD):
            write_results(self, decision)
            published(self)
            pulled(self)
        put_right(self, "")

    def arrange(self, **changes: Any) -> None:
        from ops_core.control.people.keys import public_key_of

        told = replace(self.good, **changes).text().replace("drill = true\n", 'drill = true\nrole = "operator"\n', 1)
        write_private(self.layout.config, told + _OPERATOR.format(public=public_key_of(self.layout.key)))

    def standing(self) -> dict[str, str]:
        from ops_core.handoff.installed import in_force

        layout, here = self.layout, in_force(opened(self)[0])
        with exchange_of(*producing(self)) as exchange:
            tip = exchange.fetch()
            offered = {one.path: one.oid for one in exchange.listing(tip)} if tip else {}
        return {
            "configuration": digest_of(layout.config),
            "producer's configuration": digest_of(layout.producer / "ops.toml"),
            "signing key": digest_of(layout.key),
            "results": digest_below(layout.results),
            "bundle in force": "none" if here is None else here.problem or digest_below(here.path / "files"),
            "files on the branch": " ".join(f"{name} {oid}" for name, oid in offered.items() if "/" in name),
        }

    def _lay_out_hosts(self) -> None:
        from ops_core.control.people.keys import make_key
        from ops_core.handoff.git_run import Git

        layout = self.layout
        layout.lay_out()
        layout.results.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_key(layout.key)
        self.arrange()
        write_private(layout.producer / "ops.toml", _PRODUCER)
        git = Git(producing(self)[0], layout.remote, lambda: "", None)
        made = (
            ("--bare", layout.remote),
            ("--quiet", layout.root / "checkout"),
            ("--quiet", layout.producer / "checkout"),
        )
        for how, folder in made:
            argv = ("git", "init", "--quiet", "--template=", f"--initial-branch={BRANCH}", how, "--", str(folder))
            git.did(git.run(argv, cwd=layout.root), "a repository cannot be made", local=False)
            if folder != layout.remote:
                added = git.run(("git", "remote", "add", "origin", str(layout.remote)), cwd=folder)
                git.did(added, "the remote cannot be named", local=False)


def producing(stack: SplitStack) -> tuple[Settings, ControlPlane]:
    """The producer's configuration and its control plane."""
    settings = load_settings(stack.layout.producer / "ops.toml", PRODUCING, {})
    return settings, plane_of(settings, stack.clock, ACTOR)


@contextmanager
def exchange_of(settings: Settings, plane: ControlPlane) -> Iterator[Any]:
    """The way to the repository from that host, for as long as one holds the turn there."""
    from ops_core.handoff import lock
    from ops_core.handoff.git import Exchange, folder_of

    with lock.claimed(folder_of(settings), plane.clock) as hold:
        exchange = Exchange(settings, hold=hold)
        exchange.open()
        yield exchange


def write_results(stack: SplitStack, decision: object, *, age: timedelta = timedelta(0)) -> None:
    """Have the producer's results say that, and be that old."""
    path = stack.layout.results / DECISION_FILE
    path.write_text(json.dumps({"decision": decision}) + "\n", encoding="utf-8")
    at = (stack.clock.now() - age).timestamp()
    os.utime(path, (at, at))


def published(stack: SplitStack) -> dict[str, Any]:
    """Publish on the producer's host.

    Raises:
        OpsError: nothing was handed over.
    """
    from ops_core.handoff.publish import publish

    receipt = publish(*producing(stack), stack.clock)
    if receipt["outcome"] not in {"PUBLISHED", "UNCHANGED"}:
        raise OpsError(f"the publish came to {receipt['outcome']}: {receipt['reason']}", where=str(stack.work_dir))
    return receipt


def pulled(stack: SplitStack, *, clock: Clock | None = None, refused: str = "", again: bool = False) -> dict[str, Any]:
    """Pull on the operator's host.

    Args:
        stack: whose.
        clock: the operator's; the stack's by default.
        refused: the code with which it has to be refused; by default it has to be taken.
        again: whether what was rolled back from is taken, too.

    Raises:
        OpsError: it came to something else.
    """
    from ops_core.handoff.pull import pull

    settings, plane = opened(stack, clock)
    receipt = pull(settings, plane, plane.clock, again=again)
    came = receipt.get("code") if receipt["outcome"] == "REFUSED" else receipt["outcome"]
    if came not in ({refused} if refused else {"INSTALLED", "UP_TO_DATE"}):
        raise OpsError(f"the pull came to {came}: {receipt.get('reason', '')}", where=str(stack.work_dir))
    return receipt


def summed_up(stack: SplitStack) -> None:
    """Make a summary on the operator's host."""
    from ops_core.summary.summary import regenerate

    settings, plane = opened(stack)
    regenerate(settings, plane, plane.clock)


def lived(
    stack: SplitStack, *wanted: str, clock: Clock | None = None, show: Callable[[str], str] | None = None
) -> None:
    """Run the live cycle on the operator's host; its preview is shown to nobody.

    Raises:
        OpsError: it came to something else than was wanted.
    """
    from ops_core.live.run import run

    settings, plane = opened(stack, clock)
    receipt = run(settings, plane, show=show or (lambda _text: ""))
    if receipt["result"] not in (wanted or ENDED_WELL):
        raise OpsError(f"the live cycle came to {receipt['result']}: {receipt['reason']}", where=str(stack.work_dir))


def seen(stack: SplitStack) -> HandoffEvidence:
    """What the suite `handoff` sees."""
    from ops_core.split.reading import read_handoff

    settings, plane = opened(stack)
    return read_handoff(settings, plane.clock)


def anew(stack: SplitStack, clock: Clock | None = None) -> None:
    """The operator's host as it is set up: nobody has pulled, and nothing is recorded."""
    settings, _ = opened(stack)
    settings.control_store.unlink()
    shutil.rmtree(stack.layout.bundles)
    _, plane = opened(stack, clock)
    plane.create()
    plane.release(REASON)


def put_right(stack: SplitStack, _service: str) -> None:
    """The site as it is known to be good, by what people would type. Only what differs is touched.

    What was recorded meanwhile stays. A store that was made anew stays as well: what is in force is pulled into it.
    """
    stack.arrange()
    at_rest(stack, "")
    write_results(stack, GOOD)
    published(stack)
    pulled(stack)
    found = seen(stack)
    if found.summary is None or not found.summary.current:
        summed_up(stack)
    run = found.live_cycle
    good = run is not None and run.result in ENDED_WELL and not (found.missed or run.snapshot_problem)
    if not good or found.bundle is None or run is None or run.bundle_id != found.bundle.id:
        lived(stack)
