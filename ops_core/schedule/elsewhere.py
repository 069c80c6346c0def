"""Schedulers that are told by hand, or from another machine: Windows, a Synology NAS, Kubernetes.

Rendered as text and steps; nothing is started here. `host_zone` is the zone of the clock of the machine that will run
it, unless the scheduler knows zones.
"""

from __future__ import annotations

import json
import shlex
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.sax.saxutils import escape

from ops_core.errors import UsageError
from ops_core.schedule.cron import days_text
from ops_core.schedule.local import LocalTime, in_gaps, local_times
from ops_core.schedule.plan import OWN, Job, NewFile, Plan, plain
from ops_core.schedule.slots import next_slot

_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>ops cycle of profile {profile}: {wanted} ({own})</Description>
  </RegistrationInfo>
  <Triggers>
{triggers}
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT{limit_s}S</ExecutionTimeLimit>
  </Settings>
  <Actions>
    <Exec>
      <Command>powershell.exe</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{root}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""

TRIGGER = """\
    <CalendarTrigger>
      <StartBoundary>{begin}T{at}:00</StartBoundary>
      <ScheduleByWeek>
        <WeeksInterval>1</WeeksInterval>
        <DaysOfWeek>{days}</DaysOfWeek>
      </ScheduleByWeek>
    </CalendarTrigger>"""

CRONJOB = """\
# {own}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: {schedule}
  timeZone: {zone}
  concurrencyPolicy: Forbid
  # Later than that the slot is over: ops would do nothing, and reports it as missed.
  startingDeadlineSeconds: {grace_s}
  successfulJobsHistoryLimit: 7
  failedJobsHistoryLimit: 7
  jobTemplate:
    spec:
      # ops says by its exit code what happened; trying again is for a person to decide.
      backoffLimit: 0
      activeDeadlineSeconds: {limit_s}
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: ops
              image: {image}
              workingDir: {root}
              command: {command}
              volumeMounts:
                - name: repository
                  mountPath: {root}
          volumes:
            - name: repository
              persistentVolumeClaim:
                claimName: {claim}
"""


def windows(job: Job, host_zone: str, file: Path, now: datetime) -> Plan:
    """A task for the Task Scheduler as XML, and the line that registers it.

    Raises:
        OpsError: a zone is not known.
        UsageError: a path cannot stand in it.
    """
    root = PureWindowsPath(str(job.root))
    words = ["-NoProfile", "-ExecutionPolicy", "Bypass", "-File", str(root / "deploy" / "run_ops_cycle.ps1")]
    arguments = " ".join(_windows_word(plain(word, "command")) for word in (*words, *job.arguments))
    slot = next_slot(job.schedule, now)
    begin = (slot.at if slot else now).date().isoformat()
    text = TASK.format(
        own=OWN,
        profile=escape(plain(job.profile, "profile")),
        wanted=wanted(job),
        triggers="\n".join(_trigger(local, begin) for local in local_times(job.schedule, host_zone, now)),
        limit_s=job.limit_s,
        arguments=escape(arguments),
        root=escape(plain(str(root), "path")),
    )
    target = root / "deploy" / file.name
    notes = [_explain(job, host_zone, now)]
    if not root.drive:
        notes.append(f"{root} is no path of Windows: say with --root where the repository lies there")
    return Plan(
        kind="windows",
        name=job.name,
        files=(NewFile(path=file, text=text, encoding="utf-16"),),
        steps=(f'schtasks /Create /TN "{job.name}" /XML "{target}"',),
        notes=tuple(notes),
    )


def synology(job: Job, host_zone: str, now: datetime) -> Plan:
    """What to enter into the Task Scheduler of a Synology NAS.

    Raises:
        OpsError: a zone is not known.
        UsageError: a path cannot stand in it.
    """
    words = [f"OPS_PROGRAM={shlex.quote(job.program)}"] if job.program else []
    words += [shlex.quote(plain(word, "command")) for word in (str(PurePosixPath(job.script)), *job.arguments)]
    times = local_times(job.schedule, host_zone, now)
    each = ", once for each of the times" if len(times) > 1 else ""
    steps = (
        f"Control Panel > Task Scheduler > Create > Scheduled Task > User-defined script{each}",
        f"General: task {job.name}, user: the owner of {job.root}",
        *(f"Schedule: {days_text(one.weekdays)}, first run time {one.at:%H:%M}, frequency: once" for one in times),
        f"Task Settings > User-defined script: {' '.join(words)}",
    )
    return Plan(kind="synology", name=job.name, steps=steps, notes=(_explain(job, host_zone, now),))


def kubernetes(job: Job, file: Path, *, image: str, claim: str, now: datetime) -> Plan:
    """A CronJob, and the line that applies it. Strings are written as JSON, which YAML contains.

    Raises:
        OpsError: the zone is not known.
        UsageError: a text cannot stand in it.
    """
    schedule = job.schedule
    numbers = sorted((number + 1) % 7 for number in schedule.weekdays)
    command = ["/bin/sh", str(job.script), *job.arguments]
    text = CRONJOB.format(
        own=OWN,
        name=job.name,
        schedule=_yaml(f"{schedule.at.minute} {schedule.at.hour} * * {','.join(map(str, numbers))}"),
        zone=_yaml(schedule.zone),
        grace_s=int(schedule.grace.total_seconds()),
        limit_s=job.limit_s + 60,
        image=_yaml(image),
        root=_yaml(str(job.root)),
        command=f"[{', '.join(map(_yaml, command))}]",
        claim=_yaml(claim),
    )
    notes = [f"the volume {claim} holds the repository at {job.root}, with state/: without its state ops is stopped"]
    if gap := next(iter(in_gaps(schedule, now)), None):
        notes.append(f"on {gap.key[:10]} there is no {schedule.at:%H:%M} in {schedule.zone}: Kubernetes may skip it")
    return Plan(
        kind="kubernetes",
        name=job.name,
        files=(NewFile(path=file, text=text),),
        steps=(f"kubectl apply -f {shlex.quote(str(file))}",),
        notes=tuple(notes),
    )


def wanted(job: Job) -> str:
    """When it is due, for people: `09:05 Asia/Seoul, Mon-Fri`."""
    return f"{job.schedule.at:%H:%M} {job.schedule.zone}, {days_text(job.schedule.weekdays)}"


def _trigger(local: LocalTime, begin: str) -> str:
    days = "".join(f"<{_LONG_DAYS[number]} />" for number in sorted(local.weekdays))
    return TRIGGER.format(begin=begin, at=f"{local.at:%H:%M}", days=days)


def _explain(job: Job, host_zone: str, now: datetime) -> str:
    times = [f"{local.at:%H:%M}" for local in local_times(job.schedule, host_zone, now)]
    if len(times) == 1:
        return f"the times are of {host_zone}, the zone its clock must be set to (--host-zone names another)"
    return (
        f"the times are of {host_zone} (--host-zone names another); {job.schedule.at:%H:%M} {job.schedule.zone} is "
        f"{' or '.join(times)} there, and `ops cycle --slot now` does nothing at the one that is not due"
    )


def _windows_word(word: str) -> str:
    if '"' in word or word.endswith("\\"):
        raise UsageError("a task cannot hold this argument", where=word, allowed="no quote, no backslash at its end")
    return f'"{word}"' if not word or any(c in word for c in " \t&()^;,'") else word


def _yaml(text: str) -> str:
    return json.dumps(plain(text, "text"), ensure_ascii=False)
