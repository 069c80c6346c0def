"""What the rehearsal services share: a small threaded HTTP server that can be degraded on purpose.

The standard library's `http.server` would do, but doubles the start-up, and a restart is what recoveries are timed by.
Each connection has its own daemon thread and a deadline for its request, so a slow or stuck client harms nobody else.

A degradation (`faults/<name>` read on SIGUSR1, forgotten on SIGUSR2) lives in memory only: a restart heals it.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

REQUEST_S = 10.0
REQUEST_BYTES_MAX = 16_384
ACCESS_LOG_BYTES_MAX = 262_144
DEGRADATIONS = ("5xx", "slow", "silent")
EXIT_CONFIG = 78
EXIT_PORT = 69
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}


class ClientGone(Exception):
    """The client went away, or was too slow to be waited for."""


class Exchange:
    """One request and its answer on one connection; the connection is closed afterwards."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.method = self.path = ""
        self.headers: dict[str, str] = {}
        self.status = 0

    def receive(self) -> bool:
        """Read the head of the request within `REQUEST_S` seconds; False when it is none."""
        deadline = time.monotonic() + REQUEST_S
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise ClientGone
            self.connection.settimeout(left_s)
            try:
                piece = self.connection.recv(4096)
            except OSError as error:
                raise ClientGone from error
            head += piece
            if not piece:
                raise ClientGone
            if len(head) > REQUEST_BYTES_MAX:
                return False
        lines = head.decode("latin-1").splitlines()
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return False
        self.method, self.path = words[0], words[1].split("?", 1)[0]
        for line in lines[1:]:
            if not line:
                break
            key, colon, value = line.partition(":")
            if not colon:
                return False
            self.headers[key.strip().lower()] = value.strip()
        return True

    def write(self, data: bytes) -> None:
        """Send all of `data`; a client that takes none for `REQUEST_S` seconds is given up."""
        try:
            self.connection.settimeout(REQUEST_S)
            self.connection.sendall(data)
        except OSError as error:
            raise ClientGone from error

    def begin(self, status: int, content_type: str, length: int | None = None, extra: tuple[str, ...] = ()) -> None:
        """Send the head of the answer; without `length` the body ends when the connection does."""
        self.status = status
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", f"Content-Type: {content_type}"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines += [*extra, "Cache-Control: no-store", "Connection: close", "", ""]
        self.write("\r\n".join(lines).encode("latin-1"))

    def answer(self, status: int, body: object, content_type: str = "application/json") -> None:
        """Send a whole answer; anything but text is written as JSON."""
        text = body if isinstance(body, str) else json.dumps(body) + "\n"
        data = text.encode()
        extra = ("Allow: GET, HEAD",) if status == 405 else ()
        self.begin(status, content_type, len(data), extra)
        if self.method != "HEAD":
            self.write(data)

    def gone_within(self, seconds: float) -> bool:
        """Wait, and tell whether the client closed the connection meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if not readable:
            return False
        try:
            return not self.connection.recv(4096)
        except OSError:
            return True


class Service:
    """One service: its routes, its configuration (read once), and the degradation in force."""

    health_path = "/health"

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.release = Path(sys.argv[0]).resolve().parent.name
        self._config_link = root / "config" / name / "current.env"
        self.config_name = self._config_link.resolve().name
        self.config: dict[str, str] = {}
        self.degradation = ""
        self._log_lock = threading.Lock()
        self._log_path = root / "logs" / f"{name}.access.log"

    def routes(self) -> dict[str, Callable[[Exchange], None]]:
        """Path to what answers it."""
        raise NotImplementedError

    def identity(self) -> dict[str, str]:
        """What health tells about who is answering."""
        return {"service": self.name, "release": self.release, "config": self.config_name}

    def read_config(self) -> None:
        """KEY=VALUE lines; anything else is passed over. Keys that end in `_S` are seconds.

        Raises:
            OSError: the file is missing or unreadable.
            ValueError: seconds that are no number. The message does not repeat the value.
        """
        for line in self._config_link.read_text(encoding="utf-8").splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                self.config[key.strip()] = value.strip()
        for key in self.config:
            if key.endswith("_S"):
                self.seconds(key, 0.0)

    def seconds(self, key: str, default: float) -> float:
        """A duration from the configuration."""
        try:
            return float(self.config.get(key, default))
        except ValueError:
            raise ValueError(f"{key} is not a number of seconds") from None

    def record_start(self) -> None:
        """Append to the effect ledger, so that a rehearsal can count what was really started."""
        now = time.time()
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z",
            "service": self.name,
            "pid": os.getpid(),
            "release": self.release,
            "config": self.config_name,
        }
        # One write on an O_APPEND descriptor: lines of several services never mix.
        ledger = os.open(self.root / "effects.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(ledger, (json.dumps(line) + "\n").encode())
        finally:
            os.close(ledger)

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, degraded if so ordered."""
        if not exchange.receive():
            exchange.answer(400, {"error": "not an HTTP/1.x request"})
            return
        route = self.routes().get(exchange.path)
        if route is None:
            exchange.answer(404, {"error": "no such path"})
        elif exchange.method not in ("GET", "HEAD"):
            exchange.answer(405, {"error": "GET only"})
        elif self.degradation == "5xx":
            exchange.answer(500 if exchange.path == self.health_path else 503, {"error": "degraded"})
        else:
            if self.degradation == "slow" and exchange.path == self.health_path:
                time.sleep(self.seconds("SLOW_HEALTH_S", 1.5))
            try:
                route(exchange)
            except ClientGone:
                raise
            except Exception:  # noqa: BLE001 - a bug in a route answers 500, as in any web framework
                import traceback

                traceback.print_exc()
                if not exchange.status:
                    exchange.answer(500, {"error": "internal error"})

    def log(self, exchange: Exchange, elapsed_s: float) -> None:
        """Append to the access log, which is at most two files of `ACCESS_LOG_BYTES_MAX`."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f"{now} {exchange.method[:16]} {exchange.path[:200]!a} {exchange.status} {elapsed_s * 1000:.1f}ms\n"
        with self._log_lock:
            try:
                with self._log_path.open("a", encoding="utf-8") as file:
                    file.write(line)
                    full = file.tell() > ACCESS_LOG_BYTES_MAX
                if full:
                    self._log_path.replace(self._log_path.with_name(self._log_path.name + ".1"))
            except OSError:
                pass  # a full disk must not take the service down

    def degrade(self, _signal: int, _frame: object) -> None:
        """SIGUSR1: do from now on what the fault file says."""
        try:
            word = (self.root / "faults" / self.name).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            word = ""
        self.degradation = word if word in DEGRADATIONS else ""

    def recover(self, _signal: int, _frame: object) -> None:
        """SIGUSR2: do one's work again."""
        self.degradation = ""


