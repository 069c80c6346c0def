"""Ports of the embedded stack: declared, reserved, taken."""

import socket

import pytest

from ops_core.drill.layout import SERVICES
from ops_core.drill.ports import HOST, PortTaken, Reservation, declared_ports, holder_of
from ops_core.errors import UsageError


@pytest.fixture
def reservation():
    """Free ports, held."""
    held = Reservation()
    yield held
    held.release()


def listen(port=0):
    """A socket that listens as a service does."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((HOST, port))
    server.listen()
    return server


def test_declared_ports_are_those_of_the_runbook():
    """Without a word from the environment the ports are 8010, 8001 and 3000."""
    assert declared_ports({}) == {"core": 8010, "soul": 8001, "dashboard": 3000}


def test_the_environment_may_declare_others():
    """The variables that ops.toml reads count here too; an empty one counts as not set."""
    assert declared_ports({"OPS_CORE_PORT": "18010", "OPS_SOUL_PORT": ""})["core"] == 18010
    assert declared_ports({"OPS_CORE_PORT": "18010", "OPS_SOUL_PORT": ""})["soul"] == 8001


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "8010.5", "²"])
def test_a_port_that_is_none_is_refused(text):
    """A variable that holds no port number is named, with what is allowed."""
    with pytest.raises(UsageError) as caught:
        declared_ports({"OPS_CORE_PORT": text})
    assert str(caught.value) == (
        f"{text!r} is not a port number\n  where    environment variable OPS_CORE_PORT\n  allowed  1 to 65535"
    )


def test_free_ports_differ(reservation):
    """Each service gets a port of its own, and two reservations share none."""
    other = Reservation()
    try:
        assert len({*reservation.ports.values(), *other.ports.values()}) == 2 * len(SERVICES)
    finally:
        other.release()


def test_a_reserved_port_refuses_connections_until_its_service_listens(reservation):
    """While held, the port is closed to clients and open to the service, as often as that is restarted."""
    port = reservation.ports["core"]
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), timeout=5)
        with listen(port), socket.create_connection((HOST, port), timeout=5):
            pass


def test_a_reserved_port_is_given_to_nobody_else(reservation):
    """The kernel does not hand a reserved port to those that ask for any port."""
    others = [socket.socket() for _ in range(200)]
    try:
        for other in others:
            other.bind((HOST, 0))
        assert not {s.getsockname()[1] for s in others} & set(reservation.ports.values())
    finally:
        for other in others:
            other.close()


def test_a_taken_port_says_who_has_it_and_what_to_do():
    """The error names target, port, the holder's pid and the way out."""
    import os
    from pathlib import Path

    with listen() as server:
        port = server.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        with pytest.raises(PortTaken) as caught:
            Reservation({"core": port, "soul": 1, "dashboard": 1})
    assert str(caught.value) == (
        f"port {port} of core-api cannot be used: Address already in use\n"
        f"  where    127.0.0.1:{port}, held by process {os.getpid()} ({name})\n"
        "  allowed  a port that nobody listens on\n"
        "  next     stop its holder, or choose another port: export OPS_CORE_PORT=…"
    )


def test_a_failed_reservation_holds_nothing():
    """When the last of three ports is taken, the first two are free again."""
    with listen() as server:
        first = Reservation()
        ports = dict(first.ports)
        first.release()
        with pytest.raises(PortTaken):
            Reservation({**ports, "dashboard": server.getsockname()[1]})
    Reservation(ports).release()


@pytest.mark.parametrize(
    ("family", "address", "ours"),
    [
        (socket.AF_INET, "0.0.0.0", True),
        (socket.AF_INET6, "::", True),
        (socket.AF_INET6, "::ffff:127.0.0.1", True),
        (socket.AF_INET, "127.0.0.77", False),
        (socket.AF_INET6, "::1", False),
    ],
)
def test_a_holder_is_who_has_the_port_on_our_address(family, address, ours):
    """Who listens on all addresses has the port on ours too; who listens on another address has not."""
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen()
        assert bool(holder_of(server.getsockname()[1])) == ours


def test_nobody_holds_a_port_on_which_nobody_listens(reservation):
    """A port that is bound but not listened on has no holder."""
    assert holder_of(reservation.ports["core"]) == ""
