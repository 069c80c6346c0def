"""What docs/how-to.md shows is what works: its blocks are put into a new repository and run."""

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

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "how-to.md").read_text(encoding="utf-8")
FILES = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"waiting": 1200}' if self.path == "/orders" else b"<title>Shop</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[int]:
    with served(Shop) as port:
        yield port


def run(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPS_")}
    program, *rest = shlex.split(command)
    assert program == "ops"
    argv = [sys.executable, "-c", "from ops_core.cli import run; run()", *rest]
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=90)


def test_what_the_how_to_shows_works(tmp_path: Path, shop: int) -> None:
    """Own probe, own row, own helper: found, decided and titled; then every command of the page succeeds."""
    assert run("ops init .", tmp_path).returncode == 0
    for name, text in FILES:
        path = tmp_path / name
        path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + "\n" + text, encoding="utf-8")
    with (tmp_path / "ops.toml").open("a", encoding="utf-8") as toml:
        toml.write(
            f'\n[profiles.default.targets.shop.vars]\norders_url = "http://127.0.0.1:{shop}/orders"\n'
            f'front_url = "http://127.0.0.1:{shop}/"\n'
        )
    (tmp_path / "checks" / "observe" / "check_title.py").write_text(
        'from ops_core import finding\n\n\n@finding("title.wrong")\ndef check_title(title):\n    assert title == "Shop"\n'
    )
    seen = run("ops observe --json", tmp_path)
    document = json.loads(seen.stdout)
    assert {j["finding"] for j in document["judgements"] if j["judged"] == "bad"} == {"orders.stuck"}
    assert [j["judged"] for j in document["judgements"] if j["finding"] == "title.wrong"] == ["good"]
    (tmp_path / "checks" / "observe" / "check_title.py").unlink()
    decided = json.loads(run("ops decide --json", tmp_path).stdout)
    assert [d["row_id"] for d in decided["decisions"]] == ["orders-stuck"]
    assert len(COMMANDS) >= 3
    for command in COMMANDS:
        done = run(command, tmp_path)
        assert done.returncode in (0, 1), f"{command}: {done.stderr}"
