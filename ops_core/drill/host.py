"""The supervisord of a stack: started on a leash, found again by others, and ended for certain."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ops_core.clock import Clock
from ops_core.drill import sessions
from ops_core.drill.supervision import Supervision, SupervisorError
from ops_core.drill.waiting import Overdue, wait_until
from ops_core.drill.work_dir import LOCK, SOCKET_PATH_MAX, WorkDir, write_private
from ops_core.errors import UsageError

STOP_S = 10.0
LEASH = Path(__file__).resolve().parent / "leash.py"
# Nothing else of the operator's environment reaches the services: it may hold secrets.
PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR")


class Host:
    """One supervisord in one work directory.

    Args:
        layout: the work directory.
        clock: tells the time and sleeps.
    """

    def __init__(self, layout: WorkDir, clock: Clock) -> None:
        self._layout, self._clock = layout, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._session = 0
        self._socket_path = layout.root / "supervisor.sock"

    @property
    def supervision(self) -> Supervision:
        """The line to it."""
        return Supervision(self._socket_path)

    @property
    def running(self) -> bool:
        """Whether it lives."""
        if self._process is not None:
            return self._process.poll() is None
        return bool(self._session) and self._session in sessions.members(self._session, self._layout.root)

    @contextmanager
    def claim(self) -> Iterator[int]:
        """The lock on the work directory, to be handed to `launch`.

        supervisord inherits it, so that it is held exactly as long as that lives, whatever happens to us.

        Raises:
            UsageError: a stack runs there, or the directory belongs to something else.
        """
        self._layout.claim()
        with (self._layout.root / LOCK).open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(
                    f"another {self._layout.KIND} runs there already",
                    where=str(self._layout.root),
                    next_step="take it down first (ops drill down), or name another directory",
                ) from None
            yield lock.fileno()

    def launch(self, ports: Mapping[str, int], lock: int, *, tied: bool) -> None:
        """Configure and start supervisord, which starts the services.

        Args:
            ports: by service.
            lock: the descriptor that `claim` gave.
            tied: whether it ends when this process does.
        """
        self._remove_left_socket()
        self._socket_path = self._new_socket_path()
        text = self._layout.supervisor_text(ports, self._socket_path)
        write_private(self._layout.supervisor_conf, text)
        environ = {key: value for key, value in os.environ.items() if key in PASSED_ON}
        argv = [sys.executable, "-P", str(LEASH), "tied" if tied else "free", str(self._layout.supervisor_conf)]
        with (self._layout.root / "logs" / "supervisord.out").open("wb") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._layout.root,
                env=environ,
                start_new_session=True,
                pass_fds=(lock,),
            )
        self._session = self._process.pid
        about = {"pid": self._session, "socket": str(self._socket_path), "ports": dict(ports)}
        write_private(self._layout.about_file, json.dumps(about) + "\n")

    def attach(self) -> dict[str, int]:
        """Find the supervisord that another process started here; the ports of its services.

        Raises:
            UsageError: there is none.
        """
        try:
            about = json.loads(self._layout.about_file.read_text(encoding="utf-8"))
            ports = {name: int(about["ports"][name]) for name in self._layout.SERVICES}
            self._socket_path, self._session = Path(about["socket"]), int(about["pid"])
            if self.supervision.pid() == self._session:
                return ports
        except (OSError, ValueError, KeyError, TypeError, SupervisorError):
            pass
        self._session = 0
        raise UsageError(
            f"no {self._layout.KIND} runs there",
            where=str(self._layout.root),
            next_step=f"start one first: ops drill up {self._layout.KIND.removesuffix(' stack')}",
        )

    def detach(self) -> None:
        """Leave it to itself: it was started with `tied=False` and lives on."""
        if self._process is not None:
            # Not our child to wait for any more; as it outlives us, nobody will miss the exit status.
            self._process.returncode = 0
            self._process = None

    def stop(self) -> None:
        """End it and everything it started. Can be called at any time and as often as one likes.

        Raises:
            Overdue: something could not be ended even with SIGKILL.
        """
        if self._session:
            # A stopped process would not hear that it is to end.
            self._send(signal.SIGCONT)
            if self.running:
                try:
                    self.supervision.shutdown()
                except SupervisorError:
                    self._send(signal.SIGTERM)
            try:
                wait_until(self._ended, self._clock, STOP_S, "supervisord does not end")
            except Overdue:
                self._send(signal.SIGKILL)
            where = str(self._layout.root)
            what = f"the {self._layout.KIND} does not end"
            wait_until(lambda: not self._send(signal.SIGKILL), self._clock, STOP_S, what, where=where)
            self._session = 0
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._process = None
        self._remove_socket()

    def _ended(self) -> bool:
        if not self.running:
            return True
        self.supervision.nudge()
        return False

    def _send(self, signal_number: int) -> int:
        return sessions.send(self._session, self._layout.root, signal_number)

    def _new_socket_path(self) -> Path:
        beside = self._layout.root / "supervisor.sock"
        if len(os.fsencode(beside)) < SOCKET_PATH_MAX:
            return beside
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes a folder of ours alone
            folder = Path(tempfile.mkdtemp(prefix="ops-", dir=parent))
            if len(os.fsencode(folder / "s")) < SOCKET_PATH_MAX:
                return folder / "s"
            folder.rmdir()
        raise UsageError("no place for a unix socket: the path is too long", where=str(beside))

    def _remove_left_socket(self) -> None:
        """Remove what a stack that was killed left in the folder for temporary files."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self._socket_path = Path(json.loads(self._layout.about_file.read_text(encoding="utf-8"))["socket"])
            self._remove_socket()

    def _remove_socket(self) -> None:
        self._socket_path.unlink(missing_ok=True)
        folder = self._socket_path.parent
        if folder != self._layout.root and folder.is_dir():
            folder.rmdir()
