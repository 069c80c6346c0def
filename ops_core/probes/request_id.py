"""Does a request keep its id: on the answer, and in the log, where somebody will look for it at night?"""

from __future__ import annotations

import uuid
from typing import Any

from ops_core.errors import CannotLook
from ops_core.evidence import RequestIdEvidence
from ops_core.probes.instruments.files import FilesInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target

HEADER = "X-Request-Id"
WITHIN_S = 3.0


@probe(budget_s=10, needs=("live_url", "log_file"))
def request_id(target: Target, http: Any, files: FilesInstrument) -> RequestIdEvidence:
    """GET the liveness address with an id of our own, then wait for that id at the end of the log."""
    path = target.log_file
    assert path is not None  # noqa: S101  # what `needs` promises, told to the type checker
    sent = f"runbook-{uuid.uuid4().hex[:20]}"
    end, logged, problem = None, None, ""
    try:
        end = files.end_of(path)
    except CannotLook as error:
        # Whether the answer carries it can be seen all the same.
        problem = str(error.what)
    answer = http.get(target.live_url, headers={HEADER: sent})
    if end is not None:
        try:
            logged = end.wait_for(sent, WITHIN_S)
        except CannotLook as error:
            problem = str(error.what)
    return RequestIdEvidence(
        request_id=sent,
        answer=answer,
        echoed=answer.header(HEADER),
        log_file=str(path),
        logged=logged,
        waited_s=WITHIN_S if logged is False else 0.0,
        log_problem=problem,
    )
