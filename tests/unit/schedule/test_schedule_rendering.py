"""What schedulers are told: times on another clock, crontabs, units, tasks and jobs, with awkward paths in them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import need_program

from ops_core.errors import OpsError, UsageError
from ops_core.schedule import cron, elsewhere, systemd
from ops_core.schedule.local import in_gaps, local_times
from ops_core.schedule.plan import Job
from ops_core.schedule.slots import Schedule, schedule_from, slots_from

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
AWKWARD = '/srv/it\'s 100% "ours" $HOME/repo'
NEW_YORK = Schedule(zone="America/New_York")
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def job(root: str = "/srv/ops", schedule: Schedule | None = None, **changes: object) -> Job:
    values: dict[str, object] = {
        "repository": PurePosixPath(root),
        "root": PurePosixPath(root),
        "profile": "live",
        "schedule": schedule or Schedule(),
        "logs": PurePosixPath(root) / "logs",
        "arguments": ("--profile", "live"),
        **changes,
    }
    return Job(**values)  # type: ignore[arg-type]  # the fields are those of a Job


def times(schedule: Schedule, host: str) -> list[tuple[str, list[int]]]:
    return [(f"{one.at:%H:%M}", sorted(one.weekdays)) for one in local_times(schedule, host, NOW)]


def test_zones_that_keep_their_distance_need_one_time() -> None:
    """09:05 in Seoul is always 00:05 UTC; in one's own zone it is itself, summer time or not."""
    assert times(Schedule(), "UTC") == [("00:05", [0, 1, 2, 3, 4])]
    assert times(Schedule(), "Asia/Tokyo") == [("09:05", [0, 1, 2, 3, 4])]
    assert times(NEW_YORK, "America/New_York") == [("09:05", [0, 1, 2, 3, 4])]


def test_zones_that_do_not_keep_their_distance_need_several_times() -> None:
    """09:05 in New York is 13:05 or 14:05 UTC, and in Los Angeles always 06:05."""
    assert times(NEW_YORK, "UTC") == [("13:05", [0, 1, 2, 3, 4]), ("14:05", [0, 1, 2, 3, 4])]
    assert times(NEW_YORK, "America/Los_Angeles") == [("06:05", [0, 1, 2, 3, 4])]
    assert times(NEW_YORK, "Europe/Berlin") == [("14:05", [0, 1, 2, 3, 4]), ("15:05", [0, 1, 2, 3, 4])]


def test_days_shift_with_the_clock() -> None:
    """Monday 00:10 in Seoul is Sunday in UTC."""
    assert times(schedule_from(zone="Asia/Seoul", at="00:10", days=("Mon",)), "UTC") == [("15:10", [6])]


@settings(max_examples=20, deadline=None)
@given(
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Seoul"]),
    host=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    at=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
def test_some_line_calls_at_each_slot(zone: str, host: str, at: time) -> None:
    """At the instant of each slot, the host's clock shows one of the times, on one of its days."""
    schedule = Schedule(zone=zone, at=at, weekdays=frozenset({0, 6}))
    known = {(one.at, day) for one in local_times(schedule, host, NOW) for day in one.weekdays}
    for slot in slots_from(schedule, NOW):
        if slot.at > NOW + timedelta(days=900):
            break
        local = slot.at.astimezone(ZoneInfo(host))
        assert (local.time().replace(fold=0), local.weekday()) in known


def test_a_crontab_gets_our_lines_between_marks() -> None:
    """The lines stand in the host's zone, and one is told so."""
    plan = cron.install(job(), "", host_zone="UTC", reads_zone=False, now=NOW)
    assert plan.crontab == ("", plan.block)
    name = plan.name
    assert plan.block.splitlines() == [
        f"# >>> {name} >>>",
        "# made by ops schedule: 09:05 Asia/Seoul, Mon-Fri; these times are of UTC",
        "5 0 * * 1-5 mkdir -p /srv/ops/logs; /srv/ops/deploy/run_ops_cycle.sh --profile live >>/srv/ops/logs/cron.log 2>&1",
        f"# <<< {name} <<<",
    ]
    assert plan.notes[0] == "cron counts in UTC: 09:05 Asia/Seoul is always 00:05 there"


def test_several_lines_are_explained() -> None:
    """Where the zones' distance changes, there is a line for each, and the note says which one does nothing."""
    plan = cron.install(job(schedule=NEW_YORK), "", host_zone="UTC", reads_zone=False, now=NOW)
    assert re.findall(r"^(\S+ \S+ \S+ \S+ \S+) mkdir", plan.block, re.MULTILINE) == ["5 13 * * 1-5", "5 14 * * 1-5"]
    assert "13:05 or 14:05" in plan.notes[0]
    assert "does nothing at the one that is not due" in plan.notes[0]


FOREIGN = st.lists(
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"])).filter(
        lambda s: "ops-cycle" not in s
    )
).map(lambda lines: "".join(line + "\n" for line in lines))


