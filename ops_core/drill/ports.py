"""The ports of a stack: free ones by binding them, declared ones with a clear word about who has them.

A port that was merely found free may be somebody else's a moment later. So it stays bound, without listening, as long
as the stack lives: the kernel then gives it to nobody else, while the service may still bind it (SO_REUSEADDR on both
sides) as often as it is restarted, and connections are refused while the service is down, as they should be.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from ops_core.drill.layout import SERVICES
from ops_core.drill.work_dir import ServiceSpec
from ops_core.errors import OpsError, UsageError

HOST = "127.0.0.1"
_LISTENING = "0A"
# Who listens on one of these has the port on our address too: ours, any, any (IPv6), and ours as IPv6 writes it.
_ADDRESSES = tuple(
    "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))
    for packed in (
        socket.inet_aton(HOST),
        socket.inet_aton("0.0.0.0"),  # noqa: S104  # nothing listens there, it is looked for
        socket.inet_pton(socket.AF_INET6, "::"),
        socket.inet_pton(socket.AF_INET6, f"::ffff:{HOST}"),
    )
)


class PortTaken(OpsError):
    """A port that the stack needs belongs to somebody else."""


def declared_ports(environ: Mapping[str, str], services: Mapping[str, ServiceSpec] = SERVICES) -> dict[str, int]:
    """The ports that `ops.toml` declares: its defaults, or what the environment puts in their place.

    Raises:
        UsageError: a variable holds no port number.
    """
    ports = {}
    for name, spec in services.items():
        text = environ.get(spec.port_variable) or str(spec.port)
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise UsageError(
                f"{text!r} is not a port number",
                where=f"environment variable {spec.port_variable}",
                allowed="1 to 65535",
            )
        ports[name] = int(text)
    return ports


class Reservation:
    """Ports held for the services of a stack.

    Args:
        ports: by service; None picks free ones.
        services: what they are for.

    Raises:
        PortTaken: somebody else has one of them.
    """

    def __init__(self, ports: Mapping[str, int] | None = None, services: Mapping[str, ServiceSpec] = SERVICES) -> None:
        self._sockets: list[socket.socket] = []
        self._services = services
        self.ports: dict[str, int] = {}
        try:
            for name in services:
                self.ports[name] = self._hold(name, ports[name] if ports else 0)
        except BaseException:
            self.release()
            raise

    def _hold(self, service: str, port: int) -> int:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._sockets.append(held)
        # A service that was stopped leaves connections behind that keep its port for a minute: no obstacle.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError as error:
            raise PortTaken(
                f"port {port} of {self._services[service].target} cannot be used: {error.strerror}",
                where=f"{HOST}:{port}, {holder_of(port) or 'its holder cannot be seen from this account'}",
                allowed="a port that nobody listens on",
                next_step=f"stop its holder, or choose another port: export {self._services[service].port_variable}=…",
            ) from None
        return int(held.getsockname()[1])

    def release(self) -> None:
        """Give the ports back."""
        for held in self._sockets:
            held.close()
        self._sockets.clear()


def holder_of(port: int) -> str:
    """`held by process 4242 (nginx)`, or empty when it cannot be seen. Its arguments may be secret, so not shown."""
    wanted = _listening_inodes(port)
    for process in Path("/proc").iterdir() if wanted else ():
        if not process.name.isdecimal():
            continue
        try:
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in wanted:  # noqa: PTH115 - what it points to is not a path
                    name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                    return f"held by process {process.name} ({name})"
        except OSError:
            continue
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for words in (line.split() for line in lines):
            address, _, number = words[1].rpartition(":")
            if words[3] == _LISTENING and int(number, 16) == port and address in _ADDRESSES:
                found.add(f"socket:[{words[9]}]")
    return found
