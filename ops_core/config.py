"""`ops.toml` and the environment into one frozen `Settings`.

`ops.toml` says which targets there are, how long looking may take, and where state and reports live. It never holds a
secret: it names them, and their values come from the environment or from a file that only the operator can read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops_core.budget import OBSERVE_TOTAL_S
from ops_core.errors import ConfigError, UsageError
from ops_core.operations import (
    NAMED,
    ROLES,
    SECONDS,
    AlertsTable,
    CycleTable,
    HandoffTable,
    IssuesTable,
    PushTable,
    ScheduleTable,
    ServeTable,
    SloTable,
    SplitTable,
    TradingTable,
)
from ops_core.tables import Source, build, read_toml
from ops_core.targets import DATABASE_URL, NAME, TARGET_FIELDS, Target, order_of, what_is_missing

CONFIG_NAME = "ops.toml"
CONFIG_VARIABLE = "OPS_CONFIG"
PROFILE_VARIABLE = "OPS_PROFILE"
LANGUAGES = ("en", "ko")


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Seconds allotted: in total, and to single probes by name (overriding what the probe itself asks for)."""

    total_s: float = field(default=OBSERVE_TOTAL_S, metadata=SECONDS)
    probes: Mapping[str, float] = field(default_factory=dict)
    in_flight_max: int = field(
        default=1000, metadata={"check": lambda v: 1 <= v <= 100_000, "allowed": "1 to 100000 probes at once"}
    )


@dataclass(frozen=True, kw_only=True)
class SecretSource:
    """Where the value of a named secret comes from. Without either, the environment variable of the secret's name."""

    env: str | None = field(default=None, metadata=NAMED)
    file: Path | None = None
    env_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One set of targets with the control plane that guards them."""

    drill: bool = False
    role: str | None = field(
        default=None, metadata={"check": lambda v: v in ROLES, "allowed": "producer or operator; without it, both"}
    )
    control_dir: Path | None = None
    control_url: str = field(default="", metadata=DATABASE_URL)
    control_password: str | None = field(default=None, metadata=NAMED)
    state_dir: Path = Path("state")
    reports_dir: Path = Path("reports")
    logs_dir: Path = Path("logs")
    contracts_dir: Path = Path("docs/contracts")
    ca_file: Path | None = None
    budgets: Budgets = Budgets()
    schedule: ScheduleTable = field(default_factory=ScheduleTable)
    trading: TradingTable = field(default_factory=TradingTable)
    cycle: CycleTable = field(default_factory=CycleTable)
    push: PushTable = field(default_factory=PushTable)
    serve: ServeTable = field(default_factory=ServeTable)
    issues: IssuesTable = field(default_factory=IssuesTable)
    alerts: AlertsTable = field(default_factory=AlertsTable)
    slo: SloTable = field(default_factory=SloTable)
    handoff: HandoffTable = field(default_factory=HandoffTable)
    split: SplitTable = field(default_factory=SplitTable)
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    targets: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """The shape of `ops.toml`."""

    default_profile: str = "default"
    lang: str = field(default="en", metadata={"check": lambda v: v in LANGUAGES, "allowed": "en or ko"})
    suites: tuple[str, ...] = ("observe",)
    profiles: Mapping[str, Profile] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is in force for this run: one profile of one `ops.toml`. All paths are absolute."""

    path: Path
    root: Path
    profile: str
    profile_is_default: bool
    drill: bool
    lang: str
    suites: tuple[str, ...]
    control_dir: Path
    state_dir: Path
    reports_dir: Path
    logs_dir: Path
    contracts_dir: Path
    ca_file: Path | None
    budgets: Budgets
    secrets: Mapping[str, SecretSource]
    targets: tuple[Target, ...]
    control_url: str = ""
    control_password: str | None = None
    schedule: ScheduleTable = field(default_factory=ScheduleTable)
    trading: TradingTable = field(default_factory=TradingTable)
    cycle: CycleTable = field(default_factory=CycleTable)
    push: PushTable = field(default_factory=PushTable)
    serve: ServeTable = field(default_factory=ServeTable)
    issues: IssuesTable = field(default_factory=IssuesTable)
    alerts: AlertsTable = field(default_factory=AlertsTable)
    slo: SloTable = field(default_factory=SloTable)
    role: str | None = None
    handoff: HandoffTable = field(default_factory=HandoffTable)
    split: SplitTable = field(default_factory=SplitTable)

    @property
    def control_store(self) -> Path:
        """The SQLite file of the control plane and of incidents; the latch lies beside it, whatever the store."""
        return self.control_dir / "control.db"

    def target(self, name: str) -> Target:
        """The target of that name.

        Raises:
            UsageError: there is none.
        """
        for target in self.targets:
            if target.name == name:
                return target
        raise UsageError(
            f"there is no target {name!r} in profile {self.profile!r}",
            where=str(self.path),
            allowed=", ".join(t.name for t in self.targets) or "none is defined",
        )

    def suite_of(self, target: str) -> str:
        """The suite that says whether a target is well, or the first one where this profile does not have it.

        Raises:
            UsageError: there is no such target.
        """
        wanted = self.target(target).proving_suite
        return wanted if wanted in self.suites else self.suites[0]


