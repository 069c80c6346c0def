"""What tests of all kinds need: programs of the machine, and the files that make up the project."""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

from ops_core.clock import SystemClock
from ops_core.drill.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")
_DERIVED = {".git", ".venv", "__pycache__", "build", "dist", "logs", "state"}


def need_program(name: str) -> str:
    """The path of a program. Without it the test is skipped; under CI it fails, so that it is noticed."""
    # Servers often lie where only the administrator looks.
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))
    if found is not None:
        return found
    missing = f"needs the program {name}"
    if os.environ.get("CI"):
        pytest.fail(f"{missing}: .ci/run has to install it", pytrace=False)
    pytest.skip(missing)


def sampled(cases: Iterable[T], share: float, always: Callable[[T], bool] = lambda _: False) -> list[T]:
    """All cases; where `SAMPLE_SEED` is set, as in CI, a part of them, and with another seed another part.

    Args:
        cases: in the order in which they are tried.
        share: how large the part is.
        always: which cases are tried in any case.
    """
    every = list(cases)
    seed = os.environ.get("SAMPLE_SEED")
    if not seed:
        return every
    chosen = set(random.Random(f"{seed} {len(every)}").sample(range(len(every)), math.ceil(len(every) * share)))
    return [case for number, case in enumerate(every) if number in chosen or always(case)]


def project_files() -> list[Path]:
    """The files that version control knows or would take; in an unpacked sdist all that are not derived."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        argv = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        found = [ROOT / name for name in listed.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not _DERIVED.intersection(path.relative_to(ROOT).parts)]
    return sorted({path for path in found if path.is_file()})


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """An HTTP server of this process that answers until the block ends; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def eventually(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    """Return as soon as a condition holds; fail, saying what did not happen, when it does not hold in time."""
    wait_until(condition, SystemClock(), limit_s, what)
