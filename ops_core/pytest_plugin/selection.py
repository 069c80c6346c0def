"""Is this run operational, and if so: which configuration, which profile, which checks?"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops_core.config import CONFIG_NAME, CONFIG_VARIABLE, Settings, find_config, load_settings
from ops_core.content import content_dir
from ops_core.errors import ConfigError

CHECKS = "checks"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What an operational run was asked for."""

    settings: Settings
    own_checks: Path
    shipped_checks: Path
    suites: tuple[str, ...]
    added_paths: tuple[Path, ...]

    def suite_of(self, path: Path) -> str | None:
        """The suite a file belongs to: the folder under `checks` that holds it. None: not an operational check."""
        # Asked for every item several times, so texts are compared: comparing paths makes new paths each time.
        text = str(path)
        for root in map(str, (self.own_checks, self.shipped_checks)):
            if text == root:
                return CHECKS
            if text.startswith(root + os.sep):
                first, below, _ = text[len(root) + 1 :].partition(os.sep)
                return first if below else CHECKS
        return None

    def seat_of(self, path: Path) -> Path:
        """Where a check file counts as standing: a shipped one beside the user's own, so that their probes serve it."""
        if path.is_relative_to(self.shipped_checks) and self.shipped_checks != self.own_checks:
            return self.own_checks / path.relative_to(self.shipped_checks)
        return path


def select(config: pytest.Config) -> Selection | None:
    """What is asked for, or None when the run is an ordinary one.

    Raises:
        OpsError: the run is operational and its configuration cannot be followed.
    """
    here = Path(config.invocation_params.dir)
    options = config.known_args_namespace
    named = [_path(here, arg) for arg in (options.file_or_dir or [])]
    shipped = content_dir() / CHECKS
    config_path = _config_path(here, named, options.ops_config)
    own = _own_checks(config_path, named) if config_path else None
    roots = [root for root in (own, shipped) if root is not None]
    path_named = any(path.is_relative_to(root) for path in named for root in roots)
    expression = str(options.markexpr or "") if hasattr(options, "markexpr") else ""
    suites = _suite_names(roots)
    marker_named = bool(set(re.findall(r"[A-Za-z0-9_]+", expression)) & set(suites))
    meant = path_named or options.replay or options.profile or (config_path is None and any(map(_holds_checks, named)))
    if not (meant or (config_path and marker_named)):
        return None
    if config_path is None or own is None:
        raise ConfigError(f"these checks need an {CONFIG_NAME}", where=str(here), next_step="ops init")
    settings = load_settings(config_path, options.profile)
    if settings.role is not None and not options.replay:
        _hold(settings)
    return Selection(
        settings=settings,
        own_checks=own,
        shipped_checks=shipped,
        suites=tuple(suites),
        added_paths=_added(settings, own, shipped, named),
    )


def _hold(settings: Settings) -> None:
    """Look at live systems only from a host that is there for it; a record may be judged anywhere.

    Raises:
        Refused: this is the producer's host.
    """
    from ops_core.handoff.roles import Act, require

    where = f"{settings.path}, [profiles.{settings.profile}]"
    require(settings.role, Act.HEALTH, what="looking at live systems", where=where)


def _path(here: Path, argument: str) -> Path:
    return Path(os.path.normpath(here / argument.split("::", maxsplit=1)[0]))


def _config_path(here: Path, named: Sequence[Path], explicit: str | None) -> Path | None:
    """The configuration that is meant: named, in the environment, beside the named checks, or found upwards."""
    if explicit or os.environ.get(CONFIG_VARIABLE):
        return Path(os.path.normpath(here / find_config(here, explicit)))
    starts = [path.parent for path in named if CHECKS in path.parts]
    for start in [*starts, here]:
        try:
            return find_config(start)
        except ConfigError:
            continue
    return None


def _own_checks(config_path: Path, named: Sequence[Path]) -> Path:
    """The user's checks, by the path under which they were named: it may lead through a link to a release."""
    own = config_path.parent / CHECKS
    for path in named:
        for root in (path, *path.parents):
            if root.name == CHECKS and root != own and os.path.realpath(root) == os.path.realpath(own):
                return root
    return own


def _holds_checks(path: Path) -> bool:
    """Whether this is meant as checks: it stands in a folder of that name, and is or holds what is called like one."""
    if CHECKS not in path.parts:
        return False
    if path.is_dir():
        return next(path.rglob("check_*.py"), None) is not None
    return path.is_file() and path.name.startswith("check_")


def _suite_names(roots: Sequence[Path]) -> list[str]:
    names = set()
    for root in roots:
        if root.is_dir():
            names |= {e.name for e in os.scandir(root) if e.is_dir() and e.name.isidentifier() and e.name[0] != "_"}
    return sorted(names)


def _added(settings: Settings, own: Path, shipped: Path, named: Sequence[Path]) -> tuple[Path, ...]:
    """The folders to collect besides those named: the shipped suites, when the user's checks as a whole are meant."""
    added = [own] if not named and own.is_dir() else []
    if shipped == own or not (not named or own in named):
        return tuple(added)
    for suite in settings.suites:
        if not (shipped / suite).is_dir():
            known = ", ".join(_suite_names([shipped]))
            raise ConfigError(f"there is no shipped suite {suite!r}", where=f"{settings.path}, suites", allowed=known)
        if shipped / suite not in named:
            added.append(shipped / suite)
    return tuple(added)
