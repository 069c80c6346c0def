"""The control plane as the rest of the program uses it."""

import sqlite3

import pytest

from ops_core.control import files, model
from ops_core.control.model import Gate
from ops_core.control.problems import StoreConflict, StoreMissing, StoreUnusable
from ops_core.control.reading import read_control
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused, UsageError

DIGEST = "0123456789abcdef" * 4


def spoil(path):
    """Damage the store so that nothing in it can be read."""
    path.write_bytes(b"not a database at all, only text\n" * 40)


def test_release_gate_engage_leave_state_and_audit(plane_anywhere, clock):
    """The whole round, each change with who, when, why and its audit row."""
    plane = plane_anywhere
    clock.sleep(1)
    assert not plane.release("all well").stopped
    assert plane.set_gate("REAL_ENABLED", "live fire", ttl_s=60, actor="lee").gate is Gate.REAL_ENABLED
    assert plane.permission(drill=False).allowed
    clock.sleep(60)
    assert plane.permission(drill=False).code == "dry_run"
    assert plane.gate() is Gate.DRY_RUN
    state = plane.engage("fire")
    assert (state.stopped, state.stop_reason, state.stopped_by, state.version) == (True, "fire", "kim", 3)
    assert plane.state() == state
    assert [(row.action, row.actor, row.at) for row in plane.audit_rows()] == [
        ("store.created", "kim", "2026-01-05T09:00:00.000Z"),
        ("stop.released", "kim", "2026-01-05T09:00:01.000Z"),
        ("gate.set", "lee", "2026-01-05T09:00:01.000Z"),
        ("stop.engaged", "kim", "2026-01-05T09:01:01.000Z"),
    ]
    assert plane.verify_chain().rows == 4


def test_engaging_twice_and_releasing_twice_are_both_recorded(plane_anywhere):
    """Repeating a signal is harmless and leaves its row."""
    plane = plane_anywhere
    for _ in range(2):
        plane.engage()
    for _ in range(2):
        plane.release("ok")
    assert [row.action for row in plane.audit_rows()][1:] == ["stop.engaged"] * 2 + ["stop.released"] * 2


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
def test_an_unfit_reason_changes_nothing(plane_anywhere, reason):
    """Neither release nor gate is changed without a reason, and neither leaves a row."""
    plane = plane_anywhere
    with pytest.raises(UsageError):
        plane.release(reason)
    with pytest.raises(UsageError):
        plane.set_gate(Gate.MOCK_ONLY, reason)
    assert plane.state().stopped
    assert len(plane.audit_rows()) == 1


def test_a_usage_error_is_told_before_the_store_is_looked_at(store_path, clock):
    """A mistake in the command is the caller's, whatever the store is like."""
    plane = ControlPlane(store_path, clock)
    with pytest.raises(UsageError, match="is not a gate"):
        plane.set_gate("REAL", "r")
    with pytest.raises(UsageError, match="needs a reason"):
        plane.release("")


def test_a_changed_state_is_a_conflict(plane_anywhere):
    """Who decided on an older state hears so, and nothing is changed."""
    plane = plane_anywhere
    seen = plane.state().version
    plane.engage("new trouble")
    with pytest.raises(StoreConflict, match="changed meanwhile"):
        plane.release("old trouble is over", expected_version=seen)
    with pytest.raises(StoreConflict, match="changed meanwhile"):
        plane.set_gate(Gate.MOCK_ONLY, "r", expected_version=seen)
    assert plane.state().stop_reason == "new trouble"
    assert not plane.release("both are over", expected_version=seen + 1).stopped


def test_a_missing_store_is_stopped_and_says_what_to_do(store_path, clock):
    """State and permission answer without a store; what needs one refuses and makes none."""
    plane = ControlPlane(store_path, clock)
    state = plane.state()
    assert state.stopped
    assert state.problem == "the control store does not exist"
    assert plane.permission(drill=True).next_step.startswith("ops estop release")
    for call in (
        lambda: plane.release("r"),
        lambda: plane.set_gate(Gate.DRY_RUN, "r"),
        lambda: plane.mark_good("core", "release", "v1", DIGEST),
        lambda: plane.last_good("core", "release"),
        plane.audit_rows,
        plane.verify_chain,
    ):
        with pytest.raises(StoreMissing):
            call()
    assert not store_path.exists()


