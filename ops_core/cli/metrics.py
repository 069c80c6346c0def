"""`ops metrics`: availability, error budget, burn rates and recovery of a period, and what of it is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import counted, say, say_fitted, say_json, say_table
from ops_core.errors import EXIT_DONE

if TYPE_CHECKING:
    from ops_core.slo.figures import Figures, Goal, TargetFigures

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="WHEN", help="A month (2026-11), a week (2026-W48), a day or an instant. Default: now."
    ),
]
PeriodOption = Annotated[str, typer.Option("--period", metavar="week|month|7d", help="What the figures are about.")]
NAMES = {
    "mttr": "MTTR",
    "availability": "availability",
    "automatic": "automatic recovery",
    "security": "security incidents",
}
NAME_WIDTH = 9


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(metrics)


def metrics(
    period: PeriodOption = "month",
    at: AtOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show the figures of a period; being able to tell is the answer, so the exit code is 0."""
    from ops_core.slo.figures import figures
    from ops_core.slo.periods import period_from

    settings = settings_of(config, profile)
    wanted = period_from(period, at, clock().now(), settings.slo.zone)
    found = figures(settings, plane_of(settings), clock(), wanted)
    if json:
        say_json(found.to_json())
    else:
        show(found)
    return EXIT_DONE


def show(found: Figures) -> None:
    """Tell the figures: what was promised first, then each target, then what they were computed from."""
    period = found.period
    told = f"{period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC"
    if found.until < period.end:
        told += f", so far until {found.until:%Y-%m-%d %H:%M} UTC"
    say(f"{period.kind.value:<{NAME_WIDTH}}  {period.key}  ({told})")
    say()
    say_table([("GOAL", "WANTED", "IS", "VERDICT", "FROM"), *(_goal_row(goal, found) for goal in found.goals)])
    say()
    head = ("TARGET", "AVAILABILITY", "UNKNOWN", "BUDGET LEFT", "BURN 1h", "6h", "3d", "LOOKS")
    say_table([head, *(_target_row(one) for one in found.targets)])
    say()
    say_fitted(f"{'mttd':<{NAME_WIDTH}}  ", f"{seconds(found.recovery.mttd.seconds)}, {_incidents(found)}")
    looks = f"{counted(found.reading.records, 'observation')}, suites {', '.join(found.promised.suites)}"
    say_fitted(f"{'from':<{NAME_WIDTH}}  ", looks)
    for problem in problems(found):
        say_fitted(f"{'problem':<{NAME_WIDTH}}  ", problem)
    for one in found.targets:
        for burn in one.burns:
            if burn.firing:
                rates = f"{burn.long_rate:.1f} and {burn.short_rate:.1f} over {' and '.join(burn.windows)}"
                say_fitted(f"{'burning':<{NAME_WIDTH}}  ", f"{one.name}: {rates}, at most {burn.alert.threshold:g}")


def problems(found: Figures) -> list[str]:
    """What could not be read."""
    reading, told = found.reading, found.told
    lines = []
    if reading.damaged:
        lines.append(f"cannot be read: {counted(reading.damaged, 'observation')}: {'; '.join(reading.named)}")
    if reading.left_out:
        lines.append(f"left out: {counted(reading.left_out, 'observation')}")
    if told.problem:
        lines.append("; ".join([told.problem, *told.named]))
    return lines


def _goal_row(goal: Goal, found: Figures) -> tuple[str, ...]:
    if goal.key == "mttr":
        at_least = found.recovery.mttr_at_least.seconds
        lower = f"at least {seconds(at_least)}" if at_least is not None else seconds(None)
        wanted, value = f"< {seconds(goal.wanted)}", lower if goal.value is None else seconds(goal.value)
    elif goal.key == "security":
        wanted, value = f"{goal.wanted:g}", "unknown" if goal.value is None else f"{goal.value:g}"
    else:
        wanted, value = f"> {goal.wanted * 100:.6g} %", percent(goal.value)
    if goal.key == "availability":
        basis = f"the lowest of {counted(len(found.targets), 'target')}"
    else:
        basis = counted(len(goal.basis), "incident") + (f": {', '.join(goal.basis[:3])}" if goal.basis else "")
        basis += ", …" if len(goal.basis) > 3 else ""
    if goal.key == "mttr" and found.recovery.unrecovered:
        basis += f"; {len(found.recovery.unrecovered)} without a verified recovery"
    return NAMES[goal.key], wanted, value, goal.verdict.value.upper(), basis


def _target_row(one: TargetFigures) -> tuple[str, ...]:
    from ops_core.slo.availability import rates

    by_window = rates(one.burns)
    left = f"{percent(one.budget.left_ratio, 1)} {one.budget_state.value.upper()}"
    return (
        one.name,
        f"{percent(one.availability.ratio)} {one.verdict.value.upper()}",
        percent(one.availability.unknown_share, 1),
        one.budget_state.value.upper() if one.budget_state == "unknown" else left,
        *("unknown" if by_window[name] is None else f"{by_window[name]:.1f}" for name in ("1h", "6h", "3d")),
        str(one.observations),
    )


def _incidents(found: Figures) -> str:
    recovery = found.recovery
    parts = [counted(len(recovery.incidents), "incident"), f"{len(recovery.automatic)} recovered without a person"]
    parts += [f"{len(recovery.escalated)} without a verified recovery", f"{len(recovery.open)} open"]
    return ", ".join(parts)


def percent(ratio: float | None, digits: int = 3) -> str:
    """`99.986 %`, cut and not rounded: what is below 100 % is never shown as that."""
    if ratio is None:
        return "unknown"
    scale = 10**digits
    return f"{int(ratio * 100 * scale + (1e-6 if ratio > 0 else -1e-6)) / scale:.{digits}f} %"


def seconds(value: float | None) -> str:
    """`2 min 16 s`."""
    from ops_core.report.language import translator
    from ops_core.report.text import duration

    return "unknown" if value is None else duration(value, translator("en"))
