"""The locks under requirements/: complete, exact, hashed, and silent about where they were made."""

from __future__ import annotations

import re
import tomllib
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from support import ROOT, project_files

LOCKS = ("run.txt", "dev.txt")
_PIN = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[0-9][0-9a-z.+!]*)(?: ; (?P<marker>[^\\]+?))? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
_COMMENT = re.compile(r"\s*#[A-Za-z0-9 .:()_-]*(-c requirements/run\.txt)?")
# Of our dependencies, those that the product never imports by name, and how it uses them instead.
NOT_IMPORTED = {
    "pytest-json-report": "a pytest plugin: writes the record",
    "pytest-timeout": "a pytest plugin: the net under the checks",
}
# What is imported by another name than its own.
IMPORTED_AS = {"markdown-it": "markdown-it-py"}
# The same of the development's dependencies: these are commands, or plugins of pytest.
COMMANDS = {
    "hatchling": "make dist",
    "import-linter": "make lint",
    "mypy": "make lint",
    "pytest-xdist": "pytest -n",
    "ruff": "make lint",
}


@cache
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted(lock: str) -> list[Requirement]:
    table = project()
    lines = list(table["project"]["dependencies"])
    if lock == "dev.txt":
        lines += table["dependency-groups"]["dev"]
        lines += table["build-system"]["requires"]
    return [Requirement(line) for line in lines]


def pins(lock: str) -> dict[str, Version]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    return {match["name"]: Version(match["version"]) for match in _PIN.finditer(text)}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_the_project(lock: str) -> None:
    """Whatever pyproject.toml asks for is pinned, at a version that it allows."""
    locked = pins(lock)
    missing = [str(one) for one in wanted(lock) if canonicalize_name(one.name) not in locked]
    assert not missing
    assert not [str(one) for one in wanted(lock) if locked[canonicalize_name(one.name)] not in one.specifier]


def test_the_locks_agree() -> None:
    """The development lock holds everything of the other one, at the same versions."""
    run, dev = pins("run.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in run} == run


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_exact_hashed_and_names_no_place(lock: str) -> None:
    """Every line of a lock is a pin, a hash or a remark on who asked for it: no option, host or path fits in there."""
    lines = (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
    assert not [
        line for line in lines if not (_PIN.fullmatch(line) or _HASH.fullmatch(line) or _COMMENT.fullmatch(line))
    ]
    assert not [line for line in lines if "://" in line or "--find-links" in line or "-index" in line]
    for number, line in enumerate(lines[:-1]):
        if _PIN.fullmatch(line):
            assert _HASH.fullmatch(lines[number + 1]), f"{line} has no hash"


def test_every_dependency_is_used() -> None:
    """Each dependency of the product is imported somewhere in ops_core, or the list above says how it is used."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "ops_core").rglob("*.py"))
    found = re.findall(r"^\s*(?:from|import) ([a-z0-9_]+)", source, re.MULTILINE)
    names = {canonicalize_name(name) for name in found}
    imported = {IMPORTED_AS.get(name, name) for name in names}
    asked = {canonicalize_name(one.name) for one in wanted("run.txt")}
    assert asked - imported == set(NOT_IMPORTED)


def test_every_development_dependency_is_used() -> None:
    """Each of them is imported by the tests or the benchmarks, or is a command of the list above."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in project_files() if path.suffix == ".py")
    imported = set(re.findall(r"^\s*(?:from|import) ([a-z0-9_]+)", source, re.MULTILINE))
    asked = {canonicalize_name(one.name) for one in wanted("dev.txt")} - {
        canonicalize_name(one.name) for one in wanted("run.txt")
    }
    assert asked - imported <= set(COMMANDS)
    assert set(COMMANDS) <= asked


def test_python_versions_agree() -> None:
    """The linter aims at the oldest Python that the project supports."""
    table = project()
    oldest = re.fullmatch(r">=3\.(\d+)", table["project"]["requires-python"])
    assert oldest
    assert table["tool"]["ruff"]["target-version"] == f"py3{oldest[1]}"
