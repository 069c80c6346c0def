"""A profile that runs cycles at a real store, on a clock that stands until it is moved, and cycles in other processes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from ops_core.clock import ManualClock, new_run_id
from ops_core.config import load_settings
from ops_core.control.contracts import accept
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator, approve_window, request_window, sign
from ops_core.cycle import records
from ops_core.cycle.run import run
from ops_core.push import add_message, offer

# A Monday, five past nine in Seoul.
DUE = datetime(2026, 1, 5, 0, 5, tzinfo=UTC)
SLOT = "2026-01-05T09:05+09:00[Asia/Seoul]"
PEOPLE = ("ann", "bob", "cho")
OPS_TOML = """
suites = ["daily"]
[profiles.default]
contracts_dir = "contracts"
{store}

[profiles.default.schedule]
{schedule}

[profiles.default.cycle]
{cycle}

[profiles.default.push]
telegram_url = "{url}"
telegram_token = "BOT_TOKEN"
telegram_chat = "BOT_CHAT"

[profiles.default.secrets]
BOT_TOKEN = {{ file = "BOT_TOKEN" }}
BOT_CHAT = {{ file = "BOT_CHAT" }}
STORE_PASSWORD = {{ file = "STORE_PASSWORD" }}

[profiles.default.targets.api.vars]
nothing = "to look at"
"""


class World:
    """A repository with a released control plane whose contracts are accepted."""

    def __init__(self, root: Path, *, clock=None, cycle="", schedule="", store=("", ""), settle=True):
        self.root, self.store = root, store[0]
        self.clock = clock or ManualClock(DUE)
        root.mkdir(parents=True, exist_ok=True)
        for name, value in (
            ("BOT_TOKEN", "1234567:AAEx-made-up_token"),
            ("BOT_CHAT", "-100987654321"),
            ("STORE_PASSWORD", store[1] or "none-is-needed"),
        ):
            (root / name).write_text(value)
            (root / name).chmod(0o600)
        (root / "contracts").mkdir(exist_ok=True)
        allowlist = {"contract": "execution_allowlist_v1", "request_types": ["OPS_CYCLE", "LIVE_FIRE"]}
        self.allowlist = root / "contracts" / "execution_allowlist_v1.json"
        self.allowlist.write_text(json.dumps(allowlist))
        self.configure(cycle=cycle, schedule=schedule)
        if settle:
            self.plane.create()
            self.plane.release("ready")
            accept(self.plane, self.settings, "ours")

    def configure(self, *, cycle="", schedule="", url="http://127.0.0.1:9"):
        text = OPS_TOML.format(cycle=cycle, schedule=schedule, url=url, store=self.store)
        (self.root / "ops.toml").write_text(text)
        self.settings = load_settings(self.root / "ops.toml", environ={})
        self.plane = plane_of(self.settings, self.clock, "kim")

    def run(self, slot=None, **options):
        return run(self.settings, self.plane, slot=slot, **options)

    def rows(self):
        """Outcomes by run id, in the order in which they began."""
        from sqlalchemy import select

        from ops_core.control import schema

        with self.plane.snapshot() as found:
            table = schema.cycle_run
            wanted = select(table.c.id, table.c.outcome).order_by(table.c.begun_at, table.c.id)
            return {str(one): str(outcome) for one, outcome in found.execute(wanted).all()}

    def latest(self):
        with self.plane.snapshot() as found:
            return records.latest(found)

    def actions(self):
        return [row.action for row in self.plane.audit_rows()]

    def people(self):
        (self.root / "keys").mkdir(mode=0o700)
        for name in PEOPLE:
            add_operator(self.plane, name, key_file=self.root / "keys" / f"{name}.pem", scopes=["window", "approve"])

    def request(self, *approvers):
        """Somebody asks for a window, and some approve it."""
        run_id = new_run_id(self.clock.now())
        state = request_window(
            self.plane,
            lambda found: offer(found, self.settings, run_id),
            operator="ann",
            reason="weekly",
            duration_s=3600,
        )
        for name in approvers:
            signature = sign(self.root / "keys" / f"{name}.pem", state.window.permit_digest)
            state = approve_window(self.plane, operator=name, signature=signature)
        return state

    def arm(self):
        """Everything that a live fire needs."""
        self.people()
        add_message(self.plane, "weekly report")
        self.plane.set_gate("REAL_ENABLED", "weekly")
        self.request("bob", "cho")
        self.plane.enable_sender("TELEGRAM_ONLY", "weekly")

    def request_text(self, **more):
        """What is told to `python -m ops_core.cycle`."""
        return json.dumps({"config": str(self.root / "ops.toml"), "actor": "server", **more})


def start(world: World, code: str = "from ops_core.cycle.__main__ import main; sys.exit(main())", **more):
    """A cycle in a process of its own; `code` may put something in the way first."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys\n{code}"],
        cwd=world.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(world.request_text(**more))
    process.stdin.close()
    process.stdin = None
    return process


# A preflight that takes until somebody ends it.
ENDLESS = """
import signal
import ops_core.cycle.work as work
def look(*_):
    sys.stderr.write("working\\n")
    sys.stderr.flush()
    while True:
        signal.pause()
work.look = look
from ops_core.cycle.__main__ import main
sys.exit(main())
"""


def working(process) -> None:
    """Wait until an endless cycle is in its preflight."""
    line = process.stderr.readline()
    assert line == "working\n", line + process.stderr.read()


def ended(process, limit_s=60):
    """Exit code and receipt of a cycle in another process."""
    out, err = process.communicate(timeout=limit_s)
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out) if out else None
