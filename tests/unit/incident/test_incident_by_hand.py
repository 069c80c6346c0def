"""Remediations that somebody chooses, those whose time is over, and those that need two keys."""

import dataclasses
from pathlib import Path

import pytest
from incident_world import World, render_all

from ops_core.control.model import RemediationPermit, WindowStatus
from ops_core.control.people import add_operator, approve_window, request_window, revoke_operator, sign
from ops_core.errors import UsageError
from ops_core.incident.loop import Choice
from ops_core.incident.restoring import due_now, restore_due
from ops_core.remediation.planning import plan_now
from ops_core.verdict import Judged

LIMITS = "SECRET=1\nINGEST_MAX_BATCH_ITEMS=100\nMAX_REQUEST_BODY_BYTES=65536\n"
TWO_KEYS = '''
from ops_core.remediation import CommandSays, Plan, Step, remediation


@remediation("cut_over")
def cut_over(context):
    """Touch a file, as one that two people have to agree to."""
    says = CommandSays(argv=("test", "-e", "{root}/cut"), yes=True)
    not_yet = CommandSays(argv=("test", "-e", "{root}/cut"), yes=False)
    return Plan(
        remediation="cut_over",
        target=context.target.name,
        findings=(),
        steps=(Step(name="cut", argv=("sh", "-c", "echo x >> {root}/cut; {more}"), timeout_s=5, outcome=says),),
        undo=(Step(name="uncut", argv=("rm", "{root}/cut"), timeout_s=5, outcome=not_yet),),
        summary={{"en": "cut over"}},
        two_keys=True,
    )
'''


