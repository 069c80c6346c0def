"""The page about `ops lint`: what it shows is what the command says, and its rules are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_core.cli import main
from ops_core.lint.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")


def test_the_page_shows_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of the page, linted as it says, give what it shows and exit code 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    script = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "night.sh").write_text(script, encoding="utf-8")
    assert main(["lint", "night.sh"]) == 1
    assert capsys.readouterr().out == re.search(r"\$ ops lint night\.sh\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_page_lists_every_rule() -> None:
    """Each rule with its level, and no other."""
    told = re.findall(r"^\| `(OPS\d{3})` \| (\w+) \|", PAGE, re.MULTILINE)
    assert told == [(rule.id, rule.level) for rule in RULES.values()]


def test_the_exit_codes_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 where nothing is found, 3 where a file is no text, 64 where there is nothing to look at."""
    good, bad = tmp_path / "good.sh", tmp_path / "bad.sh"
    good.write_text("true\n", encoding="utf-8")
    bad.write_bytes(b"\0")
    assert main(["lint", str(good)]) == 0
    assert main(["lint", str(good), str(bad)]) == 3
    assert main(["lint", str(tmp_path / "away.sh")]) == 64
    assert "bad.sh" in capsys.readouterr().err
