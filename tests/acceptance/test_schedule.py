"""`ops schedule` as a person types it, with the real crontab of a user who is there for this test only."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import need_program

OPS = [sys.executable, "-c", "from ops_core.cli import run; run()"]
FOREIGN = b'# mine \xff\xfe\nMAILTO=""\n\n@daily\ttrue  \n0 0 * * * echo 100\\% >/dev/null\n'


def ops(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OPS_")}
    return subprocess.run([*OPS, *args], cwd=cwd, env=clean, capture_output=True, text=True, timeout=90)


def schedule(*args: str, cwd: Path, code: int = 0) -> str:
    done = ops("schedule", *args, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "my repo"
    folder.mkdir()
    (folder / "ops.toml").write_text("[profiles.default.targets.here]\nvars = { x = 1 }\n", encoding="utf-8")
    return folder


@pytest.fixture
def somebody() -> Iterator[str]:
    """A user of a name of its own, with no crontab; gone with it afterwards."""
    crontab, useradd, userdel = (need_program(name) for name in ("crontab", "useradd", "userdel"))
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a user")
    name = f"ops-{secrets.token_hex(6)}"
    subprocess.run([useradd, "--no-create-home", "--shell", "/usr/sbin/nologin", name], check=True)
    try:
        yield name
    finally:
        subprocess.run([crontab, "-u", name, "-r"], capture_output=True)
        subprocess.run([userdel, name], check=True, capture_output=True)


def crontab_of(name: str) -> bytes | None:
    done = subprocess.run(["crontab", "-u", name, "-l"], capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0 or b"no crontab for" in done.stderr
    return done.stdout if done.returncode == 0 else None


def test_a_real_crontab_gets_our_lines_and_gives_them_back(repository: Path, somebody: str) -> None:
    """Shown, then written between foreign lines, twice the same, then taken away: every foreign byte is where it was."""
    subprocess.run(["crontab", "-u", somebody, "-"], input=FOREIGN, check=True)
    argv = ("--cron", "--user", somebody)
    shown = schedule("install", *argv, "--host-zone", "UTC", cwd=repository)
    assert crontab_of(somebody) == FOREIGN
    assert not (repository / "deploy").exists()
    assert "next  the same again with --yes" in shown

    written = schedule("install", *argv, "--host-zone", "UTC", "--yes", cwd=repository)
    after = crontab_of(somebody)
    assert after is not None
    assert after.startswith(FOREIGN)
    ours = after.removeprefix(FOREIGN).decode()
    assert ours.splitlines()[2].startswith("5 0 * * 1-5 ")
    for line in ours.splitlines():
        assert f"  | {line}\n" in shown
        assert f"  | {line}\n" in written

    again = schedule("install", *argv, "--host-zone", "UTC", "--yes", cwd=repository)
    assert crontab_of(somebody) == after
    assert "nothing changes" in again

    would = schedule("remove", *argv, cwd=repository)
    assert crontab_of(somebody) == after
    assert all(f"  | {line}\n" in would for line in ours.splitlines())
    schedule("remove", *argv, "--yes", cwd=repository)
    assert crontab_of(somebody) == FOREIGN
    assert "nothing of it is installed here" in schedule("remove", *argv, "--yes", cwd=repository)


def test_without_a_crontab_before_there_is_none_afterwards(repository: Path, somebody: str) -> None:
    """Our lines alone make a crontab; it goes with them."""
    schedule("install", "--cron", "--user", somebody, "--host-zone", "UTC", "--yes", cwd=repository)
    assert crontab_of(somebody) is not None
    schedule("remove", "--cron", "--user", somebody, "--yes", cwd=repository)
    assert crontab_of(somebody) is None


def test_show_tells_what_is_installed(repository: Path, somebody: str) -> None:
    """The schedule, the coming slots, and whether cron knows of them as they are now."""
    argv = ("show", "--user", somebody, "--json")
    before = json.loads(schedule(*argv, cwd=repository))
    assert before["schedule"] == {
        "at": "09:05",
        "zone": "Asia/Seoul",
        "days": ["Mon", "Tue", "Wed", "Thu", "Fri"],
        "grace_minutes": 30,
    }
    assert [one["slot"][10:] for one in before["coming"]] == ["T09:05+09:00[Asia/Seoul]"] * 3
    assert before["installed"]["cron"] == "not installed"
    schedule("install", "--cron", "--user", somebody, "--yes", cwd=repository)
    assert json.loads(schedule(*argv, cwd=repository))["installed"]["cron"] == "installed"
    toml = repository / "ops.toml"
    toml.write_text(toml.read_text() + '\n[profiles.default.schedule]\nat = "10:00"\n', encoding="utf-8")
    assert json.loads(schedule(*argv, cwd=repository))["installed"]["cron"] == "differs"
    assert "10:00 Asia/Seoul" in schedule("show", "--user", somebody, cwd=repository)


def test_the_line_in_the_crontab_does_what_it_says(repository: Path, somebody: str) -> None:
    """Run as cron runs it: ops is called in its repository with the slot and the profile, and what it prints is logged."""
    program = repository / ".venv" / "bin" / "ops"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "in $PWD: $*"\n', encoding="utf-8")
    program.chmod(0o755)
    schedule("install", "--cron", "--user", somebody, "--host-zone", "UTC", "--yes", cwd=repository)
    text = (crontab_of(somebody) or b"").decode()
    command = text.splitlines()[2].split(None, 5)[5].replace(r"\%", "%")
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", command], check=True, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/"})
    log = (repository / "logs" / "cron.log").read_text(encoding="utf-8")
    assert log == f"in {repository}: cycle --slot now --profile default\n" * 2


def test_a_time_that_ops_toml_does_not_know_is_not_installed(repository: Path) -> None:
    """A scheduler that calls when no slot is due would do nothing for ever: shown with a note, refused with --yes."""
    argv = ("install", "--synology", "--at", "10:00", "--days", "Mon, Wed")
    shown = schedule(*argv, cwd=repository)
    assert "first run time 10:00" in shown
    assert "ops.toml has no slot then" in shown
    refused = schedule(*argv, "--yes", cwd=repository, code=64)
    assert 'at = "10:00"  zone = "Asia/Seoul"  days = ["Mon", "Wed"]' in refused
    assert not (repository / "deploy").exists()


@pytest.mark.parametrize(
    ("kind", "ending", "holds"),
    [
        (("--windows", "--root", "C:\\ops"), "xml", "run_ops_cycle.ps1"),
        (("--kubernetes", "--image", "registry/ops:1", "--root", "/ops"), "yaml", "/ops/deploy/run_ops_cycle.sh"),
    ],
)
def test_files_for_other_machines(repository: Path, kind: tuple[str, ...], ending: str, holds: str) -> None:
    """Written beside the scripts as shown, replaced when written again, removed alone."""
    shown = json.loads(schedule("install", *kind, "--json", cwd=repository))
    assert not (repository / "deploy").exists()
    done = json.loads(schedule("install", *kind, "--json", "--yes", cwd=repository))
    assert {**shown, "done": True} == done
    [path] = (repository / "deploy").glob(f"ops-cycle-*.{ending}")
    text = path.read_text(encoding="utf-16" if ending == "xml" else "utf-8")
    assert holds in text
    assert {"path": str(path), "text": text} in done["files"]
    schedule("install", *kind, "--yes", cwd=repository)
    before = {one.name for one in (repository / "deploy").iterdir()}
    schedule("remove", kind[0], "--yes", cwd=repository)
    assert before - {one.name for one in (repository / "deploy").iterdir()} == {path.name}


def test_systemd_is_shown_before_it_is_told(repository: Path) -> None:
    """Units, their places and the commands; nothing is written."""
    shown = json.loads(schedule("install", "--systemd", "--json", cwd=repository))
    units = [Path(file["path"]) for file in shown["files"] if file["path"].endswith((".service", ".timer"))]
    assert [path.suffix for path in units] == [".service", ".timer"]
    assert not any(path.exists() for path in units)
    assert [argv[-1] for argv in shown["commands"]] == ["daemon-reload", units[1].name]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("install", "no scheduler is named"),
        ("install --cron --systemd", "more than one scheduler is named"),
        ("install --kubernetes", "a CronJob needs an image"),
        ("install --cron --root /x", "--cron is about this machine"),
        ("install --synology --zone Asia/Soul", "this machine has no zone data for it"),
        ("install --synology --at 25:00", "'25:00' is no time of day"),
        ("install --synology --days Funday", "'Funday' is no day"),
        ("remove", "no scheduler is named"),
    ],
)
def test_what_is_typed_wrong_is_said(repository: Path, line: str, message: str) -> None:
    """Exit 64, with what is allowed."""
    said = schedule(*shlex.split(line), cwd=repository, code=64)
    assert message in said
    assert "allowed" in said
