"""Schemathesis over the OpenAPI document of a running server: `python -m tests.fuzz.documented PATH_OF_SCHEMATHESIS`.

It lies in an environment of its own: with its plugin every start of pytest would take longer. What it takes from the
document is asked without a token and with one that is good for everything.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import prepared, serving

# These start a process each time, which takes a second: only their examples are tried.
HEAVY = ("/api/ops/cycle/run", "/api/ops/push/live_fire/run", "/api/live/cycle/run")
CONFIG = Path(__file__).with_name("schemathesis.toml")


def main() -> int:
    """Both runs; the exit code of the worse."""
    seed = os.environ.get("SEED") or str(secrets.randbelow(10**9))
    examples = os.environ.get("EXAMPLES") or "50"
    print(f"SEED={seed} EXAMPLES={examples}", flush=True)
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        world = prepared(Path(folder) / "site")
        with serving(world) as (_pid, port):
            for token in ("", world.tokens["all"]):
                for phases, chosen in (
                    ("examples,coverage,fuzzing", [word for path in HEAVY for word in ("--exclude-path", path)]),
                    ("examples", [word for path in HEAVY for word in ("--include-path", path)]),
                ):
                    words = ["--phases", phases, "--checks", "all", "-n", examples, "--seed", seed, *chosen]
                    if token:
                        words += ["-H", f"Authorization: Bearer {token}"]
                    argv = [sys.argv[1], "--config-file", str(CONFIG), "run", f"http://127.0.0.1:{port}/openapi.json"]
                    done = subprocess.run([*argv, *words, "--no-color"], cwd=folder, check=False)
                    code = max(code, done.returncode)
        said = (world.site.root / "stderr.txt").read_text()
    if "Traceback" in said:
        print(said)
        code = max(code, 1)
    return code


if __name__ == "__main__":
    sys.exit(main())
