"""`python -m ops_core.incident run --profile NAME`: the loop without the rest of the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops_core.clock import SystemClock
from ops_core.config import LANGUAGES, find_config, load_settings
from ops_core.control.opening import plane_of
from ops_core.errors import OpsError
from ops_core.incident.loop import run_incident


def main() -> int:
    """Handle an incident and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops_core.incident")
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--config")
    parser.add_argument("--profile")
    parser.add_argument("--suite", default="observe")
    parser.add_argument("--lang", choices=LANGUAGES)
    parser.add_argument("--verify-s", type=float)
    parser.add_argument("--no-remediate", action="store_true")
    options = parser.parse_args()
    clock = SystemClock()
    try:
        settings = load_settings(find_config(Path.cwd(), options.config), options.profile)
        outcome = run_incident(
            settings,
            suite=options.suite,
            plane=plane_of(settings, clock, "incident"),
            clock=clock,
            say=lambda line: print(line, flush=True),  # noqa: T201 - this is the command line
            lang=options.lang or settings.lang,
            remediate=not options.no_remediate,
            verify_s=options.verify_s,
        )
    except OpsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the command line
        return error.exit_code
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
