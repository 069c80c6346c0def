"""A container's image rolled back by hand, as the incident runbook's script does it, against `ops incident run`.

The fault is an image rolled forward broken: the container runs and its health check fails. Both ways stand in one
run on one engine, started for it (root, `dockerd`, `docker` and `gcc` are needed). By hand means the script with its
waits; looking and deciding have happened before.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks import measure, places
from benchmarks.measure import Run
from benchmarks.rollback import Ours

BY_HAND = Path(__file__).with_name("rollback_container_by_hand.sh")
TESTS = places.ROOT / "tests"
CONFIG = """\
default_profile = "site"
suites = ["observe"]

[profiles.site]
drill = true

[profiles.site.targets.shop]
driver = "container"
container = "{name}"
engine_socket = "{socket}"
health_url = "http://127.0.0.1:{port}/"
"""


def main(rounds: int) -> None:
    """Print the table of this benchmark."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "gcc"))):
        print("rollback_container: needs root, docker and gcc\n")
        return
    # The tests have an engine of their own; there is no reason for a second way to start one.
    sys.path.insert(0, str(TESTS))
    from engine import shared_engine  # type: ignore[import-not-found,unused-ignore]  # found by the path above

    python = places.product()
    hand: list[Run] = []
    ours = Ours()
    with shared_engine(emptied(places.WORK / "rollback_container" / "engine")) as engine:
        for _ in range(rounds):
            name, port = good(engine)
            roll_forward(engine, name, port)
            more = {"NAME": name, "IMAGE": "service:good", "PORT": port, "DOCKER_HOST": f"unix://{engine.socket}"}
            hand.append(measure.run(["bash", BY_HAND], cwd=places.WORK, more=more))
            ours.add(*by_ops(python, engine))
    print(ours.table("Rolling back a container's image", hand))


def by_ops(python: Path, engine: Any) -> tuple[Path, Run]:
    """Have a container seen good, break it, and let `ops` deal with it; returns the repository and the run."""
    name, port = good(engine)
    home = emptied(places.WORK / "rollback_container" / "home")
    places.write(home, {"ops.toml": CONFIG.format(name=name, socket=engine.socket, port=port)})
    ops, reason = python.with_name("ops"), ("--reason", "benchmark")
    for words in (("estop", "release", *reason), ("gate", "set", "MOCK_ONLY", *reason), ("observe",)):
        done = measure.run([ops, *words], cwd=home)
        if done.exit != 0:
            raise SystemExit(f"ops {' '.join(words)} ended with {done.exit}\n{done.output}")
    roll_forward(engine, name, port)
    return home, measure.run([ops, "incident", "run"], cwd=home)


def good(engine: Any) -> tuple[str, str]:
    """A container of the good image, healthy; its name and port."""
    name = engine.run("good")
    environ = engine.until(name, health="healthy").raw["Config"]["Env"]
    return name, next(one.removeprefix("PORT=") for one in environ if one.startswith("PORT="))


def roll_forward(engine: Any, name: str, port: str) -> None:
    """Put a container of the broken image in its place, until its health check has failed."""
    client = engine.client
    client.ask("DELETE", f"/containers/{name}?force=1", limit_s=60)
    body = {"Image": "service:sick", "Env": [f"PORT={port}"], "HostConfig": {"NetworkMode": "host"}}
    client.ask("POST", f"/containers/create?name={name}", body, limit_s=60)
    client.ask("POST", f"/containers/{name}/start", limit_s=60)
    engine.until(name, health="unhealthy")


def emptied(folder: Path) -> Path:
    """That folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
