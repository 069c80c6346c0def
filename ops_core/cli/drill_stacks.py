"""`ops drill list`, and what concerns a stack that stays up: `up`, `down`, `status`, `inject`, `withdraw`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_core.cli.options import clock
from ops_core.cli.output import say, say_json, table
from ops_core.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from ops_core.drill.base_stack import Stack

STACKS = ("embedded", "service")
VERBS = ("list", "up", "down", "status", "inject", "withdraw")


def manage(verb: str, rest: list[str], *, lang: str, json: bool) -> int:
    """Do what one of the words says.

    Raises:
        UsageError: it takes something else.
    """
    from ops_core.drill.faults import fault_named
    from ops_core.drill.own import all_faults, repository_of

    if verb == "list":
        if rest:
            raise UsageError("ops drill list takes nothing more", next_step="ops drill list")
        return _list(lang=lang, json=json)
    if verb in ("inject", "withdraw"):
        if len(rest) != 1:
            raise UsageError(f"ops drill {verb} takes one fault", next_step="ops drill list")
        fault = fault_named(rest[0], all_faults(repository_of(Path.cwd())))
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
        said = fault.description.get(lang, fault.description["en"])
        told = f"{fault.name} is {'in force' if verb == 'inject' else 'withdrawn'}: {said}"
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
    from ops_core.drill.own import all_faults, repository_of

    rows: list[dict[str, Any]] = [
        {
            "fault": fault.name,
            "stack": fault.stack.PROFILE,
            "target": fault.target,
            "findings": list(dict.fromkeys(code for code, _ in fault.expected)),
            "remediation": fault.heals_by,
            "description": fault.description.get(lang, fault.description["en"]),
        }
        for fault in all_faults(repository_of(Path.cwd())).values()
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
