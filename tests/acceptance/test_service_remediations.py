"""Remediations of a service that takes data, as people type them, on a real PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest
from postgresql import program
from support import need_program

from ops_core.drill.service_layout import INGEST, REDIS
from ops_core.drill.service_stack import GOOD_SCHEMA, ServiceStack
from ops_core.remediation.overlay import overlaid, settings_in

pytestmark = pytest.mark.slow
PEOPLE = ("kim", "lee", "park")
UNDECLARED = """
from alembic import op

revision = "0003"
down_revision = "0002"
reversible = True
{data_safe}


def upgrade():
    op.execute("ALTER TABLE items ADD COLUMN note text")


def downgrade():
    op.execute("ALTER TABLE items DROP COLUMN note")
"""


class Service:
    """A stack under a released control plane, and who types `ops` at it."""

    def __init__(self, stack: ServiceStack):
        self.stack = stack
        self.environ = {**os.environ, **stack.environ()}
        self.ops("estop", "release", "--reason", "rehearsal")
        self.ops("gate", "set", "MOCK_ONLY", "--reason", "rehearsal")
        self.keys = {name: stack.work_dir / f"{name}.pem" for name in PEOPLE}
        for name, path in self.keys.items():
            self.ops("operator", "add", name, "--new-key", str(path), "--scope", "window", "--scope", "approve")

    def ops(self, *words, code=0):
        """What a command says."""
        argv = [sys.executable, "-P", "-m", "ops_core.cli", *words]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode == code, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout + done.stderr

    def remediate(self, name, *more, code=0):
        return self.ops("remediate", name, "--target", INGEST, *more, code=code)

    def window(self):
        return json.loads(self.ops("window", "status", "--json"))["window"]

    def ask_for_keys(self, name="rollback_schema"):
        key = str(self.keys["kim"])
        self.ops("window", "request", "--remediation", name, "--target", INGEST, "--reason", "it is bad", "--key", key)
        return self.window()["permit_digest"]

    def approve(self, digest, *names):
        return [self.ops("approve", "--key", str(self.keys[name]), "--digest", digest) for name in names]

    def revision(self):
        with closing(self.stack.connect()) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]

    def batch(self, items):
        answer = self.stack.ask("/api/ingest", {"items": [{}] * items}, {"X-API-Key": self.stack.secret("API_KEY")})
        return answer[0]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One stack for all of them; each leaves it as it was."""
    program("initdb")
    need_program("redis-server")
    with ServiceStack(tmp_path_factory.mktemp("service") / "w") as running:
        yield Service(running)


def test_a_service_is_put_into_its_degraded_mode_and_taken_out_of_it(service):
    """Readiness says so, writes are refused, reading goes on; and back again, to the very configuration."""
    said = service.remediate("enter_degraded_mode", "--apply")
    assert "put ingest into its degraded mode (1.env.ops-degraded)" in said
    service.stack.wait(lambda: service.stack.ready() == (503, "degraded"), "it does not say that it is degraded")
    assert service.batch(1) == 503
    assert service.stack.ask("/api/items")[0] == 200
    assert "is degraded already" in service.remediate("enter_degraded_mode", code=3)
    service.remediate("leave_degraded_mode", "--apply")
    service.stack.wait(lambda: service.stack.ready() == (200, "ready"), "it does not get ready")
    assert service.stack.layout.in_force(INGEST)[1] == "1.env"


def test_limits_are_lowered_and_restored_when_their_time_is_over(service):
    """Half as many items are taken, until whoever comes along after half an hour gives the limits back."""
    service.remediate("lower_limits", "--apply")
    service.stack.wait(lambda: service.batch(51) == 413, "the limits are not in force")
    assert service.batch(50) == 202
    assert "nothing is in force longer than it was meant" in service.ops("remediate", "--restore")
    lowered = service.stack.layout.config_link(INGEST).with_name("1.env.ops-lowered")
    assert lowered.stat().st_mode & 0o077 == 0
    assert settings_in(lowered.read_text())["OPS_TEMPORARY_UNTIL"]
    lowered.write_text(overlaid(lowered.read_text(), {"OPS_TEMPORARY_UNTIL": "2026-01-01T00:00:00.000Z"}))
    assert "restore_limits" in service.ops("remediate", "--restore")
    service.stack.wait(lambda: service.batch(51) == 202, "the limits are not restored")
    assert service.stack.layout.in_force(INGEST)[1] == "1.env"