@settings(max_examples=40, deadline=None)
@given(above=FOREIGN, below=FOREIGN)
def test_foreign_lines_stay_byte_for_byte(above: str, below: str) -> None:
    """Installing twice is installing once, a change replaces our lines where they stand, removing leaves the rest."""
    once = cron.install(job(), above, host_zone="UTC", reads_zone=False, now=NOW)
    assert once.crontab is not None
    grown = once.crontab[1] + below
    assert grown.startswith(above)
    again = cron.install(job(), grown, host_zone="UTC", reads_zone=False, now=NOW)
    assert again.crontab == (grown, grown)
    later = job(schedule=Schedule(at=time(10, 0)))
    changed = cron.install(later, grown, host_zone="UTC", reads_zone=False, now=NOW)
    assert changed.crontab == (grown, above + changed.block + below)
    assert "0 1 * * 1-5" in changed.block
    assert cron.remove(job(), grown).crontab == (grown, above + below)
    assert cron.remove(job(), above).crontab == (above, above)


def test_two_jobs_share_a_crontab() -> None:
    """Each repository and each profile has marks of its own."""
    first, second, third = job(), job("/srv/other"), job(profile="test")
    assert len({one.name for one in (first, second, third)}) == 3
    text = ""
    for one in (first, second, third):
        plan = cron.install(one, text, host_zone="UTC", reads_zone=False, now=NOW)
        assert plan.crontab is not None
        text = plan.crontab[1]
    left = cron.remove(second, text).crontab
    assert left is not None
    assert second.name not in left[1]
    assert first.name in left[1]
    assert third.name in left[1]


def test_damaged_marks_are_left_to_a_person() -> None:
    """With one mark missing or doubled nothing is guessed; the lines are named."""
    block = cron.render(job(), "UTC", NOW)
    lines = block.splitlines(keepends=True)
    for broken in (lines[0], lines[-1], block + block, lines[-1] + lines[0]):
        with pytest.raises(OpsError, match="marks around the lines of ops in the crontab are damaged") as caught:
            cron.remove(job(), "# mine\n" + broken)
        assert "2" in caught.value.where


def test_a_foreign_zone_line_counts_where_cron_obeys_it() -> None:
    """Below CRON_TZ of somebody else, cronie counts in that zone and Debian's cron in the host's."""
    crontab = "CRON_TZ=America/New_York\n0 0 * * * true\n"
    obeyed = cron.install(job(schedule=NEW_YORK), crontab, host_zone="UTC", reads_zone=True, now=NOW)
    assert "\n5 9 * * 1-5 mkdir" in obeyed.block
    ignored = cron.install(job(schedule=NEW_YORK), crontab, host_zone="UTC", reads_zone=False, now=NOW)
    assert "\n5 13 * * 1-5 mkdir" in ignored.block


def test_awkward_paths_reach_the_shell_whole() -> None:
    """Blanks, quotes, dollars and per cent signs survive cron and sh."""
    block = cron.render(job(AWKWARD, program="/opt/x y/ops"), "UTC", NOW)
    line = block.splitlines()[2]
    assert not re.search(r"(?<!\\)%", line)
    words = shlex.split(line.replace(r"\%", "%"))
    assert words[5:8] == ["mkdir", "-p", f"{AWKWARD}/logs;"]
    assert words[8:10] == ["OPS_PROGRAM=/opt/x y/ops", f"{AWKWARD}/deploy/run_ops_cycle.sh"]


