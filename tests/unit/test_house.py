"""The house rules that matter, as tests. Each complaint names the file and the line."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from support import ROOT, project_files

MODULE_LINES_MAX = 399
FUNCTION_LINES_MAX = 69
# A list of cases is read from anywhere, not from the top.
TEST_MODULE_LINES_MAX = 599
TEST_FUNCTION_LINES_MAX = 99
REASON_CHARS_MIN = 3

# Where a test may let real time pass, and why nothing else would do.
SLEEPS_ALLOWED: dict[str, str] = {}

_SUPPRESSION = re.compile(r"(noqa(?::\s*[A-Z]+[0-9]+(?:\s*,\s*[A-Z]+[0-9]+)*)?|type:\s*ignore(?:\[[a-z, -]*\])?)(.*)")
# The brackets keep this file from holding what it looks for.
_FOREIGN = {
    "a registry's host": r"[p]ypi\.org|[p]ythonhosted|[n]pmjs|deb\.[d]ebian",
    "a path of somebody's machine": r"/[r]oot/|/[w]ork/(main|shared)|/[o]pt/(pypi|wheels)",
}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(path for path in project_files() if path.suffix == ".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def inside(*folders: str) -> list[Path]:
    return [path for path in python_files() if path.relative_to(ROOT).parts[0] in folders]


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def functions(path: Path) -> Iterator[_Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, _Function))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def agree(complaints: Sequence[str]) -> None:
    __tracebackhide__ = True
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def test_the_rules_have_something_to_look_at() -> None:
    """Green on nothing is a defect: the files are found."""
    assert len(inside("ops_core")) > 50
    assert len(inside("tests")) > 10


def test_every_module_says_why_it_exists() -> None:
    """Every module that is not empty begins with a docstring."""
    agree([at(path, 1) for path in python_files() if path.stat().st_size and not ast.get_docstring(tree_of(path))])


def test_modules_are_short() -> None:
    """No module has 400 lines or more, no file of tests 600 or more."""
    complaints = []
    for path in python_files():
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > (TEST_MODULE_LINES_MAX if path in inside("tests") else MODULE_LINES_MAX):
            complaints.append(f"{at(path, length)}: {length} lines")
    agree(complaints)


def test_functions_are_short() -> None:
    """No function has 70 lines or more, none of the tests 100 or more."""
    complaints = []
    for path in python_files():
        allowed = TEST_FUNCTION_LINES_MAX if path in inside("tests") else FUNCTION_LINES_MAX
        for one in functions(path):
            length = (one.end_lineno or one.lineno) - one.lineno + 1
            if length > allowed:
                complaints.append(f"{at(path, one.lineno)}: {one.name} has {length} lines")
    agree(complaints)


def test_suppressions_give_their_reason() -> None:
    """Every `noqa` and `type: ignore` names its rule and gives its reason behind it, or in a comment right above it."""
    complaints = []
    for path in python_files():
        lines = path.read_text(encoding="utf-8").splitlines()
        for line, comment in comments(path):
            above = lines[line - 2].strip().startswith("#") if line > 1 else False
            for part, rest in _SUPPRESSION.findall(comment):
                named = ":" in part if part.startswith("noqa") else "[" in part
                if not named or not (above or len(rest.strip(" #-:,")) >= REASON_CHARS_MIN):
                    complaints.append(f"{at(path, line)}: {comment}")
    agree(complaints)


def test_a_suppression_without_reason_is_found() -> None:
    """The rule above knows the bare forms from the explained ones."""
    bare = ("# noqa", "# noqa: S603", "# type: ignore[arg-type]")
    assert [_SUPPRESSION.findall(one)[0][1].strip() for one in bare] == ["", "", ""]
    explained = "# type: ignore[misc, override]  # httpx is imported where it is used"
    assert _SUPPRESSION.findall(explained)[0][1].strip(" #") == "httpx is imported where it is used"


def test_every_rule_that_is_switched_off_has_a_reason() -> None:
    """Each line of pyproject.toml that switches off a ruff rule has a comment."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split("[tool.ruff.lint]", 1)[1].split("[tool.mypy]", 1)[0]
    lines = [line for line in section.splitlines() if re.search(r'"[A-Z]+[0-9]*"', line) and "select" not in line]
    assert lines
    agree([line for line in lines if not re.search(r"#\s*\S+ \w+", line)])


