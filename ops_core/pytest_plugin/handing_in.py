"""What a test report of pytest carries for us: the judgement, for the record, for junitxml, and across processes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ops_core.evidence import EvidenceRecord
from ops_core.observation.record import Judgement, json_safe
from ops_core.probes.instruments.redact import Redactor
from ops_core.verdict import Judged


def redact_report(report: pytest.TestReport, redact: Redactor) -> None:
    """Evidence holds no secret, but a check or a plugin may have got hold of one in another way."""
    report.sections = [(name, redact.text(text)) for name, text in report.sections]
    if report.failed and report.longrepr is not None:
        text = str(report.longrepr)
        if (redacted := redact.text(text)) != text:
            report.longrepr = redacted


def attach(
    report: pytest.TestReport, item: pytest.Item, judgement: Judgement, records: Sequence[EvidenceRecord]
) -> None:
    """Attach a judgement to the report that settled it.

    Args:
        report: travels to whoever records, with xdist into another process.
        item: the check.
        judgement: what it said.
        records: evidence to send along; empty where the same process records.
    """
    data = {"judgement": json_safe(judgement)}
    if records:
        data["records"] = [json_safe(record) for record in records]
    report.runbook = data  # type: ignore[attr-defined]  # an extra attribute travels with the report
    told: list[tuple[str, object]] = [
        ("finding", judgement.finding or ""),
        ("target", judgement.target or ""),
        ("judged", str(judgement.judged)),
        ("evidence", " ".join(judgement.evidence)),
    ]
    # On the item as well: who writes properties down (junitxml) does so with the report of the last phase.
    report.user_properties.extend(told)
    item.user_properties[:] = [one for one in item.user_properties if one[0] not in dict(told)]
    item.user_properties.extend(told)


def status_of(report: pytest.TestReport, *, alone: bool) -> tuple[str, str, str] | None:
    """How a report counts: not seen is an error. None leaves it to pytest's terminal plugin, unless that is missing."""
    data = getattr(report, "runbook", None)
    if data and report.when == "call" and data["judgement"]["judged"] == Judged.UNKNOWN:
        return "error", "E", "ERROR"
    if not alone:
        return None
    if report.passed and report.when != "call":
        return "", "", ""
    outcome = "error" if report.failed and report.when != "call" else str(report.outcome)
    return outcome, outcome[0].upper(), outcome.upper()
