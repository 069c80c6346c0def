"""The repository between the hosts where people really have it: behind an SSH server, or an HTTPS server with a password."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.handing import Host, Hosts, git
from tests.support import need_program

pytestmark = pytest.mark.slow
PASSWORD = "correct-horse-battery-staple"


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """A producer with results."""
    made = Hosts(tmp_path / "hosts")
    made.results(decision="HOLD")
    return made


def joined(host: Host, url: str) -> Host:
    """The host, with the repository at that address."""
    git(host.checkout, "remote", "set-url", "origin", url)
    return host


class Sshd:
    """A real SSH server with keys of its own, which lets in who has the one key it knows; one process a connection."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.key, self.stranger, host = folder / "kim", folder / "stranger", folder / "host"
        for key in (self.key, self.stranger, host):
            subprocess.run([need_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        config = folder / "sshd_config"
        config.write_text(
            f"HostKey {host}\nAuthorizedKeysFile {self.key}.pub\nPidFile none\nUsePAM no\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            encoding="utf-8",
        )
        self.known = folder / "known"
        self.trusted(host)
        self.host = host
        if os.geteuid() == 0:
            # Where the server keeps who is not yet let in; its package makes it when the machine starts.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.argv = [need_program("sshd"), "-i", "-e", "-f", str(config)]

    def trusted(self, key: Path) -> None:
        """From now on the server is known by that key."""
        self.known.write_text(f"runbook.test {key.with_suffix('.pub').read_text(encoding='utf-8')}", encoding="utf-8")

    def command(self, key: Path, *, away: bool = False) -> str:
        """What GIT_SSH_COMMAND says."""
        through = "false" if away else shlex.join(self.argv)
        options = ("IdentitiesOnly=yes", f"UserKnownHostsFile={self.known}", f"ProxyCommand={through}")
        words = ["ssh", "-F", "/dev/null", "-i", str(key)]
        return shlex.join([*words, *(word for option in options for word in ("-o", option))])


def test_over_ssh_with_a_key(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published and pulled; who is not let in, or meets another server, fails without a question; nothing is lost."""
    server = Sshd(tmp_path / "sshd")
    url = f"ssh://runbook.test{hosts.remote}"
    pc, oci = joined(hosts.pc, url), joined(hosts.operator(), url)
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(server.key))
    assert pc.publish()["outcome"] == "PUBLISHED"
    assert oci.pull()["outcome"] == "INSTALLED"
    good = oci.whole()
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(server.stranger))
    assert "Permission denied" in failure(oci)
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(server.key))
    server.trusted(server.stranger)
    assert "verification failed" in failure(oci)
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(server.key, away=True))
    assert "closed" in failure(oci)
    assert oci.whole() == good
    server.trusted(server.host)
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(server.key))
    hosts.results(decision="SELL")
    assert pc.publish()["outcome"] == "PUBLISHED"
    assert oci.pull()["outcome"] == "INSTALLED"
    assert oci.whole() != good


class Behind(BaseHTTPRequestHandler):
    """Git's own HTTP program, for who knows the password."""

    root: Path
    wanted = "Basic " + base64.b64encode(f"kim:{PASSWORD}".encode()).decode()

    def do_GET(self) -> None:
        """What is fetched."""
        self._answer(b"")

    def do_POST(self) -> None:
        """What is asked for, or pushed."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        if self.headers.get("Authorization") != self.wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "REMOTE_USER": "kim",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def https(root: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """A server of everything below `root`; its port, and the certificate to trust."""
    folder.mkdir()
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    called = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    argv = [need_program("openssl"), *made, *called, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Behind,), {"root": root}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    # Who does not trust it hangs up in the middle of a handshake.
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # the server's own way to be silent is a subclass
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_over_https_with_a_password(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published and pulled; without the password, or without trust, nobody is asked and the password is in no answer."""
    store = tmp_path / "credentials"
    config = tmp_path / "gitconfig"
    config.write_text(f'[credential]\n\thelper = "store --file={store}"\n', encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with https(hosts.root, tmp_path / "https") as (port, certificate):
        url = f"https://127.0.0.1:{port}/{hosts.remote.name}"
        pc, oci = joined(hosts.pc, url), joined(hosts.operator(), url)
        store.write_text(f"https://kim:{PASSWORD}@127.0.0.1%3a{port}\n", encoding="utf-8")
        # Its certificate is not known here.
        told = pc.publish()
        assert (told["outcome"], "certificate" in told["reason"]) == ("FAILED", True), told
        monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
        assert pc.publish()["outcome"] == "PUBLISHED"
        assert oci.pull()["outcome"] == "INSTALLED"
        good = oci.whole()
        saved = store.read_text(encoding="utf-8")
        store.write_text("", encoding="utf-8")
        told = oci.pull()
        assert (told["outcome"], oci.whole()) == ("FAILED", good)
        # A password in the address, as some do it: never told, also where it is the wrong one.
        joined(oci, f"https://kim:{PASSWORD}-not@127.0.0.1:{port}/{hosts.remote.name}")
        told = oci.pull()
        assert told["outcome"] == "FAILED"
        assert PASSWORD not in str(told) + "\n".join(oci.said)
        store.write_text(saved, encoding="utf-8")
        joined(oci, url)
        hosts.results(decision="SELL")
        assert pc.publish()["outcome"] == "PUBLISHED"
        assert oci.pull()["outcome"] == "INSTALLED"
    told = oci.pull()
    assert told["outcome"] == "FAILED"
    assert oci.whole() != good


def failure(host: Host) -> str:
    """Why nothing could be pulled."""
    told = host.pull()
    assert told["outcome"] == "FAILED", told
    return str(told["reason"])
