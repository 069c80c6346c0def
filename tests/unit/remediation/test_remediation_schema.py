"""Taking a migration back: what a migration declares, read and never run; and what is planned from it."""

import dataclasses
import socket
import threading
from pathlib import Path

import pytest

from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.errors import CannotLook
from ops_core.probes.migrations import declarations, script_folder
from ops_core.remediation import CommandSays, PlanContext, PlanRefused, schema
from ops_core.remediation.catalogue import load_folders
from ops_core.remediation.drivers import DriverUnanswered
from ops_core.remediation.schema import SchemaInForce, main, schema_in_force
from ops_core.targets import Target

SHIPPED = load_folders((content_dir() / "remediations",))
TARGET = Target(name="ingest")
FOUND = SchemaInForce(
    config=Path("/w/ops.toml"),
    profile="p",
    revision="0003",
    before="0002",
    reversible=True,
    data_safe=True,
    where="f",
    digest="d" * 64,
)
ROLLOUT = Target(
    name="ingest",
    rollout_running_argv=("rollout", "running"),
    rollout_halt_argv=("rollout", "halt"),
    rollout_resume_argv=("rollout", "resume"),
)
PROMISES = "reversible = True\ndata_safe = True\n"


def declared(tmp_path, text):
    folder = tmp_path / "versions"
    folder.mkdir(exist_ok=True)
    (folder / "rev.py").write_text(text)
    return declarations(tmp_path)


def planned(found):
    context = PlanContext(target=TARGET, findings=("ready.not_ok",), schema=lambda: found)
    return SHIPPED.get("rollback_schema").plan(context)


def test_what_a_migration_promises_is_read_as_it_stands(tmp_path):
    """Literals of the module, annotated or not; the file is never run."""
    text = f'revision: str = "2"\ndown_revision = "1"\n{PROMISES}raise SystemExit("it was run")\n'
    (one,) = declared(tmp_path, text).values()
    assert (one.revision, one.before, one.reversible, one.data_safe, one.several) == ("2", "1", True, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reversible = data_safe = True\n",
        "reversible = 1\ndata_safe = 'True'\n",
        "reversible = not False\ndata_safe = bool(1)\n",
        "# reversible = True\n'data_safe = True'\n",
        "if True:\n    reversible = True\n    data_safe = True\n",
        "def upgrade():\n    reversible = True\n    data_safe = True\n",
        f"{PROMISES}reversible = False\ndata_safe = False\n",
        f"{PROMISES}if x:\n    reversible = False\n    data_safe = False\n",
        "reversible, data_safe = True, True\n",
        f"{PROMISES}from other import reversible, data_safe\n",
        f"{PROMISES}def reversible():\n    global data_safe\n    data_safe = 1\n",
        f"{PROMISES}for reversible in y:\n    data_safe = 0\n",
    ],
)
def test_a_promise_is_exactly_true_set_once_at_the_top(tmp_path, text):
    """Anything that merely counts as true, stands in a branch, or is set again, promises nothing."""
    (one,) = declared(tmp_path, f'revision = "2"\ndown_revision = None\n{text}').values()
    assert (one.reversible, one.data_safe, one.before) == (False, False, None)


@pytest.mark.parametrize("before", ['("1", "0")', "compute()", None])
def test_a_revision_that_does_not_say_the_one_before_it_has_no_single_step_back(tmp_path, before):
    """A join of several, what has to be computed, or nothing at all."""
    text = "" if before is None else f"down_revision = {before}\n"
    (one,) = declared(tmp_path, f'revision = "2"\n{text}{PROMISES}').values()
    assert one.several


def test_migrations_that_cannot_be_read_are_no_ground_to_act_on(tmp_path):
    """A file that is no Python, two of one revision; what declares no revision is none."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "__init__.py").write_text('"""Nothing."""\n')
    assert declarations(tmp_path) == {}
    with pytest.raises(CannotLook, match="cannot be read"):
        declared(tmp_path, "revision = ")
    (tmp_path / "versions" / "other.py").write_text('revision = "2"\n')
    with pytest.raises(CannotLook, match="two migrations are the revision 2"):
        declared(tmp_path, 'revision = "2"\n')


def test_the_folder_of_migrations_is_the_one_that_alembic_is_told(tmp_path):
    """Relative to the file, or with %(here)s; without one nothing is planned."""
    ini = tmp_path / "alembic.ini"
    for text in ("%(here)s/migrations", "migrations"):
        ini.write_text(f"[alembic]\nscript_location = {text}\n")
        assert script_folder(ini) == tmp_path / "migrations"
    ini.write_text("[other]\n")
    with pytest.raises(CannotLook, match="No section"):
        script_folder(ini)
    with pytest.raises(CannotLook, match="No such file"):
        script_folder(tmp_path / "none.ini")


def test_the_plan_is_one_step_back_and_one_forth_and_needs_two_keys():
    """Bound to the revision in force; the findings are no part of what two people approve."""
    plan = planned(FOUND)
    assert plan.two_keys
    assert plan.findings == ()
    (step,), (back,) = plan.steps, plan.undo
    assert step.argv[3:] == (
        "ops_core.remediation.schema", "downgrade", "--config", "/w/ops.toml", "--profile", "p", "--target", "ingest",
        "--from", "0003", "--to", "0002", "--sha256", "d" * 64,
    )  # fmt: skip
    assert isinstance(step.outcome, CommandSays)
    assert step.outcome.argv[4] == "at"
    assert (back.argv[4], back.argv[-5:-2]) == ("upgrade", ("0002", "--to", "0003"))
    assert "--from" in back.argv
    assert plan.digest == planned(FOUND).digest
    assert plan.digest != planned(dataclasses.replace(FOUND, digest="e" * 64)).digest
    assert type(plan).from_json(plan.to_json()) == plan


@pytest.mark.parametrize("missing", ["reversible", "data_safe"])
def test_without_both_promises_no_plan_is_made(missing):
    """A person decides then: no key, no gate and no hand makes up for a promise that is not there."""
    with pytest.raises(PlanRefused, match=f"does not declare {missing} = True") as caught:
        planned(dataclasses.replace(FOUND, **{missing: False}))
    assert "a person decides" in caught.value.next_step


def test_a_database_that_nobody_can_ask_is_not_migrated(tmp_path):
    """Not planned; and whoever takes the step hears that nobody can tell."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = .\n")
    (tmp_path / "ops.toml").write_text(
        "[profiles.default.targets.ingest]\nmigrations = 'alembic.ini'\n"
        "database_url = 'postgresql://me@127.0.0.1:1/x'\n[profiles.default.targets.other]\n"
    )
    settings = load_settings(tmp_path / "ops.toml", environ={})
    with pytest.raises(PlanRefused, match="the database cannot be asked"):
        schema_in_force(settings, settings.target("ingest"))
    with pytest.raises(PlanRefused, match="has no migrations"):
        schema_in_force(settings, settings.target("other"))
    about = ["--config", str(settings.path), "--profile", "default", "--target", "ingest", "--from", "2", "--to", "1"]
    assert main(["at", *about]) == 127
    assert main(["downgrade", *about]) == 127


