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
health_url = "{origin}/{path}"
guard_url = "{origin}/{guard}"
guard_secret = "BENCH_SECRET"
stream_url = "{origin}/{stream}"
stream_window_s = 1
release_link = "releases/current"
"""
PLAIN = """
[profiles.bench.targets.{name}]
health_url = "{origin}/{path}"
"""
EMPTY_TEST = "def test_empty():\n    pass\n"
# What the project's own pyproject.toml says, and what the tutorial tells a user to say.
PYTEST_INI = "[pytest]\naddopts = -p no:anyio\n"


def repository(folder: Path, origin: str, *, hang: bool = False, budget_s: float = 4) -> Path:
    """A user's repository with three targets and twelve checks; with `hang`, one target in three never answers."""
    core = CORE.format(origin=origin, path="", guard="guard", stream="sse")
    names = {"web": "", "worker": "hang" if hang else ""}
    targets = core + "".join(PLAIN.format(name=name, origin=origin, path=path) for name, path in names.items())
    places.write(
        folder,
        {
            "ops.toml": CONFIG.format(budget_s=budget_s, targets=targets),
            "checks/README": "only the shipped checks\n",
            "releases/v1/app.py": "",
            "pytest.ini": PYTEST_INI,
        },
    )
    link = folder / "releases" / "current"
    link.unlink(missing_ok=True)
    link.symlink_to("v1")
    return folder


def observe(python: Path, folder: Path, *more: str) -> Run:
    """`pytest checks/ -m observe`, as an operator types it."""
    return measure.run(
        [python, "-m", "pytest", "checks/", "-m", "observe", *more], cwd=folder, more={"BENCH_SECRET": SECRET}
    )


def main(rounds: int) -> None:
    """Print the tables of this benchmark."""
    python = places.product()
    with places.server("--delay-ms", "0") as [origin]:
        user = repository(places.WORK / "startup" / "user", origin)
        places.release_stop(python, user)
        empty = places.write(places.WORK / "startup" / "empty", {"test_empty.py": EMPTY_TEST, "pytest.ini": PYTEST_INI})
        plain = places.write(
            places.WORK / "startup" / "plain", {"test_empty.py": EMPTY_TEST, "pytest.ini": "[pytest]\n"}
        )
        ways = {
            "pytest, one empty test": lambda: measure.run([python, "-m", "pytest"], cwd=empty),
            "observe, 12 healthy checks": lambda: observe(python, user),
            "pytest, one empty test, anyio's plugin on": lambda: measure.run([python, "-m", "pytest"], cwd=plain),
            "pytest, one empty test, no plugin at all": lambda: measure.run(
                [python, "-m", "pytest"], cwd=plain, more={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            ),
        }
        results = measure.in_turns(ways, rounds)
        said = results["observe, 12 healthy checks"][0].output
    base = results["pytest, one empty test"]
    rows = [
        [
            name,
            measure.seconds(runs),
            f"{measure.median(runs, 'cpu_s'):.3f} s",
            f"{measure.paired_ratio(runs, base):.2f} x",
        ]
        for name, runs in results.items()
    ]
    print(measure.table("Start-up", ["what", "wall time, median (range)", "CPU", "ratio"], rows))
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
        "and what its probes need (httpx, h11, …)": whole
        + "; from ops_core.observation.engine import _preload; _preload({'http'})",
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
