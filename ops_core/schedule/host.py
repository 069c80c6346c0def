"""The edge: reads and writes crontabs and files, and calls the programs of this host. Nothing else of `schedule` does.

Nothing is replaced that changed after it was shown, and nothing that is not ours.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops_core.content import content_dir
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.schedule.plan import OWN, SHELL_SCRIPTS, WINDOWS_SCRIPTS, NewFile, Plan
from ops_core.schedule.systemd import SYSTEM_FOLDER, USER_FOLDER

COMMAND_LIMIT_S = 60.0
FILE_MAX_BYTES = 1 << 20
# What cron and systemd hand to a script.
SCHEDULERS_PATH = "/usr/bin:/bin"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a program ended: `code` is None where there is no such program."""

    code: int | None
    output: bytes = b""
    errors: bytes = b""


Runner = Callable[[Sequence[str], bytes], Ran]


def run_program(argv: Sequence[str], given: bytes = b"") -> Ran:
    """Run a program with that input, in English, and wait for its end.

    Raises:
        OpsError: it does not end.
    """
    environ = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(argv, input=given, capture_output=True, check=False, env=environ, timeout=COMMAND_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise OpsError(f"{argv[0]} did not end within {COMMAND_LIMIT_S:.0f} s", where=" ".join(argv)) from None
    except OSError:
        return Ran(code=None)
    return Ran(code=done.returncode, output=done.stdout, errors=done.stderr)


@dataclass(frozen=True, kw_only=True)
class Host:
    """This machine, as far as schedulers need it.

    Attributes:
        as_root: whether units of the whole system can be written.
        home: the home directory of who types.
        etc: where the machine says in which zone its clock is.
        run: starts programs.
    """

    as_root: bool
    home: Path
    etc: Path = Path("/etc")
    run: Runner = run_program

    @property
    def units(self) -> Path:
        """The folder for units of systemd."""
        return SYSTEM_FOLDER if self.as_root else self.home / USER_FOLDER

    def zone(self) -> str:
        """The zone of this machine's clock, in which cron counts.

        Raises:
            OpsError: it cannot be told.
        """
        parts = Path(os.path.realpath(self.etc / "localtime")).parts
        if "zoneinfo" in parts:
            name = "/".join(parts[len(parts) - parts[::-1].index("zoneinfo") :])
            return name.removeprefix("posix/")
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if name := (self.etc / "timezone").read_text(encoding="utf-8").strip():
                return name
        raise OpsError(
            "the zone of this machine's clock cannot be told",
            where=str(self.etc / "localtime"),
            next_step="name it with --host-zone",
        )

    def cron_reads_zone(self) -> bool:
        """Whether cron obeys CRON_TZ: cronie does, and says who it is."""
        said = self.run(("crond", "-V"), b"")
        return b"cronie" in (said.output + said.errors).lower()

    def read_crontab(self, user: str = "") -> str:
        """The crontab, byte for byte; empty where there is none.

        Raises:
            OpsError: it cannot be read.
        """
        argv = _crontab(user, "-l")
        ran = self.run(argv, b"")
        if ran.code == 0:
            return ran.output.decode("utf-8", "surrogateescape")
        if ran.code is not None and b"no crontab for" in ran.errors.lower():
            return ""
        raise _failed(argv, ran, "the crontab cannot be read")

    def carry_out(self, plan: Plan, user: str = "") -> None:
        """Do what a plan for an installation says.

        Raises:
            OpsError: something cannot be written, or a command failed. The message says what.
            Refused: a file of somebody else stands there, or something has changed since the plan was made.
        """
        for file in plan.files:
            check_ours(file)
        self._commands(plan.before)
        for file in plan.files:
            write(file)
        self._crontab(plan, user)
        self._commands(plan.commands)

    def take_away(self, plan: Plan, user: str = "") -> tuple[Path, ...]:
        """Do what a plan for a removal says, and return the files that are gone.

        Raises:
            OpsError: something cannot be removed, or a command failed.
            Refused: a file of somebody else stands there, or something has changed since the plan was made.
        """
        present = [file for file in plan.files if os.path.lexists(file.path)]
        for file in present:
            check_ours(file)
        if present:
            self._commands(plan.before)
        for file in present:
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:
                raise OpsError(f"{file.path} cannot be removed: {error.strerror}") from None
        self._crontab(plan, user)
        if present:
            self._commands(plan.commands)
        return tuple(file.path for file in present)

    def _crontab(self, plan: Plan, user: str) -> None:
        if plan.crontab is None or plan.crontab[0] == plan.crontab[1]:
            return
        before, after = plan.crontab
        if self.read_crontab(user) != before:
            raise Refused("the crontab has changed in between; nothing was written", next_step="the same again")
        argv = _crontab(user, "-" if after else "-r")
        ran = self.run(argv, after.encode("utf-8", "surrogateescape"))
        if ran.code != 0:
            raise _failed(argv, ran, "the crontab cannot be written")
        if self.read_crontab(user) != after:
            raise OpsError("the crontab is not what was written", next_step="crontab -l")

    def _commands(self, commands: tuple[tuple[str, ...], ...]) -> None:
        for argv in commands:
            ran = self.run(argv, b"")
            if ran.code != 0:
                raise _failed(argv, ran, f"{argv[0]} failed")


def this_host() -> Host:
    """The machine that we are on."""
    return Host(as_root=hasattr(os, "geteuid") and os.geteuid() == 0, home=Path.home())


def scripts(root: Path, kind: str) -> tuple[NewFile, ...]:
    """The shipped scripts that a scheduler of that kind calls, at their place in a repository."""
    shipped = content_dir() / "deploy"
    names, mode = (WINDOWS_SCRIPTS, 0o644) if kind == "windows" else (SHELL_SCRIPTS, 0o755)
    return tuple(
        NewFile(
            path=root / "deploy" / name,
            text=(shipped / name).read_text(encoding="utf-8"),
            mode=mode,
            source=shipped / name,
        )
        for name in names
    )


def program_for(root: Path) -> str:
    """The `ops` that a scheduler has to be told of; empty where the script finds one by itself.

    Raises:
        UsageError: there is none that a scheduler could start.
    """
    if os.access(root / ".venv" / "bin" / "ops", os.X_OK) or shutil.which("ops", path=SCHEDULERS_PATH):
        return ""
    mine = Path(sys.executable).absolute().with_name("ops")
    found = str(mine) if os.access(mine, os.X_OK) else shutil.which("ops")
    if found:
        return os.path.abspath(found)  # noqa: PTH100 - resolving links would lead out of the environment
    raise UsageError(
        "no ops can be found that a scheduler could start",
        where=f"{root / '.venv/bin/ops'}, {SCHEDULERS_PATH}",
        next_step=f"install pytest-runbook into {root / '.venv'}",
    )


def ours(path: Path) -> NewFile:
    """A file that is only to be removed, in the encoding in which its kind is written."""
    return NewFile(path=path, text="", encoding="utf-16" if path.suffix == ".xml" else "utf-8")


def state_of(file: NewFile) -> str:
    """`installed` as it would be written, `differs`, or `not installed`."""
    present = _read(file)
    if present is None:
        return "not installed"
    return "installed" if present == file.text.encode(file.encoding) else "differs"


def check_ours(file: NewFile) -> None:
    """Nothing of somebody else's stands where this file belongs.

    Raises:
        Refused: something does.
    """
    present = _read(file)
    if present is None:
        return
    if OWN.encode(file.encoding.replace("utf-16", "utf-16-le")) not in present:
        raise Refused(
            f"{file.path.name} is there already, and was not {OWN}; nothing was changed",
            where=str(file.path),
            next_step="move it away",
        )


def write(file: NewFile) -> None:
    """Write a file, whole or not at all.

    Raises:
        OpsError: it cannot be written.
    """
    temporary = ""
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.")
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.text.encode(file.encoding))
            opened.flush()
            os.fsync(opened.fileno())
        Path(temporary).chmod(file.mode)
        Path(temporary).replace(file.path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise OpsError(f"{file.path} cannot be written: {error.strerror}") from None


def with_scripts(plan: Plan, root: Path) -> Plan:
    """The plan, with the scripts that the repository lacks in front of its files."""
    states = [(file, state_of(file)) for file in scripts(root, plan.kind)]
    missing = tuple(file for file, state in states if state == "not installed")
    kept = tuple(f"{file.path} is not as shipped, and stays as it is" for file, state in states if state == "differs")
    return replace(plan, files=(*missing, *plan.files), notes=(*plan.notes, *kept))


def _read(file: NewFile) -> bytes | None:
    try:
        with file.path.open("rb") as opened:
            return opened.read(FILE_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OpsError(f"{file.path} cannot be read: {error.strerror}") from None


def _crontab(user: str, *rest: str) -> tuple[str, ...]:
    return ("crontab", "-u", user, *rest) if user else ("crontab", *rest)


def _failed(argv: Sequence[str], ran: Ran, what: str) -> OpsError:
    if ran.code is None:
        return OpsError(f"{what}: there is no program {argv[0]} on this machine", where=" ".join(argv))
    lines = (ran.errors or ran.output).decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1][:300]}" if lines else ""
    return OpsError(f"{what}{said}", where=f"{' '.join(argv)} (exit {ran.code})")
