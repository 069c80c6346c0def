"""What people do about an incident: cadence, checklist and closing, in every order and at every time."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from incident_world import look
from response_record import START, Record

from ops_core.clock import isoformat
from ops_core.errors import RecordError, Refused, UsageError
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.fields import REPORT, REPORT_FIELDS, UPDATE, UPDATE_FIELDS
from ops_core.incident.phases import CHECKLIST, ITEMS, Phase, items_of
from ops_core.incident.response import check_answers
from ops_core.incident.severity import CADENCE_S, Scenario, Severity, owed, parse_scenario, parse_severity


@pytest.mark.parametrize(("severity", "minutes"), [("SEV-1", 15), ("SEV-2", 30), ("SEV-3", 60)])
def test_the_cadence_is_the_runbooks(severity, minutes):
    """At the instant itself the update is overdue; a millisecond before it is not."""
    due = owed(Severity(severity), START)
    at = START + timedelta(minutes=minutes)
    assert due.due_at == at
    assert due.overdue(at)
    assert not due.overdue(at - timedelta(milliseconds=1))
    assert due.left_s(at) == 0


@pytest.mark.parametrize("text", ["", "SEV-0", "SEV-4", "critical", "SEV_1", "sev1"])
def test_other_severities_are_refused(text):
    """The error names those that there are."""
    with pytest.raises(UsageError) as caught:
        parse_severity(text)
    assert caught.value.allowed == "SEV-1, SEV-2, SEV-3"


def test_severities_and_scenarios_by_name():
    """Whatever the case; no scenario is one that is not known yet."""
    assert parse_severity(" sev-1 ") is Severity.SEV1
    assert parse_scenario("Redis") is Scenario.REDIS
    assert parse_scenario("") is None
    with pytest.raises(UsageError, match="there is no scenario"):
        parse_scenario("fire")


def test_everything_is_said_in_both_languages():
    """Questions, labels and meanings; names are told apart."""
    fields = [f for named in UPDATE.values() for f in named]
    fields += [f for sections in REPORT.values() for section in sections for f in section.fields]
    for text in [*(item.question for item in CHECKLIST), *(f.label for f in fields)]:
        assert set(text) == {"en", "ko"}
        assert all(text.values())
    assert {f.name for f in fields} == {*UPDATE_FIELDS, *REPORT_FIELDS}
    assert len(ITEMS) == len(CHECKLIST)
    assert not set(ITEMS) & set(REPORT_FIELDS)


def test_the_phases_are_in_the_order_of_the_checklist():
    """Five phases, each with something to answer in every scenario."""
    assert [item.phase for item in CHECKLIST] == sorted((item.phase for item in CHECKLIST), key=list(Phase).index)
    for scenario in (None, *Scenario):
        assert all(items_of(phase, scenario) for phase in Phase)
    assert [item.name for item in items_of(Phase.STABILISE, Scenario.RELEASE)] == ["rollout"]
    assert "changelog" not in [item.name for item in items_of(Phase.POST_INCIDENT, Scenario.REDIS)]


def test_the_fields_of_a_report_are_in_the_runbooks_order():
    """Impact, cause, mitigation, verification, then what is the scenario's own."""
    common = ["impact", "cause", "mitigation", "verification"]
    last = {scenario: [section.name for section in REPORT[scenario]] for scenario in Scenario}
    assert last == {
        Scenario.DATABASE: [*common, "follow_up"],
        Scenario.REDIS: [*common, "follow_up"],
        Scenario.RELEASE: [*common, "rollback_record"],
        Scenario.OVERLOAD: [*common, "capacity"],
    }


def test_a_phase_with_open_items_is_not_finished():
    """The refusal names them and what to type; what is said to be unknown stays open."""
    record = Record(affected=["/api"], version="unknown")
    record.answer(began="09:00", version="Unknown")
    with pytest.raises(Refused, match="open items: version") as caught:
        record.response.check_finish(Phase.TRIAGE)
    assert "--answer version=" in caught.value.next_step
    record.answer(version="1.4.2")
    record.response.check_finish(Phase.TRIAGE)
    with pytest.raises(Refused, match="the phase triage comes first"):
        record.response.check_finish(Phase.RECOVER)


def test_what_was_seen_answers_and_is_cited():
    """A look that found something answers what is affected; a person's word stands beside it."""
    record = Record(look=look(bad=[("database.unreachable", "web")]).to_json())
    record.answer(scope="all of /api")
    scope = record.response.items(Phase.TRIAGE)[0]
    assert [answer.by for answer in scope.answers] == ["evidence", "person"]
    assert scope.answers[0].cited == ("O1:database[web]",)
    assert scope.answers[1].cited == ("E2",)


