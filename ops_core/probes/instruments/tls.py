"""The `tls` instrument: looks at the certificate that a server shows, also at one that nobody should trust."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from ops_core.errors import CannotLook
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.request import build_request
from ops_core.probes.instruments.transport import describe_failure


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A certificate as it was shown; `problem` says why it is not to be trusted, empty where it is."""

    not_after: datetime
    subject: str
    issuer: str
    problem: str


class TlsInstrument:
    """Looks at certificates."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    async def certificate(self, url: str) -> Shown:
        """The certificate of the server behind an `https://` address.

        Raises:
            CannotLook: there was none to be seen.
        """
        request = build_request("GET", url)
        self._lookout.actions.append({"instrument": "tls", "method": "TLS", "url": self._lookout.redact.text(url)})
        try:
            raw, problem = await self._handshake(request.host, request.port)
        except (OSError, EOFError) as error:
            kind, detail = describe_failure(error if isinstance(error, OSError) else ConnectionResetError())
            said = f"{kind} ({detail})" if detail else kind
            raise CannotLook(f"no certificate was seen: {said}", where=url) from None
        return _read(raw, problem)

    async def _handshake(self, host: str, port: int) -> tuple[bytes, str]:
        """The certificate in DER, and why it is not trusted."""
        try:
            return await _shown(host, port, self._lookout.tls.get()), ""
        except ssl.SSLCertVerificationError as refused:
            # What it is can be seen all the same; nothing is said over that connection.
            anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            anything.check_hostname = False
            anything.verify_mode = ssl.CERT_NONE
            return await _shown(host, port, anything), f"not trusted: {refused.verify_message}"


async def _shown(host: str, port: int, context: ssl.SSLContext) -> bytes:
    _, writer = await asyncio.open_connection(host, port)
    try:
        await writer.start_tls(context, server_hostname=host)
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            writer.transport.abort()
    if shown is None:
        raise CannotLook("no certificate was seen: the server showed none", where=host)
    return shown


def _read(raw: bytes, problem: str) -> Shown:
    from cryptography import x509

    try:
        found = x509.load_der_x509_certificate(raw)
        not_after = found.not_valid_after_utc
        subject, issuer = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
    except ValueError as error:
        raise CannotLook(f"the certificate cannot be read: {error}") from None
    return Shown(not_after=not_after.astimezone(UTC), subject=subject[:200], issuer=issuer[:200], problem=problem)
