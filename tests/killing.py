"""Commands that are killed at one system call: a process in which `ops` is ready forks, and strace kills the fork.

What lies on the disk, and what others were told, changes only at system calls that change something. A kill before each
of these, and the run that is not killed, are therefore all that a SIGKILL can leave behind.

strace counts the calls of each name for itself, so a point is a name and how many calls of it there were before. It
watches the first thread: the acts do everything there.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import io
import itertools
import json
import os
import pkgutil
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bot_api import BotApi
from tests.operating import Site, Told
from tests.support import ROOT, eventually, need_program

# Everything by which a process changes a file, tells somebody something, or makes or ends a process. Locks are gone with
# the process, whenever it dies.
CALLS = (
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "connect", "sendfile"),
    *("fsync", "fdatasync", "sync_file_range", "ftruncate", "truncate", "fallocate", "copy_file_range"),
    *("unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("open", "openat", "creat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat", "fchown"),
    *("kill", "tgkill", "pidfd_send_signal", "clone", "clone3", "fork", "vfork", "execve", "exit_group"),
)
SET = ",".join(f"?{name}" for name in CALLS)
_CALL = re.compile(r"^(\w+)\((.*)$")
_READING = re.compile(r"O_(?:CREAT|TRUNC)")
PATIENCE_S = 180.0
PR_SET_PDEATHSIG, PR_SET_PTRACER, ANYBODY = 1, 0x59616D61, -1


@dataclass(frozen=True, kw_only=True)
class Point:
    """One system call of an act: before its `when`-th call of that name the process is killed."""

    name: str
    when: int
    index: int
    text: str

    def __str__(self) -> str:
        return f"{self.index}: {self.name} #{self.when} {self.text[:100]}"


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What is known about an act that was to be killed."""

    killed: bool
    told: Told

    def acknowledged(self) -> Any:
        """The JSON document that it has told whole; None where it did not come so far."""
        try:
            return json.loads(self.told.out)
        except ValueError:
            return None


