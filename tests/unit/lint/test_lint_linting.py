"""What `ops lint` finds, what it leaves alone, and that no text makes it stumble."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from ops_core.errors import OpsError, UsageError
from ops_core.lint.checks import CHECKS
from ops_core.lint.linting import hits_in, lint
from ops_core.lint.rules import RULES
from ops_core.lint.sarif import sarif
from ops_core.lint.sources import FILE_MAX_BYTES, Passage, passages_of

FORBIDDEN = {
    "curl -m 5 -s URL | python3 - <<'PY'\nprint(1)\nPY\n": "OPS001",
    'eval "$PYTHON_OUTPUT"\n': "OPS002",
    "eval $(python3 state.py)\n": "OPS002",
    "curl -m 5 -s http://h/install.sh | bash\n": "OPS002",
    "cat state/execution_gate.json\n": "OPS003",
    "head -c 200 reports/live/latest/a.json\n": "OPS003",
    "jq .mode < state/execution_gate.json\n": "OPS003",
    "python3 -c 'open(\"state/execution_gate.json\")'\n": "OPS003",
    'curl -m 5 -s "http://h/api/snapshots/resolve?ref=${REF}"\n': "OPS004",
    "export AFO_INTERNAL_SECRET='mK4pLq81Zt'\n": "OPS005",
    'curl -m 5 -H "X-Internal-Secret: mK4pLq81Zt" http://h/\n': "OPS005",
    "psql postgresql://ops:mK4pLq81Zt@db/x\n": "OPS005",
    "curl -sS http://h/health\n": "OPS006",
    "serve &\nsleep 30\ncurl -m 5 http://h/health\n": "OPS007",
    "kill $(ps aux | grep server | awk '{print $2}')\n": "OPS008",
    "pkill -f server.py\n": "OPS008",
}
HARMLESS = (
    "curl -m 5 -s URL | python3 -c 'print(1)'\n",
    "python3 - <<'PY'\nprint(1)\nPY\n",
    "cp state/execution_gate.json backup/\n",
    "sed -i s/a/b/ state/execution_gate.json\n",
    'curl -m 5 -G --data-urlencode "ref=${REF}" http://h/api/snapshots/resolve\n',
    'curl -m 5 -H "Authorization: Bearer ${TOKEN}" http://h/\n',
    "export API_KEY=<your key>\n",
    "for i in $(seq 30); do curl -m 2 -fs URL && break; sleep 1; done\n",
    "until curl -m 2 -fs URL; do sleep 1; done\n",
    "echo 'eval \"$X\"'  # kill $(ps aux | grep x)\n",
    'kill "$(cat server.pid)"\n',
)


def rules_in(text: str) -> list[str]:
    return [hit.rule.id for hit in hits_in(Passage(path="x.sh", text=text, whole=False))]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_goes_wrong_at_night_is_found(text: str) -> None:
    """Each forbidden pattern is found, by its own rule and no other."""
    assert rules_in(text) == [FORBIDDEN[text]]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_good_is_left_alone(text: str) -> None:
    """What is recommended instead, and what only looks alike, breaks no rule."""
    assert rules_in(text) == []


def test_every_rule_has_a_case() -> None:
    """Every rule that looks at commands is in the list above, and each is described."""
    assert set(FORBIDDEN.values()) == set(CHECKS)
    assert set(CHECKS) < set(RULES)


def test_a_secret_is_not_repeated() -> None:
    """What is shown of a line with a secret does not hold the secret."""
    hits = hits_in(Passage(path="x.sh", text="export API_KEY=mK4pLq81Zt\n"))
    assert [hit.rule.id for hit in hits] == ["OPS005"]
    assert "mK4pLq81Zt" not in hits[0].text


def test_a_suppression_needs_a_rule_and_a_reason() -> None:
    """With both it silences that rule on its line; with less it is a finding itself and silences nothing."""
    line = "curl http://h/"
    assert rules_in(f"{line}  # ops-lint: ignore OPS006 answers within its own limit\n") == []
    assert sorted(rules_in(f"{line}  # ops-lint: ignore OPS006\n")) == ["OPS000", "OPS006"]
    assert sorted(rules_in(f"{line}  # ops-lint: ignore\n")) == ["OPS000", "OPS006"]
    assert rules_in(f"{line}  # ops-lint: ignore OPS001 another one is meant\n") == ["OPS006"]


def test_a_finding_in_a_document_has_the_line_of_the_document(tmp_path: Path) -> None:
    """Fenced blocks of shell count, in lists too and with strange line ends; those of other languages do not."""
    page = tmp_path / "page.md"
    page.write_bytes(
        "\ufeff# A\r\n\r\n```bash\r\ncurl http://h/\r\n```\r\n\r\n```python\r\ncurl http://h/\r\n```\r\n"
        "\r\n1. a\r\n   ```\r\n   pkill -f x\r\n   ```\r\n".encode()
    )
    assert [(hit.line, hit.rule.id) for hit in lint([page]).hits] == [(4, "OPS006"), (13, "OPS008")]


def test_what_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    """Nothing to look at is an error; so is a file that is no text, or too large; the others are looked at."""
    with pytest.raises(UsageError):
        lint([tmp_path])
    with pytest.raises(UsageError):
        lint([tmp_path / "away.sh"])
    (tmp_path / "binary.sh").write_bytes(b"\0\1")
    (tmp_path / "large.sh").write_bytes(b"a" * (FILE_MAX_BYTES + 1))
    (tmp_path / "good.sh").write_text("curl http://h/\n", encoding="utf-8")
    done = lint([tmp_path])
    assert (len(done.unread), [hit.rule.id for hit in done.hits]) == (2, ["OPS006"])
    with pytest.raises(OpsError):
        passages_of(tmp_path / "binary.sh")


_PIECES = st.sampled_from(
    [*FORBIDDEN, *HARMLESS, "```", "~~~~bash\n", "<<EOF\n", "$(", "`", '"', "'", "((", "{", "|", "\r"]
)


@given(st.lists(_PIECES | st.text(max_size=20), max_size=12).map("".join))
def test_no_text_makes_it_stumble(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands in a script or a page, looking ends, and findings point into it."""
    folder = tmp_path_factory.getbasetemp()
    for name in ("hostile.sh", "hostile.md"):
        path = folder / name
        path.write_bytes(b"x" + text.encode("utf-8", "surrogatepass").replace(b"\0", b""))
        for hit in lint([path]).hits:
            assert hit.line >= 1
            assert hit.column >= 1


