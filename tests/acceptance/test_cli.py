"""The command `ops` as a person types it: real processes, real files, exit codes and messages.

Repositories are made, and wrong things typed, by forks of a process that has imported `ops` already: they are many.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core.cli.app import VERBS
from tests.killing import typed
from tests.operating import Told

OPS = [sys.executable, "-c", "from ops_core.cli import run; run()"]


def environ() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("OPS_")}


def ops(*args: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OPS, *args], cwd=cwd, env={**environ(), **(env or {})}, capture_output=True, text=True, timeout=90
    )


def forked(*args: str, cwd: Path) -> Told:
    """`ops`, without the start of an interpreter."""
    told = typed(args, cwd, environ())
    assert told is not None
    return told


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    done = forked("init", "mine", cwd=tmp_path)
    assert done.code == 0, done.err
    return tmp_path / "mine"


def test_new_repository_runs_at_once(repository: Path) -> None:
    """After `ops init`, looking is HEALTHY, doctor finds everything in order, decide has nothing to decide."""
    seen = ops("observe", cwd=repository)
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert "VERDICT   HEALTHY" in seen.stdout
    doctor = ops("doctor", cwd=repository)
    assert (doctor.returncode, doctor.stdout.splitlines()[-1]) == (0, "in order")
    decided = ops("decide", cwd=repository)
    assert decided.returncode == 0
    assert decided.stdout.startswith("observation 2")


PARTS = {
    *("python", "plugin", "ops.toml", "decision table", "store", "control", "host key", "contracts", "mirrors", "logs"),
    *("works", "reports", "logs folder", "schedule"),
}


def examined(repository: Path, code: int) -> dict[str, dict[str, object]]:
    """What doctor says about each part."""
    done = ops("doctor", "--json", cwd=repository)
    assert done.returncode == code, done.stdout + done.stderr
    return {answer["what"]: answer for answer in json.loads(done.stdout)["answers"]}


def test_doctor_looks_at_every_part_and_changes_none(repository: Path) -> None:
    """In a new repository each part is in order, or worth a note; the store is what it was before."""
    before = (repository / "control" / "control.db").read_bytes()
    answers = examined(repository, 0)
    assert set(answers) == PARTS
    assert all(answer["fine"] is True for what, answer in answers.items() if what != "schedule"), answers
    assert answers["schedule"]["fine"] is not False
    assert (repository / "control" / "control.db").read_bytes() == before


@pytest.mark.parametrize(
    ("harm", "what", "said"),
    [
        ("key", "host key", "chmod 600"),
        ("contract", "contracts", "ops contracts show"),
        ("mirror", "mirrors", "ops audit mirrors"),
        ("log", "logs", "ops audit accept"),
        ("secret", "secret NOT_HERE", "ops secrets"),
        ("fire", "works", "ops live-fire status"),
        ("store", "control", "ops estop release"),
    ],
)
def test_doctor_names_what_would_fail_and_what_to_type(repository: Path, harm: str, what: str, said: str) -> None:
    """Each part that somebody harmed is the one that is WRONG, with the next step."""
    if harm == "key":
        (repository / "control" / "host_key.pem").chmod(0o644)
    elif harm == "contract":
        (repository / "docs" / "contracts" / "execution_allowlist_v1.json").write_text("{}")
    elif harm == "mirror":
        mirror = repository / "state" / "execution_gate.json"
        mirror.write_text(mirror.read_text().replace("DRY_RUN", "REAL_ENABLED"))
    elif harm == "log":
        (repository / "logs" / "ops.log").write_text("")
    elif harm == "secret":
        with (repository / "ops.toml").open("a") as toml:
            toml.write('\n[profiles.default.secrets]\nNOT_HERE = { file = "secrets/NOT_HERE" }\n')
    elif harm == "fire":
        with sqlite3.connect(repository / "control" / "control.db") as store:
            receipt = json.dumps({"fire_id": "F-1", "work": "live_fire-gone"})
            columns = [row[1] for row in store.execute("PRAGMA table_info(fire)")]
            values = {"id": "F-1", "outcome": "OPEN", "receipt": receipt}
            row = [values.get(column, "") for column in columns]
            store.execute(f"INSERT INTO fire VALUES ({', '.join('?' * len(row))})", row)
        store.close()
    else:
        (repository / "control" / "control.db").unlink()
    answers = examined(repository, 3)
    assert [name for name, answer in answers.items() if answer["fine"] is False] == [what]
    assert said in f"{answers[what]['detail']} {answers[what]['next_step']}"
    told = ops("doctor", cwd=repository).stdout.splitlines()
    assert told[-1] == f"1 of {len(answers)} are wrong"


def test_bare_pytest_touches_nothing(repository: Path) -> None:
    """In a user's repository `pytest` alone collects no operational check."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=repository, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 5, done.stdout
    assert not (repository / "reports").exists()


def test_findings_end_with_one_and_say_what_to_do(repository: Path) -> None:
    """A failing check of one's own: exit 1, its row in the table speaks, decide says the same in JSON."""
    toml = repository / "ops.toml"
    toml.write_text(toml.read_text().replace("room_min_percent = 5", "room_min_percent = 101"))
    seen = ops("observe", "--json", cwd=repository)
    assert seen.returncode == 1
    document = json.loads(seen.stdout)
    assert document["verdict"] == "UNHEALTHY"
    decided = ops("decide", "--json", cwd=repository)
    assert decided.returncode == 1
    (decision,) = json.loads(decided.stdout)["decisions"]
    assert (decision["row_id"], decision["target"], decision["remediation"]) == ("disk-low", "this-host", None)


