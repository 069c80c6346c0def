"""The record of an incident comes back as it was, and nothing else comes in."""

from __future__ import annotations

import copy
import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_views import example, views

from ops_core.errors import RecordError
from ops_core.report.model import IncidentView, TimelineEntry, said
from ops_core.report.text import visible


@settings(max_examples=60, deadline=None)
@given(views())
def test_an_incident_comes_back_as_it_was(view):
    """Through JSON text and back, an incident is equal to itself."""
    text = json.dumps(view.to_json())
    assert IncidentView.from_json(json.loads(text)) == view


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_record_is_refused_or_is_another_valid_one(data):
    """Whatever stands at whatever place, the record is read whole or refused with a RecordError: nothing between."""
    record = example().to_json()
    path = data.draw(st.sampled_from(list(_places(record))))
    value = data.draw(json_values)
    if path:
        inner = record
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    else:
        record = value
    refusal = None
    try:
        IncidentView.from_json(record).validate()
    except RecordError as error:
        refusal = error
    if refusal is not None:
        assert refusal.where
        assert all(visible(line) == line for line in str(refusal).split("\n"))


def _changed(**changes):
    record = copy.deepcopy(example().to_json())
    for path, value in changes.items():
        inner = record
        *keys, last = [int(k) if k.isdigit() else k for k in path.split("__")]
        for key in keys:
            inner = inner[key]
        inner[last] = value
    return record


@pytest.mark.parametrize(
    ("changes", "what", "where"),
    [
        ({"schema": 2}, "schema 2 is not known here", "schema"),
        ({"schema": True}, "expected a whole number, found True", "incident.schema"),
        ({"surprise": 1}, "unknown key 'surprise'", "incident"),
        ({"id": "../../etc"}, "'../../etc' is not a name", "id"),
        ({"targets__0": "a b"}, "'a b' is not a name", "targets[0]"),
        ({"state": "fine"}, "'fine' is not allowed here", "state"),
        ({"state": "escalated"}, "recovered_at goes with the state recovered, and with no other", "recovered_at"),
        ({"severity": "huge"}, "'huge' is not allowed here", "severity"),
        ({"opened_at": "yesterday"}, "'yesterday' is not an instant", "opened_at"),
        ({"opened_at": "2026-01-04T09:05:00"}, "'2026-01-04T09:05:00' is not an instant", "opened_at"),
        ({"timeline__2__at": ""}, "'' is not an instant", "timeline[2].at"),
        ({"timeline__0__kind": "danced"}, "'danced' is not allowed here", "timeline[0].kind"),
        ({"timeline__0__params": {}}, "the event opened has other parameters", "timeline[0].params"),
        ({"timeline__0__evidence": []}, "a statement without evidence", "timeline[0].evidence"),
        ({"timeline__0__evidence": ["O9"]}, "'O9' is cited but not there", "timeline[0].evidence"),
        ({"timeline__3__params__severity": "x"}, "'x' is not allowed here", "timeline[3].params.severity"),
        ({"findings__0__evidence": []}, "a statement without evidence", "findings[0].evidence"),
        ({"findings__0__code": "Guard open"}, "'Guard open' is not a code", "findings[0]"),
        ({"decision_evidence": ["O1:guard[other]"]}, "'O1:guard[other]' is cited but not there", "decision_evidence"),
        ({"evidence__0__id": "guard[core-api]"}, "'guard[core-api]' is not an evidence id", "evidence[0].id"),
        ({"evidence__0__id": "S1"}, "'S1' is not an evidence id", "evidence[0].id"),
        ({"evidence__0__id": "O7:x"}, "O7:x belongs to an observation that is not here", "evidence[0].id"),
        ({"evidence__3__id": "O2:guard[core-api]"}, "O2:guard[core-api] stands for more than one thing", "evidence"),
        ({"observations": []}, "a recovery is verified by a last look", "observations"),
        ({"observations__1__purpose": "detection"}, "a recovery is verified by a last look", "observations"),
        ({"observations__0__label": "P1"}, "'P1' is not a label", "observations[0].label"),
        (
            {"observations__0__used_s": float("nan")},
            "expected a finite number, found nan",
            "incident.observations[0].used_s",
        ),
        ({"observations__0__verdict": "GREEN"}, "'GREEN' is not allowed here", "observations[0].verdict"),
        ({"plan_steps__0__outcome": "fine"}, "'fine' is not allowed here", "plan_steps[0].outcome"),
        ({"cause__fr": "x"}, "'fr' is not allowed here", "cause"),
        ({"findings": {}}, "expected a list, found {}", "incident.findings"),
        ({"drill": "yes"}, "expected true or false, found 'yes'", "incident.drill"),
    ],
)
def test_what_does_not_hold_together_is_refused_by_name(changes, what, where):
    """Each rule refuses the record with its own words and the place."""
    with pytest.raises(RecordError) as caught:
        IncidentView.from_json(_changed(**changes))
    assert (caught.value.what, caught.value.where) == (what, where)


def test_a_missing_key_is_named():
    """A record that was cut says what is missing."""
    record = example().to_json()
    del record["undo"]["command"]
    with pytest.raises(RecordError, match=r"the key 'command' is missing\n  where    incident\.undo"):
        IncidentView.from_json(record)


def test_an_incident_cannot_be_changed():
    """The view is frozen."""
    with pytest.raises(FrozenInstanceError):
        example().state = "open"


def test_phases_are_measured_from_where_they_start():
    """Detection counts from the first look, decision and recovery from the finding."""
    view = example()
    assert [view.detect.took_s, view.decide.took_s, view.recover.took_s] == [3.204, 0.007, 4.278]
    assert [view.detect.goal_s, view.decide.goal_s, view.recover.goal_s] == [60, 300, 600]
    assert view.detect.met
    assert view.duration_s == 7.482


def test_a_phase_that_was_not_reached_is_neither_met_nor_missed():
    """Without recovery there is no time to recover, and a goal that was missed says so."""
    late = replace(
        example(), state="escalated", recovered_at=None, detected_at="2026-01-04T09:06:00.001Z", ended_at=None
    )
    assert late.recover.met is None
    assert late.detect.met is False
    assert late.duration_s is None


def test_a_clock_that_was_set_back_gives_no_figure():
    """A negative length is not reported as one."""
    assert replace(example(), detected_at="2026-01-04T09:04:00Z").detect.took_s is None


def test_impact_gathers_what_was_bad_by_target():
    """Two findings of one code on one target are one impact."""
    (impact,) = example().impact
    assert (impact.target, impact.codes, impact.evidence) == ("core-api", ("guard.open",), ("O1:guard[core-api]",))


def test_unseen_evidence_is_lost_in_no_case():
    """What could not be seen and is not told elsewhere is listed of itself."""
    view = example()
    assert view.unseen == ()
    assert [e.id for e in replace(view, unknown=()).unseen] == ["O1:stream[core-api]"]


def test_every_id_may_be_cited_in_the_timeline():
    """Observations, evidence, steps and other records can all prove an event."""
    view = example()
    entry = TimelineEntry(at=view.opened_at, kind="note", params={"text": "x"}, evidence=view.ids)
    replace(view, timeline=(entry,)).validate()


def test_a_text_is_said_in_the_language_asked_for_or_else_in_english():
    """A missing language falls back to English, then to whatever there is."""
    assert said({"en": "yes", "ko": "예"}, "ko") == "예"
    assert said({"en": "yes"}, "ko") == "yes"
    assert said({"ko": "예"}, "en") == "예"
    assert said({}, "en") == ""
