"""Who may do what: the table, that every command is in it, and that a host of the other role refuses each."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ops_core.cli import main
from ops_core.cli.app import VERBS, build_app
from ops_core.errors import Refused
from ops_core.handoff.roles import (
    COMMANDS,
    LOOPBACK,
    OPERATOR,
    PRODUCER,
    REQUESTS,
    TABLE,
    Act,
    act_of,
    line_of,
    may,
    requested,
    require,
    require_local,
)
from ops_core.operations import ROLES

# What the runbook's last section says: the producer, the operator, and what either is limited to.
RUNBOOK = {
    Act.BACKTEST: (True, False, ""),
    Act.DATA: (True, False, ""),
    Act.TUNING: (True, False, ""),
    Act.REPORTS: (True, True, "operator: regenerate only"),
    Act.CYCLE: (False, True, ""),
    Act.HEALTH: (False, True, ""),
    Act.PREVIEW: (False, True, "operator: on the console"),
    Act.DASHBOARD: (True, True, "producer: local only"),
}
# What some commands have to be given before they ask for anything else.
GIVEN: dict[str, dict[str, Any]] = {"schedule install": {"cron": True}}
TOML = """\
[profiles.default]
{role}
[profiles.default.targets.this-host.vars]
nothing = "to look at"
"""


def commands_of(app: typer.Typer, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Callable[..., Any]]]:
    """Every command below an application, with what is typed for it."""
    for command in app.registered_commands:
        if command.callback is not None and command.callback.__name__ != "_not_loaded":
            yield (*words, str(command.name)), command.callback
    for group in app.registered_groups:
        below = group.typer_instance
        assert below is not None
        path = (*words, str(group.name))
        if below.registered_callback is not None and below.registered_callback.callback is not None:
            yield path, below.registered_callback.callback
        yield from commands_of(below, path)


ALL = [(words, callback) for verb in VERBS for words, callback in commands_of(build_app([verb]))]
OTHERS = [
    (words, callback, role)
    for words, callback in ALL
    for role in ROLES
    if (act := act_of(words)) is not None and not may(role, act)
]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A host of a role: its repository, in which commands are typed."""
    for name in ("OPS_CONFIG", "OPS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def made(role: str) -> Path:
        (tmp_path / "ops.toml").write_text(TOML.format(role=f'role = "{role}"' if role else ""), encoding="utf-8")
        return tmp_path

    return made


def test_table_is_the_runbooks() -> None:
    """Each line says of both roles what the runbook says, with its limits."""
    told = {
        line.act: (
            line.allowed[PRODUCER],
            line.allowed[OPERATOR],
            "; ".join(f"{role}: {only['en']}" for role, only in line.only.items()),
        )
        for line in TABLE
    }
    assert told == RUNBOOK
    assert {PRODUCER, OPERATOR} == set(ROLES)
    assert all(set(line.title) == {"en", "ko"} for line in TABLE)


@pytest.mark.parametrize("act", Act)
def test_acts_are_allowed_as_the_table_says(act: Act) -> None:
    """Who may do an act is what its line says; of reports, the operator writes the old ones again and no new ones."""
    line = line_of(act)
    for role in ROLES:
        expected = line.allowed[role] and not (act is Act.REPORTS and role == OPERATOR)
        assert may(role, act) is expected
    assert may(None, act)


def test_every_verb_is_in_the_table() -> None:
    """Whoever adds a verb says whose it is; one that nobody knows would be the operator's."""
    assert set(VERBS) <= {words.split(" ")[0] for words in COMMANDS}
    assert act_of(["verb-of-tomorrow"]) is Act.CYCLE


def test_table_names_no_command_that_there_is_not() -> None:
    """An entry for words that nobody can type would promise what is not held."""
    there_are = {" ".join(words) for words, _ in ALL} | set(VERBS)
    named = {words for words in COMMANDS if words.split(" ")[0] in VERBS} - {"gate set REAL_ENABLED"}
    assert named <= there_are


def test_nothing_that_acts_is_left_to_a_producer() -> None:
    """What looks at live systems, repairs, sends or runs the day is the operator's, and publishing is not."""
    operators = (
        "observe", "bench", "remediate", "incident run", "rollout", "drill", "window request", "approve",
        "sender enable", "outbox add", "live-fire run", "cycle", "daily", "schedule install", "handoff pull",
        "handoff rollback", "live run", "live preview", "summary regenerate", "gate set REAL_ENABLED",
    )  # fmt: skip
    for typed in operators:
        act = act_of(typed.split(" "))
        assert act is not None, typed
        assert (may(PRODUCER, act), may(OPERATOR, act)) == (False, True), typed
    assert act_of(["handoff", "publish"]) is Act.BACKTEST
    assert not may(OPERATOR, Act.BACKTEST)


@pytest.mark.parametrize(
    ("words", "callback", "role"), OTHERS, ids=[f"{role} types {' '.join(words)}" for words, _, role in OTHERS]
)
def test_command_of_the_other_role_is_refused(
    words: tuple[str, ...], callback: Callable[..., Any], role: str, host: Callable[[str], Path]
) -> None:
    """Exactly the commands of the other host are refused, before anything is made or touched."""
    root = host(role)
    wanted = inspect.signature(callback).parameters
    given = {
        name: ["x"] if "list" in str(one.annotation) else "x"
        for name, one in wanted.items()
        if one.default is inspect.Parameter.empty and name != "context"
    }
    context = {"context": type("Context", (), {"invoked_subcommand": None})()} if "context" in wanted else {}
    with pytest.raises(Refused, match=f"^ops {' '.join(words)} is not done on the {role}'s host") as refused:
        callback(**given, **context, **GIVEN.get(" ".join(words), {}))
    assert refused.value.exit_code == 2
    assert f'role = "{role}"' in refused.value.where
    assert str(root / "ops.toml") in refused.value.where
    assert "ops roles" in refused.value.next_step
    assert [path.name for path in root.iterdir()] == ["ops.toml"]


def test_command_line_refuses_with_code_2(host: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """As typed: exit 2, and in JSON the four parts; what anybody may do goes on."""
    host(PRODUCER)
    assert main(["observe", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "ops observe is not done on the producer's host (health and drill: the operator alone)"
    assert told["allowed"] == 'role = "operator", or no role'
    assert main(["estop", "engage", "--reason", "whoever"]) != 2
    assert main(["roles"]) == 0


def test_only_opening_the_gate_is_the_operators(
    host: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Closing it is anybody's on any host, however it is spelt."""
    host(PRODUCER)
    assert main(["estop", "release", "--reason", "ready"]) == 0
    assert main(["gate", "set", "DRY_RUN", "--reason", "rest"]) == 0
    for mode in ("REAL_ENABLED", "real_enabled", " REAL_ENABLED "):
        assert main(["gate", "set", mode, "--reason", "real"]) == 2
    assert "the operator alone" in capsys.readouterr().err
    assert main(["gate", "status"]) == 0


def test_way_to_a_command_below_is_not_refused(host: Callable[[str], Path]) -> None:
    """`ops cycle latest` tells about this host, although `ops cycle` is the operator's."""
    host(PRODUCER)
    assert main(["estop", "release", "--reason", "ready"]) == 0
    assert main(["cycle"]) == 2
    assert main(["cycle", "latest"]) == 0


def test_without_a_role_nothing_is_refused(host: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A host that has none is both."""
    host("")
    assert main(["estop", "release", "--reason", "ready"]) == 0
    assert main(["gate", "set", "REAL_ENABLED", "--reason", "real"]) == 0
    assert main(["roles"]) == 0
    assert "this host has no role" in capsys.readouterr().out


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_table_is_shown_with_this_host_marked(
    lang: str, host: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The column of this host's role has a mark; each act is in the language asked for."""
    host(OPERATOR)
    assert main(["roles", "--lang", lang]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert "OPERATOR*" in head
    assert "PRODUCER*" not in head
    assert [row.startswith(line.title[lang]) for row, line in zip(rows, TABLE, strict=False)] == [True] * len(TABLE)
    assert main(["roles", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["role"] == OPERATOR
    assert told["acts"][3]["operator"] == {"allowed": True, "only": {"en": "regenerate only", "ko": "재생성만"}}


def test_refusal_names_the_act_where_no_command_was_typed() -> None:
    """Whoever asks below the command line gets the line of the table."""
    with pytest.raises(Refused, match=r"^backtest is not done on the operator's host"):
        require(OPERATOR, Act.BACKTEST)
    require(OPERATOR, Act.REGENERATE)
    require(None, Act.BACKTEST)


def test_producer_serves_its_own_host_alone() -> None:
    """Any address but loopback is refused on a producer, and nowhere else."""
    for host_name in LOOPBACK:
        require_local(PRODUCER, host_name)
    for host_name in ("0.0.0.0", "::", "192.0.2.1", "producer.example.com"):
        with pytest.raises(Refused, match="local only"):
            require_local(PRODUCER, host_name)
        require_local(OPERATOR, host_name)
        require_local(None, host_name)


def test_requests_that_only_tell_are_the_dashboards() -> None:
    """What is not in the table of requests is looking, or makes safer."""
    assert requested("GET /api/ops/health") is Act.DASHBOARD
    assert all(not may(PRODUCER, act) for act in REQUESTS.values())
