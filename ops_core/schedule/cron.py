"""A crontab with our lines in it, or without them; nobody else's line changes by a byte.

Lines are written in the zone that cron counts in. `CRON_TZ` is not used: Debian's cron does not know it, and where cron
does, it would move every line below ours as well.
"""

from __future__ import annotations

import re
import shlex
from datetime import datetime

from ops_core.errors import OpsError
from ops_core.operations import DAYS
from ops_core.schedule.local import local_times
from ops_core.schedule.plan import OWN, Job, Plan, plain
from ops_core.schedule.slots import Schedule

LINE_MAX_CHARS = 990  # Debian's cron takes 998 for the command, and cuts without a word
_ZONE_LINE = re.compile(r"""^\s*CRON_TZ\s*=\s*(["']?)(\S*?)\1\s*$""")


def install(job: Job, crontab: str, *, host_zone: str, reads_zone: bool, now: datetime) -> Plan:
    """The crontab with the lines of a job, in place of those it had. It is handed the crontab as it is.

    Where cron `reads_zone`, a CRON_TZ above our lines has put them into another zone than the host's.

    Raises:
        OpsError: our marks in the crontab are damaged, or a zone is not known.
        UsageError: a path cannot stand in a crontab.
    """
    above, _, below = split(crontab, job.name)
    zone = (_zone_in_force(above) if reads_zone else None) or host_zone
    block = render(job, zone, now)
    if above and not above.endswith("\n"):
        above += "\n"
    return Plan(
        kind="cron",
        name=job.name,
        crontab=(crontab, above + block + below),
        block=block,
        notes=(_explain(job.schedule, zone, now), f"what a cycle prints is added to {job.logs / 'cron.log'}"),
    )


def remove(job: Job, crontab: str) -> Plan:
    """The crontab without the lines of a job.

    Raises:
        OpsError: our marks in it are damaged.
    """
    above, block, below = split(crontab, job.name)
    return Plan(kind="cron", name=job.name, crontab=(crontab, above + below), block=block)


def render(job: Job, zone: str, now: datetime) -> str:
    """The lines of a job between their marks, on a clock of that zone."""
    schedule = job.schedule
    wanted = f"{schedule.at:%H:%M} {schedule.zone}, {days_text(schedule.weekdays)}"
    command = _command(job)
    lines = [
        f"{local.at.minute} {local.at.hour} * * {_days(local.weekdays)} {command}"
        for local in local_times(schedule, zone, now)
    ]
    comment = f"# {OWN}: {wanted}; these times are of {zone}"
    return "\n".join([_begin(job.name), comment, *lines, _end(job.name), ""])


def split(crontab: str, name: str) -> tuple[str, str, str]:
    """What stands above our lines, our lines with their marks, and what stands below.

    Raises:
        OpsError: only one of the marks is there, or they are there twice.
    """
    lines = crontab.split("\n")
    begins = [number for number, line in enumerate(lines) if line == _begin(name)]
    ends = [number for number, line in enumerate(lines) if line == _end(name)]
    if not begins and not ends:
        return crontab, "", ""
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise OpsError(
            "the marks around the lines of ops in the crontab are damaged; nothing was changed",
            where=f"lines {', '.join(str(number + 1) for number in sorted(begins + ends))}",
            allowed=f"once {_begin(name)!r} and below it once {_end(name)!r}",
            next_step="crontab -e and remove them by hand",
        )
    rest = "\n".join(lines[ends[0] + 1 :])
    above = "".join(line + "\n" for line in lines[: begins[0]])
    return above, "".join(line + "\n" for line in lines[begins[0] : ends[0] + 1]), rest


def days_text(weekdays: frozenset[int]) -> str:
    """`Mon-Fri`, `Mon, Wed`, `every day`."""
    numbers = sorted(weekdays)
    if len(numbers) == 7:
        return "every day"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{DAYS[numbers[0]]}-{DAYS[numbers[-1]]}"
    return ", ".join(DAYS[number] for number in numbers)


def _explain(schedule: Schedule, zone: str, now: datetime) -> str:
    times = [f"{local.at:%H:%M}" for local in local_times(schedule, zone, now)]
    wanted = f"{schedule.at:%H:%M} {schedule.zone}"
    if len(times) == 1:
        return f"cron counts in {zone}: {wanted} is always {times[0]} there"
    return (
        f"cron counts in {zone}, where {wanted} is {' or '.join(times)}, as clocks are put forward and back: "
        "there is a line for each, and `ops cycle --slot now` does nothing at the one that is not due"
    )


def _begin(name: str) -> str:
    return f"# >>> {name} >>>"


def _end(name: str) -> str:
    return f"# <<< {name} <<<"


def _days(weekdays: frozenset[int]) -> str:
    numbers = sorted((number + 1) % 7 for number in weekdays)
    if len(numbers) == 7:
        return "*"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(map(str, numbers))


def _command(job: Job) -> str:
    logs = str(job.logs)
    words = [f"OPS_PROGRAM={shlex.quote(job.program)}"] if job.program else []
    words += [shlex.quote(str(job.script)), *map(shlex.quote, job.arguments)]
    text = f"mkdir -p {shlex.quote(logs)}; {' '.join(words)} >>{shlex.quote(logs + '/cron.log')} 2>&1"
    # An unescaped % ends the command: what follows would be its standard input.
    line = plain(text, "command").replace("%", r"\%")
    if len(line.encode("utf-8")) > LINE_MAX_CHARS:
        raise OpsError(
            "the command is too long for a crontab", where=line[:80] + "…", allowed=f"{LINE_MAX_CHARS} bytes"
        )
    return line


def _zone_in_force(above: str) -> str | None:
    found = [match[2] for line in above.split("\n") if (match := _ZONE_LINE.match(line))]
    return found[-1] if found and found[-1] else None
