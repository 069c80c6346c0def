"""The way out through Apprise: one message, one process, and an end to waiting.

The process is this one's child and gets the address by standard input. It is ended when its time is over, and what it
said until then tells whether anything had been written.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops_core.config import SecretMissing, Settings, read_secret
from ops_core.control.running.processes import MARK
from ops_core.errors import OpsError
from ops_core.push.apprised import BEGUN, WRITING
from ops_core.push.outbox import APPRISE, destination_digest
from ops_core.push.results import REFUSALS, Delivered, NotDelivered, Result, Unknown, fit_for_json

MODULE = "ops_core.push.apprised"
START_S = 30.0  # for the interpreter and the library: that is not the service's fault
SPARE_S = 5.0  # after which the process ends by itself, should we be gone
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", MARK)
ANSWER_MAX_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class NotifySender:
    """Messages to one service that Apprise knows.

    Args:
        channel: its name in the configuration.
        url: its address, credentials included.
        timeout_s: seconds for one message.
        ca_file: certificates to trust instead of the usual ones.
    """

    channel: str
    url: str = field(repr=False)
    timeout_s: float
    ca_file: Path | None = None

    @property
    def destination(self) -> str:
        return destination_digest(APPRISE, self.url, self.channel)

    def send(self, body: str) -> Result:
        """Send the text as it is, once."""
        limit_s = START_S + self.timeout_s + SPARE_S
        told = json.dumps({"url": self.url, "body": fit_for_json(body), "limit_s": limit_s})
        try:
            with subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environ(),
            ) as process:
                try:
                    out, ended = _heard(process, told.encode("ascii"), self.timeout_s)
                finally:
                    process.kill()
        except OSError as error:
            return NotDelivered(detail=f"the process that sends cannot be started: {type(error).__name__}")
        return _judged(out) if ended else _broken(out, f"no answer within {self.timeout_s:g} s")

    def _environ(self) -> dict[str, str]:
        """What the process is told: no proxies and no credentials of whoever starts it."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        trusted = {} if self.ca_file is None else {"REQUESTS_CA_BUNDLE": str(self.ca_file)}
        return {**kept, **trusted, "NETRC": os.devnull, "HOME": os.devnull}


def _heard(process: subprocess.Popen[bytes], told: bytes, timeout_s: float) -> tuple[bytes, bool]:
    """What the process said, and whether it came to its end; the time counts from when it began to send."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101 - likewise
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(told)
        process.stdin.close()
    out, begun, until = b"", False, time.monotonic() + START_S
    while len(out) < ANSWER_MAX_BYTES:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return out, False
        chunk = os.read(process.stdout.fileno(), ANSWER_MAX_BYTES)
        if not chunk:
            return out, True
        out += chunk
        if not begun and BEGUN in out:
            begun, until = True, time.monotonic() + timeout_s
    return out, True


def notify_sender(settings: Settings) -> NotifySender:
    """The sender of the channel that the profile names.

    Raises:
        OpsError: its secret has no value here, or Apprise is not installed; nothing was tried.
    """
    if importlib.util.find_spec("apprise") is None:
        raise OpsError(
            "a channel of Apprise needs the package apprise",
            where="push.channel",
            next_step='pip install "pytest-runbook[notify]"',
        )
    push = settings.push
    try:
        url = read_secret(settings, push.notify[push.channel or ""])
    except SecretMissing as missing:
        raise OpsError(missing.what, where=missing.where, next_step="ops secrets") from None
    return NotifySender(channel=push.channel or "", url=url, timeout_s=push.timeout_s, ca_file=settings.ca_file)


def _judged(out: bytes) -> Result:
    try:
        told: Any = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        told = None
    if not isinstance(told, dict):
        return _broken(out, "the process that sends ended without an answer")
    if not told.get("known"):
        return NotDelivered(detail="the address of the channel is none that Apprise knows")
    statuses = [one for one in told.get("statuses", ()) if type(one) is int]
    if told.get("good") is True and all(200 <= one < 300 for one in statuses):
        return Delivered(detail="accepted by the service" + (f" with {statuses[-1]}" if statuses else ""))
    if told.get("http") is True and not told.get("written"):
        return NotDelivered(detail=f"not connected{_named(told)}")
    if told.get("http") is True and told.get("asked") == len(statuses) == 1 and statuses[0] in REFUSALS:
        return NotDelivered(detail=f"refused with {statuses[0]}", way_out=statuses[0] != 400)
    if statuses:
        return Unknown(detail=f"the service answered {', '.join(map(str, statuses[-5:]))}")
    return Unknown(detail=f"broken off after connecting{_named(told)}")


def _named(told: dict[str, Any]) -> str:
    return f": {told['failed']}" if str(told.get("failed", "")).isidentifier() else ""


def _broken(out: bytes, why: str) -> Result:
    """What it means that the process ended before it said what came of it."""
    if BEGUN not in out:
        return NotDelivered(detail=f"sending had not begun: {why}")
    return Unknown(detail=f"broken off after connecting: {why}" if WRITING in out else f"broken off: {why}")
