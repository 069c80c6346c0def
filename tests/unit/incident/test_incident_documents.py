"""Updates and scenario reports: the fields of the runbook in its order, nothing empty, everything cited."""

from datetime import timedelta

import pytest
from incident_world import World, look
from response_record import Record
from write_response_examples import EXAMPLES, documents, record_of

from ops_core.errors import RecordError, Refused
from ops_core.incident import opening
from ops_core.incident.documents import report_view, update_view
from ops_core.incident.events import Kind
from ops_core.incident.fields import REPORT, UPDATE
from ops_core.incident.handling import Responses, Saying
from ops_core.incident.phases import Phase
from ops_core.incident.severity import Scenario, Severity
from ops_core.report.render import SCENARIO, SEV_UPDATE, render_response
from ops_core.report.response import ResponseView

DOCUMENTS = documents()
AGAIN = "PYTHONPATH=.:tests/unit/incident python tests/unit/incident/write_response_examples.py writes them again"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_an_example_is_what_we_write_today(path):
    """To the byte."""
    assert (EXAMPLES / path).read_bytes() == DOCUMENTS[path].encode(), AGAIN


def test_there_is_no_example_that_nobody_writes():
    """Every file below the examples is made from an incident."""
    assert {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file()} == set(DOCUMENTS)


@pytest.mark.parametrize("scenario", Scenario)
def test_a_report_with_an_empty_field_is_refused(scenario):
    """Every required field, one after the other: the refusal names it and what to type."""
    full = record_of(scenario, Severity.SEV1)
    for section in REPORT[scenario]:
        for field in section.fields:
            record = Record(scenario=scenario.value)
            answers = dict(full.events[2].data["answers"])
            answers["impact.endpoints"] = "/api"
            record.answer(**{name: said for name, said in answers.items() if name != field.name})
            with pytest.raises(Refused) as caught:
                report_view(record.response)
            assert caught.value.what == f"the report has empty fields: {field.name}"
            assert f"--answer {field.name}=" in caught.value.next_step
            record.answer(**{field.name: "unknown"})
            with pytest.raises(Refused):
                report_view(record.response)


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("scenario", Scenario)
def test_the_fields_come_in_the_runbooks_order(scenario, lang):
    """Each label once, in order; suspected and confirmed cause are told apart."""
    text = DOCUMENTS[f"{lang}/{scenario.value}.md"]
    labels = [f"- **{field.label[lang]}:**" for section in REPORT[scenario] for field in section.fields]
    places = [text.index(label) for label in labels]
    assert places == sorted(places)
    assert all(text.count(label) == 1 for label in labels)


@pytest.mark.parametrize("severity", Severity)
def test_an_update_says_what_its_severity_asks_for(severity):
    """Every field in order; what nobody has said is shown as not known; the cadence stands at the end."""
    record = Record(severity=severity.value)
    with pytest.raises(Refused, match="there is no update yet"):
        update_view(record.response)
    record.update("at it")
    text = render_response(update_view(record.response), SEV_UPDATE)
    labels = [f"- **{field.label['en']}:** not known yet" for field in UPDATE[severity]]
    assert [text.index(label) for label in labels] == sorted(text.index(label) for label in labels)
    minutes = {"SEV-1": 15, "SEV-2": 30, "SEV-3": 60}[severity.value]
    assert f"every {minutes} minutes" in text


def test_a_scenario_that_is_not_known_has_no_report():
    """What has to be said depends on it."""
    with pytest.raises(Refused, match="the scenario is not known"):
        report_view(Record().response)


def test_a_record_of_a_report_can_be_read_back():
    """Another schema, or a changed key, is refused."""
    view = report_view(record_of(Scenario.REDIS, Severity.SEV2).response)
    assert ResponseView.from_json(view.to_json()) == view
    with pytest.raises(RecordError, match="schema 9"):
        ResponseView.from_json({**view.to_json(), "schema": 9})
    with pytest.raises(RecordError, match="unknown key"):
        ResponseView.from_json({**view.to_json(), "odd": 1})


HOSTILE = "|`](http://x) <script> \u202e @all #1 \n# head"


def test_what_people_type_has_no_effect():
    """A title, a text or an answer is never a heading, a link or a table cell of its own."""
    record = record_of(Scenario.DATABASE, Severity.SEV1)
    record.update(HOSTILE, fields={"impact": HOSTILE})
    record.answer(**{"cause.confirmed": HOSTILE})
    for view, name in ((report_view(record.response), SCENARIO), (update_view(record.response), SEV_UPDATE)):
        text = render_response(view, name)
        assert "\n# head" not in text
        assert "\u202e" not in text


def test_what_the_loop_did_fills_the_report_and_the_checklist(tmp_path):
    """Decision, remediation and verification of an attached run are cited; only what nobody can see is asked for."""
    world = World(tmp_path)
    world.permit()
    world.deploy()
    run = world.run()
    assert run.outcome == "recovered"
    incident = opening.open_incident(
        world.settings,
        world.plane,
        world.clock,
        title="guard open",
        severity=Severity.SEV2,
        scenario=Scenario.RELEASE,
        source="hand",
        key="",
        affected=("unknown",),
        version="",
        actor="kim",
    )
    opening.attach(world.plane, world.clock, incident.id, run.incident_id, actor="kim")
    people = Responses(world.plane, world.clock, "kim")
    response = people.get(incident.id)
    assert [item.name for item in response.open_items(Phase.TRIAGE)] == ["version"]
    assert response.open_items(Phase.STABILISE) == ()
    assert [item.name for item in response.open_items(Phase.RECOVER)] == ["cleared"]
    with pytest.raises(Refused, match=r"impact\.users, impact\.period, cause\.confirmed, mitigation\.risk"):
        report_view(response)
    missing = ("impact.users", "impact.period", "cause.confirmed", "mitigation.risk")
    people.update(incident.id, Saying(answers=dict.fromkeys(missing, "said")))
    text = render_response(report_view(people.get(incident.id)), SCENARIO)
    for cited in ("[`O101:guard[web]`", "[`R101`]", "HEALTHY"):
        assert cited in text
    assert "rollback_config web" in text


def test_a_look_that_found_trouble_after_a_report_shows(tmp_path):
    """Nothing is recovered for what was seen before it."""
    record = Record(look=look(bad=[("database.unreachable", "web")]).to_json())
    record.now += timedelta(minutes=1)
    record.add(Kind.REPORTED, {"path": "r.md"})
    assert [item.name for item in record.response.open_items(Phase.POST_INCIDENT)] == ["slo", "changelog"]
    assert not any(one.by == "evidence" for one in record.response.answers("verified"))
    assert tmp_path.is_dir()