class SecretMissing(UsageError):
    """A secret is named in the configuration but has no value on this machine."""


def read_secret(settings: Settings, name: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of a named secret, from its file or from the environment.

    Raises:
        SecretMissing: there is no value, or it is empty. The message names the place, never a value.
    """
    source = settings.secrets.get(name, SecretSource())
    if source.file is not None:
        try:
            value = source.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            value = ""
        if not value:
            raise SecretMissing(f"the secret {name} has no value", where=f"file {source.file}")
        return value
    variable = source.env or name
    if source.env_file is not None:
        value = _in_env_file(source.env_file, variable)
        if not value:
            raise SecretMissing(f"the secret {name} has no value", where=f"{variable}= in file {source.env_file}")
        return value
    value = (os.environ if environ is None else environ).get(variable, "").strip()
    if not value:
        raise SecretMissing(
            f"the secret {name} has no value",
            where=f"environment variable {variable}",
            next_step=f"export {variable}=…",
        )
    return value


def _in_env_file(path: Path, variable: str) -> str:
    """What the last line `VARIABLE=…` of a file says, which is what a service that reads it gets; empty without one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    pairs = (line.partition("=") for line in reversed(lines) if not line.lstrip().startswith("#"))
    return next((value.strip() for key, _, value in pairs if key.strip() == variable), "")


def known_secrets(settings: Settings) -> dict[str, str]:
    """The values of all secrets the profile names, as far as they can be read: what redaction has to hide."""
    push = settings.push
    pushed = (push.telegram_token, push.telegram_chat, *push.notify.values())
    split = (settings.split.token, settings.handoff.signing_key)
    named = (settings.control_password, settings.issues.token, *split, *pushed)
    of_targets = (name for target in settings.targets for name in target.secret_names)
    names = {*settings.secrets, *(name for name in (*named, *of_targets) if name)}
    values = {}
    for name in sorted(names):
        try:
            values[name] = read_secret(settings, name)
        except SecretMissing:
            continue
    return values


def find_config(start: Path, explicit: str | None = None) -> Path:
    """The configuration file: the one named, else `$OPS_CONFIG`, else `ops.toml` here or in a folder above.

    Raises:
        ConfigError: there is none.
    """
    named = explicit or os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named)
        return path if path.is_absolute() else start / path
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    raise ConfigError(
        f"no {CONFIG_NAME} here or in a folder above",
        where=str(start),
        next_step="ops init to make one, or name a file with --config",
    )


