"""What an instrument needs to know of the run it looks for: time, redaction, secrets, and where to note its actions."""

from __future__ import annotations

import collections
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops_core.config import Settings
from ops_core.errors import CannotLook
from ops_core.evidence import ControlEvidence, Evidence
from ops_core.probes.instruments.redact import Redactor

if TYPE_CHECKING:
    from ops_core.probes.instruments.transport import TlsContexts


ACTIONS_MAX = 100


def new_actions() -> MutableSequence[dict[str, Any]]:
    """What a probe has done; of a probe that asks without end, the last hundred."""
    return collections.deque(maxlen=ACTIONS_MAX)


@dataclass(frozen=True, kw_only=True)
class LastGood:
    """Names of what was last seen good, of an image its id; None where none was recorded."""

    release: str | None = None
    config: str | None = None
    schema: str | None = None
    image: str | None = None


def no_operations(what: str) -> Evidence:
    """What there is to see of the operations where nobody said how to look.

    Raises:
        CannotLook: always.
    """
    raise CannotLook(f"nobody reads {what!r} in this run")


@dataclass(kw_only=True)
class Lookout:
    """One (probe, target) pair's view of the run.

    `now` is charged time in seconds (see `ops_core.budget`), so that latencies do not include our own delays.
    """

    settings: Settings
    redact: Redactor
    tls: TlsContexts
    now: Callable[[], float]
    read_control: Callable[[], ControlEvidence]
    read_last_good: Callable[[str], LastGood]
    read_operations: Callable[[str], Evidence] = no_operations
    actions: MutableSequence[dict[str, Any]] = field(default_factory=new_actions)
