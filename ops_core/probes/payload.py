"""Does the service refuse what is larger than what it promised to take? One byte more, one item more, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ops_core.errors import CannotLook
from ops_core.evidence import HttpEvidence, PayloadEvidence
from ops_core.probes.instruments.http import HttpInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target

SENT_MAX_BYTES = 32 << 20
KEY_HEADER = "X-API-Key"
JSON_TYPE = {"Content-Type": "application/json"}
# Where the guard is off, nothing of it is to be kept: no column of text or jsonb of PostgreSQL takes this.
UNSTORABLE = {"runbook_probe": "\0"}
CODE_MAX_CHARS = 80


@probe(budget_s=15, needs=("ingest_url", "body_max_bytes"))
async def oversized_body(target: Target, http: HttpInstrument, secrets: Mapping[str, str]) -> PayloadEvidence:
    """POST a body of one byte more than is promised. It is nothing but spaces, so that no service can keep it."""
    limit = target.body_max_bytes
    assert limit is not None  # noqa: S101  # what `needs` promises, told to the type checker
    return await _send(
        target, http, secrets, what="body", limit=limit, content=b" " * min(limit + 1, SENT_MAX_BYTES + 1)
    )


@probe(budget_s=15, needs=("ingest_url", "batch_items_max"))
async def oversized_batch(target: Target, http: HttpInstrument, secrets: Mapping[str, str]) -> PayloadEvidence:
    """POST a batch of one item more than is promised."""
    limit = target.batch_items_max
    assert limit is not None  # noqa: S101  # likewise
    each = json.dumps(UNSTORABLE)
    if (len(each) + 1) * limit > SENT_MAX_BYTES:
        content = b" " * (SENT_MAX_BYTES + 1)
    else:
        content = ('{"items":[' + ",".join([each] * (limit + 1)) + "]}").encode()
    if target.body_max_bytes is not None and len(content) > target.body_max_bytes:
        # The limit of the body would refuse it, and nothing would be said about that of the batch.
        content = ('{"items":[' + ",".join(["{}"] * (limit + 1)) + "]}").encode()
    return await _send(target, http, secrets, what="batch", limit=limit, content=content)


async def _send(
    target: Target, http: HttpInstrument, secrets: Mapping[str, str], *, what: str, limit: int, content: bytes
) -> PayloadEvidence:
    if len(content) > SENT_MAX_BYTES:
        much = f"the promised limit of the {what} is so large that trying it would be an attack"
        raise CannotLook(much, allowed=f"at most {SENT_MAX_BYTES >> 20} MiB to send")
    headers = dict(JSON_TYPE)
    if target.ingest_key is not None:
        headers[KEY_HEADER] = secrets[target.ingest_key]
    assert target.ingest_url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    answer = await http.post(target.ingest_url, content=content, headers=headers)
    return PayloadEvidence(what=what, limit=limit, answer=answer, code=code_of(answer), sent_bytes=len(content))


def code_of(answer: HttpEvidence) -> str:
    """What an answer calls its reason: `{"error": {"code": …}}` or `{"code": …}`; empty where it says none."""
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        return ""
    inner = said.get("error", said) if isinstance(said, dict) else None
    code = inner.get("code") if isinstance(inner, dict) else None
    return code[:CODE_MAX_CHARS] if isinstance(code, str) else ""
