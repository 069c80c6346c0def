"""The control plane as pure functions: a frozen state, transitions that are handed `now`, and questions about it.

No I/O, no clock, no chance: what is decided here can be replayed, and tested with nothing running. `window` and
`live_fire` are imported by their own names; the rest from here.
"""

from ops_core.control.model.calendar import TradingCalendar
from ops_core.control.model.gate import (
    MOCK_COMMAND,
    REAL_COMMAND,
    REAL_TTL_DEFAULT_S,
    Permission,
    effective_gate,
    parse_gate,
    permission,
    set_gate,
)
from ops_core.control.model.permit import OUTBOX_MAX, Channel, Permit, RemediationPermit
from ops_core.control.model.sender import (
    ENABLE_COMMAND,
    delivery_policy,
    disable_sender,
    enable_sender,
    parse_channel,
    sender_on,
)
from ops_core.control.model.state import (
    KEYS_NEEDED,
    NOT_YET_RELEASED,
    REAL_TTL_MAX_S,
    SENDER_TTL_S,
    WINDOW_MAX_S,
    Approval,
    ControlState,
    Gate,
    Sender,
    Window,
    WindowStatus,
    from_values,
    initial,
    unknown,
)
from ops_core.control.model.stop import ENGAGED, RELEASE_COMMAND, engage, release, why_stopped
from ops_core.control.model.texts import (
    ACTOR_MAX_CHARS,
    NOBODY,
    REASON_MAX_CHARS,
    required_reason,
    tidy,
)

__all__ = [
    "ACTOR_MAX_CHARS",
    "ENABLE_COMMAND",
    "ENGAGED",
    "KEYS_NEEDED",
    "MOCK_COMMAND",
    "NOBODY",
    "NOT_YET_RELEASED",
    "OUTBOX_MAX",
    "REAL_COMMAND",
    "REAL_TTL_DEFAULT_S",
    "REAL_TTL_MAX_S",
    "REASON_MAX_CHARS",
    "RELEASE_COMMAND",
    "SENDER_TTL_S",
    "WINDOW_MAX_S",
    "Approval",
    "Channel",
    "ControlState",
    "Gate",
    "Permission",
    "Permit",
    "RemediationPermit",
    "Sender",
    "TradingCalendar",
    "Window",
    "WindowStatus",
    "delivery_policy",
    "disable_sender",
    "effective_gate",
    "enable_sender",
    "engage",
    "from_values",
    "initial",
    "parse_channel",
    "parse_gate",
    "permission",
    "release",
    "required_reason",
    "sender_on",
    "set_gate",
    "tidy",
    "unknown",
    "why_stopped",
]
