"""`ops schedule`: shows exactly what it would tell a scheduler, and tells it with `--yes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Annotated, Any

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import say, say_json, table
from ops_core.config import CONFIG_NAME, Settings
from ops_core.control.model.calendar import read_zone
from ops_core.errors import EXIT_DONE, UsageError
from ops_core.operations import DAYS
from ops_core.schedule import cron, elsewhere, host, systemd
from ops_core.schedule.plan import KINDS, Job, Plan
from ops_core.schedule.slots import Schedule, schedule_from, slots_from

CronOption = Annotated[bool, typer.Option("--cron", help="The crontab of this host.")]
SystemdOption = Annotated[bool, typer.Option("--systemd", help="A systemd timer of this host.")]
WindowsOption = Annotated[bool, typer.Option("--windows", help="The Task Scheduler of Windows.")]
SynologyOption = Annotated[bool, typer.Option("--synology", help="The Task Scheduler of a Synology NAS.")]
KubernetesOption = Annotated[bool, typer.Option("--kubernetes", help="A CronJob.")]
AtOption = Annotated[str | None, typer.Option("--at", metavar="HH:MM", help="Instead of ops.toml's.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", metavar="ZONE", help="Instead of ops.toml's.")]
DaysOption = Annotated[str | None, typer.Option("--days", metavar="Mon,Tue", help="Instead of ops.toml's.")]
HostZoneOption = Annotated[str | None, typer.Option("--host-zone", metavar="ZONE", help="Zone of the host's clock.")]
UserOption = Annotated[str, typer.Option("--user", metavar="NAME", help="As whom it runs; for root.")]
RootOption = Annotated[
    str | None, typer.Option("--root", metavar="PATH", help="Where the repository lies on the machine that runs it.")
]
ImageOption = Annotated[str, typer.Option("--image", metavar="IMAGE", help="Kubernetes: an image with ops in it.")]
ClaimOption = Annotated[str, typer.Option("--claim", metavar="NAME", help="Kubernetes: the volume claim.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, it is only shown.")]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for, settled."""

    kind: str
    settings: Settings
    job: Job
    host: host.Host
    host_zone: str | None
    image: str
    claim: str


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("install", help="Show what a scheduler is told; --yes tells it.")(install)
    group.command("show", help="Show when cycles are due, and which schedulers of this host know.")(show)
    group.command("remove", help="Show what of ours a scheduler knows; --yes takes it away.")(remove)
    app.add_typer(group, name=verb)