def test_deep_and_long_texts_are_looked_at() -> None:
    """Neither a thousand brackets nor a line of a hundred thousand characters is too much."""
    rules_in("$(" * 1000)
    rules_in("( " * 1000 + ") " * 1000)
    assert rules_in("echo " + "a" * 100_000 + "\ncurl http://h/\n") == ["OPS006"]


def test_sarif_points_at_rules_and_places() -> None:
    """Each result of the SARIF form names a rule of its run by id and index, and a region."""
    told = sarif(hits_in(Passage(path="a b.sh", text="\npkill -f x\n")))
    (run,) = told["runs"]
    (result,) = run["results"]
    assert told["version"] == "2.1.0"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "OPS008"
    (place,) = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b.sh"},
        "region": {"startLine": 2, "startColumn": 1},
    }


def test_the_project_keeps_its_own_rules() -> None:
    """Scripts and pages of the project are clean, or say why not."""
    done = lint([ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy", "docs", "examples/krx/README.md")])
    assert not done.unread
    assert [f"{hit.path}:{hit.line}: {hit.rule.id}" for hit in done.hits] == []


RUNBOOKS = ROOT.parent / "shared" / "runbooks"
if RUNBOOKS.is_dir():

    def test_the_runbooks_that_started_it_are_found() -> None:
        """Three of the five have such lines, and each is found."""
        hits = lint([RUNBOOKS]).hits
        assert Counter((Path(hit.path).stem, hit.rule.id) for hit in hits) == {
            ("incident-recovery", "OPS005"): 1,
            ("incident-recovery", "OPS006"): 8,
            ("incident-recovery", "OPS007"): 1,
            ("incident-recovery", "OPS008"): 1,
            ("ops-scheduler", "OPS006"): 2,
            ("split-operations", "OPS003"): 2,
            ("split-operations", "OPS006"): 8,
        }
