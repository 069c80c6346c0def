"""The `redis` instrument: asks a Redis, on the event loop, so that one that never answers can be left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops_core.errors import CannotLook
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.transport import describe_failure

PROBLEM_MAX_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Pong:
    """What came back for a PING; `problem` is empty where it was PONG."""

    problem: str = ""
    elapsed_ms: float = 0.0


def import_redis() -> Any:
    """The client of Redis.

    Raises:
        CannotLook: it is not installed.
    """
    try:
        import redis.asyncio
        import redis.backoff
    except ImportError:
        raise CannotLook(
            "the client of Redis is not installed: pip install 'pytest-runbook[redis]'",
            next_step="pip install 'pytest-runbook[redis]'",
        ) from None
    return redis


class RedisInstrument:
    """Asks Redis servers."""

    def __init__(self, lookout: Lookout, secrets: Mapping[str, str]) -> None:
        self._lookout = lookout
        self._secrets = secrets

    async def ping(self, url: str, password: str | None) -> Pong:
        """PING the server once.

        Args:
            url: `redis://` or `rediss://`, without a password.
            password: the name of the secret that is its password, if it has one.

        Raises:
            CannotLook: the client is not installed, or the secret has no value, or the network is ours to blame.
        """
        library = import_redis()
        progress: dict[str, Any] = {"instrument": "redis", "method": "PING", "url": self._lookout.redact.text(url)}
        self._lookout.actions.append(progress)
        options: dict[str, Any] = {"password": self._secrets[password]} if password else {}
        ca_file = self._lookout.settings.ca_file
        if url.startswith("rediss://") and ca_file is not None:
            options["ssl_ca_certs"] = str(ca_file)
        client = library.asyncio.Redis.from_url(
            url,
            # Each look is one attempt, and its time limit is the probe's budget.
            retry=library.asyncio.retry.Retry(library.backoff.NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=None,
            # Plain words that every version of the server knows.
            protocol=2,
            **options,
        )
        started = self._lookout.now()
        problem = ""
        try:
            if not await client.ping():
                problem = "PING was not answered with PONG"
        except (library.RedisError, OSError, ValueError) as error:
            problem = self._lookout.redact.text(_told(error))
        finally:
            await client.aclose()
        elapsed_ms = round((self._lookout.now() - started) * 1000, 3)
        progress["elapsed_ms"] = elapsed_ms
        return Pong(problem=problem, elapsed_ms=elapsed_ms)


def _told(error: Exception) -> str:
    """What went wrong, in the words of the network where it was the network.

    Raises:
        CannotLook: it was ours.
    """
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and not type(below).__module__.startswith("redis"):
            kind, detail = describe_failure(below)
            return f"{kind} ({detail})" if detail else kind
        below = below.__cause__ or below.__context__
    return (str(error).splitlines() or [""])[0][:PROBLEM_MAX_CHARS] or type(error).__name__
