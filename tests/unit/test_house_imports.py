"""What is imported when: `pytest checks/ -m observe` pays only for what it uses, and imports go down only."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

# Each costs between 10 and 150 ms to import; the start-up budget is 80 ms in all.
SLOW = {
    "alembic",
    "anyio",
    "apprise",
    "babel",
    "click",
    "cryptography",
    "fastapi",
    "h11",
    "httpcore",
    "httpx",
    "jinja2",
    "jsonschema",
    "prometheus_client",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "starlette",
    "supervisor",
    "typer",
    "uvicorn",
    "xmlrpc",
}
# Where one of them may be imported at the top, and why.
_SERVER = "nothing but `ops serve` imports these modules"
_REHEARSED = "a program of its own, which the tool starts and never imports"
AT_THE_TOP = {
    ("ops_core/api/", "fastapi"): _SERVER,
    ("ops_core/api/", "prometheus_client"): _SERVER,
    ("ops_core/api/", "pydantic"): _SERVER,
    ("ops_core/api/", "h11"): _SERVER,
    ("ops_core/api/", "starlette"): _SERVER,
    ("ops_core/api/", "uvicorn"): _SERVER,
    ("ops_core/control/", "sqlalchemy"): "what a probe reads with loads none of them: test_control_reading.py",
    ("ops_core/control/migrations/", "alembic"): "Alembic itself loads them",
    ("ops_core/cycle/", "sqlalchemy"): "whoever runs a cycle has its control store open",
    ("ops_core/incident/", "sqlalchemy"): "whoever runs an incident has its control store open",
    ("ops_core/control/people/keys.py", "cryptography"): "only those who sign or verify import this module",
    ("ops_core/cli/", "typer"): "these modules are loaded when a command runs, and every command needs it",
    ("ops_core/drill/supervision.py", "xmlrpc"): "nothing but a rehearsal imports this module",
    ("ops_core/drill/ingest/", "fastapi"): _REHEARSED,
    ("ops_core/drill/ingest/", "prometheus_client"): _REHEARSED,
    ("ops_core/drill/ingest/", "starlette"): _REHEARSED,
    ("ops_core/drill/ingest/migrations/", "alembic"): "Alembic itself loads them",
    ("ops_core/drill/ingest/migrations/", "sqlalchemy"): "Alembic itself loads them",
}
PLANTED = {
    "a lower floor imports a higher one": ("config.py", "import ops_core.control.model"),
    "siblings import each other": ("decision/match.py", "import ops_core.probes.registry"),
    "a decision does I/O": ("decision/match.py", "import subprocess"),
    "a transition asks for the time": ("control/model/gate.py", "import time"),
    "a report looks behind its data": ("report/text.py", "import ops_core.control.model"),
    "pytest creeps in": ("control/service.py", "import pytest"),
    "content is imported": ("config.py", "import checks.observe.check_health"),
    "a module stands on no floor": ("stray.py", '"""Nothing."""'),
}


def top_level_imports(path: Path) -> Iterator[tuple[str, int]]:
    """The packages that are imported as soon as the module is."""
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def loaded_by(statement: str) -> set[str]:
    """The packages that a statement loads into an interpreter in which pytest is loaded already."""
    report = "print(json.dumps([*set(sys.modules) - before]))"
    code = f"import sys, json, pytest; before = set(sys.modules); {statement}; {report}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_slow_packages_are_imported_where_they_are_used() -> None:
    """No module of ops_core imports a slow package at its top, except where the list above says why."""
    complaints: list[str] = []
    used: set[tuple[str, str]] = set()
    for path in sorted((ROOT / "ops_core").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for package, line in top_level_imports(path):
            if package not in SLOW:
                continue
            allowed = {(place, what) for place, what in AT_THE_TOP if name.startswith(place) and what == package}
            used |= allowed
            if not allowed:
                complaints.append(f"{name}:{line}: {package}")
    assert not complaints
    assert used == set(AT_THE_TOP)


def test_importing_the_plugin_loads_nothing_slow() -> None:
    """`import ops_core, ops_core.pytest_plugin` loads none of the slow packages, nor asyncio, ssl and sqlite3."""
    loaded = loaded_by("import ops_core, ops_core.pytest_plugin")
    assert "ops_core" in loaded
    assert not loaded & {*SLOW, "asyncio", "ssl", "sqlite3"}


def test_importing_the_command_loads_nothing_slow() -> None:
    """`ops_core.cli` itself is light, so that each command pays for its own needs only."""
    assert not loaded_by("import ops_core.cli") & {*SLOW, "asyncio", "ssl", "sqlite3"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over a copy of the project."""
    argv = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(argv, check=False, capture_output=True, text=True, cwd=folder)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and its rules, in a folder of their own."""
    folder = tmp_path_factory.mktemp("imports")
    shutil.copytree(ROOT / "ops_core", folder / "ops_core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_imports_go_down_only(copy: Path) -> None:
    """import-linter finds every contract of pyproject.toml kept."""
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("what", PLANTED)
def test_a_forbidden_import_is_found(copy: Path, what: str) -> None:
    """import-linter refuses a package in which a contract is broken on purpose."""
    name, line = PLANTED[what]
    path = copy / "ops_core" / name
    before = path.read_text(encoding="utf-8") if path.exists() else None
    try:
        path.write_text((before or "") + f"\n{line}\n", encoding="utf-8")
        done = lint_imports(copy)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    assert "0 broken" not in done.stdout
