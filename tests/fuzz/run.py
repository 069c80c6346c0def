"""Asks a real `ops serve` thousands of hostile things, one after the other, and looks at the store after each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops_core.clock import ManualClock, SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator, issue_token, revoke_token
from tests.fuzz.inputs import CYCLE, FIRE, LIVE, MARK, STOP, Attempt, Inputs
from tests.fuzz.oracle import People, Picture, Reply, problems
from tests.fuzz.wire import Wire
from tests.operating import CHAT, OPS, TOKEN, Site

SCOPES = ("stop", "gate", "window", "approve", "sender", "fire", "cycle", "alert")
FRESH_FILES = 24  # that a server which has answered thousands may have open beyond one that has answered a few
THREADS_MAX = 100
SHORT_S = 0.05
WARM = 20
SERVE = (*OPS, "serve", "--port", "0", "--json")


@dataclass
class Outcome:
    """What came of a run: what is wrong, and how much of what was asked."""

    seed: int
    asked: int = 0
    answered: int = 0
    allowed: int = 0
    changed: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    measured: dict[str, int] = field(default_factory=dict)

    def as_text(self) -> str:
        """Some lines for a person."""
        statuses = ", ".join(f"{status} × {count}" for status, count in sorted(self.statuses.items()))
        return (
            f"seed {self.seed}: {self.asked} requests, {self.answered} answers ({statuses})\n"
            f"{self.allowed} were allowed to change something, {self.changed} did\n"
            f"{self.measured}\n" + "\n".join(["nothing wrong" if not self.found else "WRONG", *self.found[:40]])
        )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A repository with a store, and people whose tokens are good for this and that."""

    site: Site
    store: Path
    tokens: Mapping[str, str]
    scopes: Mapping[str, frozenset[str]]

    @property
    def secrets(self) -> dict[str, str]:
        """What nobody may ever read."""
        return {"bot's token": TOKEN, "chat": CHAT, **{f"token of {name}": text for name, text in self.tokens.items()}}


def prepared(root: Path) -> Prepared:
    """Make it. Tokens: good for everything, for one thing each, expired, revoked."""
    site = Site(root).write()
    # A look that goes on behind an answer would change the record at any time.
    with (root / "ops.toml").open("a", encoding="utf-8") as file:
        file.write("\n[profiles.site.alerts]\nobserve = false\n")
    clock = ManualClock(datetime.now(UTC) - timedelta(days=20))
    settings = load_settings(root / "ops.toml", environ={})
    plane, past = plane_of(settings, SystemClock(), "tests"), plane_of(settings, clock, "tests")
    past.create()
    past.release("ready")
    site.key("x").parent.mkdir(mode=0o700)
    tokens, scopes = {}, {}
    for name, good_for in [("all", SCOPES), *((f"only-{scope}", (scope,)) for scope in SCOPES)]:
        tokens[name] = add_operator(past, name, key_file=site.key(name), scopes=good_for).token
        scopes[name] = frozenset(good_for)
    tokens["expired"] = issue_token(past, "all", scopes=SCOPES, token_days=1).token
    revoked = issue_token(plane, "all", scopes=SCOPES)
    tokens["revoked"] = revoked.token
    revoke_token(plane, revoked.id)
    for name in ("all", *(f"only-{scope}" for scope in SCOPES)):
        tokens[name] = issue_token(plane, name, scopes=tuple(scopes[name])).token
    return Prepared(site=site, store=settings.control_store, tokens=tokens, scopes=scopes)


