"""Ticket journals: entries are only added, each proven by its audit row, in the store as in the mirror."""

from __future__ import annotations

import contextlib
import json

import pytest
from mirrored import NINE, World, past_the_program

from ops_core.control import tickets
from ops_core.errors import UsageError


@pytest.fixture
def world(tmp_path):
    """A control plane with three requests and a preflight ticket."""
    return World(tmp_path).begin()


def mirror(world):
    return world.root / "state/tickets/requests.jsonl"


def test_an_entry_and_its_audit_row_are_one(world):
    """The audit row of an entry holds the digest of its line; numbers grow over all journals."""
    assert world.ticket("results", result="OK") == 5
    with world.plane.snapshot() as tx:
        *_, last = tickets.entries(tx, "results")
        assert tickets.journals(tx) == {"preflight": 4, "requests": 3, "results": 5}
        assert tickets.problem(tx, tx.audit_rows()) == ""
    row = world.plane.audit_rows()[last.audit_seq - 1]
    assert (row.action, row.subject) == ("ticket.recorded", "results")
    assert row.data == {"seq": 5, "line_digest": tickets.line_digest(last.line)}
    told = json.loads(last.line)
    assert (told["journal"], told["request_type"], told["result"]) == ("results", "OPS_CYCLE", "OK")


def test_an_entry_of_an_act_that_failed_is_none(world):
    """A transaction that is undone leaves no ticket, and its number is used again."""
    with contextlib.suppress(RuntimeError), world.plane.transaction() as tx:
        assert tickets.record(tx, "requests", at=NINE, actor="kim", request_type="OPS_CYCLE") == 5
        raise RuntimeError
    assert world.ticket() == 5


@pytest.mark.parametrize(
    ("journal", "fields", "words"),
    [
        ("../requests", {}, "is not the name of a journal"),
        ("", {}, "is not the name of a journal"),
        ("requests", {"seq": 7}, "every ticket has a field 'seq'"),
        ("requests", {"note": "x" * 40_000}, "characters long"),
    ],
)
def test_what_cannot_be_an_entry_is_refused(world, journal, fields, words):
    """A journal's name is one word, and an entry is bounded and keeps its own fields."""
    with pytest.raises(UsageError, match=words):
        world.ticket(journal, **fields)


def test_an_entry_is_one_line_whatever_it_says(world):
    """Line ends and foreign letters inside an entry do not break the journal."""
    world.ticket(note="a\nb\u2028c\r점검\ud800")
    world.export()
    lines = mirror(world).read_bytes().split(b"\n")
    assert len(lines) == 5
    assert json.loads(lines[3])["note"] == "a\nb\u2028c\r점검\ud800"
    assert world.breaches() == ()


CHANGES = {
    "edited": (lambda lines: [lines[0].replace("kim", "lee"), *lines[1:]], "line 1 was changed"),
    "removed": (lambda lines: [lines[0], lines[2]], "line 2 was removed"),
    "appended": (lambda lines: [*lines, lines[0]], "line 4 was added"),
    "truncated": (lambda lines: lines[:2], "cut after 2 of 3 lines"),
    "reordered": (lambda lines: [lines[0], lines[2], lines[1]], "lines in another order from line 2 on"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_journal_is_found_and_has_no_effect(world, name):
    """Edited, removed, appended, cut or reordered lines are told, the journal in the store is as it was, and shown again."""
    change, words = CHANGES[name]
    right = mirror(world).read_text()
    mirror(world).write_text("".join(change(right.splitlines(keepends=True))))
    [found] = world.breaches()
    assert (found.area, found.where) == ("tickets", "state/tickets/requests.jsonl")
    assert words in found.what
    world.export()
    assert mirror(world).read_text() == right


STATEMENTS = {
    "edited": ("UPDATE ticket SET line = replace(line, 'kim', 'lee') WHERE seq = 2", "ticket 2 is not the one"),
    "removed": ("DELETE FROM ticket WHERE seq = 4", "ticket 4 is missing"),
    "removed within": ("DELETE FROM ticket WHERE seq = 2", "ticket 2 is missing"),
    "moved": ("UPDATE ticket SET journal = 'results' WHERE seq = 2", "ticket 2 is not the one"),
    "added": ("INSERT INTO ticket SELECT 5, 1, journal, line FROM ticket WHERE seq = 1", "ticket 5 is not the one"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_journal_changed_in_the_store_is_found(world, name):
    """Whoever changes the table past the program is found by the audit rows."""
    statement, words = STATEMENTS[name]
    with past_the_program(world.settings.control_store) as connection:
        connection.execute(statement)
    with world.plane.snapshot() as tx:
        assert words in tickets.problem(tx, tx.audit_rows())
    assert any(words in one.what for one in world.breaches() if one.area == "tickets")