def test_replay_judges_a_recording_with_the_checks_of_today(repository: Path) -> None:
    """A recording that was HEALTHY is UNHEALTHY under a stricter check, and a damaged one is a clear error."""
    assert ops("observe", cwd=repository).returncode == 0
    check = repository / "checks" / "observe" / "check_disk.py"
    check.write_text(check.read_text().replace("assert free >= least", "assert free > 1000"))
    latest = repository / "reports" / "observe" / "latest.json"
    assert ops("observe", "--replay", str(latest), cwd=repository).returncode == 1
    latest.write_text(latest.read_text()[:-100])
    broken = ops("observe", "--replay", str(latest), cwd=repository)
    assert broken.returncode == 64
    assert "the report cannot be read" in broken.stderr


def test_emergency_stop_and_gate(repository: Path) -> None:
    """Engaging needs no reason, releasing does; the gate takes its modes and nothing else; a missing store is stopped."""
    assert "released" in ops("estop", "status", cwd=repository).stdout
    assert ops("estop", "engage", cwd=repository).returncode == 0
    assert "ENGAGED" in ops("estop", "status", cwd=repository).stdout
    refused = ops("estop", "release", cwd=repository)
    assert (refused.returncode, "--reason" in refused.stderr) == (64, True)
    assert ops("estop", "release", "--reason", "tested", cwd=repository).returncode == 0
    assert json.loads(ops("gate", "status", "--json", cwd=repository).stdout)["gate_in_force"] == "DRY_RUN"
    wrong = ops("gate", "set", "WIDE_OPEN", "--reason", "x", cwd=repository)
    assert (wrong.returncode, "DRY_RUN" in wrong.stderr) == (64, True)
    assert ops("gate", "set", "MOCK_ONLY", "--reason", "a drill", cwd=repository).returncode == 0
    for file in (repository / "control").iterdir():
        file.unlink()
    assert "ENGAGED" in ops("estop", "status", cwd=repository).stdout
    assert ops("observe", cwd=repository).returncode == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["no-such-verb"], 64, "No such command"),
        (["observe", "--suite", "nope"], 64, "there is no suite 'nope'"),
        (["observe", "--profile", "nope"], 64, "there is no profile 'nope'"),
        (["decide", "nowhere.json"], 64, "the report does not exist"),
        (["decide"], 64, "the report does not exist"),
        (["observe", "--lang", "fr"], 64, "there is no language 'fr'"),
        (["init"], 2, "is there already; nothing was written"),
        (["gate", "set", "REAL_ENABLED", "--reason", "x", "--for", "1y"], 64, "is not a span of time"),
        (["observe", "--config", "nowhere.toml"], 64, "does not exist"),
        (["drill", "no-such-fault"], 64, "there is no fault 'no-such-fault'"),
        (["drill", "inject"], 64, "takes one fault"),
        (["drill", "status"], 64, "no embedded stack"),
        (["incident", "show", "20260101T000000Z-abcdef"], 64, "there is no incident"),
        (["incident", "resume", "../../etc/passwd"], 64, "there is no incident"),
        (["postmortem"], 64, "no incident in profile"),
        (["postmortem", "damaged.json"], 64, "the record cannot be read"),
        (["postmortem", "wrong.json"], 64, "the key 'profile' is missing"),
        (["remediate", "damaged.json"], 64, "the report cannot be read"),
        (["remediate", "--target", "nobody"], 64, "there is no target 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_a_message_not_a_traceback(repository: Path, args: list[str], code: int, said: str) -> None:
    """Whatever is typed wrong: a message, the right exit code, and the same in JSON."""
    (repository / "damaged.json").write_text('{"runbook": {"schema": 1, ')
    (repository / "wrong.json").write_text('{"schema": 1, "id": 7}')
    done = forked(*args, cwd=repository)
    assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), done.err
    document = forked(*args, "--json", cwd=repository).json()
    assert document["exit_code"] == code


@pytest.mark.parametrize(
    "args", [["gate", "status"], ["observe", "--lang", "fr"], ["doctor", "--json"], ["no-such-verb"]]
)
def test_a_fork_says_what_a_started_process_says(repository: Path, args: list[str]) -> None:
    """Exit code, output and errors are the same, so that most tests can do without the start."""
    started, told = ops(*args, cwd=repository), forked(*args, cwd=repository)
    assert (told.code, told.out, told.err) == (started.returncode, started.stdout, started.stderr)


def test_help_names_every_verb(tmp_path: Path) -> None:
    """`ops --help` lists the verbs in full and the exit codes, and works where there is no configuration."""
    done = ops("--help", cwd=tmp_path, env={"COLUMNS": "80"})
    assert done.returncode == 0
    for word in VERBS:
        assert f"  {word} " in done.stdout
    assert "64 usage" in " ".join(done.stdout.split())
    assert "..." not in done.stdout.partition("Commands:")[2], "a line is too long for 80 columns"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_verbs(tmp_path: Path, shell: str) -> None:
    """Shell completion offers the verbs."""
    words = {"COMP_WORDS": "ops es", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "ops es"}
    done = ops(
        cwd=tmp_path, env={"_OPS_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **words}
    )
    assert "estop" in done.stdout, done.stdout + done.stderr
