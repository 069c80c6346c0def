"""A service and the timer that starts it. systemd knows zones, so the timer says the time as the schedule does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ops_core.operations import DAYS
from ops_core.schedule.local import in_gaps
from ops_core.schedule.plan import OWN, Job, NewFile, Plan, plain
from ops_core.schedule.slots import Schedule

SYSTEM_FOLDER = Path("/etc/systemd/system")
USER_FOLDER = Path(".config/systemd/user")  # below the home directory

SERVICE = """\
# {own}
[Unit]
Description=ops cycle of profile {profile}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{user}{environment}ExecStart=/bin/sh {command}
# For a run that cannot end by itself; the script ends one that is too long before that.
TimeoutStartSec={limit_s}
"""

TIMER = """\
# {own}
[Unit]
Description=When the ops cycle of profile {profile} is due

[Timer]
OnCalendar={calendar}
AccuracySec=1s
# Called after a start of the machine too, if it was off at the time: ops notices and reports what was missed.
Persistent=true

[Install]
WantedBy=timers.target
"""


def install(job: Job, folder: Path, *, as_root: bool, now: datetime) -> Plan:
    """The units of a job, and the commands that put them in force.

    Raises:
        OpsError: the zone is not known.
        UsageError: a path cannot stand in a unit.
    """
    systemctl = _systemctl(as_root=as_root)
    notes = [f"runs as {job.user or 'root' if as_root else 'you'}"]
    if as_root and not job.user:
        notes[0] += "; --user NAME chooses somebody else"
    if gap := next(iter(in_gaps(job.schedule, now)), None):
        notes.append(f"on {gap.key[:10]} there is no {job.schedule.at:%H:%M} in {job.schedule.zone}: systemd skips it")
    return Plan(
        kind="systemd",
        name=job.name,
        files=units(job, folder, as_root=as_root),
        commands=((*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", f"{job.name}.timer")),
        steps=() if as_root else ("loginctl enable-linger, or it is due only while you are logged in",),
        notes=tuple(notes),
    )


def remove(job: Job, folder: Path, *, as_root: bool) -> Plan:
    """The same files, to be removed after the timer has been stopped."""
    systemctl = _systemctl(as_root=as_root)
    return Plan(
        kind="systemd",
        name=job.name,
        files=units(job, folder, as_root=as_root),
        before=((*systemctl, "disable", "--now", f"{job.name}.timer"),),
        commands=((*systemctl, "daemon-reload"),),
    )


def units(job: Job, folder: Path, *, as_root: bool) -> tuple[NewFile, ...]:
    """Service and timer."""
    command = " ".join(_word(word, "command") for word in (str(job.script), *job.arguments))
    profile = plain(job.profile, "profile").replace("%", "%%")
    service = SERVICE.format(
        own=OWN,
        profile=profile,
        user=f"User={plain(job.user, 'user')}\n" if as_root and job.user else "",
        environment=f"Environment={_quoted('OPS_PROGRAM=' + job.program, 'path of ops')}\n" if job.program else "",
        command=command,
        limit_s=job.limit_s + 60,
    )
    timer = TIMER.format(own=OWN, profile=profile, calendar=calendar(job.schedule))
    return (
        NewFile(path=folder / f"{job.name}.service", text=service),
        NewFile(path=folder / f"{job.name}.timer", text=timer),
    )


def calendar(schedule: Schedule) -> str:
    """The schedule as a calendar event of systemd: `Mon..Fri *-*-* 09:05:00 Asia/Seoul`."""
    numbers = sorted(schedule.weekdays)
    days = ",".join(DAYS[number] for number in numbers)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        days = f"{DAYS[numbers[0]]}..{DAYS[numbers[-1]]}"
    return f"{days} *-*-* {schedule.at:%H:%M}:00 {schedule.zone}"


def _systemctl(*, as_root: bool) -> tuple[str, ...]:
    return ("systemctl",) if as_root else ("systemctl", "--user")


def _quoted(text: str, what: str) -> str:
    escaped = plain(text, what).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _word(text: str, what: str) -> str:
    # In a command a dollar begins a variable; the program itself, /bin/sh, has none.
    return _quoted(text, what).replace("$", "$$")
