"""A profile that may fire, made by real acts of its control plane: people with keys, contracts, messages, a window."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from ops_core.clock import ManualClock, new_run_id
from ops_core.config import load_settings
from ops_core.control.contracts import accept
from ops_core.control.location import location_of
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator, approve_window, request_window, sign
from ops_core.control.service import ControlPlane
from ops_core.push import add_message, fire, offer

# A Monday, ten o'clock in Seoul.
MONDAY = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
TOKEN = "1234567:AAEx-made-up_token"
CHAT = "-100987654321"
PEOPLE = ("ann", "bob", "cho")
OPS_TOML = """
[profiles.default]
contracts_dir = "contracts"

[profiles.default.trading]
days = [{days}]
opens = "{opens}"

[profiles.default.push]
telegram_url = "{url}"
telegram_token = "BOT_TOKEN"
telegram_chat = "BOT_CHAT"
timeout_s = {timeout_s}

[profiles.default.secrets]
BOT_TOKEN = {{ file = "secrets/BOT_TOKEN" }}
BOT_CHAT = {{ file = "secrets/BOT_CHAT" }}
OTHER = {{ file = "secrets/OTHER" }}

[profiles.default.targets.api.vars]
nothing = "to look at"
"""


class PushWorld:
    """A repository whose profile has everything that a live fire needs, on a clock that stands until it is moved."""

    def __init__(self, root: Path, url: str, *, clock=None, timeout_s: float = 5.0):
        self.root, self.url, self.timeout_s = root, url, timeout_s
        self.clock = clock or ManualClock(MONDAY)
        self.mirrored = True
        for name, value in (("BOT_TOKEN", TOKEN), ("BOT_CHAT", CHAT), ("OTHER", "another one")):
            self.secret(name, value)
        (root / "contracts").mkdir(exist_ok=True)
        allowlist = {"contract": "execution_allowlist_v1", "request_types": ["LIVE_FIRE"]}
        (root / "contracts" / "execution_allowlist_v1.json").write_text(json.dumps(allowlist))
        self.configure()

    def configure(self, *, days='"Mon", "Tue", "Wed", "Thu", "Fri"', opens="09:00"):
        text = OPS_TOML.format(days=days, opens=opens, url=self.url, timeout_s=self.timeout_s)
        (self.root / "ops.toml").write_text(text)
        self.settings = load_settings(self.root / "ops.toml", environ={})
        unmirrored = ControlPlane(location_of(self.settings), self.clock, actor="kim")
        self.plane = plane_of(self.settings, self.clock, "kim") if self.mirrored else unmirrored

    def secret(self, name, value):
        path = self.root / "secrets" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(value)
        path.chmod(0o600)

    def settle(self, *bodies: str):
        """Everything that has to be there before a window can be asked for."""
        self.plane.create()
        self.plane.release("ready")
        accept(self.plane, self.settings, "ours")
        (self.root / "keys").mkdir(mode=0o700)
        for name in PEOPLE:
            add_operator(self.plane, name, key_file=self.key(name), scopes=["window", "approve"])
        return [add_message(self.plane, body) for body in bodies]

    def key(self, name):
        return self.root / "keys" / f"{name}.pem"

    def open_window(self, duration_s=3600):
        run_id = new_run_id(self.clock.now())
        state = request_window(
            self.plane,
            lambda found: offer(found, self.settings, run_id),
            operator="ann",
            reason="weekly",
            duration_s=duration_s,
        )
        for name in PEOPLE[1:]:
            state = approve_window(
                self.plane, operator=name, signature=sign(self.key(name), state.window.permit_digest)
            )
        return state

    def arm(self):
        """Window, gate and sender."""
        self.open_window()
        self.plane.set_gate("REAL_ENABLED", "weekly")
        self.plane.enable_sender("TELEGRAM_ONLY", "weekly")

    def fire(self, **options):
        return fire(self.settings, self.plane, **{"authorised": True, **options})

    def copied(self, root: Path) -> PushWorld:
        """The same in another folder, its store at the same point."""
        for name in ("secrets", "contracts", "keys", "state-control", "state"):
            if (self.root / name).exists():
                shutil.copytree(self.root / name, root / name, copy_function=shutil.copy2)
        return PushWorld(root, self.url, clock=ManualClock(self.clock.now()), timeout_s=self.timeout_s)

    def messages(self):
        from ops_core.push import messages

        with self.plane.snapshot() as found:
            return {message.id: message for message in messages(found)}

    def states(self):
        return [message.state for message in reversed(self.messages().values())]

    def actions(self):
        return [row.action for row in self.plane.audit_rows()]
