"""Does the secret guard keep out who has no secret or a wrong one, and let in who has the right one?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ops_core.errors import CannotLook
from ops_core.evidence import GuardEvidence, HttpEvidence
from ops_core.probes.instruments.http import HttpInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target

WRONG_SECRET = "WRONG"  # noqa: S105  # the point is that it is not one


@probe(budget_s=20, needs=("guard_url", "guard_secret"))
async def guard(target: Target, http: HttpInstrument, secrets: Mapping[str, str]) -> GuardEvidence:
    """GET the guarded endpoint without a secret, with a wrong one and with the right one, at the same time."""
    url, name = target.guard_url, target.guard_secret
    assert url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    assert name is not None  # noqa: S101  # likewise
    calls = [http.get(url), http.get(url, headers={target.guard_header: WRONG_SECRET})]
    missing = ""
    try:
        calls.append(http.get(url, headers={target.guard_header: secrets[name]}))
    except CannotLook as error:
        # Whether the guard stands open can be seen all the same.
        missing = f"{error.what} ({error.where})"
    answers: list[HttpEvidence] = await asyncio.gather(*calls)
    right = None if missing else answers[2]
    return GuardEvidence(without=answers[0], wrong=answers[1], right=right, right_missing=missing)
