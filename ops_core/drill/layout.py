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
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops_core.drill.work_dir import (
    GOOD_CONFIG,
    GOOD_RELEASE,
    ServiceSpec,
    WorkDir,
    supervisor_head,
    supervisor_program,
    swap_link,
    write_private,
)
from ops_core.errors import UsageError

SECRET = "AFO_INTERNAL_SECRET"  # noqa: S105 - its name
# Site packages, user directories and PYTHON* variables are nothing to the services; leaving them out is faster too.
SERVICE_PYTHON = (sys.executable, "-I", "-S", "-B")
SOURCES = Path(__file__).resolve().parent / "services"


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


@dataclass(frozen=True)
class Layout(WorkDir):
    """Paths and versions of one work directory."""

    KIND: ClassVar[str] = "embedded stack"
    SERVICES: ClassVar[Mapping[str, ServiceSpec]] = SERVICES

    @property
    def secret_file(self) -> Path:
        """The operator's copy of the internal secret."""
        return self.root / "secrets" / SECRET

    @property
    def thoughts_file(self) -> Path:
        """The data that every release of core needs."""
        return self.root / "data" / "core" / "thoughts.json"

    def fault_file(self, service: str) -> Path:
        """What the service reads on SIGUSR1."""
        return self.root / "faults" / service

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

    def supervisor_text(self, ports: Mapping[str, int], socket_path: Path) -> str:
        return supervisor_configuration(self, ports, socket_path, SERVICE_PYTHON)

    def good_settings(self, service: str) -> dict[str, str]:
        settings = {"SLOW_HEALTH_S": "1.5"}
        if service == "core":
            secret = self.secret_file.read_text(encoding="utf-8").strip()
            settings |= {"HEARTBEAT_S": "0.5", "THOUGHT_S": "2", "THOUGHTS_FILE": "thoughts.json", SECRET: secret}
        return settings

    def _release_intact(self, service: str) -> bool:
        folder = self.release_link(service).with_name(GOOD_RELEASE)
        wanted = {SERVICES[service].script: self.shipped_source(service), "base.py": self.shipped_source("base")}
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
        (draft / SERVICES[service].script).write_text(source, encoding="utf-8")
        (draft / "base.py").write_text(self.shipped_source("base"), encoding="utf-8")
        draft.rename(final)
        return final


def supervisor_configuration(layout: Layout, ports: Mapping[str, int], socket_path: Path, argv: tuple[str, ...]) -> str:
    """The text of `supervisord.conf`.

    Args:
        layout: the work directory.
        ports: by service.
        socket_path: where supervisord takes calls.
        argv: the interpreter and its options, in front of each service's script.
    """
    lines = supervisor_head(layout, socket_path)
    for name, spec in SERVICES.items():
        script = layout.release_link(name) / spec.script
        options = ("--root", str(layout.root), "--name", name, "--port", str(ports[name]), "--host", "127.0.0.1")
        lines += supervisor_program(layout, name, (*argv, str(script), *options))
    return "\n".join(lines) + "\n"
