"""What a window may permit, and how that is read back: messages that leave once, or one remediation by its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ops_core.control.model.texts import read_text

OUTBOX_MAX = 100


class Channel(StrEnum):
    """Where messages may go."""

    CONSOLE_ONLY = "CONSOLE_ONLY"
    TELEGRAM_ONLY = "TELEGRAM_ONLY"
    NOTIFY_ONLY = "NOTIFY_ONLY"


@dataclass(frozen=True, kw_only=True)
class Permit:
    """What a window permits and what its approvals are bound to: one run, these messages, this way out, until then.

    Attributes:
        run_id: of the one live fire that it permits.
        message_ids: the messages that may leave, oldest first.
        outbox_digest: over those messages' ids and bodies.
        allowlist_digest: of the allowlist's bytes.
        channel: where they may go.
        destination: which chat or host that is, as a digest: a record names no address.
    """

    run_id: str
    message_ids: tuple[str, ...]
    outbox_digest: str
    allowlist_digest: str
    channel: Channel
    destination: str

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "run_id": self.run_id,
            "message_ids": list(self.message_ids),
            "outbox_digest": self.outbox_digest,
            "allowlist_digest": self.allowlist_digest,
            "channel": self.channel.value,
            "destination": self.destination,
        }


@dataclass(frozen=True, kw_only=True)
class RemediationPermit:
    """What a window permits where it is not for a live fire: one remediation of one target, by exactly this plan.

    `plan_digest` covers every step, its outcome and the way back.
    """

    remediation: str
    target: str
    plan_digest: str

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {"remediation": self.remediation, "target": self.target, "plan_digest": self.plan_digest}


def read_permit(values: Mapping[str, object]) -> Permit | RemediationPermit:
    """The permit that `as_dict` wrote.

    Raises:
        ValueError: a value is missing, of another type, or not one that a permit could have.
    """
    if "plan_digest" in values:
        return RemediationPermit(
            remediation=read_text(values, "remediation"),
            target=read_text(values, "target"),
            plan_digest=read_text(values, "plan_digest"),
        )
    return Permit(
        run_id=read_text(values, "run_id"),
        message_ids=_message_ids(values),
        outbox_digest=read_text(values, "outbox_digest"),
        allowlist_digest=read_text(values, "allowlist_digest", empty=True),
        channel=read_channel(values),
        destination=read_text(values, "destination", empty=True),
    )


def read_channel(values: Mapping[str, object]) -> Channel:
    """The channel that a document names."""
    return Channel(read_member(values, "channel", Channel))


def read_member(values: Mapping[str, object], name: str, known: type[StrEnum]) -> str:
    """A value of the document that is a member of a set of words.

    Raises:
        ValueError: it is none of them.
    """
    found = values.get(name)
    if not isinstance(found, str) or found not in known.__members__:
        raise ValueError(f"{name} is {found!r}, none of {', '.join(known)}")
    return found


def _message_ids(values: Mapping[str, object]) -> tuple[str, ...]:
    found = values.get("message_ids")
    fit = isinstance(found, list) and 0 < len(found) <= OUTBOX_MAX and all(isinstance(one, str) for one in found)
    if not isinstance(found, list) or not fit:
        raise ValueError("the messages of the window are damaged")
    return tuple(found)
