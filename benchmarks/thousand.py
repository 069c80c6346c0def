"""A thousand targets, each answering after 100 ms: the whole observation against `curl --parallel` on the same list.

curl fetches each URL once and prints a status. The observation does that too, and judges two checks a target, keeps the
evidence in a journal, writes the record and says the verdict.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import measure, places
from benchmarks.measure import Run
from benchmarks.startup import PYTEST_INI

TARGETS = 1000
DELAY_MS = 100
HEAD = """\
default_profile = "bench"

[profiles.bench.budgets]
total_s = 60
"""
TARGET = """
[profiles.bench.targets.t{number:05}]
health_url = "{url}"
health_latency_max_ms = 60000
"""


def repository(folder: Path, urls: list[str]) -> Path:
    """A user's repository with a target for each URL."""
    targets = "".join(TARGET.format(number=number, url=url) for number, url in enumerate(urls))
    return places.write(
        folder, {"ops.toml": HEAD + targets, "checks/README": "only the shipped checks\n", "pytest.ini": PYTEST_INI}
    )


def curl_list(folder: Path, urls: list[str]) -> Path:
    """The same list for curl."""
    lines = "".join(f'url = "{url}"\noutput = /dev/null\n' for url in urls)
    places.write(folder, {"urls.txt": lines})
    return folder / "urls.txt"


def curl(listed: Path, *more: str) -> Run:
    """`curl --parallel` over the list."""
    argv = ["curl", "--silent", "--parallel", "--write-out", "%{http_code}\n", *more, "--config", listed]
    return measure.run(argv, cwd=listed.parent)


def observe(python: Path, folder: Path) -> Run:
    """The observation of all targets."""
    return measure.run([python, "-m", "pytest", "checks/", "-m", "observe", "-q"], cwd=folder)


def unknown(folder: Path) -> str:
    """How many judgements of the last observation say good, and how many unknown."""
    record = json.loads((folder / "reports" / "observe" / "latest.json").read_text())["runbook"]
    judged = [one["judged"] for one in record["judgements"]]
    return f"{judged.count('good')} good, {judged.count('unknown')} unknown, {judged.count('bad')} bad"


def main(rounds: int) -> None:
    """Print the table of this benchmark."""
    python = places.product()
    options = ["--delay-ms", str(DELAY_MS), "--origins", str(TARGETS), "--addresses", str(places.ADDRESSES)]
    with places.server(*options, python=places.alternatives()) as origins:
        urls = [f"{origin}/" for origin in origins]
        user = repository(places.WORK / "thousand", urls)
        places.release_stop(python, user)
        listed = curl_list(places.WORK / "thousand", urls)
        ways = {
            "curl --parallel (50 at once, its default)": lambda: curl(listed),
            "curl --parallel --parallel-max 300 (its most)": lambda: curl(listed, "--parallel-max", "300"),
            "observe: 1,000 targets, 2,002 checks": lambda: observe(python, user),
        }
        results = measure.in_turns(ways, rounds)
    bases = list(results)[:2]
    rows = [
        [name, measure.seconds(runs), f"{measure.median(runs, 'cpu_s'):.2f} s"]
        + [f"{measure.paired_ratio(runs, results[base]):.2f} x" for base in bases]
        for name, runs in results.items()
    ]
    head = ["what", "wall time, median (range)", "CPU", "against curl", "against curl, 300"]
    print(measure.table("1,000 targets that answer after 100 ms", head, rows))
    answered = results[bases[0]][-1].output.count("200")
    print(f"curl: {answered} answers of 200. observe: {unknown(user)}.\n")
