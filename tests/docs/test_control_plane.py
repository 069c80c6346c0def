"""What docs/control-plane.md shows is what happens: its lines are typed in their order, and answered as they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot_api import BotApi
from tests.hostile import free_port
from tests.operating import CHAT, TOKEN
from tests.support import need_program

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "control-plane.md").read_text(encoding="utf-8")
BASE = "http://127.0.0.1:8000"
ANY = "…"
LIMIT_S = 600


def typed(page: str = PAGE) -> list[tuple[str, list[str]]]:
    """Each command of the page with the lines that are shown below it; a file that is to be changed is a command too."""
    found: list[tuple[str, list[str]]] = []
    for kind, text in re.findall(r"^```(console|toml)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if kind == "toml":
            name, _, added = text.removeprefix("# ").partition("\n")
            found.append((f"cat >> {name} <<'END'\n\n{added}END", []))
            continue
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.startswith("> ") or found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0]}\n{line.removeprefix('> ')}", [])
            else:
                found[-1][1].append(line)
    return found


def as_script(command: str, port: int) -> str:
    """The command as bash runs it here: on a free port, with a terminal where somebody is asked."""
    if command == "ops serve":
        wait = f"curl -sS --retry 60 --retry-connrefused --retry-delay 1 -o wait.json {BASE}/api/status"
        end = 'test -z "$served" || { kill $served; wait $served; }'
        command = f"{end}\nops serve --port {port} > serve.txt 2>&1 & served=$!\n{wait} 2> wait.txt"
    if command.startswith("ops approve "):
        command = f"script -qefc {shlex.quote(command)} /dev/null <<< y"
    if "telegram_token" in command:
        command += "\nbot"
    return command.replace(BASE, f"http://127.0.0.1:{port}")


def fits(shown: list[str], said: list[str]) -> bool:
    """Whether what was said is what is shown; a line `…` stands for any lines, `…` in a line for any text."""
    pattern = "".join(
        r"(?:.*\n)*" if line == ANY else ".*".join(map(re.escape, line.rstrip().split(ANY))) + r"\n" for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in said)) is not None


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A folder with `ops` on the path and the two secrets, as somebody has them who begins."""
    for program in ("bash", "curl", "openssl", "script", "awk"):
        need_program(program)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ops"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m ops_core.cli "$@"\n')
    script.chmod(0o755)
    return tmp_path


def test_every_line_of_the_page_does_what_the_page_says(bench: Path) -> None:
    """All commands of the page, typed in one shell in their order: each answers as shown, and both fires arrive once."""
    commands = typed()
    assert len(commands) > 60
    port = free_port()
    with BotApi() as bot:
        lines = ["set -u", "served=", "trap 'kill $served 2>/dev/null; wait' EXIT"]
        for number, (command, _) in enumerate(commands):
            lines += [as_script(command, port), f"code=$?; printf '\\n@@ {number}\\n'; (exit $code)"]
            if command.startswith("cd "):
                lines.append(prepared(bot.url))
        environ = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        environ |= {"PATH": f"{bench / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(bench), "TERM": "dumb"}
        script = bench / "page.sh"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        output = bench / "output.txt"
        with output.open("wb") as file:
            argv = [need_program("bash"), str(script)]
            subprocess.run(
                argv, cwd=bench, env=environ, stdout=file, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False
            )
        texts = bot.texts
    # Nobody types here, so the answer to a question does not stand where a terminal would show it.
    whole = output.read_text(encoding="utf-8").replace("\r", "").replace("[y/N]: ", "[y/N]: y\n")
    told = re.split(r"\n?@@ \d+\n", whole)
    assert len(told) == len(commands) + 1, told[-3:]
    wrong = [
        f"$ {command}\n{said}" for (command, shown), said in zip(commands, told, strict=False)
        if not fits(shown, [line for line in said.strip("\n").splitlines() if line])
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    assert [text for text in texts if "weekly report" in text] == [
        "weekly report: all funds in order", "weekly report: second edition",
    ]  # fmt: skip
    assert len(texts) == len(set(texts))


def prepared(bot_url: str) -> str:
    """What a reader has and the page does not show: secrets in files, a bot to reach, and a time of day that fits."""
    return f"""mkdir -m 700 secrets
(umask 077; echo '{TOKEN}' > secrets/BOT_TOKEN; echo '{CHAT}' > secrets/BOT_CHAT)
sed -i '/profiles.default.trading/,/^closes/ {{
  s/^days = .*/days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]/
  s/^opens = .*/opens = "00:00"/
  s/^closes = .*/closes = "24:00"/
}}' ops.toml
bot() {{ sed -i 's|^telegram_token|telegram_url = "{bot_url}"\\n&|' ops.toml; }}"""


def test_what_is_shown_is_told_apart_from_what_is_not() -> None:
    """The comparison sees a missing line, another line and another text."""
    assert fits(["a …", ANY, "z"], ["a 1", "b", "c", "z"])
    assert fits([], [])
    assert not fits([], ["a"])
    assert not fits(["a …", "z"], ["a 1", "b", "z"])
    assert not fits(["a", ANY], ["b"])
    assert not fits(["{…1…}"], ["{2}"])
