"""The way out: an outbox, senders, and the one live fire in which messages leave.

Whoever imports this is past the hot path: it brings the store's SQL library along.
"""

from ops_core.push.firing import fire
from ops_core.push.outbox import Message, add_message, messages, offer, withdraw
from ops_core.push.postmortem import latest_postmortem, regenerate_postmortem
from ops_core.push.preconditions import Judgement, facts, judge, look, observed_modes
from ops_core.push.receipts import latest
from ops_core.push.recovery import recover
from ops_core.push.selftest import SelfTest, self_test

__all__ = [
    "Judgement",
    "Message",
    "SelfTest",
    "add_message",
    "facts",
    "fire",
    "judge",
    "latest",
    "latest_postmortem",
    "look",
    "messages",
    "observed_modes",
    "offer",
    "recover",
    "regenerate_postmortem",
    "self_test",
    "withdraw",
]
