"""What is looked at while nothing is broken: the stacks of the drills, and the suites that they serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops_core.drill.base_stack import Stack
from ops_core.drill.control_plane import ControlStack, ready_to_fire
from ops_core.drill.layout import Layout
from ops_core.drill.service_layout import INGEST
from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.split_stack import SplitStack
from ops_core.drill.stack import EmbeddedStack


@dataclass(frozen=True, kw_only=True)
class Place:
    """A kind of stack, and how it is looked at.

    Attributes:
        stack: the kind.
        suites: that look, one after the other, in each round.
        slowed: services that are far away where the network is slow. What a service itself stands on stays near: were
            that far away, the service would really be slow.
        prepare: what is done before the first look; None for nothing.
    """

    stack: type[Stack[Any]]
    suites: tuple[str, ...]
    slowed: tuple[str, ...] = ()
    prepare: Callable[[Any, str], None] | None = None


EMBEDDED = Place(stack=EmbeddedStack, suites=("observe",), slowed=tuple(Layout.SERVICES))
# A benchmark is left out: on a busy machine the service it measures is slower, and it is right to say so.
SERVICE = Place(stack=ServiceStack, suites=("service",), slowed=(INGEST,))
SITE = Place(stack=ControlStack, suites=("integrity", "daily", "live_fire"), prepare=ready_to_fire)
SPLIT = Place(stack=SplitStack, suites=("handoff",))
PLACES = (EMBEDDED, SERVICE, SITE, SPLIT)
