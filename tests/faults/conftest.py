"""What the fault tests share: a project to run, servers that are closed afterwards, certificates that expire."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hostile import Behaviour, HostileServer
from observing import Project
from support import need_program


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[..., HostileServer]]:
    """Start servers; all are closed at the end."""
    servers = []

    def start(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> HostileServer:
        servers.append(HostileServer(behaviour, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@dataclass(frozen=True)
class Certificates:
    """A certificate authority, and server contexts with certificates of different worth."""

    authority: Path
    good: ssl.SSLContext
    expired: ssl.SSLContext
    self_signed: ssl.SSLContext
    other_name: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    openssl = need_program("openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    def key_and(name: str, *arguments: str) -> None:
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-subj", f"/CN={name}", *arguments)  # fmt: skip

    def context(name: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return made

    def signed(name: str, days: str, names: str) -> ssl.SSLContext:
        key_and(name)
        (folder / "names").write_text(f"subjectAltName={names}\n")
        run("x509", "-req", "-in", f"{name}.pem", "-out", f"{name}.pem", "-days", days, "-extfile", "names",
            "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial")  # fmt: skip
        return context(name)

    key_and("authority", "-x509", "-days", "2")
    key_and("alone", "-x509", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1")
    return Certificates(
        authority=folder / "authority.pem",
        good=signed("good", "2", "IP:127.0.0.1"),
        expired=signed("expired", "-1", "IP:127.0.0.1"),
        self_signed=context("alone"),
        other_name=signed("other", "2", "DNS:elsewhere.example"),
    )
