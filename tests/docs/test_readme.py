"""What the README shows is what happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def plain(text: str) -> list[str]:
    """A transcript without what differs from run to run: times, ids, digests, folders."""
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "ID", text)
    text = re.sub(r"plan [0-9a-f]{12}", "plan DIGEST", text)
    text = re.sub(r"/tmp/ops-drill-\w+|/\S*/ops-drill-\w+", "DIR", text)
    text = re.sub(r"\S*/python[0-9.]*(?= -P)", "PYTHON", text)
    text = re.sub(r"\d+\.?\d* s\b(?! of \d+ (s|min))", "N s", text)
    text = re.sub(r"\d+\.?\d* s of", "N s of", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.strip().splitlines()]


def ops(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from ops_core.cli import run; run()", *args]
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPS_")}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=100)


def test_demo_transcript_is_what_happens(tmp_path: Path) -> None:
    """`make demo` is `ops drill secret-missing`, and says what the README shows, line by line."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: .*\n\t@\$\(BIN\)/ops drill secret-missing$", makefile, re.MULTILINE)
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    done = ops("drill", "secret-missing", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert plain(done.stdout) == plain(shown[1])
    (postmortem,) = tmp_path.glob("reports/incidents/*/postmortem.md")
    assert postmortem.stat().st_size > 1000


def test_own_runbook_commands_work(tmp_path: Path) -> None:
    """The commands under "Your own runbook" make a repository in which pytest gives a verdict."""
    section = README.split("## Your own runbook")[1].split("## ")[0]
    command = re.search(r"\$ ops (init .*)", section)
    assert command is not None
    assert ops(*command[1].split(), cwd=tmp_path).returncode == 0
    folder = tmp_path / "my-runbook"
    done = ops("doctor", "--json", cwd=folder)
    assert json.loads(done.stdout)["in_order"], done.stdout
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "checks/", "-m", "observe", "--collect-only", "-q"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert collected.returncode == 0
    assert "check_health_answers_200[web-example-com]" in collected.stdout


def test_commands_of_the_readme_exist(tmp_path: Path) -> None:
    """Every `ops VERB` that the README mentions is known to `ops`."""
    verbs = set(re.findall(r"`ops ([a-z-]+)", README)) | set(re.findall(r"\$ ops ([a-z-]+)", README))
    assert verbs >= {"observe", "decide", "incident", "estop", "gate", "postmortem", "doctor", "drill", "init"}
    assert verbs >= {"daily", "serve", "window", "approve", "sender", "live-fire", "cycle"}
    listed = ops("--help", cwd=tmp_path).stdout
    for verb in verbs:
        assert f"  {verb} " in listed


def test_live_fire_of_the_readme_is_that_of_the_page() -> None:
    """The six lines are those of docs/control-plane.md, which a test types; what is seen at the end is the same, too."""
    page = (ROOT / "docs" / "control-plane.md").read_text(encoding="utf-8").split("## Weekly live fire")[1]
    shown = README.split("Six lines, typed by three people:")[1].split("## ")[0]
    six = [re.sub(r"\s*#.*", "", line) for line in re.findall(r"^\$ (ops .*)$", shown, re.MULTILINE)]
    weekly = page.split("six lines: gate, window, two keys, sender, fire.")[1].split("```")[1]
    assert six == [re.sub(r" --key \S+", "", line) for line in re.findall(r"^\$ (ops .*)$", weekly, re.MULTILINE)]
    words = [re.match(r"[A-Za-z]+", line) for line in shown.split("```text\n")[1].split("```")[0].splitlines()[1:]]
    told = weekly.split("$ ops live-fire run\n")[1].splitlines()[1:]
    assert [word and word[0] for word in words] == [line.split()[0] for line in told]


def test_links_of_the_documents_lead_somewhere() -> None:
    """No document links to a file that is not there."""
    for page in [
        *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
        *(ROOT / "docs").rglob("*.md"),
    ]:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
