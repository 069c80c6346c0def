"""Does the service refuse what it promised to refuse, and does it have the secrets that it must have?"""

import pytest

from ops_core import CannotLook, PayloadEvidence, SecretsEvidence, finding

# Who we are, or how often we ask, was refused: that says nothing about size.
NOT_ABOUT_SIZE = (401, 403, 404, 405, 408, 429)


def _refused_for_its_size(payload: PayloadEvidence) -> None:
    status = payload.answer.status
    if status is None or status >= 500 or status in NOT_ABOUT_SIZE:
        raise CannotLook(f"neither taken nor refused for its size: {payload.explain()}")
    assert payload.refused_as_promised, f"{payload.explain()}; promised: 413 {PayloadEvidence.PROMISED}"


@pytest.mark.service
@finding("payload.body_accepted")
def check_large_body_is_refused(oversized_body: PayloadEvidence) -> None:
    """A body of one byte more than body_max_bytes is refused with 413 PAYLOAD_TOO_LARGE."""
    _refused_for_its_size(oversized_body)


@pytest.mark.service
@finding("payload.batch_accepted")
def check_large_batch_is_refused(oversized_batch: PayloadEvidence) -> None:
    """A batch of one item more than batch_items_max is refused with 413 PAYLOAD_TOO_LARGE."""
    _refused_for_its_size(oversized_batch)


@pytest.mark.service
@finding("secret.missing")
def check_secrets_are_there(required_secrets: SecretsEvidence) -> None:
    """Each of the required_secrets has a value."""
    assert not required_secrets.missing, required_secrets.explain()


@pytest.mark.service
@finding("secret.weak")
def check_secrets_are_strong(required_secrets: SecretsEvidence) -> None:
    """None of the required_secrets is short, a placeholder or a repetition."""
    assert not required_secrets.weak, required_secrets.explain()