class Permitted(World):
    """A world with four people and a remediation that two of them have to approve."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.permit()
        self.write("true")
        self.keys = {name: root / f"{name}.pem" for name in ("kim", "lee", "park")}
        for name, path in self.keys.items():
            add_operator(self.plane, name, key_file=path, scopes=["window", "approve"])

    def write(self, more):
        (self.root / "remediations").mkdir(exist_ok=True)
        (self.root / "remediations" / "cut_over.py").write_text(TWO_KEYS.format(root=self.root, more=more))

    @property
    def permitted(self):
        return plan_now(self.settings, self.plane, "cut_over", "web").permit

    def ask(self, permit=None, duration_s=3600):
        wanted = permit or self.permitted
        request_window(self.plane, lambda _: wanted, operator="kim", reason="cut", duration_s=duration_s)

    def approve(self, *names):
        for name in names:
            digest = self.plane.state().window.permit_digest
            approve_window(self.plane, operator=name, signature=sign(self.keys[name], digest), digest=digest)

    def choose(self):
        return self.run(choice=Choice(remediation="cut_over", target="web"))

    @property
    def cut(self):
        path = self.root / "cut"
        return path.read_text().split() if path.exists() else []

    @property
    def status(self):
        return self.plane.state().window.status


@pytest.fixture
def keyed(tmp_path):
    return Permitted(tmp_path)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.permit()
    path = tmp_path / "web" / "1.env"
    path.write_text(LIMITS)
    return world


def why(outcome):
    return " ".join(str(entry.params) for entry in outcome.view.timeline)


def test_what_somebody_chooses_is_done_and_nothing_else(world):
    """Also where nothing is wrong; it is an incident like any other, with its reports."""
    outcome = world.run(choice=Choice(remediation="restart_service", target="web"))
    assert (outcome.outcome, world.effects()) == ("recovered", ["stop", "start"])
    assert all("restart_service" in text for text in render_all(outcome.view)[:2])
    world.deploy()
    world.crash()
    outcome = world.run(choice=Choice(remediation="restart_service", target="web"))
    assert (outcome.outcome, world.in_force()) == ("escalated", "2.env")
    assert outcome.view.row_id == "by-hand"


def test_a_rollout_that_was_halted_stays_halted_although_what_is_out_is_bad(world):
    """Halting heals nothing by itself; to resume because of that would let the rest out."""
    running = world.root / "web" / "rollout"
    running.touch()
    world.change_target(
        rollout_running_argv=("test", "-e", str(running)),
        rollout_halt_argv=("rm", str(running)),
        rollout_resume_argv=("touch", str(running)),
    )
    world.deploy()
    outcome = world.run(choice=Choice(remediation="halt_rollout", target="web"))
    assert (outcome.outcome, running.exists()) == ("escalated", False)
    assert outcome.view.undo.outcome == "available"


def test_what_was_restarted_gets_a_while_to_be_there(world):
    """Nothing was bad, so nothing is waited for but the service itself: it is looked at again, a bounded number of times."""
    away = [("ready.not_ok", "web", Judged.BAD)]
    world.script = [[("ready.not_ok", "web", Judged.GOOD)], away, away, [("ready.not_ok", "web", Judged.GOOD)]]
    chosen = Choice(remediation="restart_service", target="web")
    assert world.run(choice=chosen).outcome == "recovered"
    looks = world.looks
    world.script = [[("ready.not_ok", "web", Judged.GOOD)], *[away] * 20]
    assert world.run(choice=chosen).outcome == "escalated"
    assert world.looks - looks < 10


def test_what_is_left_on_purpose_is_no_failure(world):
    """A service that says that it is degraded is what was asked for; anything else that is bad is told."""
    chosen = {"choice": Choice(remediation="enter_degraded_mode", target="web")}
    left = ("ready.degraded", "web", Judged.BAD)
    world.script = [[("ready.degraded", "web", Judged.GOOD)], [left]]
    outcome = world.run(**chosen)
    assert (outcome.outcome, outcome.exit_code) == ("recovered", 0)
    assert "on purpose: ready.degraded[web]" in " ".join(world.said)
    world.run(choice=Choice(remediation="leave_degraded_mode", target="web"))
    world.script = [[left], *[[left, ("guard.open", "web", Judged.BAD)]] * 12]
    assert world.run(**chosen).outcome == "escalated"


def test_what_does_not_exist_cannot_be_chosen(world):
    """Nothing is opened for a name that nobody knows."""
    with pytest.raises(UsageError, match="no remediation"):
        world.run(choice=Choice(remediation="restart_servise", target="web"))
    with pytest.raises(UsageError, match="no target"):
        world.run(choice=Choice(remediation="restart_service", target="wep"))
    assert world.looks == 0


def test_limits_are_restored_by_whoever_comes_along_when_their_time_is_over(world):
    """Not before; exactly once; and the record tells it like any other remediation."""
    world.run(choice=Choice(remediation="lower_limits", target="web"))
    assert world.in_force() == "1.env.ops-lowered"
    told = {"plane": world.plane, "clock": world.clock, "say": world.said.append, "lang": "en"}
    assert restore_due(world.settings, **told, observe=world.observe) == ()
    world.clock.ahead_s = 1801.0
    assert [one.target for one in due_now(world.settings, world.clock)] == ["web"]
    (outcome,) = restore_due(world.settings, **told, observe=world.observe)
    assert (outcome.outcome, world.in_force()) == ("recovered", "1.env")
    assert restore_due(world.settings, **told, observe=world.observe) == ()
    assert (world.root / "web" / "running").read_text() == "1.env\n"


def test_what_may_not_be_restored_is_told_and_left_for_the_next(world):
    """A closed gate keeps limits low, and no incident is opened for it day after day."""
    world.run(choice=Choice(remediation="lower_limits", target="web"))
    incidents = len(world.incidents.listed())
    world.clock.ahead_s = 1801.0
    world.plane.set_gate("DRY_RUN", "done")
    told = {"plane": world.plane, "clock": world.clock, "say": world.said.append, "lang": "ko"}
    assert restore_due(world.settings, **told, observe=world.observe) == ()
    assert "지정된 시간이 지났지만" in world.said[-1]
    assert (world.in_force(), len(world.incidents.listed())) == ("1.env.ops-lowered", incidents)


def test_two_keys_open_exactly_one_use(keyed):
    """Consumed in the transaction that arms the step; the second attempt finds it consumed."""
    keyed.ask()
    keyed.approve("lee", "park")
    assert (keyed.choose().outcome, keyed.cut) == ("recovered", ["x"])
    assert keyed.status is WindowStatus.CONSUMED
    armed = [row for row in keyed.plane.audit_rows() if row.action in {"window.consumed", "step.armed"}]
    assert [row.action for row in armed] == ["window.consumed", "step.armed"]
    (keyed.root / "cut").unlink()
    outcome = keyed.choose()
    assert (outcome.outcome, keyed.cut) == ("refused", [])
    assert "the window is CONSUMED" in why(outcome)


@pytest.mark.parametrize("gate", ["MOCK_ONLY", "REAL_ENABLED"])
def test_no_gate_stands_in_for_two_keys(keyed, gate):
    """Not on a drill either, and not where the gate allows everything."""
    keyed.plane.set_gate(gate, "whatever it says")
    outcome = keyed.choose()
    assert (outcome.outcome, outcome.exit_code, keyed.cut) == ("refused", 2, [])
    assert "no window was requested" in why(outcome)
    assert "ops window request --remediation cut_over --target web" in " ".join(keyed.said)


def test_keys_do_not_open_a_closed_gate(keyed):
    """Both are needed; the window is not used up by the refusal."""
    keyed.ask()
    keyed.approve("lee", "park")
    keyed.plane.set_gate("DRY_RUN", "closed")
    assert keyed.choose().outcome == "refused"
    assert (keyed.status, keyed.cut) == (WindowStatus.ACTIVE, [])


def test_one_key_is_not_enough(keyed):
    """The one that asked is none, and one that approved is one."""
    keyed.ask()
    assert "0 of 2 keys" in why(keyed.choose())
    keyed.approve("lee")
    assert "1 of 2 keys" in why(keyed.choose())
    assert keyed.cut == []


def test_a_window_that_ran_out_opens_nothing(keyed):
    """Half-open in time, as every window."""
    keyed.ask(duration_s=60)
    keyed.approve("lee", "park")
    keyed.clock.ahead_s = 61.0
    assert "the window is EXPIRED" in why(keyed.choose())
    assert keyed.cut == []


def test_a_key_of_somebody_who_is_gone_counts_no_more(keyed):
    """The signatures are verified again at the moment of use."""
    keyed.ask()
    keyed.approve("lee", "park")
    revoke_operator(keyed.plane, "park")
    assert "park was revoked" in why(keyed.choose())
    assert keyed.cut == []


def test_a_plan_that_changed_after_the_approval_is_another_one(keyed):
    """What two people saw is what is done, to the letter."""
    keyed.ask()
    keyed.approve("lee", "park")
    keyed.write("echo more")
    outcome = keyed.choose()
    assert (outcome.outcome, keyed.cut, keyed.status) == ("refused", [], WindowStatus.ACTIVE)
    assert "the plan is not the one that was approved" in why(outcome)


@pytest.mark.parametrize("changed", [{"plan_digest": "0" * 64}, {"target": "other"}, {"remediation": "other"}])
def test_a_window_for_something_else_opens_nothing(keyed, changed):
    """Another digest, another target, another remediation."""
    keyed.ask(dataclasses.replace(keyed.permitted, **changed))
    keyed.approve("lee", "park")
    assert keyed.choose().outcome == "refused"
    assert (keyed.status, keyed.cut) == (WindowStatus.ACTIVE, [])


def test_what_was_permitted_when_it_was_shown_is_asked_again_when_it_is_armed(keyed, monkeypatch):
    """The answer for people counts for nothing: a window that is revoked in between is missed at the point of effect."""
    from ops_core.control.people import revoke_window
    from ops_core.remediation.guard import Guard

    keyed.ask()
    keyed.approve("lee", "park")
    shown = Guard.keys_permission

    def then_revoked(guard, permit: RemediationPermit):
        found = shown(guard, permit)
        revoke_window(keyed.plane, "changed our mind", "lee")
        return found

    monkeypatch.setattr(Guard, "keys_permission", then_revoked)
    outcome = keyed.choose()
    assert (outcome.outcome, keyed.cut, keyed.status) == ("refused", [], WindowStatus.REVOKED)


def test_the_way_back_belongs_to_what_was_approved(keyed):
    """No second window is needed to undo what did not help."""
    keyed.ask()
    keyed.approve("lee", "park")
    bad = [("guard.open", "web", Judged.BAD)]
    keyed.script = [bad] * 12
    outcome = keyed.choose()
    assert (outcome.outcome, keyed.cut) == ("escalated", [])
    assert outcome.view.undo.outcome == "done"


def test_the_table_leads_to_a_refusal_that_says_what_to_type(keyed):
    """A decision whose remedy needs keys is refused like any other that the guard does not permit."""
    rows = (
        '[[row]]\nid = "guard-open"\nwhen = ["guard.open"]\nseverity = "critical"\ncategory = "security"\n'
        'remediation = "cut_over"\ncause.en = "c"\naction.en = "a"\n'
    )
    (keyed.root / "remediations" / "decisions.toml").write_text(rows)
    keyed.script = [[("guard.open", "web", Judged.BAD)]]
    outcome = keyed.run()
    assert (outcome.outcome, outcome.exit_code) == ("refused", 2)
    assert keyed.cut == []


class Cut(BaseException):
    """The program is killed here."""


@pytest.mark.parametrize("acted", [True, False], ids=["it had acted", "it had not acted"])
def test_who_is_killed_behind_the_arming_has_used_the_window_up(keyed, monkeypatch, acted):
    """What comes next looks at the outcome: done where it is there, else for a person; nobody acts a second time."""
    from ops_core.remediation import runner

    real = runner.run_child

    def killed(*arguments, **named):
        if acted:
            real(*arguments, **named)
        raise Cut

    keyed.ask()
    keyed.approve("lee", "park")
    monkeypatch.setattr(runner, "run_child", killed)
    with pytest.raises(Cut):
        keyed.choose()
    assert keyed.status is WindowStatus.CONSUMED
    monkeypatch.setattr(runner, "run_child", real)
    (incident,) = keyed.incidents.listed()
    outcome = keyed.resume(incident.id)
    assert keyed.cut == (["x"] if acted else [])
    assert outcome.outcome == ("recovered" if acted else "escalated")
    assert keyed.kinds(incident.id).count("armed") == 1


def test_who_is_killed_before_the_commit_has_used_nothing_up(keyed, monkeypatch):
    """Window and step change together or not at all."""
    from ops_core.incident.ledger import StepLedger

    def killed(*_arguments, **_named):
        raise Cut

    keyed.ask()
    keyed.approve("lee", "park")
    monkeypatch.setattr(StepLedger, "_set", killed)
    with pytest.raises(Cut):
        keyed.choose()
    monkeypatch.undo()
    assert (keyed.status, keyed.cut) == (WindowStatus.ACTIVE, [])
    assert keyed.plane.verify_chain()
    assert keyed.choose().outcome == "recovered"
    assert keyed.cut == ["x"]
