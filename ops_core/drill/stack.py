"""The embedded stack: three real services under a real supervisor, in a directory and on ports of their own."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Callable, Mapping

from ops_core.drill import sessions
from ops_core.drill.base_stack import Effect, Stack
from ops_core.drill.layout import Layout
from ops_core.drill.ports import HOST
from ops_core.drill.waiting import Overdue, wait_until
from ops_core.drill.work_dir import digest_below, swap_link
from ops_core.errors import OpsError, UsageError

START_S = 20.0

__all__ = ["Effect", "EmbeddedStack"]


class EmbeddedStack(Stack[Layout]):
    """Three services to break and to heal: `core`, `soul`, `dashboard`."""

    LAYOUT = Layout
    PROFILE = "embedded"
    SUITE = "observe"
    DIR_VARIABLE = "OPS_EMBEDDED_DIR"

    @property
    def secret(self) -> str:
        """The operator's copy of the internal secret."""
        return self.layout.secret_file.read_text(encoding="utf-8").strip()

    def status(self, service: str, path: str | None = None, *, secret: str | None = None, limit_s: float = 5.0) -> int:
        """The HTTP status of a GET; 0 when there is no answer within `limit_s`."""
        connection = http.client.HTTPConnection(HOST, self._ports[service], timeout=limit_s)
        try:
            headers = {} if secret is None else {"X-Internal-Secret": secret}
            connection.request("GET", path or self.layout.spec_of(service).health_path, headers=headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def standing(self) -> dict[str, str]:
        folders = {name: digest_below(self.work_dir / name) for name in ("data", "faults", "secrets")}
        return {**super().standing(), **folders}

    def answers(self, service: str) -> bool:
        return self.status(service) != 0

    def deploy_release(self, service: str, name: str, patch: Mapping[str, str]) -> None:
        """Write a release and put it in force; the running process keeps the old one until `restart`.

        Args:
            service: whose.
            name: such as `v2`.
            patch: passages of the known good release's code, and what stands there instead.

        Raises:
            UsageError: a passage does not occur exactly once, the result is not Python, or the name is taken.
        """
        script, source = self.layout.spec_of(service).script, self.layout.shipped_source(service)
        for old, new in patch.items():
            if source.count(old) != 1:
                raise UsageError(f"the passage occurs {source.count(old)} times: {old!r}", where=script)
            source = source.replace(old, new)
        try:
            compile(source, script, "exec")
        except SyntaxError as error:
            raise UsageError(f"the patched code is not Python: {error}", where=script) from None
        self.layout.write_release(service, name, source)
        swap_link(self.layout.release_link(service), name)

    def send(self, service: str, signal_number: int) -> None:
        """Send a signal to a service; SIGUSR1 and SIGUSR2 not before it handles them: until then they would kill it."""
        if signal_number in (signal.SIGUSR1, signal.SIGUSR2):
            pid = self.process(service).pid
            self.wait(lambda: sessions.handles(pid, signal_number), f"{service} does not take signals")
        self.supervision.signal(service, signal_number)

    def make_good(self, service: str) -> None:
        """Put a service back to its known good state, whatever was done to it.

        Its versions, data and fault file are repaired in any case; while the stack runs, the process too: woken,
        started, restarted when it runs something else than the known good versions, told to drop its degradation.
        """
        self.layout.make_good(service)
        if not self.running:
            return
        if self.process(service).state == "RUNNING":
            self.send(service, signal.SIGCONT)
        info = self.process(service)
        if info.state != "RUNNING":
            self.launch(service)
        elif self._runs_what_is_in_force(service, info.pid):
            self.send(service, signal.SIGUSR2)
        else:
            self.restart(service)
        self.wait(lambda: self.status(service) == 200, f"{service} is not well")

    def _lay_out(self, new_secret: Callable[[], str]) -> None:
        self.layout.lay_out(new_secret)

    def _wait_until_well(self) -> None:
        waiting = list(self.layout.SERVICES)

        def all_answer() -> bool:
            if not self.running:
                raise OpsError("supervisord ended at once", where=str(self.work_dir / "logs"))
            self.supervision.nudge()
            while waiting and self.status(waiting[0], limit_s=2.0) == 200:
                waiting.pop(0)
            return not waiting

        logs = str(self.work_dir / "logs")
        try:
            wait_until(all_answer, self.clock, START_S, "the services do not answer", where=logs)
        except Overdue:
            raise Overdue(f"{waiting[0]} does not answer 200 within {START_S:g} seconds", where=logs) from None
