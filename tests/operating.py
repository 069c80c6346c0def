"""A repository under operation, for tests that do what a person does: type `ops`, type curl, look at what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import need_program

OPS = (sys.executable, "-P", "-m", "ops_core.cli")
TOKEN = "1234567:" + "A" * 35  # the shape of a bot's token
CHAT = "-100200300"
OPEN = 'days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]\nopens = "00:00"\ncloses = "24:00"'
SHUT = 'days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]\nopens = "{0}"\ncloses = "{1}"'
OPS_TOML = """\
default_profile = "site"
suites = ["daily", "live_fire", "integrity"]

[profiles.site]
control_dir = "control"
state_dir = "state"
reports_dir = "reports"
logs_dir = "logs"
contracts_dir = "docs/contracts"

[profiles.site.trading]
zone = "Asia/Seoul"
{trading}

[profiles.site.schedule]
days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

[profiles.site.cycle]
request_types = ["OPS_CYCLE"]
live_fire = {live_fire}
{cycle}

[profiles.site.serve]
requests_per_minute = 100000
anonymous_per_hour = 100000

[profiles.site.push]
telegram_url = "{telegram_url}"
telegram_token = "BOT_TOKEN"
telegram_chat = "BOT_CHAT"
timeout_s = {timeout_s}

[profiles.site.secrets]
BOT_TOKEN = {{ file = "secrets/BOT_TOKEN" }}
BOT_CHAT = {{ file = "secrets/BOT_CHAT" }}

[profiles.site.targets.this-host.vars]
nothing = "to look at"
"""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a command told."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its one JSON document."""
        return json.loads(self.out)


