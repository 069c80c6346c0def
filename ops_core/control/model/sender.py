"""The sender: off unless somebody switched it on for a reason, on one channel, for at most an hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ops_core.control.model.permit import Channel
from ops_core.control.model.state import SENDER_TTL_S, ControlState, Sender
from ops_core.control.model.stop import RELEASE_COMMAND, why_stopped
from ops_core.control.model.texts import NOBODY, required_reason, tidy, whole_ms
from ops_core.errors import Refused, UsageError

ENABLE_COMMAND = "ops sender enable --channel TELEGRAM_ONLY --reason …"


def enable_sender(state: ControlState, channel: Channel | str, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the sender on, for `SENDER_TTL_S` seconds.

    Raises:
        UsageError: no such channel or no fit reason.
        Refused: the emergency stop is engaged.
    """
    wanted = parse_channel(channel)
    fit_reason = required_reason(reason, "enabling the sender", ENABLE_COMMAND)
    stopped = why_stopped(state)
    if stopped:
        raise Refused(stopped, where="emergency stop", next_step=state.remedy or RELEASE_COMMAND)
    at = whole_ms(now)
    return replace(
        state,
        sender=Sender(
            enabled=True,
            channel=wanted,
            reason=fit_reason,
            by=tidy(actor, NOBODY),
            at=at,
            until=at + timedelta(seconds=SENDER_TTL_S),
        ),
    )


def disable_sender(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the sender off and the channel back at CONSOLE_ONLY. Never refuses."""
    return replace(state, sender=Sender(reason=tidy(reason, "disabled", 500), by=tidy(actor, NOBODY), at=whole_ms(now)))


def sender_on(state: ControlState, now: datetime) -> bool:
    """Whether the sender is on at `now`: in `[at, until)`, and never where the state is not known."""
    sender = state.sender
    return (
        sender.enabled
        and not state.problem
        and sender.at is not None
        and sender.until is not None
        and sender.at <= now < sender.until
    )


def delivery_policy(state: ControlState, now: datetime) -> Channel:
    """Where messages may go at `now`: the sender's channel while it is on, else CONSOLE_ONLY."""
    return state.sender.channel if sender_on(state, now) else Channel.CONSOLE_ONLY


def parse_channel(value: Channel | str) -> Channel:
    """The channel of that name.

    Raises:
        UsageError: there is none.
    """
    if value not in Channel.__members__:
        raise UsageError(f"{value!r} is not a channel", where="channel", allowed=", ".join(Channel))
    return Channel(value)
