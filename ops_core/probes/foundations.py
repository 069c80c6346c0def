"""Is what the service stands on well: the database, Redis, the certificate, the disk?"""

from __future__ import annotations

from ops_core.clock import SystemClock
from ops_core.evidence import CertificateEvidence, DatabaseEvidence, DiskEvidence, RedisEvidence
from ops_core.probes.instruments.files import FilesInstrument
from ops_core.probes.instruments.redis import RedisInstrument
from ops_core.probes.instruments.sql import SqlInstrument
from ops_core.probes.instruments.tls import TlsInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target

DAY_S = 86_400.0
ASKED = (
    "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',"
    " (SELECT count(*) FROM pg_stat_activity), current_setting('max_connections')::int"
)


@probe(budget_s=5, needs="database_url")
async def database(target: Target, sql: SqlInstrument) -> DatabaseEvidence:
    """Connect to the database and ask it how it is."""
    url = target.database_url
    assert url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    answer = await sql.ask(url, target.database_password, ASKED)
    if answer.problem or not answer.rows:
        problem = answer.problem or "it answered nothing"
        return DatabaseEvidence(url=url, reachable=False, problem=problem, elapsed_ms=answer.elapsed_ms)
    in_recovery, read_only, connections, connections_max = answer.rows[0]
    return DatabaseEvidence(
        url=url,
        reachable=True,
        elapsed_ms=answer.elapsed_ms,
        in_recovery=bool(in_recovery),
        read_only=bool(read_only),
        connections=int(connections),
        connections_max=int(connections_max),
    )


@probe(budget_s=5, needs="redis_url")
async def redis_server(target: Target, redis: RedisInstrument) -> RedisEvidence:
    """PING."""
    url = target.redis_url
    assert url is not None  # noqa: S101  # likewise
    pong = await redis.ping(url, target.redis_password)
    return RedisEvidence(url=url, reachable=not pong.problem, problem=pong.problem, elapsed_ms=pong.elapsed_ms)


@probe(budget_s=10, needs="certificate_url")
async def certificate(target: Target, tls: TlsInstrument) -> CertificateEvidence:
    """Look at the certificate that the server shows."""
    url = target.certificate_url
    assert url is not None  # noqa: S101  # likewise
    shown = await tls.certificate(url)
    left_s = (shown.not_after - SystemClock().now()).total_seconds()
    return CertificateEvidence(
        url=url,
        days_left=round(left_s / DAY_S, 3),
        not_after=shown.not_after.isoformat(timespec="seconds"),
        subject=shown.subject,
        issuer=shown.issuer,
        problem=shown.problem,
    )


@probe(budget_s=5, needs="disk_path")
def disk(target: Target, files: FilesInstrument) -> DiskEvidence:
    """Ask the file system below a path how much is left."""
    path = target.disk_path
    assert path is not None  # noqa: S101  # likewise
    seen = files.disk(path)
    # As df counts: what only the administrator may use is neither used nor free.
    usable = seen.f_blocks - seen.f_bfree + seen.f_bavail
    return DiskEvidence(
        path=str(path),
        free_percent=round(100.0 * seen.f_bavail / usable, 2) if usable else 0.0,
        free_bytes=seen.f_bavail * seen.f_frsize,
        files_free_percent=round(100.0 * seen.f_favail / seen.f_files, 2) if seen.f_files else None,
    )
