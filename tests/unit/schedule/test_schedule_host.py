"""The edge of `ops schedule`: nothing foreign is replaced, nothing that has changed, and what fails says how."""

from __future__ import annotations

import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops_core.errors import OpsError, Refused, UsageError
from ops_core.schedule import host
from ops_core.schedule.host import Host, Ran, run_program
from ops_core.schedule.plan import OWN, NewFile, Plan


@dataclass
class Programs:
    """A machine's programs: a crontab that is kept, and others that end as they are told."""

    crontab: bytes | None = None
    answers: dict[str, Ran] = field(default_factory=dict)
    called: list[tuple[str, ...]] = field(default_factory=list)
    swallow: bool = False

    def __call__(self, argv: Sequence[str], given: bytes = b"") -> Ran:
        self.called.append(tuple(argv))
        if argv[0] in self.answers:
            return self.answers[argv[0]]
        if argv[0] != "crontab":
            return Ran(code=0)
        if argv[-1] == "-l":
            if self.crontab is None:
                return Ran(code=1, errors=b"no crontab for ops\n")
            return Ran(code=0, output=self.crontab)
        if not self.swallow:
            self.crontab = None if argv[-1] == "-r" else given
        return Ran(code=0)


def machine(tmp_path: Path, programs: Programs | None = None, *, as_root: bool = False) -> Host:
    return Host(as_root=as_root, home=tmp_path, etc=tmp_path, run=programs or Programs())


def cron_plan(before: str, after: str) -> Plan:
    return Plan(kind="cron", name="n", crontab=(before, after))


def test_a_crontab_is_written_and_given_back(tmp_path: Path) -> None:
    """Bytes of any kind survive, and when nothing is left there is no crontab, as before."""
    programs = Programs()
    here = machine(tmp_path, programs)
    assert here.read_crontab() == ""
    here.carry_out(cron_plan("", "0 0 * * * true\n"))
    assert programs.crontab == b"0 0 * * * true\n"
    here.carry_out(cron_plan("0 0 * * * true\n", ""))
    assert programs.crontab is None
    programs.crontab = b"# \xff\xfe\r\n"
    text = here.read_crontab()
    here.carry_out(cron_plan(text, text + "# more\n"))
    assert programs.crontab == b"# \xff\xfe\r\n# more\n"


def test_a_user_is_named_to_crontab(tmp_path: Path) -> None:
    """The crontab of somebody else is asked for by name."""
    programs = Programs()
    machine(tmp_path, programs).read_crontab("ops")
    assert programs.called == [("crontab", "-u", "ops", "-l")]


def test_a_crontab_that_changed_is_left_alone(tmp_path: Path) -> None:
    """Who edits the crontab while we show what we would write loses nothing."""
    programs = Programs(crontab=b"# new\n")
    with pytest.raises(Refused, match="has changed in between"):
        machine(tmp_path, programs).carry_out(cron_plan("# old\n", "# old\n# ours\n"))
    assert programs.crontab == b"# new\n"


def test_nothing_to_change_is_not_written(tmp_path: Path) -> None:
    """Installing again touches nothing."""
    programs = Programs(crontab=b"# a\n")
    machine(tmp_path, programs).carry_out(cron_plan("# a\n", "# a\n"))
    assert programs.called == []


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        (Programs(answers={"crontab": Ran(code=None)}), "there is no program crontab on this machine"),
        (
            Programs(answers={"crontab": Ran(code=1, errors=b"x\nnot allowed\n")}),
            "the crontab cannot be read: not allowed",
        ),
        (Programs(swallow=True), "the crontab is not what was written"),
    ],
)
def test_what_cron_refuses_is_told(tmp_path: Path, programs: Programs, message: str) -> None:
    """No crontab program, no permission, and a crontab that did not take what was written."""
    with pytest.raises(OpsError, match=message):
        machine(tmp_path, programs).carry_out(cron_plan("", "# ours\n"))


