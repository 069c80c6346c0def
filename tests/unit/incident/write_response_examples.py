"""Write the documents under `reports/examples/response` again: `PYTHONPATH=. python …/write_response_examples.py`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from incident_world import look
from response_record import Record

from ops_core.clock import isoformat
from ops_core.config import LANGUAGES
from ops_core.incident.documents import issue_view, report_view, update_view
from ops_core.incident.events import Kind
from ops_core.incident.severity import Scenario, Severity
from ops_core.report.render import RESPONSE_ISSUE, SCENARIO, SEV_UPDATE, render_response

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples" / "response"
FOUND = {
    Scenario.DATABASE: ("database.unreachable", "database", "PostgreSQL stopped", "PostgreSQL ran out of disk"),
    Scenario.REDIS: ("redis.unreachable", "redis", "Redis was killed", "Redis was killed for its memory"),
    Scenario.RELEASE: ("errors.rate_high", "ingest", "release 1.4.2", "release 1.4.2 lost an index"),
    Scenario.OVERLOAD: ("latency.p95_high", "ingest", "one client sends batches of 5000", "a client without back-off"),
}
FIELDS = {
    "impact": "/api/ingest answers 503 for every third request",
    "customers": "orders are accepted up to ten minutes late",
    "workaround": "send again after a minute",
    "mitigation_eta": "09:20 UTC",
    "recovery_eta": "09:45 UTC",
    "fix_eta": "with release 1.4.3, on Wednesday",
}


def record_of(scenario: Scenario, severity: Severity) -> Record:
    """An incident as people would have handled it, from the finding to the report."""
    code, target, suspected, confirmed = FOUND[scenario]
    record = Record(
        title=f"ingest suffers: {suspected}",
        severity=severity.value,
        scenario=scenario.value,
        affected=["/api/ingest"],
        version="ingest 1.4.2",
        started_at="2026-01-05T09:00:00.000Z",
        look=look(bad=[(code, target)]).to_json(),
        cited={"affected": [f"O1:{code.partition('.')[0]}[{target}]"], "started_at": ["O1"]},
        by="kim",
    )
    record.now += timedelta(minutes=8)
    record.update("looking into it", fields=FIELDS)
    record.now += timedelta(minutes=20)
    answers = {
        "impact.users": "about 40 customers who send orders by the API",
        "impact.period": f"2026-01-05T09:00:00.000Z / {isoformat(record.now)}",
        "cause.suspected": suspected,
        "cause.confirmed": confirmed,
        "mitigation.done": "degraded mode entered at 09:12",
        "mitigation.risk": "orders wait in memory: a restart would lose them",
        "verification.figures": "error rate 0.1 %, p95 120 ms, 40 requests a second",
        "verification.at": isoformat(record.now),
        "follow_up": "alert at 80 % of the disk",
        "rollback_record": "rolled back to 1.4.1 at 09:14, 1.4.3 deployed on Wednesday",
        "capacity": "limit each client to 50 requests a second; test with 400",
    }
    record.answer(**answers)
    record.now += timedelta(minutes=1)
    record.add(Kind.NOTED, {"text": "resolved", "source": "alert", "cleared": True, "url": "", "by": "alert"})
    return record


def documents() -> dict[str, str]:
    """Every example document by its path below `reports/examples/response`."""
    found = {}
    for lang in LANGUAGES:
        for severity in Severity:
            view = update_view(record_of(Scenario.REDIS, severity).response)
            found[f"{lang}/update-{severity.value.lower()}.md"] = render_response(view, SEV_UPDATE, lang=lang)
        about = issue_view(record_of(Scenario.RELEASE, Severity.SEV2).response)
        found[f"{lang}/issue.md"] = render_response(about, RESPONSE_ISSUE, lang=lang)
        for scenario in Scenario:
            view = report_view(record_of(scenario, Severity.SEV2).response)
            found[f"{lang}/{scenario.value}.md"] = render_response(view, SCENARIO, lang=lang)
    return found


if __name__ == "__main__":
    for path, text in documents().items():
        file = EXAMPLES / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
