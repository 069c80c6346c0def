"""The same trouble of a service after each thing that may be to blame for it: made from two tables, not written out.

A service is dead, not ready, failing or slow (`TROUBLES`), and before that a release, a configuration or a migration
was deployed, or a rollout is under way (`CIRCUMSTANCES`). Each pair is a row of the decision table, and a fault here:
what was deployed last really is to blame, unless the description says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops_core.drill import service_injectors as by
from ops_core.drill import service_signs as seen
from ops_core.drill.fault import NEW_CONFIG, NEW_RELEASE, ROLLBACK_CONFIG, ROLLBACK_RELEASE, Fault
from ops_core.drill.injectors import Step, Test, in_turn
from ops_core.drill.service_injectors import NEW_SCHEMA
from ops_core.drill.service_layout import INGEST, WRITERS
from ops_core.drill.service_stack import GOOD_SCHEMA, ServiceStack

HALT_ROLLOUT = "halt_rollout"
ROLLBACK_SCHEMA = "rollback_schema"
ROLLOUT = ("rollout.running",)
SCHEMA = ("schema.reversible", "schema.unproven")
Texts = Mapping[str, str]

MIGRATION = f'''"""A change of the schema that can be taken back."""

from alembic import op

revision = "{NEW_SCHEMA}"
down_revision = "{GOOD_SCHEMA}"
# Names and comments only, and the rows stay what they are.
reversible = True
data_safe = True


def upgrade() -> None:
    for statement in {{up!r}}:
        op.execute(statement)


def downgrade() -> None:
    for statement in {{down!r}}:
        op.execute(statement)
'''


def migration(up: tuple[str, ...], down: tuple[str, ...]) -> str:
    """The text of a migration that runs these statements."""
    return MIGRATION.format(up=up, down=down)


def audited(body: str, *before: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Statements that have a function look at each item that is read, and those that take that back.

    The service's question for an empty answer, by which it tells whether it is ready, reads no item.
    """
    up = (
        *before,
        f"CREATE FUNCTION audited(bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$BEGIN {body} END$$",
        "ALTER TABLE items RENAME TO items_stored",
        "CREATE VIEW items AS SELECT id, payload, received_at FROM items_stored WHERE audited(id)",
    )
    down = ("DROP VIEW items", "ALTER TABLE items_stored RENAME TO items", "DROP FUNCTION audited(bigint)")
    return up, down


HARMLESS_MIGRATION = migration(
    ("COMMENT ON TABLE items IS 'what was sent to us'",), ("COMMENT ON TABLE items IS NULL",)
)
RENAMING_MIGRATION = migration(
    ("ALTER TABLE items RENAME COLUMN payload TO body",), ("ALTER TABLE items RENAME COLUMN body TO payload",)
)
# A release that counts, so that it can do something now and then.
TURNS = {"CONNECTIONS_MAX = 4\n": "CONNECTIONS_MAX = 4\n_TURNS = __import__('itertools').count()\n"}
# Longer than a request may take, and less than the service waits.
SLOW_READING = "PERFORM pg_sleep(0.45); RETURN true;"
FAILING_READING = "RAISE EXCEPTION 'item % is not in the archive', $1;"


def service_fault(name: str, en: str, ko: str, **about: Any) -> Fault:
    """A fault of the service stack, of its service by default."""
    return Fault(
        **{"name": name, "stack": ServiceStack, "service": INGEST, "description": {"en": en, "ko": ko}, **about}
    )


def changed(changes: Mapping[str, str | None]) -> Step[ServiceStack]:
    """A changed configuration is deployed, and the service is restarted with it."""
    return in_turn(by.configured(changes), by.restarted)


def patched(patch: Mapping[str, str]) -> Step[ServiceStack]:
    """A release with changed code is deployed and started."""
    return in_turn(by.released(patch), by.restarted)


