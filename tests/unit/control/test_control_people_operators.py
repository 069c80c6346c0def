"""Operators and their tokens in the store."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update

from ops_core.control import schema
from ops_core.control.people import (
    SCOPES,
    Forbidden,
    Unauthenticated,
    add_operator,
    authenticate,
    issue_token,
    known_operator,
    list_operators,
    list_tokens,
    make_key,
    operator_of_key,
    public_key_of,
    revoke_operator,
    revoke_token,
)
from ops_core.errors import Refused, UsageError


@pytest.fixture
def plane(plane_anywhere):
    """The store lies in a file once, and once in a database."""
    return plane_anywhere


@pytest.fixture
def add(plane, tmp_path):
    """Adds an operator with a key of their own."""

    def add(name, **values):
        return add_operator(plane, name, key_file=tmp_path / f"{name}.pem", **{"scopes": ["approve"], **values})

    return add


def everything_recorded(plane):
    """All text of the store that people, token and audit wrote."""
    with plane.snapshot() as found:
        tables = (schema.operator, schema.token, schema.audit, schema.ticket, schema.control_state)
        return json.dumps([[str(value) for value in row] for table in tables for row in found.execute(table.select())])


def test_an_operator_has_a_name_a_key_and_a_token(plane, add):
    """Added, found by key, let in by token; the audit tells who and with which key, and holds no secret."""
    added = add("Kim", scopes=["approve", "window"])
    assert (added.name, added.scopes, added.public_key) == ("kim", ("window", "approve"), public_key_of(added.key_file))
    assert operator_of_key(plane, added.public_key).name == "kim"
    person = authenticate(plane, added.token, "window")
    assert (person.name, person.public_key, person.scopes) == ("kim", added.public_key, ("window", "approve"))
    rows = plane.audit_rows()[-2:]
    assert [(row.action, row.subject) for row in rows] == [("operator.added", "kim"), ("token.issued", "kim")]
    assert rows[0].data == {"public_key": added.public_key}
    text = everything_recorded(plane)
    assert added.token not in text
    assert added.token not in repr(added)
    assert added.token.removeprefix("ops_") not in text
    assert len(added.token) == 47


@pytest.mark.parametrize("revoked", [False, True])
def test_names_and_keys_are_never_used_again(plane, add, tmp_path, revoked):
    """One name and one key for each person, for good; a key file made for nothing is taken away."""
    kim = add("kim")
    if revoked:
        revoke_operator(plane, "kim")
    rows = len(plane.audit_rows())
    with pytest.raises(Refused, match="operator kim already"):
        add_operator(plane, "KIM", key_file=tmp_path / "again.pem", scopes=["approve"])
    assert not (tmp_path / "again.pem").exists()
    for key in (kim.public_key, kim.public_key.upper()):
        with pytest.raises(Refused, match="the key is that of kim"):
            add_operator(plane, "lee", public_key=key, scopes=["approve"])
    assert len(plane.audit_rows()) == rows
    assert [one.name for one in list_operators(plane)] == ["kim"]


@pytest.mark.parametrize(
    "values",
    [
        {"scopes": []},
        {"scopes": ["approve", "everything"]},
        {"token_days": 0},
        {"token_days": 366},
        {"token_days": True},
        {"public_key": "ab"},
        {"public_key": None},
        {"public_key": "a" * 64, "key_file": "both"},
    ],
    ids=str,
)
def test_a_mistake_changes_nothing(plane, tmp_path, values):
    """Wrong scopes, days or keys are told, and neither a row nor a file is left."""
    public_key = make_key(tmp_path / "brought.pem")
    if "key_file" in values:
        values = {**values, "key_file": tmp_path / "both.pem"}
    with pytest.raises(UsageError):
        add_operator(plane, "kim", **{"public_key": public_key, "scopes": ["approve"], **values})
    assert len(plane.audit_rows()) == 1
    assert sorted(path.name for path in tmp_path.glob("*.pem")) == ["brought.pem"]


def test_revoking_ends_person_and_tokens(plane, add):
    """Tokens end with their operator; revoking twice, or nobody, is refused."""
    kim, lee = add("kim"), add("lee")
    more = issue_token(plane, "kim", scopes=["stop"])
    seen = revoke_operator(plane, "Kim", actor="admin")
    assert (seen.name, seen.revoked_by) == ("kim", "admin")
    for token in (kim.token, more.token):
        with pytest.raises(Unauthenticated):
            authenticate(plane, token, "approve")
    assert authenticate(plane, lee.token, "approve").name == "lee"
    assert plane.audit_rows()[-1].data == {"tokens": 2}
    for name in ("kim", "nobody"):
        with pytest.raises(Refused, match="in force"):
            revoke_operator(plane, name)
    with pytest.raises(Refused, match="revoked"):
        issue_token(plane, "kim", scopes=["stop"])
    with pytest.raises(Refused, match="revoked"):
        operator_of_key(plane, kim.public_key)


def test_a_token_is_good_for_its_scopes_and_days_only(plane, add, clock):
    """[issued, expires), nothing else; what it lacks is forbidden by name."""
    kim = add("kim", scopes=["window", "sender"], token_days=1)
    for scope in SCOPES:
        if scope in {"window", "sender"}:
            assert authenticate(plane, kim.token, scope).name == "kim"
        else:
            with pytest.raises(Forbidden, match=scope):
                authenticate(plane, kim.token, scope)
    assert kim.expires_at == clock.now() + timedelta(days=1)
    clock.sleep(86_400 - 0.001)
    assert authenticate(plane, kim.token, "window")
    clock.sleep(0.001)
    with pytest.raises(Unauthenticated):
        authenticate(plane, kim.token, "window")
    clock.sleep(-86_401)
    with pytest.raises(Unauthenticated):
        authenticate(plane, kim.token, "window")


def test_every_refusal_of_a_token_sounds_the_same(plane, add, clock):
    """No token, garbage, a wrong one, an expired, a revoked one, one of a revoked person: no hint which it was."""
    names = ("kim", "lee", "park")
    expired, ended, gone = (add(name, token_days=days) for name, days in zip(names, (1, 9, 9), strict=True))
    revoke_token(plane, ended.token_id)
    revoke_operator(plane, "park")
    clock.sleep(2 * 86_400)
    wrong = expired.token[:-1] + ("A" if expired.token[-1] != "A" else "B")
    told = set()
    for text in ("", "x", "ops_", "ops_" + "é" * 43, "x" * 1_000_000, wrong, expired.token, ended.token, gone.token,
                 expired.token + "\n", "\ud800" * 47, expired.token_id):  # fmt: skip
        with pytest.raises(Unauthenticated) as caught:
            authenticate(plane, text, "approve")
        told.add(str(caught.value))
    assert len(told) == 1


def test_tokens_are_listed_without_themselves_and_end_once(plane, add):
    """Everything but the secret; ending one leaves the other."""
    kim = add("kim")
    more = issue_token(plane, "kim", scopes=["stop", "approve"], token_days=3)
    listed = list_tokens(plane)
    assert {one.id for one in listed} == {kim.token_id, more.id}
    assert kim.token not in repr(listed)
    assert revoke_token(plane, more.id).revoked_at
    with pytest.raises(Refused, match="no such token"):
        revoke_token(plane, more.id)
    assert authenticate(plane, kim.token, "approve")
    assert [row.action for row in plane.audit_rows()][-2:] == ["token.issued", "token.revoked"]


def test_tokens_are_bounded(plane, add):
    """Nobody fills the store with tokens; ended ones do not count."""
    kim = add("kim")
    for _ in range(19):
        issue_token(plane, "kim", scopes=["stop"])
    with pytest.raises(Refused, match="20 tokens"):
        issue_token(plane, "kim", scopes=["stop"])
    revoke_token(plane, kim.token_id)
    issue_token(plane, "kim", scopes=["stop"])


def test_a_row_that_the_audit_does_not_bear_out_is_nobody(plane, add, tmp_path):
    """Who edits the table puts nobody in force: neither a new person, nor another key, nor one back from revocation."""
    lee = add("lee")
    add("park")
    revoke_operator(plane, "park")
    other = make_key(tmp_path / "other.pem")
    table = schema.operator
    with plane.transaction() as change:
        change.execute(insert(table).values(name="mallory", public_key="b" * 64, added_at="x", added_by="x"))
        change.execute(update(table).where(table.c.name == "lee").values(public_key=other))
        change.execute(update(table).where(table.c.name == "park").values(revoked_at=None, revoked_by=None))
    with plane.snapshot() as found:
        for name in ("mallory", "lee", "park"):
            with pytest.raises(Refused):
                known_operator(found, name)
    with pytest.raises(Unauthenticated):
        authenticate(plane, lee.token, "approve")


def test_an_operator_who_was_deleted_is_nobody(plane, add):
    """A missing row is no permission."""
    lee = add("lee")
    with plane.transaction() as change:
        change.execute(delete(schema.token))
        change.execute(delete(schema.operator))
    with pytest.raises(Unauthenticated):
        authenticate(plane, lee.token, "approve")
    with pytest.raises(Refused, match="no operator"):
        operator_of_key(plane, lee.public_key)
