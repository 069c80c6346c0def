"""Faults of what services stand on: certificate, disk, database; and connections that are open and lead nowhere."""

from __future__ import annotations

import contextlib
import socket
from functools import partial

from ops_core.drill.fault import NEW_RELEASE, RESTART, ROLLBACK_RELEASE, Fault
from ops_core.drill.foundation_stack import FRONT, STORE, CertificateStack, CrowdedStack, DiskStack
from ops_core.drill.injectors import NEW_RELEASE as V2
from ops_core.drill.injectors import Step
from ops_core.drill.ports import HOST
from ops_core.drill.service_layout import DATABASE, INGEST
from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.small_disk import PROGRAMS
from ops_core.drill.stack import EmbeddedStack

ENTER_DEGRADED = "enter_degraded_mode"
FEW_DAYS = 3.0
LITTLE = 0.05
CONNECTIONS_MAX = 200
IMPATIENT_S = 1.0
_LOOKS = "        try:\n            thoughts = self.thoughts()\n"
_WITHHOLDS = f"        exchange.gone_within(3600)\n{_LOOKS}"
# Half a head, and a reset: what is sent of it may arrive or not, and makes no answer.
_CUTS = f"""\
        import socket, struct
        exchange.write(b"HTTP/1.1 200 OK\\r\\nContent-Len")
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.connection.close()
        return
{_LOOKS}"""


def expiring(stack: CertificateStack, _service: str) -> None:
    """The certificate in force runs out in a few days."""
    stack.show(stack.authority, FEW_DAYS)


def expired(stack: CertificateStack, _service: str) -> None:
    """The certificate in force ran out yesterday."""
    stack.show(stack.authority, -1.0)


def untrusted(stack: CertificateStack, _service: str) -> None:
    """The certificate in force is signed by an authority that nobody trusts."""
    stack.show_stranger()


def runs_out(stack: CertificateStack, _service: str) -> bool:
    """It does not last."""
    return stack.days_left() <= FEW_DAYS


def is_untrusted(stack: CertificateStack, _service: str) -> bool:
    """Nobody trusts it."""
    return not stack.is_trusted()


def filled(stack: DiskStack, _service: str) -> None:
    """Something grows until there is no room left."""
    stack.fill()


def nearly_filled(stack: DiskStack, _service: str) -> None:
    """Something grows, and a little room is left."""
    stack.fill_up_to(LITTLE)


def filled_with_files(stack: DiskStack, _service: str) -> None:
    """Something leaves files behind until there can be no more."""
    stack.fill_with_files()


def no_room(stack: DiskStack, _service: str) -> bool:
    """There is hardly any space."""
    return stack.free()[0] < LITTLE


def little_room(stack: DiskStack, _service: str) -> bool:
    """There is a little space: less than has to be, and far more than a tenth of that."""
    return LITTLE / 2 < stack.free()[0] <= LITTLE


def no_files(stack: DiskStack, _service: str) -> bool:
    """There can be hardly any more files."""
    return stack.free()[1] < LITTLE


def set_read_only(stack: ServiceStack, _service: str) -> None:
    """Somebody sets the whole server to take no writes."""
    _alter(stack, "SET default_transaction_read_only = on")


def set_writable(stack: ServiceStack, _service: str) -> None:
    """It takes writes again."""
    import psycopg

    with contextlib.suppress(psycopg.Error):
        _alter(stack, "RESET default_transaction_read_only")


def _alter(stack: ServiceStack, what: str) -> None:
    with stack.connect() as connection:
        connection.execute(f"ALTER SYSTEM {what}")
        connection.execute("SELECT pg_reload_conf()")


def is_read_only(stack: ServiceStack, _service: str) -> bool:
    """A new session may not write."""
    import psycopg

    try:
        with stack.connect() as connection:
            row = connection.execute("SHOW transaction_read_only").fetchone()
    except psycopg.Error:
        return False
    return row is not None and row[0] == "on"


def exhausted(stack: CrowdedStack, _service: str) -> None:
    """Somebody opens connections and keeps them, until the server has none left."""
    import psycopg

    with contextlib.suppress(psycopg.OperationalError):
        for _ in range(CONNECTIONS_MAX):
            stack.held.append(stack.connect())


def has_none_left(stack: CrowdedStack, _service: str) -> bool:
    """The server runs, and says that it has too many clients."""
    import psycopg

    try:
        stack.connect().close()
    except psycopg.OperationalError as error:
        return "too many clients" in str(error)
    return False


def let_go(stack: CrowdedStack, _service: str) -> None:
    """Whoever kept the connections is gone."""
    stack.let_go()


