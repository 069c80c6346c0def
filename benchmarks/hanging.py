"""A third of the targets hang, each probe may take 2 s: the verdict has to be there half a second after that."""

from __future__ import annotations

from benchmarks import measure, places
from benchmarks.startup import observe, repository

BUDGET_S = 2.0


def main(rounds: int) -> None:
    """Print the table of this benchmark."""
    python = places.product()
    with places.server("--delay-ms", "0") as [origin]:
        well = repository(places.WORK / "hanging" / "well", origin)
        ill = repository(places.WORK / "hanging" / "ill", origin, hang=True, budget_s=BUDGET_S)
        for folder in (well, ill):
            places.release_stop(python, folder)
        ways = {
            "observe, all targets well": lambda: observe(python, well),
            "observe, one target in three hangs": lambda: observe(python, ill),
        }
        results = measure.in_turns(ways, rounds)
    rows = [
        [name, measure.seconds(runs), f"{measure.median(runs) - BUDGET_S:+.2f} s", verdict(runs[-1].output)]
        for name, runs in results.items()
    ]
    head = ["what", "wall time, median (range)", "against the 2 s budget", "verdict"]
    print(measure.table("Hanging targets", head, rows))


def verdict(output: str) -> str:
    """The line that says the verdict."""
    lines = [line.split() for line in output.splitlines()]
    return next((" ".join(words[1:]) for words in lines if words[:1] == ["VERDICT"]), "none")
