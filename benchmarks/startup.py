"""What the first answer costs: twelve healthy checks against pytest with one empty test, and the imports alone."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks import measure, places
from benchmarks.measure import Run

SECRET = "benchmark-secret"
CONFIG = """\
default_profile = "bench"

[profiles.bench.budgets]
total_s = 60
probes = {{ health = {budget_s}, guard = {budget_s}, stream = {budget_s} }}
{targets}
"""
CORE = """
[profiles.bench.targets.core]
health_url = "{origin}/"
guard_url = "{origin}/guard"
guard_secret = "BENCH_SECRET"
stream_url = "{origin}/sse"
stream_window_s = 1
"""
WEB = """
[profiles.bench.targets.web]
health_url = "{origin}/"
stream_url = "{origin}/sse"
stream_window_s = 1
"""
WORKER = """
[profiles.bench.targets.worker]
health_url = "{origin}/{path}"
"""
EMPTY_TEST = "def test_empty():\n    pass\n"
# What the project's own pyproject.toml says, and what the tutorial tells a user to say.
PYTEST_INI = "[pytest]\naddopts = -p no:anyio\n"


def repository(folder: Path, origin: str, *, hang: bool = False, budget_s: float = 4) -> Path:
    """A user's repository with three targets and twelve checks; with `hang`, one target in three never answers."""
    targets = CORE.format(origin=origin) + WEB.format(origin=origin)
    targets += WORKER.format(origin=origin, path="hang" if hang else "")
    config = CONFIG.format(budget_s=budget_s, targets=targets)
    return places.write(
        folder, {"ops.toml": config, "checks/README": "only the shipped checks\n", "pytest.ini": PYTEST_INI}
    )


def observe(python: Path, folder: Path, *more: str) -> Run:
    """`pytest checks/ -m observe`, as an operator types it."""
    return measure.run(
        [python, "-m", "pytest", "checks/", "-m", "observe", *more], cwd=folder, more={"BENCH_SECRET": SECRET}
    )


def main(rounds: int) -> None:
    """Print the tables of this benchmark."""
    python = places.product()
    quiet, stock = {"pytest.ini": PYTEST_INI}, {"pytest.ini": "[pytest]\n"}
    home = places.WORK / "startup"
    with places.server("--delay-ms", "0") as [origin]:
        user, bare = repository(home / "user", origin), repository(home / "bare", origin)
        places.write(bare, stock)
        for folder in (user, bare):
            places.release_stop(python, folder)
        empty = places.write(home / "empty", {"test_empty.py": EMPTY_TEST, **quiet})
        plain = places.write(home / "plain", {"test_empty.py": EMPTY_TEST, **stock})
        nothing = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        ways = {
            "pytest, one empty test": lambda: measure.run([python, "-m", "pytest"], cwd=empty),
            "observe, 12 healthy checks": lambda: observe(python, user),
            "pytest, one empty test, no configuration": lambda: measure.run([python, "-m", "pytest"], cwd=plain),
            "observe, 12 healthy checks, no configuration": lambda: observe(python, bare),
            "pytest, one empty test, no plugin at all": lambda: measure.run(
                [python, "-m", "pytest"], cwd=plain, more=nothing
            ),
        }
        results = measure.in_turns(ways, rounds)
    names = list(ways)
    bases = {name: names[2] if "no configuration" in name else names[0] for name in names}
    rows = [
        [
            name,
            measure.seconds(runs),
            f"{measure.median(runs, 'cpu_s'):.3f} s",
            f"{measure.paired_ratio(runs, results[bases[name]]):.2f} x",
            f"{measure.median(runs, 'cpu_s') / measure.median(results[bases[name]], 'cpu_s'):.2f} x",
        ]
        for name, runs in results.items()
    ]
    head = ["what", "wall time, median (range)", "CPU", "wall, against its empty test", "CPU, likewise"]
    print(measure.table("Start-up", head, rows))
    said = results[names[1]][0].output
    if "12 passed" not in said:
        print(f"not as intended:\n{said}")
    imports(python, rounds)


def imports(python: Path, rounds: int) -> None:
    """Print what importing the product costs on top of importing pytest, inside one process."""
    code = "import pytest, time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    whole = "ops_core.pytest_plugin.session, ops_core.observation.engine, ops_core.probes.health, ops_core.probes.guard"
    whole += ", ops_core.probes.stream, ops_core.probes.process, ops_core.probes.control, ops_core.probes.deployment"
    whole += ", ops_core.pytest_plugin.fixtures, ops_core.pytest_plugin.ending"
    names = {
        "ops_core and its plugin (every pytest run)": "ops_core, ops_core.pytest_plugin",
        "and what an operational run imports of ours": whole,
        "and what its probes need (h11)": whole + ", h11",
    }
    ways = {
        name: lambda what=what: measure.run([python, "-c", code.format(what).replace(";  ", "; ")], cwd=places.WORK)
        for name, what in names.items()
    }
    results = measure.in_turns(ways, rounds)
    rows = []
    for name, runs in results.items():
        millis = sorted(float(one.output) * 1000 for one in runs)
        rows.append([name, f"{statistics.median(millis):.0f} ms ({millis[0]:.0f}-{millis[-1]:.0f})"])
    print(measure.table("Imports on top of pytest", ["what", "median (range)"], rows))
