"""What a sender says after it has tried once: delivered, not delivered, or unknown."""

from __future__ import annotations

from dataclasses import dataclass

# The server read the request and refused it. 400 is about the message, the others are about the way out.
REFUSALS = frozenset({400, 401, 403, 404, 429})


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """It has arrived."""

    detail: str


@dataclass(frozen=True, kw_only=True)
class NotDelivered:
    """It has certainly not arrived. `way_out`: no other message would have either, so none need be tried."""

    detail: str
    way_out: bool = True


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """It may have arrived: it must not be sent again without a person who looked."""

    detail: str


Result = Delivered | NotDelivered | Unknown


def fit_for_json(body: str) -> str:
    """The text without lone surrogates, which no server can read."""
    return body.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
