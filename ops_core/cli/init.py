"""`ops init`: a repository of checks that runs at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli import scaffold
from ops_core.cli.options import JsonOption, actor, clock
from ops_core.cli.output import say, say_json
from ops_core.errors import OpsError, Refused

ALLOWLIST = "docs/contracts/execution_allowlist_v1.json"


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Made if it does not exist.")] = Path(),
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Health endpoint of a first target.")] = None,
    json: JsonOption = False,
) -> int:
    """Write ops.toml, checks and a fault of your own, their decisions, an allowlist, and a released control store."""
    from ops_core.config import load_settings
    from ops_core.content import content_dir
    from ops_core.control.opening import plane_of

    target = scaffold.TARGET_EXAMPLE if url is None else scaffold.TARGET.format(name=target_name(url), url=url)
    files = {
        "ops.toml": scaffold.OPS_TOML.format(target=target),
        "checks/observe/check_disk.py": scaffold.CHECK_DISK,
        "checks/observe/check_health_means_it.py": scaffold.CHECK_HEALTH,
        "faults/health_says_failing.py": scaffold.FAULT_HEALTH,
        "remediations/decisions.toml": scaffold.DECISIONS,
        ALLOWLIST: (content_dir() / ALLOWLIST).read_text(encoding="utf-8"),
        ".gitignore": scaffold.GITIGNORE,
    }
    present = [name for name in files if name != ".gitignore" and (folder / name).exists()]
    if present:
        raise Refused(
            f"{present[0]} is there already; nothing was written",
            where=str(folder),
            next_step="ops init ANOTHER-FOLDER",
        )
    written = write(folder, files)
    try:
        settings = load_settings(folder / "ops.toml", "default", {})
        plane = plane_of(settings, clock(), actor())
        plane.create()
        plane.release("a new repository, made by ops init")
    except OpsError:
        for name in written:
            (folder / name).unlink(missing_ok=True)
        raise
    if json:
        say_json({"folder": str(folder.resolve()), "written": written, "control_store": str(settings.control_store)})
        return 0
    say(f"made a repository of checks in {folder.resolve()}")
    for name in [*written, "control/control.db  (emergency stop released, gate DRY_RUN)"]:
        say(f"  {name}")
    say()
    say("next")
    if folder != Path():
        say(f"  cd {folder}")
    say("  pytest checks/ -m observe    look at everything now")
    say("  ops drill --matrix           can they fail? every fault, yours among them, for real")
    say("  ops daily                    the daily checklist, with a first cycle")
    say("  ops serve                    the control plane over HTTP, for this host")
    say("  ops doctor                   is everything in order?")
    return 0


def target_name(url: str) -> str:
    """A target's name from its URL's host."""
    host = re.sub(r"^[a-z]+://", "", url).split("/")[0].split(":")[0]
    name = re.sub(r"[^A-Za-z0-9-]+", "-", host).strip("-")
    return name if re.search("[A-Za-z]", name) else "web"


def write(folder: Path, files: dict[str, str]) -> list[str]:
    """Write files that do not exist yet; returns their names.

    Raises:
        OpsError: one cannot be written.
    """
    written = []
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        except OSError as error:
            raise OpsError(f"{name} cannot be written: {error.strerror}", where=str(folder)) from None
        written.append(name)
    return written
