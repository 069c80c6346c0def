"""The work directory of any stack: versions and the links that put them in force, the supervisor's files, the ledger.

A version is in force when the link points to it; links are swapped atomically, so there is always one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops_core.errors import UsageError

GOOD_RELEASE = "v1"
GOOD_CONFIG = "1.env"
LOCK = "stack.lock"
SOCKET_PATH_MAX = 100  # the kernel's limit is 107 bytes; supervisord adds a suffix while it binds


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


@dataclass(frozen=True)
class WorkDir:
    """Paths and versions of one work directory. Each kind of stack says its name, and what its services are."""

    root: Path

    KIND: ClassVar[str]
    SERVICES: ClassVar[Mapping[str, ServiceSpec]]

    def supervisor_text(self, ports: Mapping[str, int], socket_path: Path) -> str:
        """The text of `supervisord.conf`; services listen on `ports`, and supervisord takes calls at `socket_path`."""
        raise NotImplementedError

    def good_settings(self, service: str) -> dict[str, str]:
        """The settings of a service's known good configuration."""
        raise NotImplementedError

    def make_good(self, service: str) -> None:
        """Put the known good versions in force, repair them, and remove what came later."""
        raise NotImplementedError

    def spec_of(self, service: str) -> ServiceSpec:
        """The service of that name.

        Raises:
            UsageError: there is none.
        """
        if service not in self.SERVICES:
            raise UsageError(f"the {self.KIND} has no service {service!r}", allowed=", ".join(self.SERVICES))
        return self.SERVICES[service]

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
    def effects_log(self) -> Path:
        """The effect ledger."""
        return self.root / "effects.log"

    def release_link(self, service: str) -> Path:
        """The link to the release in force."""
        return self.root / "releases" / service / "current"

    def config_link(self, service: str) -> Path:
        """The link to the configuration in force."""
        return self.root / "config" / service / "current.env"

    def in_force(self, service: str) -> tuple[str, str]:
        """The names of the release and the configuration that the links point to; empty where there is no link."""
        return _destination(self.release_link(service)), _destination(self.config_link(service))

    def versions_good(self, service: str) -> bool:
        """Whether both links point to the known good versions."""
        return self.in_force(service) == (GOOD_RELEASE, GOOD_CONFIG)

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
                f"the directory holds something that is not of the {self.KIND}: {strange[0]}",
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


def digest_below(folder: Path) -> str:
    """A digest of all files and links below a folder, compiled Python aside; empty where there is no such folder."""
    if not folder.is_dir():
        return ""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts or (path.is_dir() and not path.is_symlink()):
            continue
        content = os.fsencode(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).digest()
        found.update(os.fsencode(path.relative_to(folder)) + b"\0" + content)
    return found.hexdigest()[:16]


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


def supervisor_head(layout: WorkDir, socket_path: Path) -> list[str]:
    """The lines of `supervisord.conf` about supervisord itself, which takes calls at `socket_path`."""
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
    return [line for line in lines if line]


def supervisor_program(
    layout: WorkDir,
    name: str,
    argv: tuple[str, ...],
    *,
    stop_signal: str = "TERM",
    stop_s: int = 1,
    autostart: bool = True,
) -> list[str]:
    """The lines about one program; what it says goes to a log of its own.

    Args:
        layout: the work directory.
        name: of the program.
        argv: the program and its arguments.
        stop_signal: what ends it in good order.
        stop_s: seconds after which it is killed.
        autostart: whether it is started with the stack.
    """
    return [
        f"[program:{name}]",
        "command=" + " ".join(_quoted(word) for word in argv),
        f"directory={_escaped(layout.root)}",
        f"autostart={str(autostart).lower()}",
        "autorestart=false",
        "startsecs=0",
        "startretries=0",
        f"stopsignal={stop_signal}",
        f"stopwaitsecs={stop_s}",
        "redirect_stderr=true",
        f"stdout_logfile={_escaped(_escaped(layout.root / 'logs' / f'{name}.log'))}",  # it is expanded twice
        "stdout_logfile_maxbytes=256KB",
        "stdout_logfile_backups=1",
    ]


def _escaped(value: Path | str) -> str:
    return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as supervisord's shlex reads it, with `%` kept from its own expansion."""
    import shlex

    return shlex.quote(_escaped(word))