@dataclass
class Site:
    """A repository with its control plane, and people with keys and tokens.

    Attributes:
        root: its folder.
        tokens: by person.
    """

    root: Path
    telegram_url: str = "http://127.0.0.1:9"
    trading: str = OPEN
    live_fire: bool = False
    cycle: str = ""
    timeout_s: float = 5.0
    tokens: dict[str, str] = field(default_factory=dict)

    def write(self) -> Site:
        """Write the repository's files."""
        (self.root / "secrets").mkdir(parents=True, exist_ok=True)
        (self.root / "docs" / "contracts").mkdir(parents=True, exist_ok=True)
        self.configure()
        for name, value in (("BOT_TOKEN", TOKEN), ("BOT_CHAT", CHAT)):
            path = self.root / "secrets" / name
            path.write_text(value + "\n", encoding="utf-8")
            path.chmod(0o600)
        allowlist = {"contract": "execution_allowlist_v1", "request_types": ["OPS_CYCLE", "LIVE_FIRE"]}
        (self.root / "docs" / "contracts" / "execution_allowlist_v1.json").write_text(
            json.dumps(allowlist, indent=2) + "\n", encoding="utf-8"
        )
        return self

    def configure(self, **changes: Any) -> None:
        """Write `ops.toml`, with other values for some of the attributes."""
        for name, value in changes.items():
            setattr(self, name, value)
        text = OPS_TOML.format(
            trading=self.trading,
            live_fire=str(self.live_fire).lower(),
            cycle=self.cycle,
            telegram_url=self.telegram_url,
            timeout_s=self.timeout_s,
        )
        (self.root / "ops.toml").write_text(text, encoding="utf-8")

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its commands: nothing of whoever runs the tests but the path and the home."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "OPS_CONFIG": str(self.root / "ops.toml")}

    def ops(self, *words: str, code: int | None = 0, stdin: str = "", timeout_s: float = 60.0) -> Told:
        """Type `ops …`; fails when it ends with another exit code than `code`.

        Without anything to read it is a fork of a process that has imported `ops` already.
        """
        from tests.killing import typed

        told = None if stdin else typed(tuple(map(str, words)), self.root, self.environ)
        if told is None:
            told = self._ops(words, stdin, timeout_s)
        if code is not None and told.code != code:
            raise AssertionError(f"ops {' '.join(words)}: exit {told.code}\n{told.out}{told.err}")
        return told

    def _ops(self, words: tuple[str, ...], stdin: str, timeout_s: float) -> Told:
        """A process of its own, from its start."""
        done = subprocess.run(
            [*OPS, *words],
            cwd=self.root,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Told(code=done.returncode, out=done.stdout, err=done.stderr)

    def key(self, person: str) -> Path:
        """The file of a person's private key."""
        return self.root / "keys" / f"{person}.pem"

    def add_person(self, name: str, *scopes: str) -> str:
        """Add an operator with a key of his own; returns his token."""
        self.key(name).parent.mkdir(mode=0o700, exist_ok=True)
        wanted = [word for scope in scopes for word in ("--scope", scope)]
        told = self.ops("operator", "add", name, "--new-key", str(self.key(name)), *wanted, "--json").json()
        self.tokens[name] = told["token"]
        return str(told["token"])

    def release(self) -> None:
        """Make the store, and let work begin."""
        self.ops("estop", "release", "--reason", "ready for tests")

    def people(self) -> None:
        """One who asks and fires, and two who approve."""
        self.add_person("ann", "window", "gate", "sender", "fire", "cycle", "stop")
        self.add_person("ben", "approve")
        self.add_person("cho", "approve")

    def prepare_fire(self, body: str = "weekly report") -> None:
        """Everything that a live fire needs, done by `ops` alone."""
        self.ops("outbox", "add", "--text", body)
        self.ops("gate", "set", "REAL_ENABLED", "--reason", "live fire")
        self.ops("window", "request", "--reason", "live fire", "--for", "60m", "--key", str(self.key("ann")))
        digest = self.ops("window", "status", "--json").json()["window"]["permit_digest"]
        for person in ("ben", "cho"):
            self.ops("approve", "--key", str(self.key(person)), "--digest", digest)
        self.ops("sender", "enable", "--channel", "TELEGRAM_ONLY", "--reason", "live fire")

    @contextmanager
    def serving(self) -> Iterator[Served]:
        """`ops serve` on a free port, until the block ends."""
        process = subprocess.Popen(
            [*OPS, "serve", "--port", "0", "--json"],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("}"):
                    break
            if not lines:
                raise AssertionError(f"ops serve did not begin: {process.stderr.read()}")
            yield Served(site=self, url=json.loads("".join(lines))["url"], process=process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()
                process.stdout.close()
                process.stderr.close()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What curl got."""

    status: int
    body: Any


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server."""

    site: Site
    url: str
    process: subprocess.Popen[str]

    def curl(self, method: str, path: str, body: Any = None, *, person: str = "", more: tuple[str, ...] = ()) -> Answer:
        """Ask with the real curl: a JSON body, a person's token."""
        words = [need_program("curl"), "-sS", "--max-time", "60", "-X", method, "-w", "\n%{http_code}", *more]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        if person:
            words += ["-H", f"Authorization: Bearer {self.site.tokens[person]}"]
        done = subprocess.run([*words, self.url + path], capture_output=True, text=True, timeout=90, check=False)
        if done.returncode != 0:
            raise AssertionError(f"curl {path}: exit {done.returncode}: {done.stderr}")
        text, _, status = done.stdout.rpartition("\n")
        return Answer(status=int(status), body=json.loads(text) if text.startswith(("{", "[")) else text)

    def get(self, path: str, *, person: str = "") -> Any:
        """The JSON of a GET that is answered with 200."""
        found = self.curl("GET", path, person=person)
        assert found.status == 200, found
        return found.body

    def post(self, path: str, body: Any = None, *, person: str = "", status: int = 200) -> Any:
        """The JSON of a POST that is answered with that status."""
        found = self.curl("POST", path, body, person=person)
        assert found.status == status, found
        return found.body