def test_a_migration_is_taken_back_with_two_keys_only(service):
    """Refused without; two people see the very steps and sign; then once, and not a second time."""
    assert "needs two keys: no window was requested" in service.remediate("rollback_schema", "--apply", code=2)
    digest = service.ask_for_keys()
    (shown, _) = service.approve(digest, "lee", "park")
    assert "step 1" in shown
    assert "downgrade" in shown
    assert service.revision() == GOOD_SCHEMA
    try:
        said = service.remediate("rollback_schema", "--apply")
        assert f"take the schema of ingest back from {GOOD_SCHEMA} to 0001" in said
        assert service.revision() == "0001"
        assert service.window()["status"] == "CONSUMED"
    finally:
        service.stack.migrate("upgrade", "head")
    assert "the window is CONSUMED" in service.remediate("rollback_schema", "--apply", code=2)
    assert service.revision() == GOOD_SCHEMA


def test_a_migration_that_comes_after_the_approval_is_another_plan(service):
    """What was approved is a step from one revision to another; with another one in force nothing is done."""
    path = service.stack.layout.versions / "rev_0003_note.py"
    digest = service.ask_for_keys()
    service.approve(digest, "lee", "park")
    path.write_text(UNDECLARED.format(data_safe="data_safe = True"))
    try:
        service.stack.migrate("upgrade", "head")
        assert "the plan is not the one that was approved" in service.remediate("rollback_schema", "--apply", code=2)
        assert service.revision() == "0003"
        assert service.window()["status"] == "ACTIVE"
        path.write_text(UNDECLARED.format(data_safe="data_safe = 1 == 1"))
        refused = service.remediate("rollback_schema", code=3)
        assert "the revision in force, 0003, does not declare data_safe = True" in refused
    finally:
        service.stack.migrate("downgrade", "-1")
        path.unlink()
        service.ops("window", "revoke", "--reason", "over")


def test_while_redis_stays_away_the_service_runs_degraded_and_comes_back_with_it(service):
    """Its restart fails, so the service is steadied and a person called; when Redis is back the mode is left."""
    stack = service.stack
    conf = stack.work_dir / "redis.conf"
    good = conf.read_text()
    stack.supervision.stop(REDIS)
    conf.write_text(good + "no-such-setting yes\n")
    said = service.ops("incident", "run", "--suite", "service", code=1)
    assert "because of it: ingest ready.degraded" in " ".join(said.split())
    assert "put ingest into its degraded mode (1.env.ops-degraded)" in said
    assert stack.layout.in_force(INGEST)[1] == "1.env.ops-degraded"
    conf.write_text(good)
    stack.supervision.start(REDIS)
    stack.wait(lambda: stack.answers(REDIS), "Redis does not come back")
    said = service.ops("incident", "run", "--suite", "service")
    assert "take ingest out of its degraded mode, back to 1.env" in said
    stack.wait(lambda: stack.ready() == (200, "ready"), "it does not get ready")
    assert stack.layout.in_force(INGEST)[1] == "1.env"


def test_the_password_of_the_database_is_in_no_plan_and_no_record(service):
    """It is read where the configuration says, by the process that needs it."""
    secret = service.stack.secret("POSTGRES_PASSWORD")
    assert secret not in service.remediate("rollback_schema")
    told = [path for path in service.stack.reports_dir.rglob("*") if path.is_file()]
    assert not [path for path in told if secret in path.read_text(errors="replace")]
