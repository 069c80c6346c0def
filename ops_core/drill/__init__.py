"""Rehearsals: real services under a real supervisor, and real faults put into them on purpose.

What a fault of somebody's own needs is importable from here, and loaded when it is first named: the services that are
broken import this package as well, and are timed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_core.drill.base_stack import Stack
    from ops_core.drill.fault import Fault, together
    from ops_core.drill.injectors import answers, configured, degraded, in_turn, released, signalled
    from ops_core.drill.service_stack import ServiceStack
    from ops_core.drill.stack import EmbeddedStack

__all__ = [
    "EmbeddedStack",
    "Fault",
    "ServiceStack",
    "Stack",
    "answers",
    "configured",
    "degraded",
    "in_turn",
    "released",
    "signalled",
    "together",
]


def __getattr__(name: str) -> object:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'ops_core.drill' has no attribute {name!r}")
    special = {
        "EmbeddedStack": "stack",
        "Fault": "fault",
        "ServiceStack": "service_stack",
        "Stack": "base_stack",
        "together": "fault",
    }
    return getattr(importlib.import_module(f"ops_core.drill.{special.get(name, 'injectors')}"), name)