def test_files_are_written_and_taken_away(tmp_path: Path) -> None:
    """Units first, commands then; on removal the other way round; a second removal does nothing."""
    programs = Programs()
    here = machine(tmp_path, programs)
    files = tuple(NewFile(path=tmp_path / "u" / name, text=f"# {OWN}\n") for name in ("a.service", "a.timer"))
    here.carry_out(Plan(kind="systemd", name="a", files=files, commands=(("systemctl", "enable", "a.timer"),)))
    assert [stat.S_IMODE(file.path.stat().st_mode) for file in files] == [0o644, 0o644]
    assert sorted(path.name for path in (tmp_path / "u").iterdir()) == ["a.service", "a.timer"]
    assert [host.state_of(file) for file in files] == ["installed", "installed"]
    gone = Plan(
        kind="systemd",
        name="a",
        files=files,
        before=(("systemctl", "disable"),),
        commands=(("systemctl", "daemon-reload"),),
    )
    assert here.take_away(gone) == tuple(file.path for file in files)
    assert [argv[1] for argv in programs.called] == ["enable", "disable", "daemon-reload"]
    assert here.take_away(gone) == ()
    assert len(programs.called) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_foreign_file_is_neither_replaced_nor_removed(tmp_path: Path, encoding: str) -> None:
    """What does not say that it is ours stays; an older one of ours is replaced."""
    file = NewFile(path=tmp_path / "x", text=f"<!-- {OWN} -->", encoding=encoding)
    plan = Plan(kind="windows", name="x", files=(file,))
    file.path.write_text("somebody's own", encoding=encoding)
    for act in (machine(tmp_path).carry_out, machine(tmp_path).take_away):
        with pytest.raises(Refused, match=f"was not {OWN}"):
            act(plan)
    assert file.path.read_text(encoding=encoding) == "somebody's own"
    file.path.write_text(f"older, {OWN}", encoding=encoding)
    assert host.state_of(file) == "differs"
    machine(tmp_path).carry_out(plan)
    assert file.path.read_text(encoding=encoding) == file.text


def test_a_foreign_file_stops_everything_before_anything_is_done(tmp_path: Path) -> None:
    """All files are looked at before the first is written."""
    (tmp_path / "b").write_text("somebody's own", encoding="utf-8")
    files = tuple(NewFile(path=tmp_path / name, text=OWN) for name in ("a", "b"))
    with pytest.raises(Refused):
        machine(tmp_path).carry_out(Plan(kind="systemd", name="n", files=files))
    assert not (tmp_path / "a").exists()