@pytest.mark.parametrize("act", ["downgrade", "upgrade"])
def test_a_migration_that_was_changed_since_is_not_run(tmp_path, monkeypatch, act):
    """What two people approved is what stood in the file: of another one nothing is run, nor of one that is gone."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = .\n")
    (tmp_path / "ops.toml").write_text(
        "[profiles.default.targets.ingest]\nmigrations = 'alembic.ini'\n"
        "database_url = 'postgresql://me@127.0.0.1:1/x'\n"
    )
    text, ran = f'revision = "2"\ndown_revision = "1"\n{PROMISES}', []
    digest = declared(tmp_path, text)["2"].digest
    at, to = ("2", "1") if act == "downgrade" else ("1", "2")
    monkeypatch.setattr("ops_core.remediation.schema.revision_now", lambda *_: at)
    monkeypatch.setattr("ops_core.remediation.schema._alembic", lambda *_: ran.append(act) or 0)
    about = ["--config", str(tmp_path / "ops.toml"), "--profile", "default", "--target", "ingest"]
    steps = [act, *about, "--from", at, "--to", to]
    assert main([*steps, "--sha256", digest]) == 0
    assert main(steps) == 2
    declared(tmp_path, f"{text}x = 1\n")
    assert main([*steps, "--sha256", digest]) == 2
    (tmp_path / "versions" / "rev.py").unlink()
    assert main([*steps, "--sha256", digest]) == 2
    assert ran == [act]


def test_a_rollout_is_halted_by_the_operators_own_command():
    """What says whether one is under way says whether it was halted; the way back resumes it."""
    plan = SHIPPED.get("halt_rollout").plan(PlanContext(target=ROLLOUT))
    assert plan.steps[0].argv == ("rollout", "halt")
    assert plan.steps[0].outcome == CommandSays(argv=("rollout", "running"), yes=False)
    assert plan.undo[0].outcome == CommandSays(argv=("rollout", "running"), yes=True)
    plan = SHIPPED.get("halt_rollout").plan(PlanContext(target=dataclasses.replace(ROLLOUT, rollout_resume_argv=())))
    assert (plan.undo, "rollout_resume_argv" in plan.no_undo["ko"]) == ((), True)
    with pytest.raises(PlanRefused, match="nobody knows how to halt"):
        SHIPPED.get("halt_rollout").plan(PlanContext(target=TARGET))


def lets_in_and_says_no_more(listening):
    """A PostgreSQL that takes whoever comes, and then hangs."""
    kept = []
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            break
        kept.append(connection)
        # Requests for encryption are declined; the start itself is answered with "ok, ready".
        while (head := connection.recv(8)) and int.from_bytes(head[4:8], "big") in (80877103, 80877104):
            connection.sendall(b"N")
        connection.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
    for connection in kept:
        connection.close()


def test_a_database_that_hangs_after_letting_us_in_costs_a_limited_time(tmp_path, monkeypatch):
    """Whoever plans holds the lock of incidents: nobody may keep it from him for ever."""
    monkeypatch.setattr(schema, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=lets_in_and_says_no_more, args=(listening,))
        server.start()
        url = f"postgresql://ingest@127.0.0.1:{listening.getsockname()[1]}/ingest"
        (tmp_path / "ops.toml").write_text(f"[profiles.default.targets.ingest]\ndatabase_url = '{url}'\n")
        settings = load_settings(tmp_path / "ops.toml", environ={})
        try:
            with pytest.raises(DriverUnanswered) as error:
                schema.revision_now(settings, settings.target("ingest"))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            server.join(10)
    assert error.value.what == "the database gave no answer within 0.5 s"