@contextmanager
def serving(
    world: Prepared, argv: Sequence[str] = SERVE, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """The server's process and port; what it says goes into a file, so that nobody has to read it."""
    errors = world.site.root / "stderr.txt"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            argv, cwd=world.site.root, env={**world.site.environ, **(environ or {})},
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("}"):
                break
        if not said:
            raise AssertionError(f"the server did not begin: {errors.read_text()}")
        yield process.pid, int(json.loads(said)["url"].rpartition(":")[2])
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.stdout.close()


def planted(world: Prepared, defect: str) -> AbstractContextManager[tuple[int, int]]:
    """A server with that defect, as `serving` has one without."""
    here = str(Path(__file__).resolve().parents[2])
    argv = (sys.executable, "-m", "tests.fuzz.planted", defect)
    return serving(world, argv, {"PLANTED_TOKEN": world.tokens["all"], "PYTHONPATH": here})


class Fuzz:
    """One run.

    Args:
        world: the repository.
        pid: of the server.
        port: where it listens.
        seed: of everything that is sent.
        heavy: how many requests may start a process, which takes a second each.
    """

    def __init__(self, world: Prepared, pid: int, port: int, seed: int, heavy: int = 3) -> None:
        self._world, self._pid, self._port, self._heavy = world, pid, port, heavy
        names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._people = People(tokens=world.tokens, scopes=world.scopes, hosts=frozenset(names))
        self._rng = random.Random(seed)
        self._inputs = Inputs(rng=self._rng, host=f"127.0.0.1:{port}", tokens=world.tokens)
        self._wire: Wire | None = None
        self._picture = Picture.of(world.store)
        self._unsure = 0
        self.outcome = Outcome(seed=seed, kinds=self._inputs.kinds)

    def run(self, requests: int, until: str = "") -> Outcome:
        """Ask that many times, or until that is found; then look at the process and at everything that it has written."""
        warm: dict[str, int] = {}
        found = self.outcome.found
        while self.outcome.asked < requests and len(found) < 200 and not (until and any(until in one for one in found)):
            if self._rng.random() < 0.03:
                self._pipeline([self._next() for _ in range(self._rng.randint(2, 6))])
            else:
                self._one(self._next())
            if not warm and self.outcome.asked >= WARM:
                warm = self._process()
        self._hang_up()
        self._at_the_end(warm)
        return self.outcome

    def _next(self) -> Attempt:
        while True:
            found = self._inputs.attempt()
            path = found.target.partition(b"?")[0].decode("latin-1")
            starts = any(one.partition("?")[0] in path for one in (CYCLE, FIRE, LIVE))
            now = datetime.now(UTC)
            if not self._people.may_change(found, self._picture, now=now):
                return found
            if starts and self._heavy <= 0:
                continue
            self._heavy -= starts
            return found.neutral()

    def _one(self, found: Attempt) -> None:
        self.outcome.asked += 1
        may = self._people.may_change(found, self._picture, now=datetime.now(UTC))
        if not found.framed:
            self._broken(found, may=may)
            return
        reply = self._asked(found)
        if reply is None:
            self._wrong(found, None, "is not answered")
        else:
            self._judge(found, reply, may=may)
        self._look(found, reply, may=may)

    def _asked(self, found: Attempt) -> Reply | None:
        """The answer to a whole request, on a connection that is kept while it can be."""
        for fresh in (False, True):
            if fresh or self._wire is None:
                self._hang_up()
                self._wire = Wire(self._port)
            self._wire.send(found.raw())
            reply = self._wire.reply(found.method)
            if reply is None:
                continue  # a kept connection may have been closed at this very moment
            if reply.closed or found.version == b"HTTP/1.0" or found.method == "CONNECT":
                self._hang_up()
            return reply
        return None

    def _broken(self, found: Attempt, *, may: bool) -> None:
        """Whatever comes back has to be sound; nothing need come back."""
        last = None
        with Wire(self._port) as wire:
            wire.send(found.raw())
            if not found.half:
                wire.wait(SHORT_S)
                last = wire.reply(found.method)
            wire.wait(30)
            wire.end()
            answers = [last] if last else []
            while (reply := wire.reply(found.method)) is not None:
                answers.append(reply)
        for reply in answers:
            self._judge(found, reply, may=may)
        if may:
            self._unsure = 20  # it may still be at work, with nobody waiting for it
        self._look(found, answers[0] if answers else None, may=may)

    def _pipeline(self, many: list[Attempt]) -> None:
        """Some at once on one connection."""
        many = [found for found in many if found.framed] or [self._inputs.sane("/api/status")]
        may = [self._people.may_change(found, self._picture, now=datetime.now(UTC)) for found in many]
        self.outcome.asked += len(many)
        with Wire(self._port) as wire:
            wire.send(b"".join(found.raw() for found in many))
            wire.end() if self._rng.random() < 0.2 else None
            for found, one in zip(many, may, strict=True):
                reply = wire.reply(found.method)
                if reply is None:
                    break
                # What the earlier ones changed decides what this one may do.
                self._judge(found, reply, may=one or any(may))
                if reply.closed:
                    break
        if any(may):
            self._unsure = 20
        self._look(many[0].but("pipelined"), None, may=any(may))

    def _judge(self, found: Attempt, reply: Reply, *, may: bool) -> None:
        self.outcome.answered += 1
        self.outcome.statuses[reply.status] += 1
        for problem in problems(found, reply, self._world.secrets):
            self._wrong(found, reply, problem)
        if found.framed and found.method == "POST" and reply.status < 400 and not may:
            self._wrong(found, reply, "lets in who may not")

    def _look(self, found: Attempt, reply: Reply | None, *, may: bool) -> None:
        """Whether the store has moved, and whether it may have."""
        now = Picture.of(self._world.store)
        moved = (now.head, now.version) != (self._picture.head, self._picture.version)
        self.outcome.allowed += may
        self.outcome.changed += moved
        self._unsure -= 1
        if moved and not may and self._unsure <= 0:
            self._wrong(found, reply, "changes the state")
        if (
            moved
            and may
            and reply is not None
            and 400 <= reply.status < 500
            and reply.status != 409
            and self._unsure <= 0
        ):
            self._wrong(found, reply, "changes the state and says that it did not")
        self._picture = now

    def _wrong(self, found: Attempt, reply: Reply | None, what: str) -> None:
        number, raw = self.outcome.asked, found.raw()
        told = "" if reply is None else f" -> {reply.status} {reply.body[:160]!r}"
        self.outcome.found.append(f"{what}: request {number} {'+'.join(found.done)} {raw[:160]!r}{told}")

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _process(self) -> dict[str, int]:
        """What the server's process holds: open files, threads, memory in KiB."""
        place = Path("/proc") / str(self._pid)
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        return {
            "files": len(list((place / "fd").iterdir())),
            "threads": int(status["Threads"]),
            "memory_kib": int(status["VmRSS"].split()[0]),
        }

    def _at_the_end(self, warm: dict[str, int]) -> None:
        found, wrong = self.outcome, self.outcome.found
        with Wire(self._port) as wire:
            for attempt in (self._inputs.sane("/api/status"), self._stop()):
                wire.send(attempt.raw())
                reply = wire.reply()
                if reply is None or reply.status != 200:
                    wrong.append(f"the server does not answer any more: {reply}")
                    return
        cold = self._process()
        found.measured = {**{f"{name}_before": value for name, value in warm.items()}, **cold}
        if cold["files"] > warm.get("files", 0) + FRESH_FILES:
            wrong.append(f"keeps more and more files open: {warm} {cold}")
        if cold["threads"] > THREADS_MAX:
            wrong.append(f"starts more and more threads: {warm} {cold}")
        said = (self._world.site.root / "stderr.txt").read_bytes()
        if b"Traceback" in said:
            wrong.append("a traceback in what the server says: " + said[-1500:].decode("utf-8", "replace"))
        for path in sorted(self._world.site.root.rglob("*")):
            if path.is_file() and not {"secrets", "keys"}.intersection(path.parts):
                content = path.read_bytes()
                for name, text in {**self._world.secrets, "mark of a refused request": MARK}.items():
                    if text.encode() in content:
                        wrong.append(f"tells the {name}, in {path.relative_to(self._world.site.root)}")

    def _stop(self) -> Attempt:
        body = json.dumps({"enabled": True, "reason": "the end of the fuzz"}).encode()
        host = (b"Host", f"127.0.0.1:{self._port}".encode())
        kind, length = (b"Content-Type", b"application/json"), (b"Content-Length", str(len(body)).encode())
        return Attempt(method="POST", target=STOP.encode(), headers=(host, kind, length), body=body)


def fuzz(root: Path, seed: int, requests: int, *, defect: str = "", until: str = "") -> Outcome:
    """One run on a new repository, with `ops serve` or with a server that has a defect, until it is found."""
    world = prepared(root)
    if not defect:
        with serving(world) as (pid, port):
            return Fuzz(world, pid, port, seed).run(requests)
    with planted(world, defect) as (pid, port):
        return Fuzz(world, pid, port, seed, heavy=0).run(requests, until)
