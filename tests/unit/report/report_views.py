"""Incidents for the tests of reports: the committed example, and any incident Hypothesis can think of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

from ops_core.clock import isoformat
from ops_core.report import words
from ops_core.report.model import (
    EvidenceView,
    FindingView,
    IncidentView,
    ObservationView,
    StepView,
    TimelineEntry,
    UndoView,
    UnknownView,
)

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "reports" / "examples"
SHIPPED = ("incident.md.j2", "postmortem.md.j2", "issue.md.j2", "incident_log.txt.j2")
START = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)

ATTACKS = (
    "http://evil.example/x",
    "www.evil.example",
    "https://e.x/a|b@c",
    "@someone",
    "a@evil.example",
    "#12",
    "GH-7",
    "o/r#1",
    "[a](http://evil.example)",
    "![x](y)",
    "[x]: http://evil.example",
    "[`O1`]",
    "[`O99`]",
    "`O1`",
    "<script>alert(1)</script>",
    "<!-- ",
    "-->",
    "<http://evil.example>",
    "</details>",
    "|",
    "||",
    " | ",
    "\\|",
    "\\",
    "\\\\",
    "\n",
    "\r\n",
    "\n\n",
    "\n# head",
    "# head",
    "#",
    "`",
    "``",
    "```",
    "\n```\n",
    "~~~",
    "~~gone~~",
    "* a",
    "- a",
    "+ a",
    "1. a",
    "1) a",
    "---",
    "***",
    "===",
    "- - -",
    "> quote",
    "&lt;",
    "&#35;",
    "&amp;",
    "$x$",
    "$$",
    ":smile:",
    ":+1:",
    "**b**",
    "_i_",
    "__b__",
    "a_b_c",
    "*",
    "(x)",
    ":",
    "!",
    "[",
    "]",
    "{{ view }}",
    "{% if %}",
    "{#",
    "%(x)s",
    "%s",
    "\u202eevil",
    "\u2066",
    "\u200b",
    "\u2028",
    "\ufeff",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;x\x07",
    "\x00",
    "\x07",
    "\x9b31m",
    "\t",
    " ",
    "  ",
    "    code",
    "한국어",
    "é",
    "e\u0301",
    "\U0001f600",
    "\ud800",
    "deadbeef1234567",
    "[!NOTE]",
    "[^1]",
    "- [x]",
)
hostile = st.one_of(st.lists(st.sampled_from(ATTACKS), max_size=5).map("".join), st.text(max_size=30))
names = st.sampled_from(("core-api", "soul-engine", "dashboard", "0", "a.b_c-d"))
codes = st.sampled_from(("guard.open", "health.not_ok", "stream.silent", "process.frozen"))
instants = st.integers(0, 10**9).map(lambda ms: isoformat(START + timedelta(milliseconds=ms)))


def example() -> IncidentView:
    """The incident that is committed under `reports/examples`."""
    return IncidentView.from_json(json.loads((EXAMPLES / "incident.json").read_text(encoding="utf-8")))


@st.composite
def views(draw: st.DrawFn, texts: st.SearchStrategy[str] = hostile) -> IncidentView:
    """An incident that holds together, whatever its texts say."""
    looks = tuple(f"O{number}" for number in range(1, draw(st.integers(1, 3)) + 1))
    evidence = draw(
        st.lists(
            st.builds(
                lambda o, p, t: f"{o}:{p}[{t}]", st.sampled_from(looks), st.sampled_from(("guard", "프로브")), names
            ),
            unique=True,
            max_size=4,
        )
    )
    evidence += draw(st.lists(st.sampled_from(("A1", "A2", "G17")), unique=True, max_size=2))
    steps = draw(
        st.lists(
            st.builds(
                StepView,
                command=texts,
                outcome=keys(words.OUTCOMES),
                detail=texts,
                elapsed_s=st.none() | st.floats(0, 1e4),
            ),
            max_size=3,
        )
    )
    known = st.sampled_from((*looks, *evidence, *(f"S{n + 1}" for n in range(len(steps)))))
    cited = st.lists(known, min_size=1, max_size=3).map(lambda ids: tuple(dict.fromkeys(ids)))
    state = draw(keys(words.STATES))
    maybe = st.none() | instants
    localised = st.dictionaries(st.sampled_from(("en", "ko")), texts, max_size=2)
    purposes = [draw(keys(words.PURPOSES)) for _ in looks]
    return IncidentView(
        schema=1,
        id="20260104T090500Z-3f9a1c",
        profile="default",
        suite="observe",
        drill=draw(st.booleans()),
        targets=tuple(draw(st.lists(names, max_size=2))),
        state=state,
        severity=draw(keys({**words.SEVERITIES, "": ""})),
        opened_at=draw(instants),
        detected_at=draw(maybe),
        decided_at=draw(maybe),
        acted_at=draw(maybe),
        recovered_at=draw(instants) if state == "recovered" else None,
        ended_at=draw(maybe),
        checkpoint=draw(texts | st.just("")),
        findings=tuple(
            draw(
                st.lists(
                    st.builds(
                        FindingView,
                        code=codes,
                        target=st.none() | names,
                        check=texts,
                        expected=texts,
                        seen=texts,
                        where=texts,
                        evidence=cited,
                    ),
                    max_size=3,
                )
            )
        ),
        unknown=tuple(
            draw(
                st.lists(
                    st.builds(UnknownView, code=codes, target=st.none() | names, reason=texts, evidence=cited),
                    max_size=2,
                )
            )
        ),
        facts=tuple(draw(st.lists(codes, max_size=2))),
        row_id=draw(st.none() | texts),
        row_where=draw(texts),
        cause=draw(localised),
        action=draw(localised),
        decision_evidence=draw(st.just(()) | cited),
        remediation=draw(st.none() | texts),
        plan_digest=draw(st.none() | texts),
        plan_steps=tuple(steps),
        undo=draw(st.none() | st.builds(UndoView, command=texts, outcome=keys(words.UNDO), detail=texts)),
        resolution=draw(localised),
        prevention=tuple(draw(st.lists(localised, max_size=2))),
        observations=tuple(
            ObservationView(
                label=label,
                run_id="r",
                record=draw(texts),
                purpose="verification" if state == "recovered" else purpose,
                verdict=draw(st.sampled_from(tuple(words.VERDICTS))),
                used_s=draw(st.floats(0, 100)),
                total_s=60.0,
            )
            for label, purpose in zip(looks, purposes, strict=True)
        ),
        evidence=tuple(EvidenceView(id=one, explanation=draw(texts), reason=draw(texts)) for one in evidence),
        timeline=tuple(draw(st.lists(events(texts, cited), max_size=4))),
    )


@st.composite
def events(draw: st.DrawFn, texts: st.SearchStrategy[str], cited: st.SearchStrategy[tuple[str, ...]]) -> TimelineEntry:
    """One event of any kind with the parameters that it has to have."""
    import re

    kind = draw(keys(words.TIMELINE))
    params = {
        name: draw(keys(words.TRANSLATED[name]) if name in words.TRANSLATED else texts)
        for name in re.findall(r"%\((\w+)\)s", words.TIMELINE[kind])
    }
    return TimelineEntry(at=draw(instants), kind=kind, params=params, evidence=draw(cited))


def keys(table) -> st.SearchStrategy[str]:
    """One of the keys of a table of words."""
    return st.sampled_from(tuple(table))
