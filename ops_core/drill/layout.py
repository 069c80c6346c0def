"""The work directory of an embedded stack: what lies where, and how versions are put in force.

    releases/<service>/{v1,…}/      one directory per release;  current -> v1
    config/<service>/{1.env,…}      one file per configuration; current.env -> 1.env
    data/core/thoughts.json         what every release of core needs
    secrets/AFO_INTERNAL_SECRET     the operator's own copy of the secret
    faults/<service>                what SIGUSR1 reads
    effects.log                     one line per start of a service
    supervisord.conf  stack.json  stack.lock  logs/

A version is in force when the link points to it; links are swapped atomically, so there is always one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops_core.errors import UsageError

GOOD_RELEASE = "v1"
GOOD_CONFIG = "1.env"
SECRET = "AFO_INTERNAL_SECRET"  # noqa: S105 - its name
LOCK = "stack.lock"
SOCKET_PATH_MAX = 100  # the kernel's limit is 107 bytes; supervisord adds a suffix while it binds
SOURCES = Path(__file__).resolve().parent / "services"


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """One service of the stack: what it is called where."""

    name: str
    target: str
    port: int
    port_variable: str
    health_path: str

    @property
    def script(self) -> str:
        """Its file within a release."""
        return f"{self.name}.py"


SERVICES = {
    spec.name: spec
    for spec in (
        ServiceSpec(
            name="core", target="core-api", port=8010, port_variable="OPS_CORE_PORT", health_path="/api/health"
        ),
        ServiceSpec(name="soul", target="soul-engine", port=8001, port_variable="OPS_SOUL_PORT", health_path="/health"),
        ServiceSpec(
            name="dashboard", target="dashboard", port=3000, port_variable="OPS_DASHBOARD_PORT", health_path="/"
        ),
    )
}
THOUGHTS = [
    {"id": "1", "text": "Look first, then judge."},
    {"id": "2", "text": "What was not seen is not known."},
    {"id": "3", "text": "Every change can be taken back."},
]


def spec_of(service: str) -> ServiceSpec:
    """The service of that name.

    Raises:
        UsageError: there is none.
    """
    if service not in SERVICES:
        raise UsageError(f"the embedded stack has no service {service!r}", allowed=", ".join(SERVICES))
    return SERVICES[service]


@dataclass(frozen=True)
class Layout:
    """Paths and versions of one work directory."""

    root: Path

    @property
    def supervisor_conf(self) -> Path:
        """What supervisord, supervisorctl and a process probe read."""
        return self.root / "supervisord.conf"

    @property
    def supervisor_log(self) -> Path:
        """The log of supervisord itself."""
        return self.root / "logs" / "supervisord.log"

    @property
    def about_file(self) -> Path:
        """How others find the running supervisord."""
        return self.root / "stack.json"

    @property
    def secret_file(self) -> Path:
        """The operator's copy of the internal secret."""
        return self.root / "secrets" / SECRET

    @property
    def effects_log(self) -> Path:
        """The effect ledger."""
        return self.root / "effects.log"

    @property
    def thoughts_file(self) -> Path:
        """The data that every release of core needs."""
        return self.root / "data" / "core" / "thoughts.json"

    def release_link(self, service: str) -> Path:
        """The link to the release in force."""
        return self.root / "releases" / service / "current"

    def config_link(self, service: str) -> Path:
        """The link to the configuration in force."""
        return self.root / "config" / service / "current.env"

    def fault_file(self, service: str) -> Path:
        """What the service reads on SIGUSR1."""
        return self.root / "faults" / service

    def in_force(self, service: str) -> tuple[str, str]:
        """The names of the release and the configuration that the links point to; empty where there is no link."""
        return _destination(self.release_link(service)), _destination(self.config_link(service))

    def versions_good(self, service: str) -> bool:
        """Whether both links point to the known good versions."""
        return self.in_force(service) == (GOOD_RELEASE, GOOD_CONFIG)

    def lay_out(self, new_secret: Callable[[], str]) -> None:
        """Write everything a stack starts from, known good versions in force. The secret is kept where there is one.

        Raises:
            UsageError: the directory holds something else.
        """
        self.claim()
        for folder in ("secrets", "faults", "logs", "data/core"):
            (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.secret_file.is_file() or not self.secret_file.read_text(encoding="utf-8").strip():
            write_private(self.secret_file, new_secret() + "\n")
        for name in SERVICES:
            for parent in ("releases", "config"):
                (self.root / parent / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            self.make_good(name)
        write_private(self.effects_log, "")

    def make_good(self, service: str) -> None:
        """Put the known good versions in force, repair them and the data, remove later versions and the fault file."""
        if not self._release_intact(service):
            shutil.rmtree(self.release_link(service).with_name(GOOD_RELEASE), ignore_errors=True)
            self.write_release(service, GOOD_RELEASE, self.shipped_source(service))
        if self.read_config(service) != self.good_settings(service):
            self.config_link(service).with_name(GOOD_CONFIG).unlink(missing_ok=True)
            self.write_config(service, GOOD_CONFIG, self.good_settings(service))
        swap_link(self.release_link(service), GOOD_RELEASE)
        swap_link(self.config_link(service), GOOD_CONFIG)
        self.fault_file(service).unlink(missing_ok=True)
        if service == "core":
            write_private(self.thoughts_file, json.dumps(THOUGHTS, indent=1) + "\n")
        for release in self.release_link(service).parent.iterdir():
            if release.name not in (GOOD_RELEASE, "current"):
                shutil.rmtree(release, ignore_errors=True)
        for config in self.config_link(service).parent.iterdir():
            if config.name not in (GOOD_CONFIG, "current.env"):
                config.unlink(missing_ok=True)

    def good_settings(self, service: str) -> dict[str, str]:
        """The settings of the known good configuration."""
        settings = {"SLOW_HEALTH_S": "1.5"}
        if service == "core":
            secret = self.secret_file.read_text(encoding="utf-8").strip()
            settings |= {"HEARTBEAT_S": "0.5", "THOUGHT_S": "2", "THOUGHTS_FILE": "thoughts.json", SECRET: secret}
        return settings

    def _release_intact(self, service: str) -> bool:
        folder = self.release_link(service).with_name(GOOD_RELEASE)
        wanted = {spec_of(service).script: self.shipped_source(service), "base.py": self.shipped_source("base")}
        try:
            found = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
        except (OSError, UnicodeDecodeError):
            return False
        return found == wanted

    @staticmethod
    def shipped_source(module: str) -> str:
        """The code that the known good releases consist of: a service's own, or the common `base`."""
        return (SOURCES / f"{module}.py").read_text(encoding="utf-8")

    def write_release(self, service: str, name: str, source: str) -> Path:
        """Write a release with the service's code as given. It is not in force yet.

        Raises:
            UsageError: a release of that name is there already: releases do not change.
        """
        final = self.release_link(service).parent / name
        if final.exists():
            raise UsageError(f"there is a release {name} of {service} already", where=str(final))
        draft = final.with_name(f".{name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        (draft / spec_of(service).script).write_text(source, encoding="utf-8")
        (draft / "base.py").write_text(self.shipped_source("base"), encoding="utf-8")
        draft.rename(final)
        return final

    def write_config(self, service: str, name: str, settings: Mapping[str, str]) -> Path:
        """Write a configuration. It is not in force yet.

        Raises:
            UsageError: a configuration of that name is there already, or a value does not fit on a line.
        """
        final = self.config_link(service).parent / name
        if final.exists():
            raise UsageError(f"there is a configuration {name} of {service} already", where=str(final))
        for key, value in settings.items():
            if "=" in key or any(c in key + value for c in "\r\n\0"):
                raise UsageError(f"the setting {key!r} does not fit on a line KEY=VALUE", where=str(final))
        write_private(final, "".join(f"{key}={value}\n" for key, value in settings.items()))
        return final

    def read_config(self, service: str, name: str = GOOD_CONFIG) -> dict[str, str]:
        """The settings of a configuration; none where it cannot be read."""
        try:
            lines = (self.config_link(service).parent / name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def claim(self) -> None:
        """Make the directory and mark it as a stack's.

        Raises:
            UsageError: it holds something else.
        """
        self._check_ours()
        (self.root / LOCK).touch(mode=0o600)

    def _check_ours(self) -> None:
        if any(c in str(self.root) for c in ";\r\n"):
            raise UsageError("supervisord cannot read a path with a semicolon in it", where=str(self.root))
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (self.root / LOCK).exists():
            return
        strange = sorted(p.name for p in self.root.iterdir() if p.name not in ("state", "reports"))
        if strange:
            raise UsageError(
                f"the directory holds something that is not an embedded stack: {strange[0]}",
                where=str(self.root),
                allowed="a new or empty directory, or one of an earlier stack",
                next_step="name another directory",
            )


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only its owner may read."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def swap_link(link: Path, destination: str) -> None:
    """Point a link elsewhere, atomically: at every instant it points to the old or to the new destination."""
    draft = link.with_name(f".{link.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(destination)
    draft.replace(link)


def _destination(link: Path) -> str:
    try:
        return os.path.basename(os.readlink(link))  # noqa: PTH115, PTH119 - a name, also of what is gone
    except OSError:
        return ""


def supervisor_configuration(layout: Layout, ports: Mapping[str, int], socket_path: Path, argv: tuple[str, ...]) -> str:
    """The text of `supervisord.conf`.

    Args:
        layout: the work directory.
        ports: by service.
        socket_path: where supervisord takes calls.
        argv: the interpreter and its options, in front of each service's script.
    """
    beside = socket_path.parent == layout.root
    # A path beside the file is written relative to it: readers that do not know about `%%` get it right, too.
    socket_text = f"%(here)s/{socket_path.name}" if beside else _escaped(socket_path)
    lines = [
        "; Written when the stack starts; changes are lost.",
        "[unix_http_server]",
        f"file={socket_text}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={_escaped(layout.supervisor_log)}",
        "logfile_maxbytes=1MB",
        "logfile_backups=1",
        f"pidfile={_escaped(layout.root / 'supervisord.pid')}",
        f"directory={_escaped(layout.root)}",
        "nodaemon=true",
        "silent=true",
        "umask=077",
        "user=root" if os.geteuid() == 0 else "",  # else it complains that it did not drop its privileges
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisorctl]",
        f"serverurl=unix://{socket_text}",
    ]
    for name, spec in SERVICES.items():
        script = layout.release_link(name) / spec.script
        command = [*argv, str(script), "--root", str(layout.root), "--name", name, "--port", str(ports[name])]
        lines += [
            f"[program:{name}]",
            "command=" + " ".join(_quoted(word) for word in [*command, "--host", "127.0.0.1"]),
            f"directory={_escaped(layout.root)}",
            "autostart=true",
            "autorestart=false",
            "startsecs=0",
            "startretries=0",
            "stopsignal=TERM",
            "stopwaitsecs=1",
            "redirect_stderr=true",
            f"stdout_logfile={_escaped(_escaped(layout.root / 'logs' / f'{name}.log'))}",  # it is expanded twice
            "stdout_logfile_maxbytes=256KB",
            "stdout_logfile_backups=1",
        ]
    return "\n".join(line for line in lines if line) + "\n"


def _escaped(value: Path | str) -> str:
    return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as supervisord's shlex reads it, with `%` kept from its own expansion."""
    import shlex

    return shlex.quote(_escaped(word))
