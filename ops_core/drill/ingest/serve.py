"""Start the service of the release that this file lies in, with the settings of an environment file.

    serve.py --port N [--host 127.0.0.1] [--env-file FILE] [--ledger FILE]

The file's `KEY=VALUE` lines become environment variables: secrets are in no argument. With a ledger, one line is added
to it for each start, so that a rehearsal can count from outside what was really started.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

EXIT_CONFIG = 78
# The release that is really in force: a link in the path may point elsewhere a moment later.
HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="serve.py")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--ledger", type=Path)
    options = parser.parse_args(arguments)
    config = options.env_file.resolve() if options.env_file else None
    if options.ledger:
        _record_start(options.ledger, HERE.parent.name, config.name if config else "")
    sys.path.insert(0, str(HERE.parent))
    try:
        if config is not None:
            _read_environment(config)
        import uvicorn

        application = importlib.import_module(f"{HERE.name}.app").create_app()
    except ImportError as error:
        sys.stderr.write(f"ingest: {error.name} is missing; next: pip install 'pytest-runbook[service]'\n")
        sys.exit(EXIT_CONFIG)
    except Exception as error:  # noqa: BLE001 - whatever it is, a service that cannot start says so in one line
        sys.stderr.write(f"ingest: cannot start: {error}\n")
        sys.exit(EXIT_CONFIG)
    uvicorn.run(
        application,
        host=options.host,
        port=options.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
        server_header=False,
    )


def _read_environment(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            os.environ[key.strip()] = value.strip()


def _record_start(ledger: Path, release: str, config: str) -> None:
    now = time.time()
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z",
        "service": "ingest",
        "pid": os.getpid(),
        "release": release,
        "config": config,
    }
    # One write on an O_APPEND descriptor: lines never mix.
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