@pytest.mark.parametrize("path", ["/srv/a\nb", "/srv/a\tb", "/srv/\udcff"])
def test_a_path_that_would_begin_another_line_is_refused(path: str) -> None:
    """Nothing that no single line can hold is written."""
    for render in (
        lambda: cron.render(job(path), "UTC", NOW),
        lambda: systemd.units(job(path), Path("/x"), as_root=True),
        lambda: elsewhere.synology(job(path), "UTC", NOW),
        lambda: elsewhere.windows(job(path), "UTC", Path("x.xml"), NOW),
        lambda: elsewhere.kubernetes(job(path), Path("x.yaml"), image="i", claim="c", now=NOW),
    ):
        with pytest.raises(UsageError, match="cannot be written into a scheduler's file"):
            render()


def test_a_command_that_cron_would_cut_is_refused() -> None:
    """Debian's cron cuts long commands without a word."""
    with pytest.raises(OpsError, match="too long for a crontab"):
        cron.render(job("/srv/" + "x" * 400), "UTC", NOW)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (("Mon", "Tue", "Wed", "Thu", "Fri"), "Mon..Fri *-*-* 09:05:00 Asia/Seoul"),
        (("Mon", "Wed"), "Mon,Wed *-*-* 09:05:00 Asia/Seoul"),
        (("Sun",), "Sun *-*-* 09:05:00 Asia/Seoul"),
        (("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "Mon..Sun *-*-* 09:05:00 Asia/Seoul"),
    ],
)
def test_systemd_understands_the_calendar(days: tuple[str, ...], expected: str) -> None:
    """systemd itself says that the event is the next slot."""
    schedule = schedule_from(zone="Asia/Seoul", at="09:05", days=days)
    event = systemd.calendar(schedule)
    assert event == expected
    argv = [need_program("systemd-analyze"), "calendar", "--base-time", "2026-11-28 12:00:00 UTC", event]
    said = subprocess.run(argv, capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C"}, check=True).stdout
    assert f"{next(slots_from(schedule, NOW)).at:%Y-%m-%d %H:%M:%S} UTC" in said


@pytest.mark.parametrize("as_root", [True, False])
def test_systemd_accepts_the_units(tmp_path: Path, as_root: bool) -> None:
    """`systemd-analyze verify` has no complaint, also about awkward paths."""
    root = tmp_path / 'it\'s 100% "ours" $HOME'
    (root / "deploy").mkdir(parents=True)
    one = job(str(root), program="/bin/true", user="root" if as_root else "")
    plan = systemd.install(one, tmp_path, as_root=as_root, now=NOW)
    for file in plan.files:
        file.path.write_text(file.text, encoding="utf-8")
    argv = [
        need_program("systemd-analyze"),
        "verify",
        *([] if as_root else ["--user"]),
        *[str(f.path) for f in plan.files],
    ]
    environ = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ)
    about_ours = [line for line in done.stderr.splitlines() if one.name in line]
    assert (done.returncode, about_ours) == (0, []), done.stderr


