"""Somebody's own faults: `faults/*.py` beside `ops.toml`, one fault each, held and shown like the shipped ones.

They are loaded by path, as remediations are. What a drill looks at is the configuration of the stack, with the checks,
remediations, templates and decision table of the repository beside it: so an own fault is seen by own checks, and an
own check appears in the matrix, without a line of configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ops_core.config import CONFIG_NAME, find_config
from ops_core.content import content_dir
from ops_core.drill.base_stack import Stack
from ops_core.drill.fault import Fault
from ops_core.drill.faults import FAULTS
from ops_core.drill.matrix.results import FAULT_NAME
from ops_core.errors import ConfigError
from ops_core.remediation.modules import load_module
from ops_core.tables import read_toml

FOLDER = "faults"
MODULES_MAX = 500
NAME = "FAULT"
WHAT = "FAULT = Fault(…), with Fault from ops_core.drill; helper modules begin with an underscore"
# What a repository brings along; the rest of what a configuration names is the stack's own.
BROUGHT = ("checks", "remediations", "templates", FOLDER, "conftest.py")


def repository_of(start: Path) -> Path | None:
    """The repository that somebody stands in: the folder of its `ops.toml`. None where that is the shipped one."""
    try:
        root = find_config(start).absolute().parent
    except ConfigError:
        return None
    return None if root.resolve() == content_dir().resolve() else root


def all_faults(root: Path | None) -> Mapping[str, Fault]:
    """The shipped faults, and those of a repository, by name.

    Raises:
        ConfigError: one of its own is broken, or has the name of another one; the message names file and line.
    """
    return {**FAULTS, **(own_faults(root / FOLDER) if root is not None else {})}


def own_faults(folder: Path) -> dict[str, Fault]:
    """The faults of a folder; none where there is no such folder. Errors as in `all_faults`."""
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith(("_", ".")))
    if len(files) > MODULES_MAX:
        raise ConfigError(f"more than {MODULES_MAX} modules", where=str(folder), allowed=f"at most {MODULES_MAX}")
    found: dict[str, Fault] = {}
    places: dict[str, str] = {}
    for path in files:
        fault, where = _fault_in(path)
        if fault.name in FAULTS or fault.name in found:
            other = f"the other is at {places[fault.name]}" if fault.name in found else "a shipped fault has this one"
            raise ConfigError(f"the fault {fault.name} is there twice", where=where, allowed=f"another name; {other}")
        found[fault.name], places[fault.name] = fault, where
    return found


def configuration_for(stack: type[Stack[Any]], root: Path | None, folder: Path) -> Path:
    """The `ops.toml` that a drill on this kind of stack reads.

    Args:
        stack: the kind.
        root: the repository; None where there is none.
        folder: where one may be put together; empty.

    Raises:
        ConfigError: the repository's own cannot be read.
    """
    shipped = content_dir() / CONFIG_NAME
    if root is None:
        return shipped
    own = root / CONFIG_NAME
    if own.is_file() and stack.PROFILE in _profiles(own):
        return own
    _bring(root, folder)
    (folder / "docs").symlink_to(content_dir() / "docs")
    made = folder / CONFIG_NAME
    made.write_bytes(shipped.read_bytes())
    return made


def bring_along(config: Path | None, stack: Stack[Any]) -> None:
    """Lay what a repository brings beside the configuration that some stacks write for themselves.

    Not on a control plane: there, what lies beside the configuration is what must not be changed.

    Args:
        config: the `ops.toml` that the stack was offered; None for the shipped one.
        stack: one that runs.
    """
    if config is None or not stack.layout.SERVICES:
        return
    if stack.config.parent not in (config.absolute().parent, content_dir()) and config.parent != content_dir():
        _bring(config.parent, stack.config.parent)


def _bring(root: Path, folder: Path) -> None:
    for name in BROUGHT:
        if (root / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to((root / name).absolute())


def _profiles(path: Path) -> Iterable[str]:
    _, table = read_toml(path)
    profiles = table.get("profiles")
    return profiles if isinstance(profiles, dict) else ()


def _fault_in(path: Path) -> tuple[Fault, str]:
    fault = vars(load_module(path, "fault")).get(NAME)
    where = f"{path}:{_line_of_name(path)}"
    if not isinstance(fault, Fault):
        what = "defines no FAULT" if fault is None else f"defines a FAULT that is no Fault but {type(fault).__name__}"
        raise ConfigError(f"{path.name} {what}", where=where, allowed=WHAT)
    # Nobody has looked at the types of what stands in there.
    name: object = fault.name
    stack: object = fault.stack
    if not isinstance(name, str) or not FAULT_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is not the name of a fault",
            where=where,
            allowed="at most 80 lower-case letters, digits and hyphens, such as disk-full",
        )
    if not isinstance(stack, type) or not issubclass(stack, Stack):
        raise ConfigError(
            f"the stack of {name} is no kind of stack",
            where=where,
            allowed="EmbeddedStack, or a class derived from Stack",
        )
    if fault.service and fault.service not in fault.stack.LAYOUT.SERVICES:
        raise ConfigError(
            f"the stack of {fault.name} has no service {fault.service!r}",
            where=where,
            allowed=", ".join(fault.stack.LAYOUT.SERVICES),
        )
    if not fault.description.get("en"):
        raise ConfigError(
            f"the fault {fault.name} says nothing about itself", where=where, allowed='description={"en": "…"}'
        )
    return fault, where


def _line_of_name(path: Path) -> int:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(rf"{NAME}\b", line)), 1)
