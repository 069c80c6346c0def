"""What nobody may do by hand: was it done, by whom and when as far as that is known, and that it had no effect."""

import pytest

from ops_core import IntegrityEvidence, finding


@pytest.mark.integrity
@finding("integrity.gate_mirror")
def check_gate_mirror_is_what_was_exported(integrity: IntegrityEvidence) -> None:
    """Nobody wrote another gate into state/execution_gate.json."""
    assert not integrity.of("gate_mirror"), integrity.tell("gate_mirror")


@pytest.mark.integrity
@finding("integrity.tickets")
def check_tickets_were_only_added_by_the_program(integrity: IntegrityEvidence) -> None:
    """No line of a ticket journal was changed, removed or added by hand, in the mirrors or in the store."""
    assert not integrity.of("tickets"), integrity.tell("tickets")


@pytest.mark.integrity
@finding("integrity.stop_mirror")
def check_stop_mirror_is_what_was_exported(integrity: IntegrityEvidence) -> None:
    """Nobody removed or changed state/emergency_stop.json."""
    assert not integrity.of("stop_mirror"), integrity.tell("stop_mirror")


@pytest.mark.integrity
@finding("integrity.logs")
def check_logs_have_only_grown(integrity: IntegrityEvidence) -> None:
    """No log was deleted, cut or rewritten."""
    assert not integrity.of("logs"), integrity.tell("logs")


@pytest.mark.integrity
@finding("integrity.contracts")
def check_contracts_are_those_that_were_accepted(integrity: IntegrityEvidence) -> None:
    """No contract, the allowlist included, is in force that nobody accepted."""
    assert not integrity.of("contracts"), integrity.tell("contracts")


@pytest.mark.integrity
@finding("integrity.real_without_permission")
def check_nothing_real_was_tried_without_permission(integrity: IntegrityEvidence) -> None:
    """Nobody tried a real run without window or allowlist since the last accepted look."""
    assert not integrity.of("real"), integrity.tell("real")


@pytest.mark.integrity
@finding("integrity.other_mirrors")
def check_other_mirrors_are_what_was_exported(integrity: IntegrityEvidence) -> None:
    """Nobody changed the mirrors of the sender, the cycles or the live fires."""
    assert not integrity.of("mirrors"), integrity.tell("mirrors")


@pytest.mark.integrity
@finding("integrity.chain")
def check_history_proves_itself(integrity: IntegrityEvidence) -> None:
    """The audit chain, the receipts it covers and the host's key are those that were recorded."""
    assert not integrity.of("chain"), integrity.tell("chain")
