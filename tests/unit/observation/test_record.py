"""The record of an observation: what is written is read back the same, and what is damaged is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_core.errors import RecordError
from ops_core.evidence import Evidence, EvidenceRecord, ValueEvidence
from ops_core.observation.fitting import UnfitError, fit
from ops_core.observation.record import (
    FILE_MAX_BYTES,
    KEY,
    ForeignEvidence,
    Judgement,
    Observation,
    json_safe,
    parse_observation,
    read_observation,
    read_report,
    to_plain,
)
from ops_core.probes.instruments.redact import Redactor
from ops_core.verdict import Judged, Verdict

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
SHIPPED = sorted(
    (cls for cls in Evidence.kinds.values() if cls.__module__ == Evidence.__module__), key=lambda cls: cls.__name__
)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if hint is Any:
        return json_values.filter(lambda value: value is not None)
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is ...:
            return st.lists(of_type(inner[0]), max_size=3).map(tuple)
        return st.tuples(*map(of_type, inner))
    if typing.get_args(hint):
        return st.one_of(*(of_type(one) for one in typing.get_args(hint)))
    if dataclasses.is_dataclass(hint):
        return evidence_of(hint)
    plain = {str: texts, int: st.integers(-(2**53), 2**53), bool: st.booleans(), type(None): st.none()}
    return plain[hint] if hint in plain else st.floats(allow_nan=False, allow_infinity=False)


def evidence_of(cls: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{field.name: of_type(hints[field.name]) for field in dataclasses.fields(cls)})


evidence = st.sampled_from(SHIPPED).flatmap(evidence_of)


def record(one: str, seen: Evidence | None) -> EvidenceRecord:
    return EvidenceRecord(
        id=one,
        probe=one,
        target=None,
        seen=seen is not None,
        kind=type(seen).__name__ if seen else None,
        evidence=seen,
        reason="" if seen else "no",
        facts=("a.b",),
        actions=({"instrument": "http", "status": 200},),
    )


def observation(*records: EvidenceRecord, **more: Any) -> Observation:
    values: dict[str, Any] = {
        "run_id": "r", "suite": "observe", "profile": "p", "drill": True, "gate": "DRY_RUN", "stopped": False,
        "stop_reason": "", "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:01.000Z",
        "total_s": 60.0, "used_s": 1.0, "targets": ({"name": "core"},), "evidence": records,
        "judgements": (
            Judgement(nodeid="x::y", check="y", suite="observe", finding="x.y", target="core", judged=Judged.BAD,
                      evidence=tuple(one.id for one in records)),
            Judgement(nodeid="x::z", check="z", suite="observe", finding=None, target=None, judged=Judged.UNKNOWN),
        ),
        "verdict": Verdict.UNHEALTHY,
    }  # fmt: skip
    return Observation(**{**values, **more})


@given(st.lists(evidence, max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_written_is_read_back_the_same(seen: list[Evidence]) -> None:
    """Every kind of evidence, through JSON text and back."""
    written = observation(*(record(f"p{index}", one) for index, one in enumerate(seen)), record("unseen", None))
    text = json.dumps(to_plain(written))
    read = parse_observation(json.loads(text), "x")
    assert read == written
    assert json.dumps(to_plain(read)) == text


@given(json_values.filter(lambda value: value is not None))
def test_a_plain_value_is_judged_live_as_it_is_read_back(value: Any) -> None:
    """What the check sees now is what it will see in a replay."""
    seen, _ = fit(value, Redactor())
    assert isinstance(seen, ValueEvidence)
    assert json.loads(json.dumps(json_safe(seen.value))) == seen.value


@dataclass(frozen=True, kw_only=True)
class OwnEvidence(Evidence):
    """A user's."""

    name: str
    inner: tuple[int, ...] = ()


def test_evidence_of_a_users_own_is_kept_where_its_class_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever decides and reports need not import the user's checks; whoever judges must have the class."""
    written = observation(record("own", OwnEvidence(name="x", inner=(1, 2))))
    plain = json.loads(json.dumps(to_plain(written)))
    assert parse_observation(plain, "x") == written
    monkeypatch.delitem(Evidence.kinds, "OwnEvidence")
    read = parse_observation(plain, "x")
    kept = read.evidence[0].evidence
    assert isinstance(kept, ForeignEvidence)
    assert kept.explain() == "name 'x', inner [1, 2]"
    assert read.evidence[0].kind == "OwnEvidence"
    assert to_plain(read) == plain
    with pytest.raises(RecordError, match="evidence of an unknown kind 'OwnEvidence'"):
        parse_observation(plain, "x", known_kinds_only=True)


def test_two_classes_of_evidence_of_one_name_are_refused() -> None:
    """A record tells them apart by name only."""
    from ops_core.errors import UsageError

    with pytest.raises(UsageError, match="there is evidence called 'HttpEvidence' already"):
        type("HttpEvidence", (Evidence,), {})


def test_findings_unknown_and_facts() -> None:
    """What decisions are made of."""
    seen = observation(record("a", ValueEvidence(value=1)))
    assert [(one.code, one.target) for one in seen.findings] == [("x.y", "core")]
    assert seen.unknown == (("check.unnamed", None),)
    assert seen.facts == {None: ("a.b",)}
    assert seen.record("a") is not None
    assert seen.record("b") is None


GOOD = json.loads(json.dumps(to_plain(observation(record("a", ValueEvidence(value=1)), record("b", None)))))


def changed(path: str, value: Any) -> dict[str, Any]:
    part = copy.deepcopy(GOOD)
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place: Any = part
    for key in keys:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return part


