"""Stacks of what services stand on, each of one thing: a server that shows a certificate, and a disk that is small."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops_core.drill import small_disk
from ops_core.drill.base_stack import Stack
from ops_core.drill.ports import HOST
from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.work_dir import ServiceSpec, WorkDir, write_private
from ops_core.errors import OpsError, UsageError

if TYPE_CHECKING:
    import psycopg
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

FRONT, STORE = "front", "store"
GOOD_DAYS = 90.0
ACCEPT_S = 0.1
HANDSHAKE_S = 5.0
END_S = 10.0
BLOCK_BYTES = 4096
FILL_BYTES = 1 << 16
_TOML = """\
default_profile = "foundations"
suites = ["service"]

[profiles.foundations]
drill = true
control_dir = "${OPS_CONTROL_DIR:-control}"
state_dir = "${OPS_STATE_DIR:-state}"
reports_dir = "${OPS_REPORTS_DIR:-reports}"
logs_dir = "${OPS_LOGS_DIR:-logs}"
"""


@dataclass(frozen=True)
class FrontDir(WorkDir):
    """The work directory of a certificate stack."""

    KIND: ClassVar[str] = "certificate stack"
    SERVICES: ClassVar[Mapping[str, ServiceSpec]] = {
        FRONT: ServiceSpec(name=FRONT, target=FRONT, port=8443, port_variable="OPS_FRONT_PORT", health_path="/")
    }


@dataclass(frozen=True)
class StoreDir(WorkDir):
    """The work directory of a disk stack. Nothing listens there."""

    KIND: ClassVar[str] = "disk stack"
    SERVICES: ClassVar[Mapping[str, ServiceSpec]] = {
        STORE: ServiceSpec(name=STORE, target=STORE, port=8444, port_variable="OPS_STORE_PORT", health_path="")
    }


class CertificateStack(Stack[FrontDir]):
    """A TLS server whose certificate is signed by an authority of its own: `front`."""

    LAYOUT = FrontDir
    PROFILE = "foundations"
    SUITE = "service"
    DIR_VARIABLE = "OPS_FOUNDATIONS_DIR"

    def __init__(self, work_dir: Path, *arguments: Any, **named: Any) -> None:
        super().__init__(work_dir, *arguments, **named)
        self.config = self.work_dir / "ops.toml"
        self._authority = _Authority("the authority of the drill")
        self._server: _Server | None = None
        self.shown: Certificate | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self, *, detached: bool = False) -> None:
        """Start the server, with a certificate that lasts.

        Raises:
            UsageError: the directory belongs to something else, or it is to be left running.
        """
        if detached:
            raise UsageError(f"a {self.layout.KIND} has nothing to leave running", where=str(self.work_dir))
        self.layout.claim()
        self._server = _Server()
        self._ports = {FRONT: self._server.port}
        self.show(self._authority, GOOD_DAYS)
        (self.work_dir / "ca.pem").write_bytes(self._authority.pem())
        target = (
            f'ca_file = "ca.pem"\n\n[profiles.foundations.targets.{FRONT}]\ncertificate_url = "{self.url(FRONT)}"\n'
        )
        write_private(self.config, _TOML + target)

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.end()

    def url(self, service: str, path: str | None = None) -> str:
        return f"https://{HOST}:{self._ports[service]}{path or '/'}"

    def show(self, authority: _Authority, days: float) -> None:
        """Put a new certificate in force that lasts so many days more; fewer than none where it has run out."""
        if self._server is not None:
            self.shown = self._server.show(authority, self.work_dir, self.clock.now() + timedelta(days=days))

    def show_stranger(self) -> None:
        """Put one in force that is signed by an authority that nobody trusts."""
        self.show(_Authority("an authority of nobody's"), GOOD_DAYS)

    @property
    def authority(self) -> _Authority:
        """The one that is trusted."""
        return self._authority

    def make_good(self, service: str) -> None:
        self.layout.spec_of(service)
        if self.running and not self.is_good():
            self.show(self._authority, GOOD_DAYS)

    def days_left(self) -> float:
        """For how long the certificate in force is valid."""
        if self.shown is None:
            return 0.0
        return (self.shown.not_valid_after_utc - self.clock.now()) / timedelta(days=1)

    def is_trusted(self) -> bool:
        """Whether it is signed by the authority that is trusted."""
        return self.shown is not None and self.shown.issuer == self._authority.certificate.subject

    def is_good(self) -> bool:
        """Whether it is trusted and lasts."""
        return self.is_trusted() and self.days_left() > GOOD_DAYS - 1

    def answers(self, service: str) -> bool:
        return service in self.layout.SERVICES and self.running

    def standing(self) -> dict[str, str]:
        return {"certificate": "good" if self.is_good() else "not good"}


class DiskStack(Stack[StoreDir]):
    """A disk of a few megabytes and a few hundred files: `store`."""

    LAYOUT = StoreDir
    PROFILE = "foundations"
    SUITE = "service"
    DIR_VARIABLE = "OPS_FOUNDATIONS_DIR"

    def __init__(self, work_dir: Path, *arguments: Any, **named: Any) -> None:
        super().__init__(work_dir, *arguments, **named)
        self.config = self.work_dir / "ops.toml"
        self._ports = {STORE: 0}
        self._keeper: subprocess.Popen[bytes] | None = None

    @classmethod
    def lacking(cls) -> str:
        return small_disk.lacking()

    @property
    def disk(self) -> Path:
        """Where it is mounted."""
        return self.work_dir / "disk"

    @property
    def running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    def start(self, *, detached: bool = False) -> None:
        """Mount the disk.

        Raises:
            UsageError: the directory belongs to something else, or it is to be left mounted.
            OpsError: it cannot be mounted.
        """
        if detached:
            raise UsageError(f"a {self.layout.KIND} has nothing to leave running", where=str(self.work_dir))
        self.layout.claim()
        self.disk.mkdir(exist_ok=True)
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "ops_core.drill.small_disk", str(self.disk)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None  # noqa: S101 - as it was asked for
        if self._keeper.stdout.readline().decode() != small_disk.READY:
            self.stop()
            raise OpsError("the small disk cannot be mounted", where=str(self.disk))
        write_private(self.config, f'{_TOML}\n[profiles.foundations.targets.{STORE}]\ndisk_path = "{self.disk}"\n')

    def stop(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            for stream in (keeper.stdin, keeper.stdout):
                if stream is not None:
                    stream.close()
            keeper.wait(END_S)

    def fill(self) -> None:
        """Write until there is no room."""
        with contextlib.suppress(OSError), (self.disk / "grown.log").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * FILL_BYTES)

    def fill_up_to(self, left: float) -> None:
        """Write until no more than this share of the room is left."""
        with (self.disk / "grown.log").open("ab", buffering=0) as file:
            while self.free()[0] > left:
                file.write(b"x" * BLOCK_BYTES)

    def fill_with_files(self) -> None:
        """Make empty files until there can be no more."""
        with contextlib.suppress(OSError):
            for number in range(small_disk.FILES_MAX):
                (self.disk / f"left-{number}").touch()

    def make_good(self, service: str) -> None:
        self.layout.spec_of(service)
        if self.running:
            for one in self.disk.iterdir():
                one.unlink()

    def free(self) -> tuple[float, float]:
        """The shares of space and of files that are free, from 0 to 1."""
        seen = os.statvfs(self.disk)
        return seen.f_bavail / seen.f_blocks, seen.f_favail / seen.f_files

    def answers(self, service: str) -> bool:
        return service in self.layout.SERVICES and self.running

    def standing(self) -> dict[str, str]:
        return {"files": str(len(list(self.disk.iterdir())))}


class CrowdedStack(ServiceStack):
    """The service stack, and somebody who keeps connections to its database."""

    def __init__(self, work_dir: Path, *arguments: Any, **named: Any) -> None:
        super().__init__(work_dir, *arguments, **named)
        self.held: list[psycopg.Connection] = []

    def let_go(self) -> None:
        """Close what is kept."""
        while self.held:
            self.held.pop().close()

    def stop(self) -> None:
        self.let_go()
        super().stop()


class _Authority:
    """One that signs certificates, with a key of its own."""

    def __init__(self, name: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = name
        self.certificate = self._signed(name, self._key, None)

    def pem(self) -> bytes:
        """Its own certificate."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM)

    def certify(self, key: EllipticCurvePrivateKey, until: Any) -> Certificate:
        """A certificate of this machine for a key."""
        return self._signed(HOST, key, until)

    def _signed(self, name: str, key: EllipticCurvePrivateKey, until: Any) -> Certificate:
        import ipaddress
        from datetime import UTC, datetime

        from cryptography import x509
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.x509.oid import NameOID

        def called(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        end = until or datetime.now(UTC) + timedelta(days=3650)
        made = (
            x509.CertificateBuilder()
            .subject_name(called(name))
            .issuer_name(called(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=4000))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=until is None, path_length=None), critical=True)
        )
        # Python 3.13 looks strictly: who signed, what for, and with which key.
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if until is None:
            signs = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                False,
            )
            usage = x509.KeyUsage(**signs, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
            made = made.add_extension(usage, critical=True)
        else:
            address = x509.IPAddress(ipaddress.ip_address(HOST))
            made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return made.sign(self._key, SHA256())


class _Server(threading.Thread):
    """Shows the certificate in force to whoever connects."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="drill-tls")
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(ACCEPT_S)
        self._ended = threading.Event()
        self._context: ssl.SSLContext | None = None
        self.port = int(self._listener.getsockname()[1])
        self.start()

    def show(self, authority: _Authority, folder: Path, until: Any) -> Certificate:
        """Show another certificate from now on."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = authority.certify(key, until)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(folder / "server.pem", (private + certificate.public_bytes(Encoding.PEM)).decode("ascii"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        self._context = context
        return certificate

    def run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                caller, _ = self._listener.accept()
                with caller:
                    self._greet(caller)

    def _greet(self, caller: socket.socket) -> None:
        caller.settimeout(HANDSHAKE_S)
        if self._context is not None:
            with self._context.wrap_socket(caller, server_side=True) as secured:
                secured.recv(1)

    def end(self) -> None:
        """Show nothing any more."""
        self._ended.set()
        self.join(HANDSHAKE_S + END_S)
        self._listener.close()
