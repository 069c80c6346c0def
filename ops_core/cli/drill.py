"""`ops drill`: rehearse on the embedded stack, from a real fault to the postmortem, and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ops_core.cli.options import JsonOption, clock
from ops_core.cli.output import Story, look_for, note, say, say_json, table
from ops_core.errors import EXIT_DONE, EXIT_FAILED, UsageError

WORK_DIR = Path("state") / "embedded"
WORK_VARIABLE = "OPS_EMBEDDED_DIR"
VERBS = ("list", "up", "down", "status", "inject", "withdraw")


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(drill)


def drill(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FAULT... | list | up | down | status | inject FAULT | withdraw FAULT",
            help="Faults to rehearse one after the other; or what to do with a stack that stays up.",
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
    from ops_core.drill.faults import CATALOGUE, fault_named
    from ops_core.drill.stack import EmbeddedStack

    wants_fault = verb in ("inject", "withdraw")
    if len(rest) != int(wants_fault):
        raise UsageError(
            f"ops drill {verb} takes {'one fault' if wants_fault else 'nothing more'}", next_step="ops drill list"
        )
    if verb == "list":
        rows: list[dict[str, Any]] = [
            {
                "fault": fault.name,
                "target": fault.target,
                "findings": list(fault.findings),
                "remediation": fault.heals_by,
                "description": fault.description.get(lang, fault.description["en"]),
            }
            for fault in CATALOGUE
        ]
        if json:
            say_json(rows)
        else:
            for line in table(
                [(row["fault"], row["remediation"] or "nothing heals it", row["description"]) for row in rows], ""
            ):
                say(line)
        return EXIT_DONE
    folder = work_dir()
    if verb == "up":
        return _up(folder, json=json)
    stack = EmbeddedStack.attach(folder, clock=clock())
    if verb == "down":
        stack.stop()
        told = "the embedded stack is down"
    elif verb == "status":
        told = ", ".join(f"{name} {stack.url(name)}" for name in stack.ports)
    else:
        fault = fault_named(rest[0])
        (fault.inject if verb == "inject" else fault.withdraw)(stack)
        told = f"{fault.name} is {'in force' if verb == 'inject' else 'withdrawn'}: {fault.description[lang]}"
    if json:
        say_json({"done": verb, "work_dir": str(folder), "ports": dict(stack.ports), "told": told})
    else:
        say(told)
    return EXIT_DONE


def work_dir() -> Path:
    """Where the stack that stays up lives; the shipped `ops.toml` reads the same variable."""
    import os

    return Path(os.environ.get(WORK_VARIABLE) or WORK_DIR).absolute()


def _up(folder: Path, *, json: bool) -> int:
    from ops_core.cli.estop import plane_of
    from ops_core.cli.options import settings_of
    from ops_core.drill.stack import EmbeddedStack

    settings = settings_of(None, None)
    if not settings.drill:
        raise UsageError(
            f"the profile {settings.profile!r} is not a drill",
            where=str(settings.path),
            allowed="a profile with drill = true",
        )
    stack = EmbeddedStack.up(folder, clock=clock(), detached=True)
    plane = plane_of(settings)
    if not plane.path.exists():
        plane.create()
        plane.release("the embedded stack was started for drills")
        plane.set_gate("MOCK_ONLY", "the embedded stack was started for drills")
    if json:
        say_json({"done": "up", "work_dir": str(folder), "ports": dict(stack.ports)})
        return EXIT_DONE
    say("the embedded stack is up and stays up")
    for line in table([(name, stack.url(name)) for name in stack.ports]):
        say(line)
    say("next")
    say("  pytest checks/ -m observe       look at it")
    say("  ops drill inject secret-missing break it, for real")
    say("  ops incident run                let the runbook deal with it")
    say("  ops drill down                  take it down")
    return EXIT_DONE