def test_a_word_about_recovery_does_not_outlive_a_look_that_found_trouble():
    """What somebody said before the look counts no more; what is said after it does."""
    record = Record()
    record.answer(verified="all fine")
    assert not record.response.items(Phase.RECOVER)[1].open
    later = look(bad=[("ready.not_ok", "web")], at=isoformat(START + timedelta(minutes=1)))
    record.events[0] = Event(**{**vars(record.events[0]), "data": {**record.events[0].data, "look": later.to_json()}})
    assert record.response.items(Phase.RECOVER)[1].open
    record.now += timedelta(minutes=2)
    record.answer(verified="looked again: all fine")
    assert not record.response.items(Phase.RECOVER)[1].open


def test_what_nobody_asks_is_not_answered():
    """The error names what is asked."""
    with pytest.raises(UsageError, match="nobody asks for 'weather'"):
        check_answers({"weather": "fine"})
    check_answers(dict.fromkeys([*ITEMS, *REPORT_FIELDS], "x"))


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "SEV-9"},
        {"scenario": "fire"},
        {"started_at": "yesterday"},
        {"look": {"odd": 1}},
        {"title": None, "affected": None},
    ],
)
def test_damaged_events_are_told(change):
    """What was edited is refused with its place."""
    with pytest.raises(RecordError):
        Record(**change).response  # noqa: B018 - understanding is what fails


class Handling(RuleBasedStateMachine):
    """People open, tell, answer, finish and close, at any time and in any order, against a model of a few lines."""

    @initialize(severity=st.sampled_from(Severity), scenario=st.sampled_from([None, *Scenario]))
    def opens(self, severity, scenario):
        self.record = Record(severity=severity.value, scenario=scenario.value if scenario else "")
        self.severity, self.scenario, self.last = severity, scenario, START
        self.answered, self.finished, self.closed = set(), [], None

    @rule(minutes=st.sampled_from([0, 1, 14, 15, 29, 30, 59, 60]), ms=st.sampled_from([0, 1, 999]))
    def time_passes(self, minutes, ms):
        self.record.now += timedelta(minutes=minutes, milliseconds=ms)

    @precondition(lambda self: self.closed is None)
    @rule(severity=st.sampled_from([None, *Severity]), scenario=st.sampled_from([None, None, *Scenario]))
    def tells(self, severity, scenario):
        self.record.update(severity=severity.value if severity else "", scenario=scenario.value if scenario else "")
        self.last = self.record.now
        self.severity = severity or self.severity
        self.scenario = scenario or self.scenario

    @precondition(lambda self: self.closed is None)
    @rule(name=st.sampled_from(sorted(ITEMS)), known=st.booleans())
    def answers(self, name, known):
        self.record.answer(**{name: "done" if known else "unknown"})
        self.answered |= {name} if known else set()

    @precondition(lambda self: self.closed is None)
    @rule(phase=st.sampled_from(Phase), first=st.booleans())
    def finishes(self, phase, first):
        missing = [one for one in Phase if one not in self.finished]
        phase = missing[0] if first and missing else phase
        asked = {item.name for item in items_of(phase, self.scenario)}
        may = missing[:1] == [phase] and asked <= self.answered
        try:
            self.record.response.check_finish(phase)
        except Refused as refusal:
            assert not may
            assert refusal.exit_code == 2
        else:
            assert may
            self.record.add(Kind.FINISHED, {"phase": phase.value, "answers": []})
            self.finished.append(phase)

    @precondition(lambda self: self.closed is None)
    @rule(reason=st.sampled_from(["", "handed over"]))
    def closes(self, reason):
        may = bool(reason) or len(self.finished) == len(Phase)
        try:
            state = self.record.response.check_close(reason)
        except Refused:
            assert not may
        else:
            assert may
            self.record.add(Kind.CLOSED, {"state": state.value, "reason": {}, "checkpoint": ""})
            self.closed = state

    @invariant()
    def it_is_what_the_model_says(self):
        response = self.record.response
        assert response.severity is self.severity
        assert response.scenario is self.scenario
        assert list(response.finished) == self.finished == list(Phase)[: len(self.finished)]
        assert response.state is (self.closed or State.OPEN)
        if self.closed is not None:
            assert (self.closed is State.RECOVERED) == (Phase.RECOVER in self.finished)
        if self.closed is not None or Phase.RECOVER in self.finished:
            assert response.owed is None
        else:
            late = (self.record.now - self.last).total_seconds() >= CADENCE_S[self.severity]
            assert response.owed.overdue(self.record.now) is late


TestHandling = Handling.TestCase
TestHandling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.sampled_from(Severity), min_size=1, max_size=5))
def test_a_raised_severity_counts_from_its_own_update(severities):
    """The update that changes the severity is the one from which the new cadence counts."""
    record = Record()
    for severity in severities:
        record.now += timedelta(hours=2)
        record.update(severity=severity.value)
    found = record.response.owed
    assert (found.due_at - record.now).total_seconds() == CADENCE_S[severities[-1]]
