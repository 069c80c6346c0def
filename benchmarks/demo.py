"""`make demo` in an installed checkout, from the first keystroke to the postmortem."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks import measure, places
from benchmarks.measure import Run

SETUP_LIMIT_S = 600.0


def checkout(folder: Path) -> Path:
    """A copy of the project's files, set up as `make` does it: not counted."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=places.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = places.ROOT / name
        if source.is_file() and not source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    done = measure.run(["make", "setup"], cwd=folder, timeout_s=SETUP_LIMIT_S)
    if done.exit != 0:
        raise SystemExit(done.output)
    return folder


def main(rounds: int) -> None:
    """Print the table of this benchmark."""
    folder = checkout(places.WORK / "checkout")
    results: dict[str, list[Run]] = measure.in_turns(
        {"make demo": lambda: measure.run(["make", "demo"], cwd=folder)}, rounds
    )
    reports = list((folder / "reports" / "incidents").glob("*/postmortem.md"))
    rows = [[name, measure.seconds(runs), str(runs[-1].exit)] for name, runs in results.items()]
    print(measure.table("The demo", ["what", "wall time, median (range)", "exit code"], rows))
    print(f"{len(reports)} postmortems written.\n")
