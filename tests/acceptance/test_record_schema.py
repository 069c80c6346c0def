"""Records of real runs hold to the published schema, so that others may read them without us."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from observing import Project
from support import ROOT

CHECKS = """\
    @dataclass(frozen=True, kw_only=True)
    class Queue(Evidence):
        depth: int

        def explain(self) -> str:
            return f"{self.depth} waiting"

    @probe(budget_s=5)
    async def queue() -> Queue:
        return Queue(depth=7)

    @probe(budget_s=5)
    async def away() -> Queue:
        raise CannotLook("nobody there")

    @pytest.mark.observe
    @finding("queue.long")
    def check_queue_is_short(queue: Queue) -> None:
        assert queue.depth < 5, queue.explain()

    @pytest.mark.observe
    @finding("queue.away")
    def check_away(away: Queue) -> None:
        assert away.depth < 5
"""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """What the published schema accepts."""
    schema = json.loads((ROOT / "docs/reference/observation.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A record of what is good, bad, refused, unseen and of a user's own kind."""
    project = Project(tmp_path_factory.mktemp("repository"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = listening.getsockname()[1]
    project.target("gone", health_url=f"http://127.0.0.1:{nobody}/")
    project.suites = ("observe",)
    project.check(CHECKS)
    return project.run().report["runbook"]


def complaints(validator: Draft202012Validator, part: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(part)]


def test_a_record_holds_to_the_schema(validator: Draft202012Validator, record: dict[str, Any]) -> None:
    """The record of a run with everything in it is accepted."""
    assert {judgement["judged"] for judgement in record["judgements"]} >= {"bad", "unknown"}
    assert {one["kind"] for one in record["evidence"]} >= {"HttpEvidence", "Queue", None}
    assert complaints(validator, record) == []


def test_examples_hold_to_the_schema(validator: Draft202012Validator) -> None:
    """So are the records that are committed as examples."""
    for path in sorted(Path(ROOT / "reports" / "examples").rglob("*.json")):
        part = json.loads(path.read_text(encoding="utf-8")).get("runbook")
        if part is not None:
            assert complaints(validator, part) == [], path


@pytest.mark.parametrize(
    "damage",
    [
        lambda part: part.pop("verdict"),
        lambda part: part.update(verdict="FINE"),
        lambda part: part.update(note="mine"),
        lambda part: part["evidence"][0].pop("id"),
        lambda part: part["judgements"][0].update(judged="maybe"),
        lambda part: next(e for e in part["evidence"] if e["kind"] == "HttpEvidence")["evidence"].pop("method"),
    ],
    ids=["no-verdict", "wrong-verdict", "stranger", "no-id", "wrong-judgement", "no-method"],
)
def test_a_damaged_record_does_not(validator: Draft202012Validator, record: dict[str, Any], damage: Any) -> None:
    """A record with a part missing, added or changed is refused: the schema says something."""
    part = json.loads(json.dumps(record))
    damage(part)
    assert complaints(validator, part)
