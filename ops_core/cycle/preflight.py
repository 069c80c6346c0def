"""What a cycle needs before it begins: modules that can be imported, files that are there and hold something.

Modules are looked for in an interpreter of their own: finding a module in a package imports the package, and what that
does, or how long it takes, must not become the cycle's business.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_core.config import Settings

LOOKING_S = 20.0
TEXT_MAX_CHARS = 300
_CODE = """\
import importlib.util, json, sys
wrong = {}
for name in sys.argv[1:]:
    try:
        if importlib.util.find_spec(name) is None:
            wrong[name] = "it is not installed"
    except BaseException as error:
        wrong[name] = f"{type(error).__name__}: {error}"[:300]
sys.__stdout__.write("\\n" + json.dumps(wrong))
"""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """One thing that is not as a cycle needs it, and what to type."""

    what: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.what} (next: {self.next_step})"

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {"what": self.what, "next": self.next_step}


def look(settings: Settings, environ: Mapping[str, str], limit_s: float = LOOKING_S) -> tuple[Missing, ...]:
    """Everything that is missing; empty where a cycle may begin.

    Args:
        settings: whose `cycle.needs_modules` and `cycle.needs_files` are looked for.
        environ: of the interpreter that looks for modules.
        limit_s: seconds that it may take.
    """
    files = tuple(missing for path in settings.cycle.needs_files if (missing := _file(path)) is not None)
    return (*_modules(settings.cycle.needs_modules, environ, limit_s), *files)


def _modules(names: Sequence[str], environ: Mapping[str, str], limit_s: float) -> tuple[Missing, ...]:
    if not names:
        return ()
    try:
        # Isolated: neither the working directory nor the environment adds to what is installed.
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CODE, *names],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.1, min(limit_s, LOOKING_S)),
            env={**os.environ, **environ},
            check=False,
        )
        wrong = json.loads(done.stdout.rpartition(b"\n")[2])
        assert isinstance(wrong, dict)  # noqa: S101 - anything else is an interpreter that was interfered with
    except subprocess.TimeoutExpired:
        wrong = dict.fromkeys(names, "looking for it took too long")
    except (OSError, ValueError, AssertionError) as error:
        wrong = dict.fromkeys(names, f"it could not be looked for: {type(error).__name__}")
    return tuple(
        Missing(
            what=f"the module {name} cannot be imported: {' '.join(str(wrong[name]).split())[:TEXT_MAX_CHARS]}",
            next_step=f"{sys.executable} -m pip install {name.partition('.')[0]}",
        )
        for name in names
        if name in wrong
    )


def _file(path: Path) -> Missing | None:
    put = f"put it in place, then look: ls -l {path}"
    try:
        # Not blocking: a pipe that nobody writes to would hold the cycle.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Missing(what=f"the file {path} is not there", next_step=put)
    except OSError as error:
        return Missing(what=f"the file {path} cannot be read: {error.strerror}", next_step=f"chmod u+r {path}")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Missing(what=f"{path} is not a file", next_step=put)
        if not os.read(descriptor, 1):
            return Missing(what=f"the file {path} is empty", next_step=put)
    except OSError as error:
        return Missing(what=f"the file {path} cannot be read: {error.strerror}", next_step=put)
    finally:
        os.close(descriptor)
    return None
