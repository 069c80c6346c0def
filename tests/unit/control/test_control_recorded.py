"""Receipts that are audit rows: read back by number, bounded, and believed only with their hash."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from sqlite3 import connect as sqlite

import pytest

from ops_core.clock import ManualClock
from ops_core.control import shape
from ops_core.control.problems import StoreUnusable
from ops_core.control.recorded import latest_of, newest_of, one_of
from ops_core.control.service import ControlPlane

NOW = datetime(2026, 1, 23, 9, 5, tzinfo=UTC)


@pytest.fixture
def plane(tmp_path):
    """A control plane with three acts of two kinds, the last one with a clock that was put back."""
    plane = ControlPlane(tmp_path / "control.db", ManualClock(NOW), actor="kim")
    plane.create()
    with plane.transaction() as tx:
        tx.audit(at=NOW, actor="kim", action="thing.done", subject="a", detail={"n": 1})
        tx.audit(at=NOW, actor="kim", action="thing.undone", subject="a", detail={"n": 2})
        tx.audit(at=NOW - timedelta(days=1), actor="kim", action="thing.done", subject="b", detail={"n": 3})
    return plane


def test_the_newest_is_the_one_with_the_highest_number(plane):
    """A clock that was put back does not hide what was recorded last."""
    with plane.snapshot() as tx:
        assert latest_of(tx, "thing.done") == {"n": 3}
        assert [row.data["n"] for row in newest_of(tx, ("thing.done", "thing.undone"), 10)] == [3, 2, 1]
        assert [row.data["n"] for row in newest_of(tx, ("thing.done", "thing.undone"), 2)] == [3, 2]


def test_a_certain_one_is_found_by_action_and_subject_alone(plane):
    """Neither another action of the subject nor something like it is taken for it."""
    with plane.snapshot() as tx:
        assert one_of(tx, "thing.done", "a") == {"n": 1}
        assert one_of(tx, "thing.undone", "b") is None
        assert one_of(tx, "thing.done", "%") is None
        assert latest_of(tx, "thing.never") is None


def test_a_row_that_was_changed_is_not_believed(plane):
    """What an old row tells now is not what was recorded: the store is unusable, and the row is named."""
    with plane.transaction() as tx:
        for n in range(200):
            tx.audit(at=NOW, actor="kim", action="other.done", subject=str(n))
    with closing(sqlite(plane.path)) as raw, raw:
        for name in shape.TRIGGERS:
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit SET detail = '{\"n\":9}' WHERE subject = 'a' AND action = 'thing.done'")
        for sql in shape.TRIGGERS.values():
            raw.execute(sql)
    with pytest.raises(StoreUnusable, match="row 2 was changed after it was written"), plane.snapshot() as tx:
        one_of(tx, "thing.done", "a")
