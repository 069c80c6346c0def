"""What the service is told by its environment, read once when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

JWT_SECRET_BYTES_MIN = 32


class BadEnvironment(Exception):
    """A variable is missing or says nothing that can be used. The message never repeats a value."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The configuration in force. A limit of 0 is no limit.

    Attributes:
        database_url: `postgresql://user@host:port/database`, without a password.
        database_password: the password.
        redis_url: `redis://host:port/0`.
        api_key: who brings it in `X-API-Key` may do everything.
        jwt_secret: who brings a token signed with it may, too.
        batch_items_max: how many items a batch may have.
        body_max_bytes: how large a request may be.
        degraded: writes are refused on purpose; reading goes on.
        rate_per_minute: how many requests one caller may make.
        batches_at_once_max: how many batches are taken at the same time; more are refused with 503.
        item_work_s: seconds that each item is worked on before it is stored.
    """

    database_url: str
    database_password: str
    redis_url: str
    api_key: str
    jwt_secret: str
    batch_items_max: int
    body_max_bytes: int
    degraded: bool
    rate_per_minute: int
    batches_at_once_max: int
    item_work_s: float


def read_options(environ: Mapping[str, str]) -> Options:
    """The options that the environment names.

    Raises:
        BadEnvironment: one is missing or unusable.
    """
    return Options(
        database_url=_text(environ, "DATABASE_URL"),
        database_password=_text(environ, "POSTGRES_PASSWORD"),
        redis_url=_text(environ, "REDIS_URL"),
        api_key=_text(environ, "API_KEY"),
        jwt_secret=_text(environ, "JWT_SECRET"),
        batch_items_max=_number(environ, "INGEST_MAX_BATCH_ITEMS", 100),
        body_max_bytes=_number(environ, "MAX_REQUEST_BODY_BYTES", 65_536),
        degraded=_number(environ, "DEGRADED_MODE", 0) != 0,
        rate_per_minute=_number(environ, "RATE_LIMIT_PER_MINUTE", 6000),
        batches_at_once_max=_number(environ, "MAX_BATCHES_AT_ONCE", 4),
        item_work_s=_number(environ, "ITEM_WORK_MS", 0) / 1000,
    )


def _text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise BadEnvironment(f"{name} is not set")
    return value


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise BadEnvironment(f"{name} is not a whole number from 0 to 999999999")
    return int(text)
