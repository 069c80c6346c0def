"""What `ops remediate` does when somebody chooses: one remediation of one target, or everything that is over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ops_core.cli.estop import plane_of
from ops_core.cli.options import actor, clock
from ops_core.cli.output import note, say, say_fitted, say_json
from ops_core.config import Settings
from ops_core.errors import EXIT_DONE, EXIT_REFUSED, UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def chosen(what: str | None) -> str | None:
    """The remediation that is named where an observation could be; None where it is one, or nothing is."""
    return what if what is not None and _NAME.fullmatch(what) and not Path(what).exists() else None


def by_hand(settings: Settings, name: str, target: str | None, *, apply: bool, lang: str, json: bool) -> int:
    """One remediation that somebody chose, shown or let act.

    Raises:
        UsageError: nobody said of which target, or there is no such remediation or target.
        PlanRefused: its planner sees no way.
    """
    from ops_core.incident.loop import Choice
    from ops_core.remediation.guard import Guard
    from ops_core.remediation.planning import plan_now

    if target is None:
        raise UsageError(
            f"{name} of which target?",
            where="--target",
            allowed=", ".join(one.name for one in settings.targets),
            next_step=f"ops remediate {name} --target NAME",
        )
    if apply:
        from ops_core.cli.incident import handle

        choice = Choice(remediation=name, target=target)
        suite = settings.suite_of(target)
        return handle(settings, suite=suite, remediate=True, lang=lang, json=json, choice=choice)
    plane = plane_of(settings)
    plan = plan_now(settings, plane, name, target)
    guard = Guard(plane, settings.drill)
    permission = guard.permission()
    if permission.allowed and plan.two_keys:
        permission = guard.keys_permission(plan.permit)
    told = {"target": target, "findings": [], "remediation": name, "plan": plan.to_json(), "why": "", "next": ""}
    if json:
        allowed = {"allowed": permission.allowed, "reason": permission.reason, "next": permission.next_step}
        say_json({"plans": [told], "permission": allowed})
        return EXIT_DONE
    tell_plan(told, lang)
    may = "would act: " if permission.allowed else "would be refused: "
    say_fitted(f"ops remediate {name} --target {target} --apply {may}", permission.reason)
    if permission.next_step and not permission.allowed:
        say(f"next  {permission.next_step}")
    return EXIT_DONE


def restore_all(settings: Settings, lang: str, *, alone: bool, json: bool) -> int:
    """Restore everything that is in force longer than it was meant; `alone`: nothing else was asked for.

    Raises:
        UsageError: something else was asked for as well.
    """
    if not alone:
        raise UsageError("--restore stands alone", where="--restore", allowed="ops remediate --restore")
    from ops_core.incident.restoring import due_now, restore_due

    due = due_now(settings, clock())
    outcomes = restore_due(
        settings, plane=plane_of(settings), clock=clock(), say=note if json else say, lang=lang, actor=actor()
    )
    left = due_now(settings, clock())
    if json:
        restored = [{"incident": one.incident_id, "outcome": one.outcome} for one in outcomes]
        say_json({"due": [one.target for one in due], "restored": restored, "left": [one.target for one in left]})
    elif not due:
        say("nothing is in force longer than it was meant")
    if not left:
        return max((one.exit_code for one in outcomes), default=EXIT_DONE)
    return max((one.exit_code for one in outcomes), default=EXIT_REFUSED)


def tell_plan(told: dict[str, Any], lang: str) -> None:
    """A plan for people: what it does, step by step, and the way back; or why there is none."""
    from ops_core.remediation.plan import Plan, shown

    say(f"{told['target'] or 'control plane'}  {', '.join(told['findings'])}".rstrip())
    if told["plan"] is None:
        say(f"  no plan  {told['why']}")
        if told["next"]:
            say(f"  next     {told['next']}")
    else:
        plan = Plan.from_json(told["plan"])
        say(f"  plan {plan.digest[:12]}  {plan.summary.get(lang) or plan.summary['en']}")
        for number, step in enumerate(plan.steps, start=1):
            say(f"  {number}. {shown(step.argv)}")
        say(
            "  undo  "
            + ("the same way back" if plan.undo else plan.no_undo.get(lang) or plan.no_undo.get("en", "none"))
        )
    say()
