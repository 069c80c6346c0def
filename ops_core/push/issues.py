"""Issues on GitHub: made once, with a token that is never in what is said about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops_core.config import SecretMissing, Settings, read_secret
from ops_core.control.model import tidy
from ops_core.errors import OpsError, UsageError
from ops_core.probes.instruments.redact import Redactor
from ops_core.push.exchange import body_of, certificates, post_once
from ops_core.push.results import Delivered, NotDelivered, Result, Unknown, fit_for_json

if TYPE_CHECKING:
    import ssl

    import httpx

CREATED = 201
# The server read the request and made nothing of it. A redirection is not followed: the token is for one server.
REFUSALS = frozenset({301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422, 429})
API_VERSION = "2022-11-28"
DETAIL_MAX_CHARS = 200
URL_MAX_CHARS = 500


@dataclass(kw_only=True)
class IssueMaker:
    """Makes issues in one repository.

    Args:
        url: the server of the API, without a path of ours.
        repository: `owner/name`.
        token: may make issues there.
        timeout_s: seconds for everything together.
        tls: how https is verified; the system's certificates unless given.
    """

    url: str
    repository: str
    token: str = field(repr=False)
    timeout_s: float
    tls: ssl.SSLContext | bool = True

    def create(self, title: str, body: str) -> Result:
        """Try once to make an issue; `detail` of a delivered one is its address. Never raises for the server's sake."""
        address = f"{self.url.rstrip('/')}/repos/{self.repository}/issues"
        content = json.dumps({"title": fit_for_json(title), "body": fit_for_json(body)}).encode("ascii")
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self.token}",
            "user-agent": "pytest-runbook",
            "x-github-api-version": API_VERSION,
        }
        return post_once(address, content, headers, self._judged, timeout_s=self.timeout_s, tls=self.tls)

    async def _judged(self, answer: httpx.Response) -> Result:
        if answer.status_code in REFUSALS:
            said = ""
            with contextlib.suppress(Exception):
                told = json.loads(await asyncio.wait_for(body_of(answer), 1.0))
                said = str(told.get("message", "")) if isinstance(told, dict) else ""
            said = tidy(Redactor((self.token,)).text(said), "", DETAIL_MAX_CHARS)
            return NotDelivered(detail=f"refused with {answer.status_code}" + (f": {said}" if said else ""))
        if answer.status_code != CREATED:
            return Unknown(detail=f"the server answered {answer.status_code}")
        where = "made, its address is not known"
        # It is made, whatever is said about it.
        with contextlib.suppress(Exception):
            told = json.loads(await body_of(answer))
            where = tidy(Redactor((self.token,)).text(str(told["html_url"])), where, URL_MAX_CHARS)
        return Delivered(detail=where)


def issue_maker(settings: Settings) -> IssueMaker:
    """Who makes the issues of a profile.

    Raises:
        UsageError: no repository or no token is named.
        OpsError: the token has no value here; nothing was tried.
    """
    table = settings.issues
    for name, value in (("repository", table.repository), ("token", table.token)):
        if not value:
            raise UsageError(
                f"no {name} is named for issues",
                where=f"[profiles.{settings.profile}.issues]",
                allowed='repository = "owner/name", token = the name of a secret',
                next_step="write it into ops.toml, or make the issue by hand from `ops incident issue ID`",
            )
    try:
        token = read_secret(settings, table.token or "")
    except SecretMissing as missing:
        raise OpsError(missing.what, where=missing.where, next_step="ops secrets") from None
    return IssueMaker(
        url=table.url,
        repository=table.repository or "",
        token=token,
        timeout_s=table.timeout_s,
        tls=certificates(settings.ca_file, table.url),
    )