def test_units_are_what_they_should_be() -> None:
    """A oneshot with arguments, bounded, and a persistent timer; commands for root and for a user."""
    one = job(AWKWARD, user="ops", program="/opt/x/ops")
    plan = systemd.install(one, Path("/etc/systemd/system"), as_root=True, now=NOW)
    service, timer = (file.text for file in plan.files)
    escaped = AWKWARD.replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    assert f'ExecStart=/bin/sh "{escaped}/deploy/run_ops_cycle.sh" "--profile" "live"\n' in service
    assert "\nUser=ops\n" in service
    assert '\nEnvironment="OPS_PROGRAM=/opt/x/ops"\n' in service
    assert "\nTimeoutStartSec=3960\n" in service
    assert "\nPersistent=true\n" in timer
    assert "\nOnCalendar=Mon..Fri *-*-* 09:05:00 Asia/Seoul\n" in timer
    assert plan.commands == (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", f"{one.name}.timer"))
    of_user = systemd.install(replace(one, user=""), Path("/home/x"), as_root=False, now=NOW)
    assert of_user.commands[0] == ("systemctl", "--user", "daemon-reload")
    assert "User=" not in of_user.files[0].text
    assert "enable-linger" in of_user.steps[0]


def test_who_skips_a_time_that_does_not_exist_is_told() -> None:
    """systemd and Kubernetes skip a time that does not exist; the first such day is named."""
    schedule = schedule_from(zone="America/New_York", at="02:30", days=("Sun",))
    assert [slot.key[:10] for slot in in_gaps(schedule, NOW)][:2] == ["2027-03-14", "2028-03-12"]
    one = job(schedule=schedule)
    assert "on 2027-03-14 there is no 02:30" in systemd.install(one, Path("/x"), as_root=True, now=NOW).notes[1]
    plan = elsewhere.kubernetes(one, Path("x.yaml"), image="i", claim="c", now=NOW)
    assert "on 2027-03-14 there is no 02:30" in plan.notes[1]


def test_a_task_for_windows() -> None:
    """Well-formed XML: a weekly trigger for each time of the host, one instance, bounded, with its arguments quoted."""
    one = replace(job(schedule=NEW_YORK), root=PureWindowsPath(r"C:\my & ops"))
    plan = elsewhere.windows(one, "Asia/Seoul", Path("/x/task.xml"), NOW)
    [file] = plan.files
    assert file.encoding == "utf-16"
    tree = ET.fromstring(file.text.encode("utf-16"))
    begins = [element.text for element in tree.iter(f"{TASK}StartBoundary")]
    assert begins == ["2026-11-30T22:05:00", "2026-11-30T23:05:00"]
    days = [[day.tag.removeprefix(TASK) for day in element] for element in tree.iter(f"{TASK}DaysOfWeek")]
    assert days == [["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]] * 2
    arguments = next(tree.iter(f"{TASK}Arguments")).text
    assert arguments == (
        r'-NoProfile -ExecutionPolicy Bypass -File "C:\my & ops\deploy\run_ops_cycle.ps1" --profile live'
    )
    assert [next(tree.iter(TASK + name)).text for name in ("MultipleInstancesPolicy", "ExecutionTimeLimit")] == [
        "IgnoreNew",
        "PT3900S",
    ]
    assert plan.steps == (rf'schtasks /Create /TN "{one.name}" /XML "C:\my & ops\deploy\task.xml"',)


def test_windows_paths_are_asked_for() -> None:
    """A path of another system is noticed, and an argument that a task cannot hold is refused."""
    assert "is no path of Windows" in elsewhere.windows(job(), "Asia/Seoul", Path("t.xml"), NOW).notes[1]
    with pytest.raises(UsageError, match="a task cannot hold this argument"):
        elsewhere.windows(job(arguments=('a"b',)), "Asia/Seoul", Path("t.xml"), NOW)


def test_steps_for_a_synology_nas() -> None:
    """One is told where to click and what to enter: each time, and the script."""
    plan = elsewhere.synology(job("/volume1/my project"), "Asia/Seoul", NOW)
    assert plan.files == ()
    assert "Schedule: Mon-Fri, first run time 09:05, frequency: once" in plan.steps
    assert plan.steps[-1].endswith("'/volume1/my project/deploy/run_ops_cycle.sh' --profile live")
    two = elsewhere.synology(job(schedule=NEW_YORK), "Asia/Seoul", NOW)
    assert [step[:40] for step in two.steps if step.startswith("Schedule")] == [
        "Schedule: Mon-Fri, first run time 22:05,",
        "Schedule: Mon-Fri, first run time 23:05,",
    ]


def test_a_cron_job_for_kubernetes() -> None:
    """In its own zone, never two at once, not after the slot is over, never again by itself."""
    plan = elsewhere.kubernetes(job(AWKWARD), Path("/x/job.yaml"), image="registry/ops:1", claim="ops-data", now=NOW)
    [file] = plan.files
    said = dict(re.findall(r"^\s*(?:- )?(\w+): (\S.*)$", file.text, re.MULTILINE))
    assert json.loads(said["schedule"]) == "5 9 * * 1,2,3,4,5"
    assert json.loads(said["timeZone"]) == "Asia/Seoul"
    assert said["concurrencyPolicy"] == "Forbid"
    assert said["startingDeadlineSeconds"] == "1800"
    assert (said["backoffLimit"], said["restartPolicy"]) == ("0", "Never")
    assert json.loads(said["command"]) == ["/bin/sh", f"{AWKWARD}/deploy/run_ops_cycle.sh", "--profile", "live"]
    assert json.loads(said["claimName"]) == "ops-data"
    assert len(said["name"]) <= 52
    assert plan.steps == ("kubectl apply -f /x/job.yaml",)


@settings(deadline=None)
@given(profile=st.text(min_size=1, max_size=80))
def test_names_fit_everywhere(profile: str) -> None:
    """A job's name suits crontab marks, unit files, tasks and Kubernetes, whatever the profile is called."""
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,50}[a-z0-9]", job(profile=profile).name)
