"""A slow network between the checks and what they look at, in a network namespace of its own.

The network of the machine is never touched: everything here happens after the kernel has given this thread a namespace
of its own, which is gone with the last process in it, however that ends. In there what goes to the ports of a stack,
and what comes from them, is led over a device instead of over loopback. The device is slow by netem where the kernel
has it; otherwise by a TUN device whose packets a program passes on late. What the delay really is, is measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ops_core.drill.ports import HOST
from ops_core.drill.servers import leashed
from ops_core.errors import OpsError

# 200 ms are added to a round trip: half of it each way.
ONE_WAY_MS = 100
COMMAND_S = 20
MEASURED_S = 10.0
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NAMESPACE = Path("/proc/thread-self/ns/net")
SETTINGS = Path("/proc/sys/net/ipv4/conf")
# The kernel takes packets between two local addresses from nowhere but loopback, unless it is told to.
ADMITTED = {"accept_local": "1", "route_localnet": "1", "rp_filter": "0"}
LATE = Path(__file__).with_name("late.py")
SLOW, SLOW_END = "slow", "slow-end"
HARDWARE = "02:00:00:00:00:01"
TABLE, LED, LOCAL = "50", "100", "200"


class How(StrEnum):
    """By what packets are late."""

    NETEM = "netem"
    TUN = "tun"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Slowness:
    """How the network was slow.

    Attributes:
        how: a value of `How`.
        one_way_ms: milliseconds that are added each way.
        round_trip_ms: how long a round trip was then seen to take; None where nothing is added.
        why: why it is not by netem, or not slow at all; empty otherwise.
    """

    how: str
    one_way_ms: float = 0.0
    round_trip_ms: float | None = None
    why: str = ""


class NotPermitted(OpsError):
    """This machine does not permit it, or has not what it needs."""


@contextmanager
def own_network() -> Iterator[None]:
    """Give this thread, and whatever it starts, a network namespace of its own; back to the other one at the end.

    Raises:
        NotPermitted: there is none to be had; nothing has changed.
        OpsError: there is no way back.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise NotPermitted(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            if libc.setns(before, CLONE_NEWNET) != 0:
                raise OpsError(f"there is no way back to the network: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(before)


@contextmanager
def slowed(ports: Iterable[int], one_way_ms: float = ONE_WAY_MS) -> Iterator[Slowness]:
    """Make everything slow that goes to these TCP ports or comes from them; only in a network of one's own.

    Args:
        ports: something listens on the first of them.
        one_way_ms: milliseconds that are added each way.

    Raises:
        NotPermitted: that cannot be had, or is not as slow as it should be.
    """
    led = tuple(ports)
    with contextlib.ExitStack() as stack:
        why = ""
        try:
            how = stack.enter_context(_by_netem(one_way_ms))
        except NotPermitted as error:
            why = error.what
            how = stack.enter_context(_by_program(one_way_ms))
        stack.enter_context(_routed(led))
        round_trip_ms = _round_trip_ms(led[0])
        if round_trip_ms is None or round_trip_ms < 2 * one_way_ms:
            took = "nothing came back" if round_trip_ms is None else f"it took {round_trip_ms:.0f} ms"
            raise NotPermitted(f"the network is not as slow as it should be: {took}")
        yield Slowness(how=how, one_way_ms=one_way_ms, round_trip_ms=round(round_trip_ms, 1), why=why)


@contextmanager
def _by_netem(one_way_ms: float) -> Iterator[str]:
    """A pair of devices, the first of which sends late."""
    pair = ("type", "veth", "peer", "name", SLOW_END, "address", HARDWARE)
    _ip("link", "add", SLOW, "address", HARDWARE, *pair)
    try:
        _run("tc", "qdisc", "add", "dev", SLOW, "root", "netem", "delay", f"{one_way_ms:g}ms", "limit", "10000")
        for name in (SLOW, SLOW_END):
            _ip("link", "set", name, "arp", "off", "up")
        _admit(SLOW_END)
        yield How.NETEM.value
    finally:
        _ip("link", "del", SLOW)


@contextmanager
def _by_program(one_way_ms: float) -> Iterator[str]:
    """A device whose packets a program passes on, tied to this process."""
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NotPermitted(f"neither netem nor a TUN device: {error.strerror}") from None
    try:
        try:
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", SLOW.encode(), IFF_TUN | IFF_NO_PI))
        except OSError as error:
            raise NotPermitted(f"neither netem nor a TUN device: {error.strerror}") from None
        _ip("link", "set", SLOW, "up")
        _admit(SLOW)
        argv = [str(LATE), str(device), f"{one_way_ms / 1000:g}"]
        with tied(argv, pass_fds=(device,)):
            yield How.TUN.value
    finally:
        os.close(device)


@contextmanager
def tied(argv: list[str], pass_fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that ends with this block, and with this process, whatever ends it."""
    program = leashed("", (sys.executable, "-P", *argv))
    process = subprocess.Popen(program, stdin=subprocess.PIPE, env={}, pass_fds=pass_fds)
    try:
        yield process
    finally:
        process.kill()
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


@contextmanager
def _routed(ports: tuple[int, ...]) -> Iterator[None]:
    """Lead what is sent from here to the ports, and from them, to the slow device; the rest stays on loopback."""
    rules = [("iif", "lo", "ipproto", "tcp", end, str(port)) for port in ports for end in ("dport", "sport")]
    # Everything local is found before any rule of ours is asked: so that rule steps behind.
    _ip("rule", "add", "pref", LOCAL, "lookup", "local")
    _ip("rule", "del", "pref", "0")
    _ip("route", "add", HOST, "dev", SLOW, "src", HOST, "table", TABLE)
    for rule in rules:
        _ip("rule", "add", "pref", LED, *rule, "lookup", TABLE)
    try:
        yield
    finally:
        for _ in rules:
            _ip("rule", "del", "pref", LED)


def _admit(device: str) -> None:
    for name, value in ADMITTED.items():
        for of in ("all", device):
            try:
                (SETTINGS / of / name).write_text(value, encoding="ascii")
            except OSError as error:
                raise NotPermitted(f"{name} cannot be set: {error.strerror}") from None


def _round_trip_ms(port: int) -> float | None:
    """How long it takes to open a connection: one round trip."""
    begun_s = time.monotonic()
    try:
        with socket.create_connection((HOST, port), timeout=MEASURED_S):
            return (time.monotonic() - begun_s) * 1000
    except OSError:
        return None


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(name: str, *words: str) -> None:
    """Run a program of iproute2.

    Raises:
        NotPermitted: it is missing, or refused.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise NotPermitted(f"there is no {name} on this machine (iproute2)")
    try:
        done = subprocess.run([found, *words], check=False, capture_output=True, text=True, timeout=COMMAND_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotPermitted(f"{name} cannot be run: {error}") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[:200] or f"it ended with {done.returncode}"
        raise NotPermitted(f"{name} {' '.join(words[:2])}: {said}")