def install(
    cron: CronOption = False,
    systemd: SystemdOption = False,
    windows: WindowsOption = False,
    synology: SynologyOption = False,
    kubernetes: KubernetesOption = False,
    at: AtOption = None,
    zone: ZoneOption = None,
    days: DaysOption = None,
    host_zone: HostZoneOption = None,
    user: UserOption = "",
    root: RootOption = None,
    image: ImageOption = "",
    claim: ClaimOption = "ops",
    yes: YesOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show, and with `--yes` do."""
    kind = _kind(cron, systemd, windows, synology, kubernetes)
    settings = settings_of(config, profile)
    schedule = _schedule(settings, at, zone, days)
    wanted = _wanted(kind, settings, schedule, host_zone=host_zone, user=user, root=root, image=image, claim=claim)
    plan = install_plan(wanted)
    problem = _never_due(settings, schedule)
    if problem and not yes:
        plan = replace(plan, notes=(*plan.notes, f"{problem.what}; {problem.next_step}"))
    if problem and yes:
        raise problem
    if yes:
        wanted.host.carry_out(plan, user)
    _tell(wanted, plan, done=yes, json=json, removing=False)
    return EXIT_DONE


def remove(
    cron: CronOption = False,
    systemd: SystemdOption = False,
    windows: WindowsOption = False,
    synology: SynologyOption = False,
    kubernetes: KubernetesOption = False,
    user: UserOption = "",
    root: RootOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show, and with `--yes` do."""
    kind = _kind(cron, systemd, windows, synology, kubernetes)
    settings = settings_of(config, profile)
    schedule = _schedule(settings, None, None, None)
    wanted = _wanted(kind, settings, schedule, host_zone=None, user=user, root=root, image="", claim="ops")
    plan = remove_plan(wanted)
    present = [file.path for file in plan.files if file.path.exists()]
    if yes:
        present = list(wanted.host.take_away(plan, user))
    if plan.files and not present:
        plan = replace(plan, before=(), commands=())
    plan = replace(plan, files=tuple(file for file in plan.files if file.path in present))
    _tell(wanted, plan, done=yes, json=json, removing=True)
    return EXIT_DONE


def show(
    user: UserOption = "", config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Show the schedule, the coming slots, and what is installed here."""
    settings = settings_of(config, profile)
    schedule = _schedule(settings, None, None, None)
    here = host.this_host()
    job = _job("cron", settings, schedule, user=user, root=None)
    slots = list(islice(slots_from(schedule, clock().now()), 3))
    known = dict(_known(job, here, settings, user))
    if json:
        coming = [{"slot": slot.key, "at": slot.at.isoformat()} for slot in slots]
        say_json({"name": job.name, "schedule": _as_dict(schedule), "coming": coming, "installed": known})
        return EXIT_DONE
    say(f"due         {elsewhere.wanted(job)}")
    for number, slot in enumerate(slots):
        local = slot.at.astimezone(read_zone(schedule.zone))
        line = f"{local:%a %Y-%m-%d %H:%M} {schedule.zone}  ({slot.at:%Y-%m-%d %H:%M} UTC)"
        say(f"{'next' if not number else '':<10}  {line}")
    for name, state in known.items():
        say(f"{name:<10}  {state}")
    return EXIT_DONE


def install_plan(wanted: Wanted) -> Plan:
    """What an installation would do on this host.

    Raises:
        OpsError: it cannot be told, or the host's scheduler cannot be asked.
    """
    job, here, now = wanted.job, wanted.host, clock().now()
    if wanted.kind == "cron":
        crontab = here.read_crontab(job.user)
        zone = wanted.host_zone or here.zone()
        plan = cron.install(job, crontab, host_zone=zone, reads_zone=here.cron_reads_zone(), now=now)
    elif wanted.kind == "systemd":
        plan = systemd.install(job, here.units, as_root=here.as_root, now=now)
    elif wanted.kind == "windows":
        plan = elsewhere.windows(job, wanted.host_zone or job.schedule.zone, _file(wanted), now)
    elif wanted.kind == "synology":
        plan = elsewhere.synology(job, wanted.host_zone or job.schedule.zone, now)
    elif wanted.image:
        plan = elsewhere.kubernetes(job, _file(wanted), image=wanted.image, claim=wanted.claim, now=now)
    else:
        raise UsageError("a CronJob needs an image", where="--image", allowed="the name of an image with ops in it")
    return host.with_scripts(plan, wanted.settings.root)


def remove_plan(wanted: Wanted) -> Plan:
    """What a removal would do on this host.

    Raises:
        OpsError: the host's scheduler cannot be asked.
    """
    job, here = wanted.job, wanted.host
    if wanted.kind == "cron":
        return cron.remove(job, here.read_crontab(job.user))
    if wanted.kind == "systemd":
        return systemd.remove(job, here.units, as_root=here.as_root)
    files = () if wanted.kind == "synology" else (host.ours(_file(wanted)),)
    steps = {
        "windows": f'schtasks /Delete /TN "{job.name}"',
        "synology": f"Control Panel > Task Scheduler > {job.name} > Delete",
        "kubernetes": f"kubectl delete cronjob {job.name}",
    }
    return Plan(kind=wanted.kind, name=job.name, files=files, steps=(steps[wanted.kind],))


def _kind(*chosen: bool) -> str:
    named = [kind for kind, is_chosen in zip(KINDS, chosen, strict=True) if is_chosen]
    if len(named) != 1:
        what = "no scheduler is named" if not named else "more than one scheduler is named"
        raise UsageError(what, where="ops schedule", allowed="one of " + ", ".join(f"--{kind}" for kind in KINDS))
    return named[0]


def _schedule(settings: Settings, at: str | None, zone: str | None, days: str | None) -> Schedule:
    configured = settings.schedule
    return schedule_from(
        at=at or configured.at,
        zone=zone or configured.zone,
        days=tuple(day.strip() for day in days.split(",")) if days is not None else configured.days,
        grace_minutes=configured.grace_minutes,
        where=f"profiles.{settings.profile}.schedule of {settings.path}" if not (at or zone or days) else "schedule",
    )


def _never_due(settings: Settings, schedule: Schedule) -> UsageError | None:
    """A cycle that is called when ops.toml knows of no slot does nothing: that is told before, not found out later."""
    if schedule == _schedule(settings, None, None, None):
        return None
    days = ", ".join(f'"{DAYS[number]}"' for number in sorted(schedule.weekdays))
    when = f"{schedule.at:%H:%M} {schedule.zone}, {cron.days_text(schedule.weekdays)}"
    return UsageError(
        f"a cycle that is called at {when} would do nothing: {settings.path.name} has no slot then",
        where=f"{settings.path}, [profiles.{settings.profile}.schedule]",
        next_step=f'write there  at = "{schedule.at:%H:%M}"  zone = "{schedule.zone}"  days = [{days}]',
    )


def _wanted(
    kind: str,
    settings: Settings,
    schedule: Schedule,
    *,
    host_zone: str | None,
    user: str,
    root: str | None,
    image: str,
    claim: str,
) -> Wanted:
    here = host.this_host()
    if user and not here.as_root:
        raise UsageError("only root can choose as whom it runs", where="--user", allowed="without --user")
    if root is not None and kind in {"cron", "systemd"}:
        raise UsageError(f"--{kind} is about this machine", where="--root", allowed="without --root")
    job = _job(kind, settings, schedule, user=user, root=root)
    return Wanted(kind=kind, settings=settings, job=job, host=here, host_zone=host_zone, image=image, claim=claim)


def _job(kind: str, settings: Settings, schedule: Schedule, *, user: str, root: str | None) -> Job:
    flavour: Callable[[str], PurePath] = PureWindowsPath if kind == "windows" else PurePosixPath
    arguments = ["--profile", settings.profile]
    if settings.path != settings.root / CONFIG_NAME:
        arguments = ["--config", settings.path.name, *arguments]
    return Job(
        repository=settings.root,
        root=flavour(root or str(settings.root)),
        profile=settings.profile,
        schedule=schedule,
        logs=settings.logs_dir,
        arguments=tuple(arguments),
        program=host.program_for(settings.root) if kind in {"cron", "systemd"} else "",
        user=user,
    )


def _file(wanted: Wanted) -> Path:
    ending = "xml" if wanted.kind == "windows" else "yaml"
    return wanted.settings.root / "deploy" / f"{wanted.job.name}.{ending}"


def installed_here(settings: Settings) -> dict[str, str]:
    """What each scheduler of this host knows of the profile's schedule, by its name.

    Raises:
        ConfigError: the schedule cannot be followed.
    """
    job = _job("cron", settings, _schedule(settings, None, None, None), user="", root=None)
    return dict(_known(job, host.this_host(), settings, ""))


def _known(job: Job, here: host.Host, settings: Settings, user: str) -> Iterator[tuple[str, str]]:
    """What this host's schedulers know of the job; why it cannot be told is an answer too."""
    from ops_core.errors import OpsError

    try:
        _, block, _ = cron.split(here.read_crontab(user), job.name)
        fresh = cron.render(job, here.zone(), clock().now())
        yield "cron", "not installed" if not block else "installed" if block == fresh else "differs"
    except OpsError as error:
        yield "cron", f"unknown: {error.what}"
    states = {host.state_of(file) for file in systemd.units(job, here.units, as_root=here.as_root)}
    yield "systemd", states.pop() if len(states) == 1 else "differs"
    for kind, ending in (("windows", "xml"), ("kubernetes", "yaml")):
        found = (settings.root / "deploy").glob(f"ops-cycle-*.{ending}")
        if names := sorted(path.name for path in found):
            yield kind, f"written: {', '.join(names)}"


def _as_dict(schedule: Schedule) -> dict[str, Any]:
    return {
        "at": f"{schedule.at:%H:%M}",
        "zone": schedule.zone,
        "days": [DAYS[number] for number in sorted(schedule.weekdays)],
        "grace_minutes": int(schedule.grace.total_seconds() // 60),
    }


def _tell(wanted: Wanted, plan: Plan, *, done: bool, json: bool, removing: bool) -> None:
    changes = bool(plan.files or plan.commands or (plan.crontab and plan.crontab[0] != plan.crontab[1]))
    if json:
        say_json(
            {
                "kind": plan.kind,
                "name": plan.name,
                "schedule": _as_dict(wanted.job.schedule),
                "done": done,
                "files": [{"path": str(file.path), "text": file.text} for file in plan.files],
                "crontab": plan.block if plan.crontab else None,
                "commands": [list(argv) for argv in (*plan.before, *plan.commands)],
                "steps": list(plan.steps),
                "notes": list(plan.notes),
            }
        )
        return
    verb = ("removed" if done else "would remove") if removing else ("written" if done else "would write")
    say(f"{plan.name}: {elsewhere.wanted(wanted.job)}")
    if removing and not changes:
        say("nothing of it is installed here")
    for file in plan.files:
        say()
        say(f"{verb}  {file.path}")
        _quote(f"(a copy of {file.source})" if file.source else "" if removing else file.text)
    if plan.crontab and not (removing and not changes):
        say()
        whose = f"the crontab of {wanted.job.user}" if wanted.job.user else "your crontab"
        kept = "" if plan.crontab[0] != plan.crontab[1] else ": nothing changes"
        say(f"{verb}  {'from' if removing else 'into'} {whose}{kept}")
        _quote(plan.block)
    rows: list[tuple[str, ...]] = [
        ("run" if done else "would run", " ".join(argv)) for argv in (*plan.before, *plan.commands)
    ]
    rows += [("to do", step) for step in plan.steps] + [("note", note) for note in plan.notes]
    if changes and not done:
        rows.append(("next", "the same again with --yes"))
    if rows:
        say()
    for line in table(rows, indent=""):
        say(line)


def _quote(text: str) -> None:
    for line in text.splitlines():
        say(f"  | {line}".rstrip())