def test_every_public_method_is_documented_somewhere() -> None:
    """A public method without docstring carries out what a base class, of ours or of somebody else's, has promised."""
    classes = [
        (path, one) for path in inside("ops_core") for one in ast.walk(tree_of(path)) if isinstance(one, ast.ClassDef)
    ]
    ours = {owner.name for _, owner in classes}
    documented: set[str] = set()
    bare: list[tuple[str, str]] = []
    for path, owner in classes:
        foreign_base = any(ast.unparse(base).partition("[")[0] not in ours | {"Protocol"} for base in owner.bases)
        for one in owner.body:
            if not isinstance(one, _Function) or one.name.startswith(("_", "pytest_")):
                continue
            if ast.get_docstring(one):
                documented.add(one.name)
            elif not foreign_base and not owner.name.startswith("_"):
                bare.append((one.name, f"{at(path, one.lineno)}: {owner.name}.{one.name}"))
    agree([where for name, where in bare if name not in documented])


def test_every_test_says_in_one_line_what_holds() -> None:
    """Every test function has a docstring of one line."""
    complaints = []
    for path in inside("tests"):
        for one in functions(path):
            if one.name.startswith("test_") and path.name.startswith("test_"):
                said = ast.get_docstring(one) or ""
                if not said or "\n" in said:
                    complaints.append(f"{at(path, one.lineno)}: {one.name}")
    agree(complaints)


def test_test_files_have_names_of_their_own() -> None:
    """No two test files share a name: pytest imports them by their name alone."""
    names = [path.name for path in inside("tests") if path.name not in {"conftest.py", "__init__.py"}]
    assert sorted(names) == sorted(set(names))


def test_nothing_goes_through_a_shell() -> None:
    """Programs are started with argument lists; no call asks for a shell."""
    shells = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
    complaints = []
    for path in python_files():
        for name, call in calls(path):
            asked = any(
                k.arg == "shell" and not (isinstance(k.value, ast.Constant) and not k.value.value)
                for k in call.keywords
            )
            if asked or name in shells or name.endswith("create_subprocess_shell"):
                complaints.append(f"{at(path, call.lineno)}: {name}")
    agree(complaints)


def test_tests_do_not_sleep() -> None:
    """No test lets real time pass in place of a condition, except where the list above says why."""
    complaints = []
    for path in inside("tests"):
        for name, call in calls(path):
            if name in {"time.sleep", "sleep"} and str(path.relative_to(ROOT)) not in SLEEPS_ALLOWED:
                complaints.append(at(path, call.lineno))
    agree(complaints)


def test_programs_are_asked_for_in_one_way() -> None:
    """Tests look for programs through `support.need_program`, so that under CI a missing one fails."""
    found = [at(path, call.lineno) for path in inside("tests") for name, call in calls(path) if name == "shutil.which"]
    agree([place for place in found if not place.startswith("tests/support.py")])


def test_what_is_pure_does_not_ask_for_the_time() -> None:
    """Decisions, control transitions and reports are handed the time."""
    pure = [*inside("ops_core")]
    complaints = []
    for path in pure:
        parts = path.relative_to(ROOT).parts[1:]
        if parts[0] in {"decision", "report"} or parts[:2] == ("control", "model"):
            for name, call in calls(path):
                if name.rpartition(".")[2] in {"now", "today", "utcnow", "monotonic", "perf_counter"}:
                    complaints.append(f"{at(path, call.lineno)}: {name}")
    agree(complaints)


def test_decisions_of_the_house_are_numbered() -> None:
    """docs/decisions holds 0001, 0002, … without a gap, each with its context, decision and consequences."""
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:5] for path in files] == [f"{number:04d}-" for number in range(1, len(files) + 1)]
    for path in files:
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], path.name


@pytest.mark.parametrize("what", _FOREIGN)
def test_no_file_names_where_it_was_made(what: str) -> None:
    """No file of the project names a registry's host or a path of somebody's machine."""
    complaints = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if re.search(_FOREIGN[what], line):
                complaints.append(f"{at(path, number)}: {line.strip()[:100]}")
    agree(complaints)


def prose() -> Iterator[tuple[Path, int, str]]:
    for path in project_files():
        if path.suffix == ".md" and "examples" not in path.parts:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                yield path, number, line


def test_what_the_pages_tell_to_make_can_be_made() -> None:
    """Every `make TARGET` in a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    complaints = []
    for path, number, line in prose():
        told = [*re.findall(r"`make ([a-z][a-z ]*)", line), *re.findall(r"^\$ make ([a-z]+)", line)]
        complaints += [
            f"{at(path, number)}: make {one}" for words in told for one in words.split() if one not in targets
        ]
    agree(complaints)
