"""`python -m benchmarks [NAME …] [--rounds N]`."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys

from benchmarks.places import WORK

# In this order: what is cheap and asked for most comes first.
ROUNDS = {"startup": 15, "hanging": 7, "thousand": 5, "transport": 3, "rollback": 1, "rollback_container": 1, "demo": 5}


def main() -> int:
    """Run the named benchmarks, or all, and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure against the alternatives.")
    parser.add_argument("names", nargs="*", choices=[[], *ROUNDS], metavar="NAME", help=", ".join(ROUNDS))
    parser.add_argument("--rounds", type=int, help="paired runs of each way; medians are printed")
    parser.add_argument("--full", action="store_true", help="transport: 10,000 targets as well, which takes long")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    print(f"Python {platform.python_version()}, {platform.machine()}\n", flush=True)
    for name in options.names or ROUNDS:
        more = {"full": options.full} if name == "transport" else {}
        importlib.import_module(f"benchmarks.{name}").main(options.rounds or ROUNDS[name], **more)
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