DEAD, UNREADY, FAILING, SLOW = "dead", "unready", "failing", "slow"
STEMS = {
    DEAD: ("live-not-ok", "live.not_ok"),
    UNREADY: ("ready-not-ok", "ready.not_ok"),
    FAILING: ("errors-rate-high", "errors.rate_high"),
    SLOW: ("latency-p95-high", "latency.p95_high"),
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A service that does badly, and what makes it so.

    Attributes:
        name: how faults are called.
        words: what is wrong with a release, a configuration and a migration, by language.
        patch: of a release.
        changes: of a configuration.
        schema: text of a migration; None where no migration of this schema could be to blame.
        before: what has to be there for it to show: exactly one item, because some of it happens for each.
        written: whether a configuration is to blame only as long as somebody writes.
        holds: how one sees it.
        absent: what must not be found beside it.
    """

    name: str
    words: Texts
    patch: Mapping[str, str]
    changes: Mapping[str, str | None]
    schema: str | None
    before: tuple[Step[ServiceStack], ...] = ()
    written: bool = False
    holds: Test[ServiceStack]
    absent: tuple[str, ...] = ()


TROUBLES = (
    Trouble(
        name=DEAD,
        words={"en": "the service does not start", "ko": "서비스가 시작되지 않음"},
        patch={"from .rates import Rates\n": "from .rates import Rates\nfrom .limits import Limits\n"},
        changes={"RATE_LIMIT_PER_MINUTE": "many"},
        schema=None,
        holds=seen.dead,
    ),
    Trouble(
        name=UNREADY,
        words={
            "en": "the service is not ready, and does not say why",
            "ko": "서비스가 준비되지 않고 이유도 알리지 않음",
        },
        patch={'FROM items LIMIT 0")': 'FROM items LIMIT 0").fetchone()[0]'},
        changes={"DATABASE_URL": None},
        # It is a fault of its own: `bad-migration`.
        schema=None,
        holds=lambda stack, _service: stack.ready() in ((503, "unready"), (500, "")),
        absent=("live.not_ok",),
    ),
    Trouble(
        name=FAILING,
        words={"en": "requests are answered with errors", "ko": "요청에 오류로 응답함"},
        patch={'"received_at": row[2].isoformat()}': '"received_at": row[3].isoformat()}'},
        changes={"MAX_BATCHES_AT_ONCE": "1", "ITEM_WORK_MS": "150"},
        schema=migration(*audited(FAILING_READING)),
        before=(by.told("TRUNCATE items"), by.something_stored),
        written=True,
        holds=seen.failing,
        absent=("live.not_ok", "ready.not_ok", "ready.degraded"),
    ),
    Trouble(
        name=SLOW,
        words={"en": "requests take too long", "ko": "요청 처리가 너무 느림"},
        patch={
            "    def newest(self, limit: int) -> list[dict[str, Any]]:\n": (
                "    def newest(self, limit: int) -> list[dict[str, Any]]:\n        __import__('time').sleep(0.45)\n"
            )
        },
        changes={"ITEM_WORK_MS": "300"},
        schema=migration(*audited(SLOW_READING)),
        before=(by.told("TRUNCATE items"), by.something_stored),
        written=True,
        holds=seen.slow,
        absent=("live.not_ok", "ready.not_ok", "ready.degraded", "errors.rate_high"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Circumstance:
    """What was deployed before a service did badly.

    Attributes:
        suffix: of the row.
        words: in which a description ends, by language.
        blamed: what is to blame: `release`, `rollout`, `config` or `schema`.
        schema: whether a harmless migration came along.
        facts: what is seen of it.
        remediation: what is undone first.
        then: what has to follow.
    """

    suffix: str
    words: Texts
    blamed: str
    schema: bool = False
    facts: tuple[str, ...]
    remediation: str
    then: tuple[str, ...] = ()


CIRCUMSTANCES = (
    Circumstance(
        suffix="rollout-and-schema",
        words={
            "en": "since a release is being rolled out, and a harmless migration came along",
            "ko": "릴리스 배포가 진행 중이며 문제없는 마이그레이션도 함께 적용된 뒤",
        },
        blamed="rollout",
        schema=True,
        facts=(*NEW_RELEASE, *ROLLOUT, *SCHEMA),
        remediation=HALT_ROLLOUT,
        then=(ROLLBACK_RELEASE,),
    ),
    Circumstance(
        suffix="new-config-and-schema",
        words={
            "en": "since its configuration was changed, and a harmless migration came along",
            "ko": "구성이 변경되고 문제없는 마이그레이션도 함께 적용된 뒤",
        },
        blamed="config",
        schema=True,
        facts=(*NEW_CONFIG, *SCHEMA),
        remediation=ROLLBACK_CONFIG,
    ),
    Circumstance(
        suffix="new-release-and-schema",
        words={
            "en": "since its release was changed, and a harmless migration came along",
            "ko": "릴리스가 변경되고 문제없는 마이그레이션도 함께 적용된 뒤",
        },
        blamed="release",
        schema=True,
        facts=(*NEW_RELEASE, *SCHEMA),
        remediation=ROLLBACK_RELEASE,
    ),
    Circumstance(
        suffix="new-schema",
        words={"en": "since a migration was carried out", "ko": "마이그레이션이 실행된 뒤"},
        blamed="schema",
        facts=SCHEMA,
        remediation=ROLLBACK_SCHEMA,
    ),
    Circumstance(
        suffix="rollout",
        words={"en": "since a release is being rolled out", "ko": "릴리스 배포가 진행 중인 상태에서"},
        blamed="rollout",
        facts=(*NEW_RELEASE, *ROLLOUT),
        remediation=HALT_ROLLOUT,
        then=(ROLLBACK_RELEASE,),
    ),
    Circumstance(
        suffix="new-config",
        words={"en": "since its configuration was changed", "ko": "구성이 변경된 뒤"},
        blamed="config",
        facts=NEW_CONFIG,
        remediation=ROLLBACK_CONFIG,
    ),
    Circumstance(
        suffix="new-release",
        words={"en": "since its release was changed", "ko": "릴리스가 변경된 뒤"},
        blamed="release",
        facts=NEW_RELEASE,
        remediation=ROLLBACK_RELEASE,
    ),
)


def _steps(trouble: Trouble, circumstance: Circumstance) -> Iterator[Step[ServiceStack]]:
    yield from trouble.before
    if circumstance.schema:
        yield by.migrated(HARMLESS_MIGRATION)
    if circumstance.blamed == "schema":
        yield by.migrated(trouble.schema or HARMLESS_MIGRATION)
    if circumstance.blamed == "rollout":
        yield by.rolled_out(trouble.patch)
    if circumstance.blamed == "release":
        yield by.released(trouble.patch)
    if circumstance.blamed == "config":
        yield _configured(trouble)
        if trouble.written:
            yield by.running(WRITERS)
    if circumstance.blamed != "schema":
        yield by.restarted


def _configured(trouble: Trouble) -> Step[ServiceStack]:
    """The changed configuration; where it names no database, it is the wrong one of the same server."""

    def do(stack: ServiceStack, service: str) -> None:
        wrong = stack.layout.database_url().rpartition("/")[0] + "/postgres"
        changes = {key: wrong if value is None else value for key, value in trouble.changes.items()}
        by.configured(changes)(stack, service)

    return do


def _fault(trouble: Trouble, circumstance: Circumstance) -> Fault:
    stem, finding = STEMS[trouble.name]
    by_schema = circumstance.blamed == "schema"
    return service_fault(
        f"{trouble.name}-{circumstance.suffix}",
        f"{trouble.words['en']} {circumstance.words['en']}",
        f"{circumstance.words['ko']} {trouble.words['ko']}",
        findings=(finding,),
        absent=trouble.absent,
        facts=circumstance.facts,
        row=f"{stem}-{circumstance.suffix}",
        remediation=circumstance.remediation,
        then=circumstance.then,
        two_keys=by_schema,
        # The step is taken back, but its file is still there: nobody but a person can tell what is to become of it.
        left=("schema.behind",) if by_schema else (),
        do=in_turn(*_steps(trouble, circumstance)),
        holds=trouble.holds,
    )


UNDER_CIRCUMSTANCES = tuple(
    _fault(trouble, circumstance)
    for trouble in TROUBLES
    for circumstance in CIRCUMSTANCES
    if circumstance.blamed != "schema" or trouble.schema is not None
)