def half_open(answer: str) -> Step[EmbeddedStack]:
    """A release is deployed and started whose health endpoint takes connections and leads nowhere."""

    def do(stack: EmbeddedStack, service: str) -> None:
        stack.deploy_release(service, V2, {_LOOKS: answer})
        # Nobody waits for an answer.
        stack.supervision.stop(service)
        stack.supervision.start(service)

    return do


def leads_nowhere(stack: EmbeddedStack, service: str) -> bool:
    """Somebody listens, the process is well, and there is no answer."""
    try:
        socket.create_connection((HOST, stack.ports[service]), IMPATIENT_S).close()
    except OSError:
        return False
    return stack.status(service, limit_s=IMPATIENT_S) == 0 and stack.system_state(service) != "T"


_certificate = partial(
    Fault, stack=CertificateStack, service=FRONT, findings=("certificate.expiring",), row="certificate-expiring"
)
_disk = partial(Fault, stack=DiskStack, service=STORE, findings=("disk.full",), row="disk-full", needs=PROGRAMS)

FOUNDATIONS: tuple[Fault, ...] = (
    _certificate(
        name="certificate-expiring",
        description={
            "en": "the certificate runs out in three days, and nobody has renewed it",
            "ko": "인증서가 사흘 뒤 만료되는데 갱신되지 않음",
        },
        remediation=None,
        do=expiring,
        holds=runs_out,
    ),
    _certificate(
        name="certificate-expired",
        description={"en": "the certificate ran out yesterday", "ko": "인증서가 어제 만료됨"},
        remediation=None,
        do=expired,
        holds=runs_out,
    ),
    _certificate(
        name="certificate-untrusted",
        description={
            "en": "the certificate is signed by an authority that nobody trusts",
            "ko": "신뢰할 수 없는 기관이 서명한 인증서가 적용됨",
        },
        remediation=None,
        do=untrusted,
        holds=is_untrusted,
    ),
    _disk(
        name="disk-full",
        description={"en": "a log grows until the disk is full", "ko": "로그가 커져 디스크가 가득 참"},
        remediation=None,
        do=filled,
        holds=no_room,
    ),
    _disk(
        name="disk-nearly-full",
        description={
            "en": "a log grows until a twentieth of the disk is left: nothing fails yet",
            "ko": "로그가 커져 디스크 여유 공간이 5%만 남음: 아직 장애는 없음",
        },
        remediation=None,
        do=nearly_filled,
        holds=little_room,
    ),
    _disk(
        name="disk-out-of-files",
        description={
            "en": "the disk has room, and can hold no more files",
            "ko": "디스크 공간은 있지만 더 이상 파일을 만들 수 없음 (inode 부족)",
        },
        remediation=None,
        do=filled_with_files,
        holds=no_files,
    ),
    Fault(
        name="database-read-only",
        stack=ServiceStack,
        service=DATABASE,
        description={
            "en": "PostgreSQL takes no writes: whoever set it so has to say why",
            "ko": "PostgreSQL이 쓰기를 받지 않음: 설정한 사람에게 이유를 확인해야 함",
        },
        findings=("database.read_only",),
        dependents=(INGEST,),
        row="database-read-only",
        remediation=None,
        then=(ENTER_DEGRADED,),
        do=set_read_only,
        holds=is_read_only,
        undo=set_writable,
    ),
    Fault(
        name="database-out-of-connections",
        stack=CrowdedStack,
        service=DATABASE,
        description={
            "en": "somebody keeps every connection that PostgreSQL has: nobody else gets in",
            "ko": "누군가 PostgreSQL 연결을 모두 점유함: 아무도 접속할 수 없음",
        },
        findings=("database.unreachable",),
        dependents=(INGEST,),
        row="database-unreachable",
        remediation=RESTART,
        do=exhausted,
        holds=has_none_left,
        undo=let_go,
    ),
    Fault(
        name="answer-withheld",
        stack=EmbeddedStack,
        service="core",
        description={
            "en": "a new release of core takes connections to its health endpoint, and never answers there",
            "ko": "core의 새 릴리스가 헬스 엔드포인트 연결을 받지만 응답하지 않음",
        },
        findings=(),
        unseen=("health.not_ok",),
        absent=("health.not_ok", "process.frozen", "process.not_running"),
        remediation=None,
        do=half_open(_WITHHOLDS),
        holds=leads_nowhere,
    ),
    Fault(
        name="answer-cut",
        stack=EmbeddedStack,
        service="core",
        description={
            "en": "a new release of core begins its answer and resets the connection in the middle",
            "ko": "core의 새 릴리스가 응답 도중에 연결을 끊음",
        },
        findings=("health.not_ok",),
        facts=NEW_RELEASE,
        row="health-not-ok-new-release",
        remediation=ROLLBACK_RELEASE,
        do=half_open(_CUTS),
        holds=leads_nowhere,
    ),
)