class Ready:
    """A process that has imported all of `ops` and forks for each command; for `with`."""

    def __enter__(self) -> Self:
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "tests.killing"]
        self._process = subprocess.Popen(
            argv, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def ask(self, **request: Any) -> int:
        """Have something done; the answer is a process id, or how one ended."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def start(self, site: Site, words: tuple[str, ...] | None, *, code: str = "", name: str = "ops", go: bool) -> int:
        """Fork for a command; it begins when it is told to go. `code` is executed before it."""
        return self.ask(
            do="start",
            cwd=str(site.root),
            environ=site.environ,
            words=words,
            code=code,
            out=str(site.root.parent / f"{site.root.name}.{name}.out"),
            err=str(site.root.parent / f"{site.root.name}.{name}.err"),
            go=go,
        )

    def heard(self, site: Site, code: int, name: str = "ops") -> Told:
        """What a process has told that has ended so."""
        out, err = (site.root.parent / f"{site.root.name}.{name}.{end}" for end in ("out", "err"))
        return Told(code=code, out=out.read_text("utf-8", "replace"), err=err.read_text("utf-8", "replace"))

    def run(self, site: Site, words: tuple[str, ...], code: str = "") -> Told:
        """Run a command to its end."""
        pid = self.start(site, words, code=code, go=True)
        return self.heard(site, self.ask(do="wait", pid=pid))

    def type(self, words: tuple[str, ...], cwd: Path, environ: dict[str, str]) -> Told:
        """Run a command in any folder to its end."""
        with tempfile.TemporaryDirectory(prefix="typed-") as told:
            out, err = Path(told, "out"), Path(told, "err")
            asked = {"cwd": str(cwd), "environ": environ, "words": words, "out": str(out), "err": str(err)}
            code = self.ask(do="wait", pid=self.ask(do="start", code="", go=True, **asked))
            return Told(code=code, out=out.read_text("utf-8", "replace"), err=err.read_text("utf-8", "replace"))

    def trace(self, site: Site, words: tuple[str, ...] | None, *, code: str = "", kill: Point | None = None) -> Killed:
        """Run a command under strace, and kill it at a point; where it never comes there, it runs to its end."""
        pid = self.start(site, words, code=code, go=False)
        log = log_of(site)
        argv = [need_program("strace"), "-p", str(pid), "-o", str(log), "-s", "60", "-e", "signal=none"]
        argv += ["-e", f"trace={SET}"]
        if kill is not None:
            argv += ["-e", f"inject={kill.name}:signal=SIGKILL:when={kill.when}"]
        strace = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with strace, contextlib.ExitStack() as stack:
            stack.callback(strace.kill)
            line = strace.stderr.readline()
            if "attached" not in line:
                raise AssertionError(f"strace cannot attach: {line}")
            self.ask(do="go", pid=pid)
            code_of_end = self.ask(do="wait", pid=pid)
            strace.wait(PATIENCE_S)
        return Killed(killed=code_of_end == -signal.SIGKILL, told=self.heard(site, code_of_end))

    def points(self, site: Site, words: tuple[str, ...] | None, code: str = "") -> tuple[list[Point], Killed]:
        """All points of a command, counted in a run that nobody kills."""
        done = self.trace(site, words, code=code)
        return points_of(log_of(site).read_text("utf-8", "replace")), done

    def _answer(self) -> int:
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            raise AssertionError("the process that forks does not answer")
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the process that forks has ended")
        return int(line)


_SHARED: list[Ready] = []
_TYPING = threading.Lock()


def typed(words: tuple[str, ...], cwd: Path, environ: dict[str, str]) -> Told | None:
    """Run `ops` in a fork of one process that all tests share: most of what a start costs is its imports.

    None while another thread waits for a command: the caller starts a process of its own then.
    """
    if not _TYPING.acquire(blocking=False):
        return None
    try:
        if not _SHARED:
            _SHARED.append(Ready().__enter__())
            atexit.register(_SHARED[0].__exit__)
        return _SHARED[0].type(words, cwd, environ)
    finally:
        _TYPING.release()


def log_of(site: Site) -> Path:
    """What strace wrote about the command that was traced last."""
    return site.root.parent / f"{site.root.name}.strace"


def points_of(log: str) -> list[Point]:
    """The calls of a log that change something; opening a file to read it does not."""
    counts: dict[str, int] = {}
    found = []
    for line in log.splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        name, text = call.groups()
        counts[name] = counts.get(name, 0) + 1
        if name in {"open", "openat"} and not _READING.search(text):
            continue
        found.append(Point(name=name, when=counts[name], index=len(found), text=text))
    return found


@dataclass
class ReadySite(Site):
    """A site whose commands are forked."""

    ready: Ready | None = field(default=None, repr=False)

    def ops(self, *words: str, code: int | None = 0, stdin: str = "", timeout_s: float = 60.0) -> Told:
        told = self.ready.run(self, words)
        if code is not None and told.code != code:
            raise AssertionError(f"ops {' '.join(words)}: exit {told.code}\n{told.out}{told.err}")
        return told

    def copied(self, root: Path) -> ReadySite:
        """The same repository, at the same point of its life, in another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        return ReadySite(
            root=root,
            telegram_url=self.telegram_url,
            trading=self.trading,
            live_fire=self.live_fire,
            cycle=self.cycle,
            timeout_s=self.timeout_s,
            tokens=dict(self.tokens),
            ready=self.ready,
        )

    def remove(self) -> None:
        """Take it away, with all that its commands have told."""
        shutil.rmtree(self.root)
        for path in self.root.parent.glob(f"{self.root.name}.*"):
            path.unlink()


def sample(points: list[Point], wanted: int, seed: str) -> list[Point]:
    """As many points as wanted, at random, but spread over the whole act."""
    rng = random.Random(seed)
    edges = [len(points) * number // wanted for number in range(wanted + 1)]
    return [points[rng.randrange(low, high)] for low, high in itertools.pairwise(edges)]


def heard_all(api: BotApi) -> list[str]:
    """The texts that arrived, once everything has that was sent before; the connections behind it are closed."""
    with socket.create_connection(api._listener.getsockname()) as last:
        me = last.getsockname()
        # Connections are accepted in their order: ours comes after theirs.
        eventually(lambda: me in [_peer(one) for one in list(api._open)], "a connection is not accepted")
    eventually(lambda: len(api._threads) == len(api._open) and all(map(_ended, api._threads)), "one is still served")
    for one in api._open:
        one.close()
    api._open.clear()
    api._threads.clear()
    return api.texts


def _peer(connection: socket.socket) -> object:
    try:
        return connection.getpeername()
    except OSError:
        return None


def _ended(thread: threading.Thread) -> bool:
    # It is listed before it is started.
    return thread._started.is_set() and not thread.is_alive()


def _serve() -> None:
    """Fork when asked to: lines of JSON in, a number each out."""
    for package in ("control", "push", "cycle", "cli", "schedule"):
        found = importlib.import_module(f"ops_core.{package}")
        for module in pkgutil.walk_packages(found.__path__, f"ops_core.{package}."):
            if not module.name.endswith("__main__") and ".migrations." not in module.name:
                importlib.import_module(module.name)
    for name in ("httpx", "sqlalchemy.dialects.sqlite", "cryptography.hazmat.primitives.serialization"):
        importlib.import_module(name)
    with contextlib.suppress(ImportError):
        importlib.import_module("psycopg")
    # What children write must not end up among the answers.
    asked, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    gates: dict[int, int] = {}
    print(0, file=answers, flush=True)
    for line in asked:
        request = json.loads(line)
        if request["do"] == "start":
            pid = _fork(request, gates, (asked, answers))
            if request["go"]:
                os.close(gates.pop(pid))
            answer = pid
        elif request["do"] == "go":
            os.close(gates.pop(request["pid"]))
            answer = 0
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["pid"], 0)[1])
        print(answer, file=answers, flush=True)


def _fork(request: dict[str, Any], gates: dict[int, int], ours: tuple[io.TextIOBase, ...]) -> int:
    reading, writing = os.pipe()
    there, at_the_gate = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reading)
        os.close(at_the_gate)
        # What it does before is not to be traced.
        os.read(there, 1)
        os.close(there)
        gates[pid] = writing
        return pid
    code = 70
    try:
        for descriptor in (writing, there, *gates.values(), *(one.fileno() for one in ours)):
            os.close(descriptor)
        _become(request)
        os.close(at_the_gate)
        os.read(reading, 1)
        os.close(reading)
        code = _act(request)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)


def _become(request: dict[str, Any]) -> None:
    libc = ctypes.CDLL(None)
    # It must not outlive the test; and strace, which is no ancestor, may look.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _act(request: dict[str, Any]) -> int:
    from ops_core.cli import main

    if request["code"]:
        exec(request["code"], {"__name__": "planted"})
    return main(request["words"]) if request["words"] is not None else 0


@contextlib.contextmanager
def working(ready: Ready, site: ReadySite, code: str) -> Iterator[int]:
    """A process of that code, which has told "ready", until the block ends."""
    pid = ready.start(site, None, code=code, name="work", go=True)
    out = site.root.parent / f"{site.root.name}.work.out"
    try:
        eventually(lambda: "ready" in out.read_text(), f"the work did not begin: {out.with_suffix('.err').read_text()}")
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        ready.ask(do="wait", pid=pid)


if __name__ == "__main__":
    _serve()
