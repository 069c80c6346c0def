"""Is what the service stands on there: database and schema, Redis, certificate, disk?"""

import pytest

from ops_core import (
    CannotLook,
    CertificateEvidence,
    DatabaseEvidence,
    DiskEvidence,
    RedisEvidence,
    SchemaEvidence,
    Target,
    finding,
)


@pytest.mark.service
@finding("database.unreachable")
def check_database_answers(database: DatabaseEvidence) -> None:
    """The database lets us in and answers."""
    assert database.reachable, database.explain()


@pytest.mark.service
@finding("database.read_only")
def check_database_can_be_written(database: DatabaseEvidence) -> None:
    """The database takes writes: it is neither in recovery nor read-only."""
    if not database.reachable:
        pytest.skip(f"nobody can tell: {database.explain()}")
    assert not (database.in_recovery or database.read_only), database.explain()


@pytest.mark.service
@finding("redis.unreachable")
def check_redis_answers(redis_server: RedisEvidence) -> None:
    """Redis answers PING."""
    assert redis_server.reachable, redis_server.explain()


@pytest.mark.service
@finding("schema.unknown_revision")
def check_schema_is_known(schema: SchemaEvidence) -> None:
    """The revision in force is one of the migrations."""
    assert not schema.unknown, schema.explain()


@pytest.mark.service
@finding("schema.behind")
def check_schema_is_up_to_date(schema: SchemaEvidence) -> None:
    """Every migration was carried out."""
    if schema.unknown:
        raise CannotLook(f"nobody can tell: {schema.explain()}")
    assert set(schema.current) == set(schema.heads), schema.explain()


@pytest.mark.service
@finding("certificate.expiring")
def check_certificate_lasts(certificate: CertificateEvidence, target: Target) -> None:
    """The certificate is trusted and valid for certificate_days_min days more."""
    good = not certificate.problem and certificate.days_left >= target.certificate_days_min
    assert good, f"{certificate.explain()}; at least {target.certificate_days_min:g} days are needed"


@pytest.mark.service
@finding("disk.full")
def check_disk_has_room(disk: DiskEvidence, target: Target) -> None:
    """Of space and of files, disk_free_min_percent are free."""
    least = target.disk_free_min_percent
    assert disk.least_percent >= least, f"{disk.explain()}; at least {least:g} % are needed"