DAMAGE = [
    ("schema", 2, "the observation has schema 2"),
    ("schema", ..., "the observation has schema None"),
    ("schema", "1", "the observation has schema '1'"),
    ("run_id", ..., "Field required"),
    ("run_id", 5, "valid string"),
    ("extra", 1, "Unexpected keyword argument"),
    ("evidence", ..., "evidence is not a list"),
    ("evidence", {}, "evidence is not a list"),
    ("evidence.0", 5, "an evidence record is not an object"),
    ("evidence.0.kind", "NoSuchEvidence", "unknown kind 'NoSuchEvidence'"),
    ("evidence.0.kind", ["x"], "unknown kind"),
    ("evidence.0.kind", None, "seen without evidence, or the reverse"),
    ("evidence.0.seen", False, "seen without evidence, or the reverse"),
    ("evidence.1.seen", True, "seen without evidence, or the reverse"),
    ("evidence.0.evidence", None, "the observation is damaged"),
    ("evidence.0.evidence.more", 1, "Unexpected keyword argument"),
    ("evidence.0.evidence.value", ..., "Field required"),
    ("evidence.0.id", "b", "an evidence id stands twice"),
    ("evidence.0.id", "c", "evidence 'a' is not in it"),
    ("evidence.0.actions", "x", "the observation is damaged"),
    ("judgements", 5, "valid tuple"),
    ("judgements.0.judged", "fine", "Input should be 'good', 'bad', 'unknown' or 'skipped'"),
    ("judgements.0.evidence", ["z"], "evidence 'z' is not in it"),
    ("verdict", "GREEN", "Input should be 'HEALTHY'"),
    ("total_s", "long", "valid number"),
    ("targets", [5], "valid dictionary"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "said"), DAMAGE)
def test_every_damage_is_refused_with_its_place(path: str, value: Any, said: str) -> None:
    """A damaged record must not become a decision."""
    with pytest.raises(RecordError) as error:
        parse_observation(changed(path, value), "r.json", known_kinds_only=True)
    assert said in error.value.what
    assert error.value.where.startswith("r.json")


def test_evidence_may_be_missing_where_the_run_was_cut_short() -> None:
    """An interrupted run has judgements without evidence."""
    part = changed("judgements.0.evidence", ["z"])
    part["interrupted"] = "ended by SIGTERM"
    assert parse_observation(part, "x").interrupted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read: Expecting value"),
        (b"not json", "cannot be read: Expecting value"),
        (b"{", "cannot be read"),
        (b"\xff\xfe\xfd", "cannot be read"),
        (b"[]", "holds no observation"),
        (b"{}", "holds no observation"),
        (b'{"runbook": []}', "holds no observation"),
        (b"5", "holds no observation"),
        (b"null", "holds no observation"),
        (b"[" * 200_000, "cannot be read"),
        (b'{"runbook": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "cannot be read"),
        (b"1" * 5000, "cannot be read"),
        (json.dumps({KEY: GOOD}).encode()[:-20], "cannot be read"),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_file_that_is_no_report_is_told_as_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    """Empty, cut off, something else, nested beyond reason."""
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=said) as error:
        read_observation(path)
    assert error.value.where == str(path)


def test_a_file_that_cannot_be_read_is_told_as_it_is(tmp_path: Path) -> None:
    """Missing, a folder, beyond all bounds."""
    with pytest.raises(RecordError, match="does not exist"):
        read_report(tmp_path / "none.json")
    with pytest.raises(RecordError, match="Is a directory"):
        read_report(tmp_path)
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(FILE_MAX_BYTES + 1)
    with pytest.raises(RecordError, match="larger than 256 MiB"):
        read_report(big)


def test_what_json_cannot_hold_is_written_as_it_can_be() -> None:
    """NaN and infinities, tuples, surrogates also in keys, objects."""
    found = json_safe({"a": float("nan"), "b": (1, float("inf")), 1: "\ud800", "\udcff": Path("/x"), "e": Judged.BAD})
    assert found == {"a": None, "b": [1, None], "1": "?", "?": "/x", "e": "bad"}
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
                    | st.tuples(inner, inner), max_leaves=15))  # fmt: skip
def test_whatever_a_probe_returns_is_fit_or_refused(value: Any) -> None:
    """Never anything else; and what is fit can be written as UTF-8 JSON."""
    try:
        seen, facts = fit(value, Redactor(["secret-value"]))
    except UnfitError as unfit:
        assert str(unfit)
        return
    assert facts == ()
    json.dumps(json_safe(seen), ensure_ascii=False, allow_nan=False).encode()


def test_secrets_are_taken_out_of_a_users_own_evidence() -> None:
    """Also out of nested fields; what needs no change stays the very same object."""

    @dataclass(frozen=True, kw_only=True)
    class NestingEvidence(Evidence):
        inner: OwnEvidence
        table: dict[str, Any]
        items: tuple[str, ...]

    redact = Redactor(["secret-value"])
    given_ = NestingEvidence(
        inner=OwnEvidence(name="has secret-value"), table={"password": "x", "k": ["secret-value"]}, items=("a",)
    )
    seen, _ = fit(given_, redact)
    assert isinstance(seen, NestingEvidence)
    assert "secret-value" not in repr(seen)
    assert seen.table["password"] == "[redacted]"
    assert seen.items is given_.items
    assert given_.inner.name == "has secret-value"
    clean = OwnEvidence(name="clean", inner=(1, 2))
    assert fit(clean, redact)[0] is clean
    Evidence.kinds.pop("NestingEvidence")