def tie_to_parent() -> None:
    """Let the kernel kill this process once the supervisor, which holds the other end of our stdin, is gone.

    It works without any co-operation from here: also when this process is stopped by a signal.
    """
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return  # started by hand
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(0, 0)
    if poll.poll(0):
        os._exit(0)


def _options(arguments: list[str]) -> dict[str, str]:
    options = {"--root": "", "--name": "", "--port": "", "--host": "127.0.0.1"}
    pairs = list(zip(arguments[::2], arguments[1::2], strict=False))
    options.update((key, value) for key, value in pairs if key in options)
    if len(arguments) % 2 or any(key not in options for key, _ in pairs) or not all(options.values()):
        sys.exit(f"usage: {sys.argv[0]} --root DIR --name NAME --port N [--host 127.0.0.1]")
    if not options["--port"].isdigit():
        sys.exit(f"--port takes a number, not {options['--port']!r}")
    return options


def main(service_class: Callable[[Path, str], Service]) -> None:
    """Start the service as the command line says, and serve until a signal ends it."""
    tie_to_parent()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    options = _options(sys.argv[1:])
    service = service_class(Path(options["--root"]), options["--name"])
    signal.signal(signal.SIGUSR2, service.recover)
    signal.signal(signal.SIGUSR1, service.degrade)
    service.record_start()
    try:
        service.read_config()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{service.name}: the configuration cannot be read: {error}\n")
        sys.exit(EXIT_CONFIG)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            exchange = Exchange(self.request)
            begun = time.monotonic()
            with contextlib.suppress(ClientGone):
                service.handle(exchange)
            service.log(exchange, time.monotonic() - begun)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a connection that broke is the client's business

    try:
        server = Server((options["--host"], int(options["--port"])), Connection)
    except OSError as error:
        sys.stderr.write(f"{service.name}: cannot listen on port {options['--port']}: {error}\n")
        sys.exit(EXIT_PORT)
    server.serve_forever()