def test_a_command_that_fails_says_what_and_why(tmp_path: Path) -> None:
    """The last line of a failed program, its arguments and its code."""
    programs = Programs(answers={"systemctl": Ran(code=1, errors=b"Failed to connect to bus\n")})
    with pytest.raises(OpsError, match="systemctl failed: Failed to connect to bus") as caught:
        machine(tmp_path, programs).carry_out(
            Plan(kind="systemd", name="n", commands=(("systemctl", "daemon-reload"),))
        )
    assert caught.value.where == "systemctl daemon-reload (exit 1)"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where a folder is needed is an error with the path, and leaves nothing behind."""
    (tmp_path / "u").write_text("", encoding="utf-8")
    with pytest.raises(OpsError, match="cannot be"):
        machine(tmp_path).carry_out(
            Plan(kind="systemd", name="n", files=(NewFile(path=tmp_path / "u" / "a", text=OWN),))
        )
    assert [path.name for path in tmp_path.iterdir()] == ["u"]


@pytest.mark.parametrize(
    ("target", "timezone", "expected"),
    [
        ("/usr/share/zoneinfo/Asia/Seoul", None, "Asia/Seoul"),
        ("/usr/share/zoneinfo/posix/UTC", None, "UTC"),
        (None, "Europe/Berlin\n", "Europe/Berlin"),
    ],
)
def test_the_zone_of_the_hosts_clock(tmp_path: Path, target: str | None, timezone: str | None, expected: str) -> None:
    """It is where /etc/localtime leads, else what /etc/timezone says."""
    if target:
        folder = tmp_path / "usr" / "share" / "zoneinfo"
        (tmp_path / "localtime").symlink_to(folder / target.removeprefix("/usr/share/zoneinfo/"))
    if timezone:
        (tmp_path / "timezone").write_text(timezone, encoding="utf-8")
    assert machine(tmp_path).zone() == expected


def test_a_clock_of_no_known_zone_is_asked_for(tmp_path: Path) -> None:
    """Nothing is assumed: one says it with --host-zone."""
    with pytest.raises(OpsError, match="cannot be told") as caught:
        machine(tmp_path).zone()
    assert "--host-zone" in caught.value.next_step


@pytest.mark.parametrize(
    ("ran", "expected"),
    [(Ran(code=0, output=b"cronie 1.6.1\n"), True), (Ran(code=None), False), (Ran(code=1, errors=b"usage"), False)],
)
def test_only_cronie_is_trusted_with_zones(tmp_path: Path, ran: Ran, expected: bool) -> None:
    """What does not say that it is cronie does not know CRON_TZ."""
    assert machine(tmp_path, Programs(answers={"crond": ran})).cron_reads_zone() is expected


def test_programs_really_run() -> None:
    """Input, output, errors and code; a missing program is no exception."""
    code = "import sys; sys.stderr.write('e'); print(sys.stdin.read()); sys.exit(5)"
    ran = run_program((sys.executable, "-c", code), b"given")
    assert (ran.code, ran.output.strip(), ran.errors) == (5, b"given", b"e")
    assert run_program(("/nowhere/program",)).code is None


def test_a_program_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler's program that hangs is an error, not a hang."""
    monkeypatch.setattr(host, "COMMAND_LIMIT_S", 0.2)
    with pytest.raises(OpsError, match="did not end within"):
        run_program((sys.executable, "-c", "import signal; signal.pause()"))


def test_scripts_are_copied_once(tmp_path: Path) -> None:
    """Missing scripts are part of the plan; one that somebody changed stays, and one is told."""
    plan = host.with_scripts(Plan(kind="cron", name="n"), tmp_path)
    assert {file.path.relative_to(tmp_path / "deploy").as_posix() for file in plan.files} == {
        "run_ops.sh", "run_ops_cycle.sh", "run_daily_ops.sh",
        "oci/daily_ops.sh", "oci/check_live_cycle.sh", "oci/check_ops_summary.sh",
    }  # fmt: skip
    machine(tmp_path).carry_out(plan)
    assert all(stat.S_IMODE(file.path.stat().st_mode) == 0o755 for file in plan.files)
    assert host.with_scripts(Plan(kind="cron", name="n"), tmp_path) == Plan(kind="cron", name="n")
    changed = tmp_path / "deploy" / "run_ops.sh"
    changed.write_text("#!/bin/sh\n", encoding="utf-8")
    again = host.with_scripts(Plan(kind="cron", name="n"), tmp_path)
    assert (again.files, again.notes) == ((), (f"{changed} is not as shipped, and stays as it is",))
    [windows] = host.with_scripts(Plan(kind="windows", name="n"), tmp_path).files
    assert windows.path.name == "run_ops_cycle.ps1"


def test_the_ops_that_a_scheduler_would_not_find_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing where the script finds ops by itself, else the ops that is running, else an error."""
    monkeypatch.setattr(host, "SCHEDULERS_PATH", str(tmp_path / "nothing"))
    mine = tmp_path / "env" / "ops"
    mine.parent.mkdir()
    mine.write_text("", encoding="utf-8")
    mine.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(mine.with_name("python")))
    assert host.program_for(tmp_path) == str(mine)
    own = tmp_path / ".venv" / "bin" / "ops"
    own.parent.mkdir(parents=True)
    mine.rename(own)
    assert host.program_for(tmp_path) == ""
    own.unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="no ops can be found"):
        host.program_for(tmp_path)
