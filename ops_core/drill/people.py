"""The people of a rehearsal: made for it, with keys of their own, for the remedies that need two of them."""

from __future__ import annotations

from pathlib import Path

from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
from ops_core.remediation.planning import plan_now

ASKS, FIRST, SECOND = "drill-asks", "drill-first", "drill-second"
REASON = "a rehearsal on a stack of its own"
LASTS_S = 600


def give_two_keys(settings: Settings, plane: ControlPlane, remediation: str, target: str, folder: Path) -> None:
    """Ask for a window that permits exactly the plan as it is now, and approve it as two other people.

    Args:
        settings: the configuration that means the stack.
        plane: its control plane; the people of the rehearsal are added where they are not known yet.
        remediation: what is to be permitted.
        target: of which target.
        folder: where the keys are kept; it is thrown away with the stack.

    Raises:
        OpsError: there is no such plan, or no window for it.
    """
    from ops_core.control.people import (
        SCOPES_DEFAULT,
        add_operator,
        approve_window,
        list_operators,
        request_window,
        sign,
    )

    folder.mkdir(mode=0o700, exist_ok=True)
    known = {one.name for one in list_operators(plane)}
    for name in (ASKS, FIRST, SECOND):
        if name not in known:
            add_operator(plane, name, key_file=folder / name, scopes=SCOPES_DEFAULT)
    permit = plan_now(settings, plane, remediation, target).permit
    state = request_window(plane, lambda _found: permit, operator=ASKS, reason=REASON, duration_s=LASTS_S)
    if state.window is None:
        raise OpsError(f"no window for {remediation} of {target}")
    digest = state.window.permit_digest
    for name in (FIRST, SECOND):
        approve_window(plane, operator=name, signature=sign(folder / name, digest), digest=digest)
