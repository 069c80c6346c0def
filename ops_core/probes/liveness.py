"""Is the service alive, and is it ready? One that works with less says so in its answer."""

from __future__ import annotations

from typing import Any

from ops_core.evidence import HttpEvidence, ReadyEvidence
from ops_core.probes.instruments.http import HttpInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target

AWAY_MAX = 20
WORD_MAX_CHARS = 200


@probe(budget_s=5, needs="live_url")
async def live(target: Target, http: HttpInstrument) -> HttpEvidence:
    """GET the address that answers while the process runs."""
    assert target.live_url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    return await http.get(target.live_url)


@probe(budget_s=10, needs="ready_url")
async def ready(target: Target, http: HttpInstrument) -> ReadyEvidence:
    """GET the address that answers 200 while the service can do its work."""
    assert target.ready_url is not None  # noqa: S101  # likewise
    return readiness(await http.get(target.ready_url))


def readiness(answer: HttpEvidence) -> ReadyEvidence:
    """What an answer says of readiness: only a 503 that calls itself documented and degraded is a degraded mode."""
    said = _table(answer) if answer.status == 503 and answer.error is None else {}
    if said.get("status") != "degraded" or said.get("documented") is not True:
        return ReadyEvidence(answer=answer)
    listed = said.get("away")
    away = tuple(str(one)[:WORD_MAX_CHARS] for one in listed[:AWAY_MAX]) if isinstance(listed, list) else ()
    why = str(said.get("reason") or "")[:WORD_MAX_CHARS]
    return ReadyEvidence(answer=answer, degraded=True, why=why, away=away, mode=not away)


def _table(answer: HttpEvidence) -> dict[str, Any]:
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
