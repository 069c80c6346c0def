"""The rollout of the service stack: a small agent that puts a release in force, place after place, until it is halted.

    rollout.py agent LINK     what carries an order out; `order` beside this file names the release
    rollout.py running        exit 0 while a rollout is under way, 1 while none is
    rollout.py halt           ask the agent to stop, and wait until it has
    rollout.py resume         let it go on

A script of its own, run by its path, on the standard library alone: how something is rolled out is no part of the tool.
It puts back what it rolls out wherever somebody has put something else: a rollback before the halt does not last.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ORDER, HALT, UNDER_WAY = FOLDER / "order", FOLDER / "halt", FOLDER / "under-way"
EVERY_S = 0.05
ANSWER_S = 3.0


def agent(link: Path) -> None:
    """Carry out what is ordered until a signal ends it."""
    while True:
        try:
            ordered = ORDER.read_text(encoding="utf-8").strip()
        except OSError:
            ordered = ""
        if ordered and not HALT.exists():
            put_in_force(link, ordered)
            UNDER_WAY.touch()
        else:
            UNDER_WAY.unlink(missing_ok=True)
        time.sleep(EVERY_S)


def put_in_force(link: Path, release: str) -> None:
    """Point the link to the release, where that is not so already."""
    if link.with_name(release).is_dir() and link.readlink().name != release:
        draft = link.with_name(f".{link.name}.rollout")
        draft.unlink(missing_ok=True)
        draft.symlink_to(release)
        draft.replace(link)


def awaited(*, under_way: bool) -> int:
    """Wait for the agent; the exit code says whether it did as it was asked."""
    until = time.monotonic() + ANSWER_S
    while UNDER_WAY.exists() != under_way:
        if time.monotonic() >= until:
            sys.stderr.write("the agent does not answer\n")
            return 1
        time.sleep(EVERY_S)
    return 0


def main(arguments: list[str]) -> int:
    """Do what the first argument says."""
    verb = arguments[0] if arguments else ""
    if verb == "agent":
        agent(Path(arguments[1]))
    if verb == "running":
        return 0 if UNDER_WAY.exists() else 1
    if verb == "halt":
        HALT.touch()
        return awaited(under_way=False)
    if verb == "resume":
        HALT.unlink(missing_ok=True)
        return awaited(under_way=True)
    sys.stderr.write("usage: rollout.py agent LINK | running | halt | resume\n")
    return os.EX_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
