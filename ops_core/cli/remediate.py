"""`ops remediate`: what would be done about the last observation, or what somebody chooses; with `--apply`, do it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.by_hand import by_hand, chosen, restore_all, tell_plan
from ops_core.cli.deciding import decided
from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, language_of, settings_of
from ops_core.cli.output import say, say_json
from ops_core.config import Settings
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, OpsError, UsageError

if TYPE_CHECKING:
    from ops_core.decision.match import Decision
    from ops_core.remediation.catalogue import Catalogue


SuiteOption = Annotated[str, typer.Option("--suite", metavar="NAME", help="Folder under checks/ that is looked at.")]


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(remediate)


def remediate(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[REPORT | NAME]", help="An observation (default: the latest), or a remediation to choose."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Only this target.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Look again and let the remedy act.")] = False,
    suite: SuiteOption = "observe",
    restore: Annotated[
        bool, typer.Option("--restore", help="Restore what is in force longer than it was meant.")
    ] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Plan what the decision table names for what was found, or what is named here."""
    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    if restore:
        return restore_all(settings, language, alone=(what, target, apply) == (None, None, False), json=json)
    name = chosen(what)
    if name is not None:
        return by_hand(settings, name, target, apply=apply, lang=language, json=json)
    report = None if what is None else Path(what)
    if apply:
        # What was seen a while ago is no ground to act on: the incident loop looks first.
        from ops_core.cli.incident import handle

        if target is not None or report is not None:
            # It would act on whatever it finds then, which is not what was asked for.
            raise UsageError(
                "with --apply it looks again and acts on what it finds, at every target",
                where="--apply",
                allowed="ops remediate --apply, or a remediation by its name for one target",
                next_step=f"ops remediate NAME --target {target or 'NAME'} --apply",
            )
        return handle(settings, suite=suite, remediate=True, lang=language, json=json)
    return _show(settings, report, suite, target, lang=language, json=json)


def _show(settings: Settings, report: Path | None, suite: str, target: str | None, *, lang: str, json: bool) -> int:
    """What would be done about an observation."""
    if target is not None:
        settings.target(target)
    _, decisions, catalogue = decided(settings, report, suite)
    plans = [_plan(settings, catalogue, one) for one in decisions if target in (None, one.target)]
    permission = plane_of(settings).permission(settings.drill)
    if json:
        allowed = {"allowed": permission.allowed, "reason": permission.reason, "next": permission.next_step}
        say_json({"plans": plans, "permission": allowed})
    else:
        for plan in plans:
            tell_plan(plan, lang)
        if not plans:
            say("nothing was found that asks for a remedy")
        elif any(plan["plan"] for plan in plans):
            may = "would act: " if permission.allowed else "would be refused: "
            say(f"ops remediate --apply {may}{permission.reason}")
            if permission.next_step and not permission.allowed:
                say(f"next  {permission.next_step}")
    if not plans:
        return EXIT_DONE
    return EXIT_FINDINGS if all(plan["plan"] for plan in plans) else EXIT_FAILED


def _plan(settings: Settings, catalogue: Catalogue, decision: Decision) -> dict[str, Any]:
    from ops_core.remediation.context import gather

    told = {"target": decision.target, "findings": list(decision.findings), "remediation": decision.remediation}
    if decision.remediation is None or decision.target is None:
        return {**told, "plan": None, "why": decision.action(), "next": ""}
    try:
        context = gather(settings, settings.target(decision.target), plane_of(settings), decision.findings)
        plan = catalogue.get(decision.remediation).plan(context)
    except OpsError as error:
        return {**told, "plan": None, "why": error.what, "next": error.next_step}
    return {**told, "plan": plan.to_json(), "why": "", "next": ""}