def load_settings(path: Path, profile: str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read `ops.toml` and settle on one profile.

    Raises:
        ConfigError: the file cannot be followed; the message names file, line, key and what is allowed.
    """
    env = os.environ if environ is None else environ
    path = path.absolute()
    source, table = read_toml(path)
    names = sorted(table["profiles"]) if isinstance(table.get("profiles"), dict) else []
    # Only the profile in force is read: a variable that only another profile needs must not stop this one.
    outer = build(ConfigFile, {k: v for k, v in table.items() if k != "profiles"}, source, environ=env)
    wanted = profile or env.get(PROFILE_VARIABLE) or outer.default_profile
    if not names:
        raise ConfigError("no profile is defined", where=str(path), allowed="a table [profiles.NAME]")
    if wanted not in names:
        raise ConfigError(f"there is no profile {wanted!r}", where=str(path), allowed=", ".join(names))
    keys = ("profiles", wanted)
    chosen = build(Profile, table["profiles"][wanted], source, keys, env)
    targets = tuple(_target(name, raw, source, (*keys, "targets"), env) for name, raw in chosen.targets.items())
    if not targets:
        raise ConfigError(
            f"profile {wanted!r} has no target",
            where=source.where(keys),
            allowed=f"a table [profiles.{wanted}.targets.NAME]",
        )
    _settle_channel(chosen.push, source, keys)
    _settle_dependencies(targets, source, (*keys, "targets"))
    root = path.parent
    for name, budget_s in chosen.budgets.probes.items():
        if not 0 < budget_s <= 3600:
            where = source.where((*keys, "budgets", "probes", name))
            raise ConfigError(f"{budget_s!r} is not allowed here", where=where, allowed=str(SECONDS["allowed"]))
    return Settings(
        path=path,
        root=root,
        profile=wanted,
        profile_is_default=wanted == outer.default_profile,
        drill=chosen.drill,
        lang=outer.lang,
        suites=outer.suites,
        control_dir=_absolute(root, chosen.control_dir or _beside(chosen.state_dir)),
        control_url=chosen.control_url,
        control_password=chosen.control_password,
        state_dir=_absolute(root, chosen.state_dir),
        reports_dir=_absolute(root, chosen.reports_dir),
        logs_dir=_absolute(root, chosen.logs_dir),
        contracts_dir=_absolute(root, chosen.contracts_dir),
        schedule=chosen.schedule,
        trading=replace(chosen.trading, holidays_file=_absolute(root, chosen.trading.holidays_file))
        if chosen.trading.holidays_file
        else chosen.trading,
        cycle=replace(chosen.cycle, needs_files=tuple(_absolute(root, path) for path in chosen.cycle.needs_files)),
        push=chosen.push,
        serve=chosen.serve,
        issues=chosen.issues,
        alerts=chosen.alerts,
        slo=chosen.slo,
        role=chosen.role,
        handoff=_rooted_handoff(root, chosen.handoff),
        split=chosen.split,
        ca_file=_absolute(root, chosen.ca_file) if chosen.ca_file else None,
        budgets=chosen.budgets,
        secrets={name: _rooted_secret(root, secret) for name, secret in chosen.secrets.items()},
        targets=tuple(_rooted(root, target) for target in targets),
    )


def _rooted_handoff(root: Path, handoff: HandoffTable) -> HandoffTable:
    return replace(
        handoff,
        repository=_absolute(root, handoff.repository),
        results=_absolute(root, handoff.results),
        bundles_dir=_absolute(root, handoff.bundles_dir),
    )


def _rooted_secret(root: Path, secret: SecretSource) -> SecretSource:
    file, env_file = (_absolute(root, path) if path else None for path in (secret.file, secret.env_file))
    return replace(secret, file=file, env_file=env_file)


def _target(name: str, raw: object, source: Source, keys: tuple[str | int, ...], env: Mapping[str, str]) -> Target:
    here = (*keys, name)
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a target name", where=source.where(here), allowed=str(NAMED["allowed"]))
    target = build(Target, raw, source, here, env, preset={"name": name})
    for clash in sorted(set(target.vars) & TARGET_FIELDS):
        where = source.where((*here, "vars", clash))
        raise ConfigError(f"{clash!r} is a field of every target", where=where, next_step=f"set {clash} itself")
    missing = what_is_missing(target)
    if missing:
        key, other = missing
        raise ConfigError(f"{key} needs {other} beside it", where=source.where(here), allowed=f"{other} = …")
    return target


def _settle_channel(push: PushTable, source: Source, keys: tuple[str, str]) -> None:
    """Refuse a channel that has no address."""
    if push.channel is not None and push.channel not in push.notify:
        raise ConfigError(
            f"there is no channel {push.channel!r}",
            where=source.where((*keys, "push", "channel")),
            allowed=", ".join(sorted(push.notify)) or f"a name of [{'.'.join(keys)}.push.notify]",
        )


def _settle_dependencies(targets: tuple[Target, ...], source: Source, keys: tuple[str | int, ...]) -> None:
    """Refuse a dependency that is no target, and targets that depend on each other in a circle."""
    names = {target.name for target in targets}
    for target in targets:
        for other in target.depends_on:
            if other not in names or other == target.name:
                where = source.where((*keys, target.name, "depends_on"))
                known = ", ".join(sorted(names - {target.name})) or "there is no other target"
                raise ConfigError(f"{target.name} cannot depend on {other!r}", where=where, allowed=known)
    circle = order_of(targets)[1]
    if circle:
        where = source.where((*keys, circle[0], "depends_on"))
        raise ConfigError(f"these depend on each other in a circle: {', '.join(circle)}", where=where)


def _rooted(root: Path, target: Target) -> Target:
    changes: dict[str, Any] = {}
    for name in TARGET_FIELDS:
        value = getattr(target, name)
        if isinstance(value, Path):
            changes[name] = _absolute(root, value)
    return replace(target, **changes) if changes else target


def _beside(state_dir: Path) -> Path:
    """The control folder where none is named: two profiles with folders of their own never share a store."""
    return state_dir.with_name(f"{state_dir.name}-control")


def _absolute(root: Path, path: Path) -> Path:
    return path if path.is_absolute() else root / path
