"""`ops drill`: rehearse on a stack of its own, from a real fault to the postmortem, and measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.options import JsonOption, clock
from ops_core.cli.output import Story, look_for, note, say, say_json, table
from ops_core.errors import EXIT_DONE, EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from ops_core.drill.base_stack import Stack

STACKS = ("embedded", "service")
VERBS = ("list", "up", "down", "status", "inject", "withdraw")


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(drill)


def drill(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FAULT... | list | up | down | status [STACK] | inject FAULT | withdraw FAULT",
            help="Faults to rehearse one after the other; or what to do with a stack (embedded or service) that stays.",
        ),
    ],
    reports: Annotated[Path, typer.Option("--reports", metavar="DIR", help="Where reports go.")] = Path("reports"),
    lang: Annotated[str, typer.Option("--lang", metavar="en|ko", help="Language of the reports.")] = "en",
    json: JsonOption = False,
) -> int:
    """Rehearse."""
    from ops_core.config import LANGUAGES

    if lang not in LANGUAGES:
        raise UsageError(f"there is no language {lang!r}", where="--lang", allowed=", ".join(LANGUAGES))
    first, *rest = words
    if first in VERBS:
        return _manage(first, rest, lang=lang, json=json)
    return _rehearse(words, reports=reports, lang=lang, json=json)


def _rehearse(names: list[str], *, reports: Path, lang: str, json: bool) -> int:
    from ops_core.drill.faults import fault_named
    from ops_core.drill.rehearse import rehearse
    from ops_core.drill.telling import rehearsal_lines

    faults = [fault_named(name) for name in names]
    results = []
    for fault in faults:
        story = Story(clock().monotonic, note if json else say)
        rehearsal = rehearse(fault, reports_dir=reports.absolute(), clock=clock(), say=story, lang=lang)
        results.append(rehearsal)
        if not json:
            for line in rehearsal_lines(rehearsal, look_for(lang), base=Path.cwd()):
                say(line)
    if json:
        say_json({"rehearsals": [rehearsal.as_dict() for rehearsal in results]})
    return EXIT_DONE if all(not rehearsal.problems for rehearsal in results) else EXIT_FAILED


def _manage(verb: str, rest: list[str], *, lang: str, json: bool) -> int:
    """What concerns a stack that stays up."""
    from ops_core.drill.faults import fault_named

    if verb == "list":
        if rest:
            raise UsageError("ops drill list takes nothing more", next_step="ops drill list")
        return _list(lang=lang, json=json)
    if verb in ("inject", "withdraw"):
        if len(rest) != 1:
            raise UsageError(f"ops drill {verb} takes one fault", next_step="ops drill list")
        fault = fault_named(rest[0])
        kind = fault.stack
    else:
        kind = _kind(verb, rest)
    folder = work_dir(kind)
    if verb == "up":
        return _up(kind, folder, json=json)
    stack = kind.attach(folder, clock=clock())
    if verb == "down":
        stack.stop()
        told = f"the {stack.layout.KIND} is down"
    elif verb == "status":
        told = ", ".join(f"{name} {stack.url(name)}" for name in stack.ports)
    else:
        (fault.inject if verb == "inject" else fault.withdraw)(stack)
        told = f"{fault.name} is {'in force' if verb == 'inject' else 'withdrawn'}: {fault.description[lang]}"
    if json:
        say_json({"done": verb, "work_dir": str(folder), "ports": dict(stack.ports), "told": told})
    else:
        say(told)
    return EXIT_DONE


def work_dir(kind: type[Stack[Any]]) -> Path:
    """Where the stack that stays up lives; the shipped `ops.toml` reads the same variable."""
    import os

    return Path(os.environ.get(kind.DIR_VARIABLE) or Path("state") / kind.PROFILE).absolute()


def _kind(verb: str, rest: list[str]) -> type[Stack[Any]]:
    from ops_core.drill.service_stack import ServiceStack
    from ops_core.drill.stack import EmbeddedStack

    name = rest[0] if rest else STACKS[0]
    if len(rest) > 1 or name not in STACKS:
        raise UsageError(f"ops drill {verb} takes at most a stack", allowed=", ".join(STACKS), next_step="ops drill up")
    return ServiceStack if name == ServiceStack.PROFILE else EmbeddedStack


def _list(*, lang: str, json: bool) -> int:
    from ops_core.drill.faults import FAULTS

    rows: list[dict[str, Any]] = [
        {
            "fault": fault.name,
            "stack": fault.stack.PROFILE,
            "target": fault.target,
            "findings": list(fault.findings),
            "remediation": fault.heals_by,
            "description": fault.description.get(lang, fault.description["en"]),
        }
        for fault in FAULTS.values()
    ]
    if json:
        say_json(rows)
        return EXIT_DONE
    for line in table(
        [(row["fault"], row["remediation"] or "nothing heals it", row["description"]) for row in rows], ""
    ):
        say(line)
    return EXIT_DONE


def _up(kind: type[Stack[Any]], folder: Path, *, json: bool) -> int:
    from ops_core.cli.estop import plane_of
    from ops_core.cli.options import settings_of

    usual = STACKS[0] == kind.PROFILE
    settings = settings_of(None, None if usual else kind.PROFILE)
    if not settings.drill:
        raise UsageError(
            f"the profile {settings.profile!r} is not a drill",
            where=str(settings.path),
            allowed="a profile with drill = true",
        )
    stack = kind.up(folder, clock=clock(), detached=True)
    plane = plane_of(settings)
    if not plane.path.exists():
        why = f"the {stack.layout.KIND} was started for drills"
        plane.create()
        plane.release(why)
        plane.set_gate("MOCK_ONLY", why)
    if json:
        say_json({"done": "up", "work_dir": str(folder), "ports": dict(stack.ports)})
        return EXIT_DONE
    say(f"the {stack.layout.KIND} is up and stays up")
    for line in table([(name, stack.url(name)) for name in stack.ports]):
        say(line)
    which = "" if usual else f" --suite {kind.SUITE} --profile {kind.PROFILE}"
    say("next")
    for line in table(
        [
            ("pytest checks/ -m observe" if usual else f"ops observe{which}", "look at it"),
            (f"ops drill inject {'secret-missing' if usual else 'redis-stopped'}", "break it, for real"),
            (f"ops incident run{which}", "let the runbook deal with it"),
            ("ops drill down" if usual else f"ops drill down {kind.PROFILE}", "take it down"),
        ]
    ):
        say(line)
    return EXIT_DONE
