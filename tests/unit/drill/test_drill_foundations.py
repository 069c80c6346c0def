"""What services stand on, broken for real: a certificate that is shown, and a disk that fills up."""

from __future__ import annotations

import socket
import ssl

import pytest

from ops_core.drill import small_disk
from ops_core.drill.catalogue.foundations import FOUNDATIONS
from ops_core.drill.foundation_stack import FRONT, STORE, CertificateStack, DiskStack
from ops_core.drill.ports import HOST
from ops_core.errors import UsageError

BY_NAME = {fault.name: fault for fault in FOUNDATIONS}


def refused(stack: CertificateStack) -> str:
    """Why a client that trusts the stack's authority does not trust what the server shows; empty where it does."""
    context = ssl.create_default_context(cafile=str(stack.work_dir / "ca.pem"))
    with socket.create_connection((HOST, stack.ports[FRONT]), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=HOST):
                return ""
        except ssl.SSLCertVerificationError as error:
            return error.verify_message


def test_a_certificate_is_really_shown_and_renewed(tmp_path) -> None:
    """Trusted at first and while it lasts; not once it has run out or is a stranger's; and again once withdrawn."""
    with CertificateStack(tmp_path / "w") as stack:
        assert refused(stack) == ""
        for name, said in (
            ("certificate-expiring", ""),
            ("certificate-expired", "expired"),
            ("certificate-untrusted", "issuer"),
        ):
            fault = BY_NAME[name]
            before = stack.standing()
            fault.inject(stack)
            assert said in refused(stack)
            assert (said == "") == (refused(stack) == "")
            fault.withdraw(stack)
            fault.withdraw(stack)
            assert (refused(stack), stack.standing()) == ("", before)
        with pytest.raises(UsageError, match="nothing to leave running"):
            stack.start(detached=True)
    assert not stack.running


@pytest.mark.skipif(bool(small_disk.lacking()), reason=small_disk.lacking() or "there is one")
def test_a_small_disk_fills_up_and_is_emptied(tmp_path) -> None:
    """Of space and of files there is none left, then all of it again; unmounted when its owner lets go."""
    with DiskStack(tmp_path / "w") as stack:
        before = stack.standing()
        for name in ("disk-full", "disk-out-of-files"):
            BY_NAME[name].inject(stack)
            assert min(stack.free()) < 0.05
            BY_NAME[name].withdraw(stack)
            assert min(stack.free()) > 0.9
            assert stack.standing() == before
        assert stack.disk.is_mount()
    assert not stack.disk.is_mount()


def test_what_a_machine_lacks_for_a_small_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mount, or without root, the faults of the disk are left out with the reason."""
    monkeypatch.setattr(small_disk.os, "geteuid", lambda: 1000)
    assert "root" in DiskStack.lacking()
    monkeypatch.setattr(small_disk.servers, "search_path", lambda: "/nowhere")
    assert "mount" in BY_NAME["disk-full"].missing()
    assert BY_NAME["disk-full"].target == STORE
