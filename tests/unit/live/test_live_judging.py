"""What a live cycle comes to, as a pure function, and what is believed of a decision."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ops_core.live.judging import EXIT_CODES, Decision, Result, Seen, judge, read_decision
from ops_core.live.preview import LINES, lines_of

GOOD = Seen(bundle_id="b", fresh=True, fresh_until="then", decision=Decision(value="HOLD", ref="bundle/b/f"))


@pytest.mark.parametrize(
    ("changes", "result", "told"),
    [
        ({}, Result.OK, "whole and fresh"),
        ({"shown_by": "run-1"}, Result.OK, "already delivered by run run-1"),
        ({"fresh": False}, Result.WARN, "stale: it was good until then"),
        ({"decision": Decision(value="UNKNOWN", problem="no text")}, Result.FAILED, "does not say what to do: no text"),
        ({"problem": "f is missing"}, Result.FAILED, "not to be relied on: f is missing"),
        ({"bundle_id": ""}, Result.FAILED, "no bundle is in force"),
        ({"stopped": "the emergency stop is engaged: x"}, Result.BLOCKED, "the emergency stop is engaged: x"),
    ],
)
def test_what_is_seen_makes_the_result(changes, result, told) -> None:
    """Each trouble has its result, with the reason; all but an OK say what to do."""
    judged = judge(dataclasses.replace(GOOD, **changes))
    assert judged.result is result
    assert told in judged.reason
    assert bool(judged.next_step) is (result is not Result.OK)
    assert judged.show is (changes == {})
    assert bool(judged.why_not) is not judged.show


def test_worse_never_looks_better() -> None:
    """Whatever is added to a trouble, the result is as bad or worse, and a stop wins over all."""
    order = [
        {"fresh": False}, {"decision": Decision(problem="x")}, {"problem": "x"}, {"bundle_id": ""}, {"stopped": "x"},
    ]  # fmt: skip
    changes: dict[str, object] = {"shown_by": "r"}
    ranks = [Result.OK, Result.WARN, Result.FAILED, Result.BLOCKED]
    before = 0
    for one in order:
        changes |= one
        rank = ranks.index(judge(dataclasses.replace(GOOD, **changes)).result)  # type: ignore[arg-type] # of each kind
        assert rank >= before
        before = rank
    assert before == ranks.index(Result.BLOCKED)
    assert set(EXIT_CODES) == set(Result)


@pytest.mark.parametrize("value", ["HOLD", "매수 005930", "x" * 200, " REBALANCE "])
def test_a_decision_is_one_line_of_text(value: str) -> None:
    """It is taken as it stands, without blanks around it, with the reference of its file."""
    raw = json.dumps({"decision": value, "more": [1]}).encode()
    assert read_decision(raw, "decision", "bundle/b/f") == Decision(value=value.strip(), ref="bundle/b/f")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b'"HOLD"',
        b"{}",
        b'{"decision": null}',
        b'{"decision": 1}',
        b'{"decision": ["HOLD"]}',
        b'{"decision": ""}',
        b'{"decision": "  "}',
        b'{"decision": "a\\nb"}',
        b'{"decision": "\\u001b[2J"}',
        b'{"decision": "\\u202eb"}',
        b'{"decision": "\\ud800"}',
        b'{"decision": NaN}',
        b'{"decision": "' + b"x" * 201 + b'"}',
        b'{"decision": "HOLD", "more": "' + b"x" * (1 << 20) + b'"}',
        b"[" * 100_000,
    ],
    ids=range(18),
)
def test_what_is_no_decision_is_unknown(raw: bytes) -> None:
    """Anything else is UNKNOWN with the reason, never a guess and never a crash."""
    told = read_decision(raw, "decision", "r")
    assert (told.value, told.ref) == ("UNKNOWN", "r")
    assert told.problem


def test_the_preview_says_the_same_in_both_languages() -> None:
    """The same lines, filled with the same words, none of which is lost."""
    bundle = {"bundle_id": "b-1", "producer": "pc", "created_at": "then", "fresh_until": "later"}
    modes = {"execution_gate": "DRY_RUN", "delivery_policy": "CONSOLE_ONLY", "external_send": "FORBIDDEN"}
    assert len(LINES["en"]) == len(LINES["ko"])
    for lang in LINES:
        told = "\n".join(lines_of(lang, Decision(value="HOLD"), bundle, modes))
        assert all(word in told for word in ("HOLD", "b-1", "pc", "then", "later", "DRY_RUN", "FORBIDDEN"))
