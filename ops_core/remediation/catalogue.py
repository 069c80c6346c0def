"""The remediations there are: one module per verb, the operator's own before the shipped ones.

They are loaded by path and under private names, so that a folder `remediations/` never competes with a package of that
name. A module that is broken is told with its file and line: at 3 a.m. nobody wants to read a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ops_core.config import Settings
from ops_core.content import content_dir
from ops_core.errors import ConfigError, OpsError, UsageError
from ops_core.remediation.context import PlanContext
from ops_core.remediation.modules import line_of, load_module, said
from ops_core.remediation.plan import Plan, PlanInvalid

FOLDER = "remediations"
MODULES_MAX = 200
_VERB = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MARK = "__ops_remediation__"

Planner = Callable[[PlanContext], Plan]
P = TypeVar("P", bound=Planner)


def remediation(name: str) -> Callable[[P], P]:
    """Decorate a planner with the name that the decision table knows it by.

    Raises:
        UsageError: the name is not one.
    """
    if not _VERB.fullmatch(name):
        raise UsageError(
            f"{name!r} is not the name of a remediation",
            where='@remediation("…")',
            allowed="at most 64 lower-case letters, digits and underscores, a letter first, such as restart_service",
        )

    def mark(planner: P) -> P:
        setattr(planner, _MARK, name)
        return planner

    return mark


@dataclass(frozen=True, kw_only=True)
class Remediation:
    """One remediation: its name, where it stands (`file:line`), and the function that plans it."""

    name: str
    where: str
    planner: Planner

    def plan(self, context: PlanContext) -> Plan:
        """The plan for a target as it is now.

        Raises:
            PlanRefused: the planner sees no way.
            PlanInvalid: what the planner made is not a plan for this, or the planner failed.
        """
        try:
            plan = self.planner(context)
        except OpsError:
            raise
        except Exception as error:  # noqa: BLE001 - a planner is somebody's own code and may fail in any way
            place = line_of(error, Path(self.where.rpartition(":")[0])) or self.where
            raise PlanInvalid(f"the remediation {self.name} failed: {said(error)}", where=place) from None
        if not isinstance(plan, Plan):
            raise PlanInvalid(
                f"the remediation {self.name} returned no plan but {type(plan).__name__}", where=self.where
            )
        if (plan.remediation, plan.target) != (self.name, context.target.name):
            raise PlanInvalid(
                f"the remediation {self.name} for {context.target.name} returned a plan "
                f"of {plan.remediation} for {plan.target}",
                where=self.where,
            )
        return plan


@dataclass(frozen=True)
class Catalogue:
    """All remediations, by name."""

    by_name: Mapping[str, Remediation]

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self.by_name))

    def get(self, name: str) -> Remediation:
        """The remediation of that name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.by_name:
            import difflib

            close = difflib.get_close_matches(name, self.by_name, n=1)
            raise UsageError(
                f"there is no remediation {name!r}",
                where=FOLDER,
                allowed=", ".join(self.names()) or "none",
                next_step=f"did you mean {close[0]!r}?" if close else "",
            )
        return self.by_name[name]


def folders(settings: Settings) -> tuple[Path, ...]:
    """The folders of remediations, the operator's own first, the shipped one last."""
    own, shipped = settings.root / FOLDER, content_dir() / FOLDER
    return (shipped,) if own.resolve() == shipped.resolve() or not own.is_dir() else (own, shipped)


def load_catalogue(settings: Settings) -> Catalogue:
    """Load the operator's own remediations and the shipped ones; one of their own replaces ours of the same name.

    Raises:
        ConfigError: a module is broken, or two of one folder claim a name; the message names file and line.
    """
    return load_folders(folders(settings))


def load_folders(paths: tuple[Path, ...]) -> Catalogue:
    """Load the remediations of these folders, the first having precedence; errors as in `load_catalogue`."""
    by_name: dict[str, Remediation] = {}
    for folder in paths:
        here: dict[str, Remediation] = {}
        files = sorted(path for path in folder.glob("*.py") if not path.name.startswith(("_", ".")))
        if len(files) > MODULES_MAX:
            raise ConfigError(f"more than {MODULES_MAX} modules", where=str(folder), allowed=f"at most {MODULES_MAX}")
        for path in files:
            for found in _of_module(path):
                if found.name in here:
                    raise ConfigError(
                        f"the remediation {found.name} is there twice",
                        where=found.where,
                        allowed=f"one of that name; the other is at {here[found.name].where}",
                    )
                here[found.name] = found
        for name, found in here.items():
            by_name.setdefault(name, found)
    return Catalogue(by_name)


def _of_module(path: Path) -> list[Remediation]:
    module = load_module(path, "remediation")
    found = []
    for value in vars(module).values():
        name = getattr(value, _MARK, None) if callable(value) else None
        # What a module imported from another one is that module's to offer.
        if name is not None and getattr(value, "__module__", None) == module.__name__:
            line = getattr(getattr(value, "__code__", None), "co_firstlineno", 1)
            found.append(Remediation(name=name, where=f"{path}:{line}", planner=value))
    if not found:
        raise ConfigError(
            f"{path.name} offers no remediation",
            where=f"{path}:1",
            allowed='a function decorated with @remediation("…"); helper modules begin with an underscore',
        )
    return found
