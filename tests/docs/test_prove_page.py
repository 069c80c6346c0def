"""What docs/prove-your-own-runbook.md shows is what happens: its files are written and its lines typed, in their order."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support import served

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "prove-your-own-runbook.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
BASE = "http://127.0.0.1:8000"
ANY = "…"
LIMIT_S = 120
MARKS = {"●": "bad", "·": "good"}
# What no two runs have in common.
MASKS = ((r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN"), (r"\d+(?:\.\d+)? s(?=\W|$)", "TIME"), (r"[ \t]+", " "))


class OneThoughtLeft(BaseHTTPRequestHandler):
    """A service of somebody's own, in a bad night."""

    def do_GET(self) -> None:
        body = b'{"status": "ok", "thoughts": 1}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    """Its address."""
    with served(OneThoughtLeft) as port:
        yield f"http://127.0.0.1:{port}"


class Reader:
    """Somebody who follows the page: stands in a folder, and does what comes next."""

    def __init__(self, folder: Path, service: str) -> None:
        self.folder = folder
        self.service = service

    def follow(self, kind: str, text: str) -> None:
        """Type the lines of a block and compare, write its file, or change one."""
        if kind == "console":
            for command, shown in typed(text):
                self.type(command, shown)
            return
        name, _, content = text.removeprefix("# ").partition("\n")
        path = self.folder / name
        if kind == "diff":
            path.write_text(changed(path.read_text(encoding="utf-8"), content), encoding="utf-8")
        elif kind == "toml":
            path.write_text(f"{path.read_text(encoding='utf-8')}\n{content}", encoding="utf-8")
        elif kind == "python":
            assert not path.exists(), f"{name} is there already"
            path.write_text(content, encoding="utf-8")

    def type(self, command: str, shown: list[str]) -> None:
        """Run one line; what it says and its exit code have to be those of the page."""
        program, *rest = shlex.split(command.replace(BASE, self.service))
        if program == "cd":
            self.folder /= rest[0]
        elif program == "rm":
            (self.folder / rest[0]).unlink()
        else:
            assert program == "ops"
            env = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
            argv = [sys.executable, "-c", "from ops_core.cli import run; run()", *rest]
            done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=LIMIT_S)
            code = int(shown.pop().strip("[]")) if shown and re.fullmatch(r"\[\d+\]", shown[-1]) else 0
            said = done.stdout + done.stderr
            assert done.returncode == code, f"{command}: {said}"
            assert as_shown(shown, said), f"{command} says:\n{said}\nand not:\n" + "\n".join(shown)


def typed(block: str) -> list[tuple[str, list[str]]]:
    """Each command of a block, with the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def changed(text: str, diff: str) -> str:
    """A text in which the lines that a diff takes away, and that occur once, are those that it puts there."""
    old, new = ("".join(f"{line[1:]}\n" for line in diff.splitlines() if line[0] == sign) for sign in "-+")
    assert text.count(old) == 1, f"it occurs {text.count(old)} times: {old}"
    return text.replace(old, new)


def masked(text: str) -> str:
    """A text without run ids, times and the width of columns."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def as_shown(shown: list[str], said: str) -> bool:
    """Whether the output is what is shown: `…` alone stands for lines, within a line for a part of it."""
    pattern = ""
    for line in masked("\n".join(shown)).splitlines():
        one = re.escape(line).replace(re.escape(ANY), ".*")
        pattern += r"(?:.*\n)*" if line == ANY else f"{one}\n"
    return not shown or re.fullmatch(pattern, masked(said) + "\n") is not None


@pytest.mark.slow
def test_page_can_be_followed_from_an_empty_folder(tmp_path: Path, service: str) -> None:
    """Each file is written and each line typed in the order of the page, and answers with what it shows."""
    assert {kind for kind, _ in BLOCKS} == {"console", "python", "toml", "diff", "text"}
    reader = Reader(tmp_path, service)
    for kind, text in BLOCKS:
        if kind == "text":
            assert_matrix(text, next((reader.folder / "reports" / "drills").iterdir()))
        else:
            reader.follow(kind, text)


def assert_matrix(excerpt: str, run: Path) -> None:
    """The excerpt of the page's matrix is what the run holds."""
    head, *lines = (line.replace(ANY, " ").split() for line in excerpt.splitlines())
    assert lines
    for fault, *marks in lines:
        result = json.loads((run / "faults" / f"{fault}.json").read_text(encoding="utf-8"))
        judged = {one["check"]: one["judged"] for one in result["judged"] if one["target"] == "core-api"}
        assert [judged[check] for check in head] == [MARKS[mark] for mark in marks], fault


def test_reader_compares_what_is_shown() -> None:
    """Another word, a line too many and a line too few are noticed; times and run ids are not."""
    said = "matrix 20260104T090500Z-abcdef, seed 1\n  detected  0.5 s\n\nwritten\n"
    assert as_shown(["matrix 20270104T090501Z-0bcdef, seed 1", "detected 7 s", "written"], said)
    assert as_shown(["matrix …, seed 1", ANY], said)
    assert not as_shown(["matrix …, seed 2", ANY], said)
    assert not as_shown(["matrix …, seed 1", "written"], said)
    assert not as_shown(["matrix …, seed 1", "detected 1 s", "written", "twice"], said)
    assert changed("a\nb\nc\n", "-b\n+d\n") == "a\nd\nc\n"


def test_page_is_found_from_where_people_come_in() -> None:
    """The first page and the one about drills lead to it."""
    docs = Path(__file__).resolve().parents[2]
    assert "(docs/prove-your-own-runbook.md)" in (docs / "README.md").read_text(encoding="utf-8")
    assert "(prove-your-own-runbook.md)" in (docs / "docs" / "drills.md").read_text(encoding="utf-8")
