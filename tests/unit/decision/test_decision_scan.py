"""Findings are read from the source of the checks; nothing of it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ops_core.decision import scan as scan_module
from ops_core.decision.scan import findings_in, scan
from ops_core.errors import ConfigError


def write(folder: Path, text: str, name: str = "check_it.py") -> Path:
    """A check file with that text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path) -> list[str]:
    """What is wrong with the checks there, a line for each."""
    return [f"{p.where}: {p.what} -> {p.next_step}" for p in scan([folder]).problems]


SPELLINGS = {
    "from the package": 'from ops_core import finding\n@finding("a.b")\ndef check_it(): ...\n',
    "renamed": 'from ops_core.finding import finding as f\n@f("a.b")\ndef check_it(): ...\n',
    "through the package": 'import ops_core\n@ops_core.finding("a.b")\ndef check_it(): ...\n',
    "as a pytest mark": 'import pytest\n@pytest.mark.finding("a.b")\ndef check_it(): ...\n',
    "by keyword": 'from ops_core import finding\n@finding(code="a.b")\ndef check_it(): ...\n',
    "in two pieces": 'from ops_core import finding\n@finding("a" ".b")\ndef check_it(): ...\n',
    "asynchronous": 'from ops_core import finding\n@finding("a.b")\nasync def check_it(): ...\n',
    "of the module": 'import pytest\npytestmark = [pytest.mark.finding("a.b")]\ndef check_it(): ...\n',
    "of the class": 'import pytest\n@pytest.mark.finding("a.b")\nclass CheckIt:\n    def check_it(self): ...\n',
    "inside the class": (
        'import pytest\nclass CheckIt:\n    pytestmark = pytest.mark.finding("a.b")\n    def check_it(self): ...\n'
    ),
    "under a condition": 'import ops_core\nif 1:\n    @ops_core.finding("a.b")\n    def check_it(): ...\n',
    "as a fallback": (
        "import ops_core\ntry:\n    import x\nexcept ImportError:\n"
        '    @ops_core.finding("a.b")\n    def check_it(): ...\n'
    ),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_every_way_to_write_the_decorator_is_read(tmp_path, text):
    """However a check names its finding in pytest, reading its source finds it."""
    write(tmp_path, text)
    assert list(findings_in([tmp_path])) == ["a.b"]
    assert problems_of(tmp_path) == []


def test_finding_is_told_with_file_line_and_check(tmp_path):
    """A code raised at several places is told with the first, in the order of the paths."""
    write(tmp_path, 'from ops_core import finding\n\n@finding("a.b")\ndef check_late(): ...\n', "z/check_z.py")
    path = write(tmp_path, 'from ops_core import finding\n\n@finding("a.b")\ndef check_early(): ...\n', "a/check_a.py")
    found = findings_in([tmp_path])["a.b"]
    assert (str(found), found.check) == (f"{path}:3", "check_early")
    assert len(scan([tmp_path]).raised) == 2
    assert len(scan([tmp_path, tmp_path / "z"]).raised) == 2


def test_nothing_is_imported(tmp_path):
    """A check module that does something at import does not get to do it."""
    write(tmp_path, 'import check_nothing_such\nraise SystemExit("ran")\n', "check_loud.py")
    before = set(sys.modules)
    assert findings_in([tmp_path]) == {}
    assert set(sys.modules) == before


def test_only_check_files_and_check_functions_count(tmp_path):
    """Helpers, fixtures and hidden folders are not checks."""
    text = 'from ops_core import finding\n@finding("a.b")\ndef {}(): ...\n'
    write(tmp_path, text.format("check_it"), "conftest.py")
    write(tmp_path, text.format("check_it"), ".old/check_it.py")
    write(tmp_path, text.format("check_it"), "__pycache__/check_it.py")
    write(tmp_path, text.format("helper"), "check_it.py")
    write(tmp_path, "class Helper:\n    def check_it(self): ...\n", "check_class.py")
    assert findings_in([tmp_path]) == {}
    assert problems_of(tmp_path) == []


def test_finding_nearest_to_the_check_counts(tmp_path):
    """A finding of the check itself stands in place of that of its class, and that in place of the module's."""
    write(
        tmp_path,
        'from pytest import mark\npytestmark = mark.finding("of.module")\ndef check_a(): ...\n'
        '@mark.finding("of.class")\nclass CheckB:\n    def check_b(self): ...\n'
        '    @mark.finding("of.check")\n    def check_c(self): ...\n',
    )
    assert {r.check: r.code for r in scan([tmp_path]).raised} == {
        "check_a": "of.module",
        "CheckB.check_b": "of.class",
        "CheckB.check_c": "of.check",
    }
    assert problems_of(tmp_path) == []


def test_links_to_folders_are_followed_once(tmp_path):
    """A suite may be linked from elsewhere; a loop of links ends."""
    write(tmp_path, 'import ops_core\n@ops_core.finding("a.b")\ndef check_it(): ...\n', "shared/check_it.py")
    own = tmp_path / "own"
    own.mkdir()
    (own / "observe").symlink_to(tmp_path / "shared")
    (tmp_path / "shared" / "again").symlink_to(own)
    assert [str(r) for r in scan([own]).raised] == [f"{own / 'observe' / 'check_it.py'}:2"]


def test_check_without_finding_is_a_problem(tmp_path):
    """What such a check says when it fails could not be decided on."""
    path = write(tmp_path, "class CheckAll:\n    def check_it(self): ...\n")
    assert problems_of(tmp_path) == [
        f'{path}:2: CheckAll.check_it stands for no finding -> decorate it with @finding("subject.state")'
    ]


def test_code_that_is_not_a_literal_is_unknown_to_static_reading(tmp_path):
    """It is said, not guessed."""
    path = write(tmp_path, 'from ops_core import finding\nC = "a.b"\n@finding(C)\ndef check_it(): ...\n')
    assert findings_in([tmp_path]) == {}
    what = f"{path}:3: the finding of check_it is unknown to static reading"
    assert problems_of(tmp_path) == [f'{what} -> write its code as a literal: @finding("subject.state")']


def test_malformed_code_is_a_problem(tmp_path):
    """A code that the decorator would refuse is told before the module is imported."""
    path = write(tmp_path, 'from ops_core import finding\n@finding("Guard")\ndef check_it(): ...\n')
    assert problems_of(tmp_path) == [
        f"{path}:2: 'Guard' is not a finding code -> lower-case words joined by dots, such as guard.open"
    ]


def test_two_findings_on_one_check_are_a_problem(tmp_path):
    """A failing check stands for one code; both are known all the same."""
    path = write(tmp_path, 'import ops_core as o\n@o.finding("a.b")\n@o.finding("c.d")\ndef check_it(): ...\n')
    assert sorted(findings_in([tmp_path])) == ["a.b", "c.d"]
    assert problems_of(tmp_path) == [f"{path}:4: check_it stands for 2 findings -> one check, one finding: split it"]


BROKEN = {
    "syntax": (b"x = 1\ndef check_it(:\n", "check_it.py is not valid Python: invalid syntax", ":2"),
    "null byte": (
        b"x = '\x00'\n",
        "check_it.py is not valid Python: source code string cannot contain null bytes",
        None,
    ),
    "encoding": (b"# caf\xe9\nx = '\xe9'\n", "check_it.py is not valid Python", None),
    "nesting": (b"x = " + b"(" * 5000 + b")" * 5000, "check_it.py is not valid Python", None),
    "operators": (b"x = " + b"-" * 200_000 + b"1", "check_it.py is not valid Python", None),
    "size": (b"#" * ((1 << 20) + 1), "check_it.py is larger than 1048576 bytes", ""),
}


@pytest.mark.parametrize(("raw", "what", "line"), BROKEN.values(), ids=BROKEN)
def test_file_that_cannot_be_read_as_python_is_an_error(tmp_path, raw, what, line):
    """Without it nobody can tell which findings there are, so nothing goes on."""
    (tmp_path / "check_it.py").write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        findings_in([tmp_path])
    assert caught.value.what.startswith(what)
    assert caught.value.where.startswith(f"{tmp_path / 'check_it.py'}{line or ''}")


def test_doubtful_escape_is_not_our_business(tmp_path):
    """Warnings about a check's source do not fail the reading, even where warnings are errors."""
    write(tmp_path, 'import ops_core\nX = "\\d"\n@ops_core.finding("a.b")\ndef check_it(): ...\n')
    assert list(findings_in([tmp_path])) == ["a.b"]


def test_unreadable_file_is_an_error(tmp_path):
    """A check file that is a link to nowhere is told, not passed over."""
    (tmp_path / "check_it.py").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"check_it\.py cannot be read: No such file or directory"):
        scan([tmp_path])


def test_missing_folder_is_an_error(tmp_path):
    """A folder that is not there is never the same as a folder without findings."""
    with pytest.raises(ConfigError, match="there is no folder of checks"):
        findings_in([tmp_path / "gone"])


def test_number_of_files_is_limited(tmp_path, monkeypatch):
    """Somebody who names the wrong folder is told soon."""
    monkeypatch.setattr(scan_module, "MAX_CHECK_FILES", 1)
    write(tmp_path, "", "check_a.py")
    write(tmp_path, "", "check_b.py")
    with pytest.raises(ConfigError, match="more than 1 check files"):
        scan([tmp_path])
