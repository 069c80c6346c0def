"""The page about split operations: what it says that is typed can be typed, and its tables are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_core.cli.app import VERBS, build_app
from ops_core.config import load_settings
from ops_core.handoff.roles import COMMANDS
from ops_core.live.judging import Result
from ops_core.split.steps import EXIT_CODES, NAMES
from tests.operating import Site

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "split-operations.md").read_text(encoding="utf-8")
DAY = PAGE.split("## The operator's day\n")[1].split("\n## ")[0]
CODES = re.findall(r"`([^`\n]+)`", PAGE)
TYPED = sorted(
    {code for code in CODES if code.startswith("ops ")} | set(re.findall(r"^\$ (ops .+)$", PAGE, re.MULTILINE))
)


@pytest.mark.parametrize("line", TYPED)
def test_each_command_of_the_page_is_one(line: str) -> None:
    """Its verb exists, and so does the command below it, where one is named."""
    words = line.split()
    assert words[1] in VERBS, line
    below = {str(command.name) for group in build_app([words[1]]).registered_groups if group.typer_instance
             and group.name == words[1] for command in group.typer_instance.registered_commands}  # fmt: skip
    if below and len(words) > 2 and words[2].isalpha() and words[2].islower():
        assert words[2] in below, line
        assert " ".join(words[1:3]) in COMMANDS or words[1] in COMMANDS


def test_scripts_and_options_of_the_page_are_there() -> None:
    """Each script can be executed, and each option that the day has is told."""
    scripts = set(re.findall(r"deploy/oci/\w+\.sh", PAGE))
    assert scripts == {f"deploy/oci/{path.name}" for path in (ROOT / "deploy" / "oci").iterdir()}
    assert all((ROOT / one).stat().st_mode & 0o111 for one in scripts)
    assert {"--split", "--check"} <= set(re.findall(r"--\w+", DAY))


def test_the_steps_and_words_of_the_page_are_those_of_the_program() -> None:
    """The five steps in their order, the verdicts with their exit codes, the results of a live cycle."""
    assert tuple(re.findall(r"^  [1-5]  (\w+(?: \w+)?)  ", DAY, re.MULTILINE)) == NAMES
    for verdict, code in EXIT_CODES.items():
        table = DAY.split("| verdict | means | exit code |")[1].split("\n\n")[0]
        row = next(line for line in table.splitlines() if f"`{verdict.value}`" in line)
        assert row.rstrip(" |").endswith(f"| {code}")
    table = DAY.split("| result | means |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` ", table, re.MULTILINE) == [one.value for one in Result if one is not Result.OPEN]


def test_paths_of_the_page_are_requests_of_the_server() -> None:
    """Whatever begins with /api/ is in the document of the interface."""
    from ops_core.api.documents import ANSWERS

    there_are = {path for _, path in ANSWERS}
    named = set(re.findall(r"/api/[a-z/_]+[a-z]", PAGE))
    assert named
    assert named <= there_are


def test_commands_that_look_answer_on_a_host_that_is_new(tmp_path: Path) -> None:
    """What the page has for looking can be typed at once, and says what is not there yet."""
    site = Site(tmp_path).write()
    site.release()
    assert load_settings(site.root / "ops.toml", environ={}).split.backend_url
    assert site.ops("live", "latest").out.startswith("no live cycle has run yet")
    assert "no bundle is in force" in site.ops("live", "preview").out
    assert "no bundle is in force" in site.ops("live", "run", code=3).out
    ref = site.ops("live", "latest", "--json").json()["snapshot_ref"]
    assert site.ops("snapshot", ref, "--json").json()["kind"] == "live_cycle"
    assert "nothing that was recorded" in site.ops("snapshot", "live_cycle/../x", code=64).err
    assert "two different things" in site.ops("daily", "--split", "--check", "summary", code=64).err
    assert "there is no check" in site.ops("daily", "--check", "nothing", code=64).err