def test_engaging_without_a_store_latches(store_path, clock):
    """No store, not even its folder: the stop holds, is seen by all who look, and outlives making the store."""
    plane = ControlPlane(store_path, clock, actor="kim")
    state = plane.engage("화재")
    assert (state.stopped, state.stop_reason, state.stopped_by) == (True, "화재", "kim")
    assert state.problem
    plane.create()
    assert plane.state().stop_reason == "화재"
    assert read_control(store_path, clock.now()).stop_reason == "화재"
    assert not plane.release("out").stopped
    assert not plane.state().stopped
    assert files.read_latch(store_path) is None
    assert plane.audit_rows()[-1].data["latch"] == {"reason": "화재", "actor": "kim"}


def test_engaging_with_a_broken_store_latches(plane, store_path):
    """A damaged store cannot keep the stop from holding, not even once it is replaced by a released one."""
    plane.release("ok")
    good = store_path.read_bytes()
    spoil(store_path)
    assert plane.engage("fire").stopped
    store_path.write_bytes(good)
    assert plane.state().stop_reason == "fire"
    assert plane.permission(drill=True).code == "stopped"


def test_engaging_with_a_locked_store_latches(plane, store_path):
    """A process that hangs with the store in its hands cannot keep the stop from holding."""
    plane.release("ok")
    holder = sqlite3.connect(store_path, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        assert plane.engage("fire").stopped
    finally:
        holder.close()
    assert plane.state().stop_reason == "fire"


def test_engaging_with_nowhere_to_write_is_not_acknowledged(tmp_path, clock):
    """Where nothing can be written, nobody is told that the stop was recorded; it counts as engaged all the same."""
    (tmp_path / "state").write_text("a file in the folder's place")
    plane = ControlPlane(tmp_path / "state" / "control.db", clock)
    with pytest.raises(StoreUnusable, match="could NOT be recorded"):
        plane.engage("fire")
    assert plane.state().stopped


def test_an_impatient_interrupt_while_engaging_still_stops(plane_anywhere, store_path, monkeypatch):
    """Ctrl-C during engaging leaves the latch before it goes on."""
    plane = plane_anywhere
    plane.release("ok")

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "engage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plane.engage("fire")
    assert plane.state().stop_reason == "fire"


def test_a_latch_made_by_hand_stops(plane_anywhere, store_path):
    """`touch state/EMERGENCY_STOP` is a stop, and releasing takes it away."""
    plane = plane_anywhere
    plane.release("ok")
    (store_path.parent / "EMERGENCY_STOP").touch()
    assert plane.state().stopped
    assert plane.permission(drill=True).code == "stopped"
    assert not plane.release("looked at it").stopped
    assert not plane.state().stopped


def test_the_latch_stays_where_the_store_cannot_be_changed(plane, store_path):
    """Releasing removes the latch only after the release was recorded."""
    plane.release("ok")
    (store_path.parent / "EMERGENCY_STOP").touch()
    spoil(store_path)
    with pytest.raises(StoreUnusable):
        plane.release("looked at it")
    assert files.read_latch(store_path) is not None


def test_a_stop_that_comes_while_releasing_wins(plane_anywhere, store_path, monkeypatch):
    """A latch set between the releaser's look and the removal stays, and the releaser hears of it."""
    plane = plane_anywhere
    (store_path.parent / "EMERGENCY_STOP").touch()
    release = model.release

    def meanwhile(*args):
        files.write_latch(store_path, "again", "lee", plane._clock.now())
        return release(*args)

    monkeypatch.setattr(model, "release", meanwhile)
    with pytest.raises(StoreConflict, match="again"):
        plane.release("ok")
    assert plane.state().stop_reason == "again"


def test_acting_is_permitted_inside_a_transaction_only_while_it_is(plane_anywhere, clock, store_path):
    """`permitted` asks in the very transaction that arms: refused when stopped, latched, shut or expired."""
    plane = plane_anywhere

    def arm():
        with plane.permitted(drill=False) as change:
            change.audit(at=clock.now(), actor="kim", action="step.armed")

    with pytest.raises(Refused, match="emergency stop") as caught:
        arm()
    assert caught.value.next_step == model.RELEASE_COMMAND
    plane.release("ok")
    with pytest.raises(Refused, match="DRY_RUN"):
        arm()
    plane.set_gate(Gate.MOCK_ONLY, "r")
    with pytest.raises(Refused, match="not a drill"):
        arm()
    plane.set_gate(Gate.REAL_ENABLED, "r", ttl_s=10)
    arm()
    (store_path.parent / "EMERGENCY_STOP").touch()
    with pytest.raises(Refused, match="EMERGENCY_STOP"):
        arm()
    (store_path.parent / "EMERGENCY_STOP").unlink()
    clock.sleep(10)
    with pytest.raises(Refused, match="DRY_RUN"):
        arm()
    assert [row.action for row in plane.audit_rows()].count("step.armed") == 1


def test_nobody_can_stop_between_the_question_and_the_arming_unnoticed(plane_anywhere, store_path, clock):
    """While a step is being armed the store is ours: a stop that comes then waits, or latches; it is never lost."""
    plane = plane_anywhere
    plane.release("ok")
    plane.set_gate(Gate.REAL_ENABLED, "r")
    other = ControlPlane(store_path, clock, actor="lee", busy_timeout_s=0.0)
    with plane.permitted(drill=False) as change:
        other.engage("fire")
        change.audit(at=clock.now(), actor="kim", action="step.armed")
    assert plane.permission(drill=False).code == "stopped"


def test_last_good_is_the_last_that_was_marked(plane_anywhere, clock):
    """Per target and kind; each mark has its audit row."""
    plane = plane_anywhere
    assert plane.last_good("core", "release") is None
    plane.mark_good("core", "release", "v1", DIGEST)
    clock.sleep(1)
    marked = plane.mark_good("core", "release", "v2", DIGEST)
    plane.mark_good("core", "config", "1.env", DIGEST)
    plane.mark_good("web", "release", "v9", DIGEST)
    assert plane.last_good("core", "release") == marked
    assert (marked.name, marked.marked_at) == ("v2", clock.now())
    assert plane.last_good("core", "config").name == "1.env"
    assert plane.last_good("web", "config") is None
    assert [row.subject for row in plane.audit_rows() if row.action == "good.marked"] == ["core", "core", "core", "web"]


@pytest.mark.parametrize(
    ("kind", "name", "digest"),
    [
        ("container", "v1", DIGEST),
        ("release", "", DIGEST),
        ("release", "..", DIGEST),
        ("release", "../v1", DIGEST),
        ("release", "v\n1", DIGEST),
        ("release", "v" * 256, DIGEST),
        ("release", "v1", ""),
        ("release", "v1", "sha256:" + DIGEST),
        ("release", "v1", DIGEST.upper()),
    ],
)
def test_what_is_no_version_is_not_marked(plane_anywhere, kind, name, digest):
    """A kind, name or digest that a rollback could not use is refused before it is recorded."""
    plane = plane_anywhere
    with pytest.raises(UsageError):
        plane.mark_good("core", kind, name, digest)
    assert len(plane.audit_rows()) == 1


def test_a_checkpoint_finds_an_older_store_put_back(plane, store_path):
    """A rewritten history verifies by itself, but not against a checkpoint that somebody else holds."""
    old = store_path.read_bytes()
    plane.engage("fire")
    check = plane.verify_chain()
    checkpoint = (check.head_seq, check.head_hash)
    plane.release("out")
    assert plane.verify_chain(checkpoint).rows == 3
    store_path.write_bytes(old)
    assert plane.verify_chain().rows == 1
    with pytest.raises(StoreUnusable, match="rewritten"):
        plane.verify_chain(checkpoint)


def test_newest_rows_only(plane_anywhere):
    """A long history can be looked at from its end."""
    plane = plane_anywhere
    for number in range(5):
        plane.engage(f"r{number}")
    assert [row.seq for row in plane.audit_rows(newest=2)] == [5, 6]


def test_an_actor_that_is_no_name_is_recorded_as_unknown(store_path, clock):
    """Nobody acts under an empty or forged-looking name."""
    plane = ControlPlane(store_path, clock, actor="\x1b[2J")
    plane.create()
    plane.engage(actor="\n")
    assert [row.actor for row in plane.audit_rows()] == ["[2J", "unknown"]
