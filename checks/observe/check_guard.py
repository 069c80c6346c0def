"""Does the secret guard let in who has the secret, and nobody else?"""

import pytest

from ops_core import CannotLook, GuardEvidence, finding

# A guard whose backend is away may answer 503 instead of 401: it lets nobody in, which is what matters.
KEPT_OUT = (401, 503)
LET_IN = range(200, 400)


@pytest.mark.observe
@finding("guard.open")
def check_guard_keeps_out_who_has_no_secret(guard: GuardEvidence) -> None:
    """Without the secret, and with a wrong one, the guarded endpoint answers 401 or 503."""
    for answer in (guard.without, guard.wrong):
        assert answer.status not in LET_IN, guard.explain()
        if answer.status not in KEPT_OUT:
            # Something else is wrong there; whether the guard stands open cannot be told from that.
            raise CannotLook(f"neither let in nor kept out: {answer.explain()}")


@pytest.mark.observe
@finding("guard.rejects_secret")
def check_guard_lets_in_who_has_the_secret(guard: GuardEvidence) -> None:
    """With the right secret, the guarded endpoint answers 200."""
    if guard.right is None:
        raise CannotLook(guard.right_missing)
    if guard.right.status is None or guard.right.status >= 500:
        raise CannotLook(f"neither let in nor kept out: {guard.right.explain()}")
    assert guard.right.status == 200, guard.explain()
