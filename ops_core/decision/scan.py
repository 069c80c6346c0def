"""Which findings the checks can raise, read from their source and never by importing it.

The decision table has to be proven total before the first probe runs, at a moment when a check module with a mistake in
it, or one that does something at import, must not be able to get in the way.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_core.decision.problems import Problem
from ops_core.errors import ConfigError
from ops_core.finding import MARK, valid_code

CHECK_PREFIX = "check_"
CLASS_PREFIX = "Check"
MAX_CHECK_FILES = 2000
MAX_CHECK_BYTES = 1 << 20

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, order=True)
class Raised:
    """One place where a check stands for a finding. As text it is `file:line`."""

    file: Path
    line: int
    check: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was read: every finding that a check stands for, and what is wrong with the checks themselves."""

    raised: tuple[Raised, ...]
    problems: tuple[Problem, ...]


def findings_in(dirs: Sequence[Path]) -> dict[str, Raised]:
    """The findings that the checks in these folders can raise, each with the first place that raises it.

    Raises:
        ConfigError: see `scan`.
    """
    found: dict[str, Raised] = {}
    for raised in scan(dirs).raised:
        found.setdefault(raised.code, raised)
    return found


def scan(dirs: Sequence[Path]) -> Scan:
    """Read all `check_*.py` in these folders and below, in a stable order.

    Raises:
        ConfigError: a folder is missing, a file cannot be read or is not Python, or there are too many of them.
    """
    raised: list[Raised] = []
    problems: list[Problem] = []
    for number, file in enumerate(_check_files(dirs), start=1):
        if number > MAX_CHECK_FILES:
            raise ConfigError(
                f"more than {MAX_CHECK_FILES} check files",
                where=", ".join(map(str, dirs)),
                allowed=f"at most {MAX_CHECK_FILES} files named {CHECK_PREFIX}*.py",
            )
        _File(file, raised, problems).read()
    return Scan(raised=tuple(raised), problems=tuple(problems))


def _check_files(dirs: Sequence[Path]) -> Iterator[Path]:
    seen: set[str] = set()
    for folder in dirs:
        if not folder.is_dir():
            raise ConfigError(
                "there is no folder of checks", where=str(folder), next_step="ops init to make one, or name another"
            )
        # pytest follows links to folders too; what was seen is left out, so that a loop of links ends.
        for here, names, files in os.walk(folder, followlinks=True):
            real = os.path.realpath(here)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            # In place: this is how os.walk is told where not to go, and in which order.
            names[:] = sorted(name for name in names if not name.startswith((".", "__pycache__")))
            yield from (Path(here, n) for n in sorted(files) if n.startswith(CHECK_PREFIX) and n.endswith(".py"))


class _File:
    """One check file while it is read."""

    def __init__(self, path: Path, raised: list[Raised], problems: list[Problem]) -> None:
        self.path = path
        self.raised = raised
        self.problems = problems
        self.names = {MARK}

    def read(self) -> None:
        tree = _parse(self.path)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                self.names.update(alias.asname for alias in node.names if alias.name == MARK and alias.asname)
        self._block(tree.body, "", self._assigned_marks(tree.body))

    def _block(self, body: Sequence[ast.stmt], prefix: str, inherited: list[ast.Call]) -> None:
        # As in pytest, the mark nearest to the check is the one that counts.
        for node in body:
            if isinstance(node, _Function):
                if node.name.startswith(CHECK_PREFIX):
                    self._check(node, prefix + node.name, self._marks(node.decorator_list) or inherited)
            elif isinstance(node, ast.ClassDef):
                if node.name.startswith(CLASS_PREFIX):
                    own = [*self._marks(node.decorator_list), *self._assigned_marks(node.body)]
                    self._block(node.body, f"{prefix}{node.name}.", own or inherited)
            else:
                for inner in ("body", "orelse", "finalbody"):
                    self._block(getattr(node, inner, []), prefix, inherited)
                for handler in getattr(node, "handlers", []):
                    self._block(handler.body, prefix, inherited)

    def _check(self, node: _Function, name: str, marks: list[ast.Call]) -> None:
        if not marks:
            self._problem(node.lineno, f"{name} stands for no finding", 'decorate it with @finding("subject.state")')
        if len(marks) > 1:
            self._problem(node.lineno, f"{name} stands for {len(marks)} findings", "one check, one finding: split it")
        for mark in marks:
            given = [*mark.args, *(keyword.value for keyword in mark.keywords)]
            code = given[0].value if len(given) == 1 and isinstance(given[0], ast.Constant) else None
            if code is None:
                self._problem(
                    mark.lineno,
                    f"the finding of {name} is unknown to static reading",
                    'write its code as a literal: @finding("subject.state")',
                )
            elif isinstance(code, str) and valid_code(code):
                self.raised.append(Raised(file=self.path, line=mark.lineno, check=name, code=code))
            else:
                self._problem(
                    mark.lineno,
                    f"{code!r} is not a finding code",
                    "lower-case words joined by dots, such as guard.open",
                )

    def _marks(self, nodes: Sequence[ast.expr]) -> list[ast.Call]:
        """Calls of the decorator under any of its names: `finding`, `ops_core.finding`, `pytest.mark.finding`."""
        return [
            node
            for node in nodes
            if isinstance(node, ast.Call)
            and (
                (isinstance(node.func, ast.Name) and node.func.id in self.names)
                or (isinstance(node.func, ast.Attribute) and node.func.attr == MARK)
            )
        ]

    def _assigned_marks(self, body: Sequence[ast.stmt]) -> list[ast.Call]:
        """What `pytestmark = …` of a module or class holds."""
        found: list[ast.Call] = []
        for node in body:
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
            ):
                value = node.value
                found += self._marks(value.elts if isinstance(value, ast.List | ast.Tuple) else [value])
        return found

    def _problem(self, line: int, what: str, next_step: str) -> None:
        self.problems.append(Problem(where=f"{self.path}:{line}", what=what, next_step=next_step))


def _parse(path: Path) -> ast.Module:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CHECK_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}", where=str(path)) from None
    if len(text) > MAX_CHECK_BYTES:
        raise ConfigError(f"{path.name} is larger than {MAX_CHECK_BYTES} bytes", where=str(path))
    try:
        with warnings.catch_warnings():
            # A doubtful escape sequence is for the reader of the module, not for this one.
            warnings.simplefilter("ignore")
            return ast.parse(text, filename=str(path))
    except SyntaxError as error:
        raise ConfigError(
            f"{path.name} is not valid Python: {error.msg}",
            where=f"{path}:{error.lineno or 1}",
            next_step="correct it: without it nobody can tell which findings there are",
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deeply"
        raise ConfigError(f"{path.name} is not valid Python: {reason}", where=str(path)) from None
