"""Who may do what where one host produces and another one operates: the table, and what each command is an act of.

Pure data and one question. A host without a role does both, and is asked nothing. What makes things safer, and what
only tells about this very host, is anybody's on any host. Every verb stands here: one that is not known counts as the
operator's, so that a new one is refused on a producer rather than let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from ops_core.errors import Refused

PRODUCER, OPERATOR = "producer", "operator"
WHERE = {PRODUCER: "the producer's host", OPERATOR: "the operator's host"}


class Act(StrEnum):
    """What is done on one of the hosts, by the line of the table that it belongs to."""

    BACKTEST = "backtest"
    DATA = "data_collection"
    TUNING = "parameter_tuning"
    REPORTS = "report_generation"
    REGENERATE = "report_regeneration"
    CYCLE = "ops_cycle"
    HEALTH = "health_and_drill"
    PREVIEW = "alert_preview"
    DASHBOARD = "dashboard"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: what it is called, and whether each role may.

    Attributes:
        act: the act it is about.
        title: what people call it, by language.
        allowed: by role whether it may.
        only: by role what it is limited to, by language; nothing where there is no limit.
        commands: what is typed for it.
    """

    act: Act
    title: Mapping[str, str]
    allowed: Mapping[str, bool]
    only: Mapping[str, Mapping[str, str]]
    commands: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "act": self.act.value,
            "title": dict(self.title),
            **{
                role: {"allowed": self.allowed[role], "only": dict(self.only.get(role, {}))}
                for role in (PRODUCER, OPERATOR)
            },
            "commands": list(self.commands),
        }


def _line(
    act: Act,
    en: str,
    ko: str,
    *,
    producer: bool,
    operator: bool,
    commands: tuple[str, ...],
    only: Mapping[str, Mapping[str, str]] | None = None,
) -> Line:
    return Line(
        act=act,
        title=MappingProxyType({"en": en, "ko": ko}),
        allowed=MappingProxyType({PRODUCER: producer, OPERATOR: operator}),
        only=MappingProxyType(dict(only or {})),
        commands=commands,
    )


_PUBLISH = ("ops handoff publish",)
TABLE: tuple[Line, ...] = (
    _line(Act.BACKTEST, "backtest", "백테스트", producer=True, operator=False, commands=_PUBLISH),
    _line(Act.DATA, "data collection", "데이터 수집", producer=True, operator=False, commands=_PUBLISH),
    _line(Act.TUNING, "parameter tuning", "파라미터 튜닝", producer=True, operator=False, commands=_PUBLISH),
    _line(
        Act.REPORTS,
        "report generation",
        "리포트 생성",
        producer=True,
        operator=True,
        only={OPERATOR: {"en": "regenerate only", "ko": "재생성만"}},
        commands=("ops handoff publish", "ops report", "ops metrics", "ops postmortem"),
    ),
    _line(
        Act.CYCLE,
        "ops cycle",
        "Ops Cycle",
        producer=False,
        operator=True,
        commands=("ops handoff pull", "ops summary regenerate", "ops live run", "ops daily", "ops cycle"),
    ),
    _line(
        Act.HEALTH,
        "health and drill",
        "Health/Drill",
        producer=False,
        operator=True,
        commands=("ops observe", "ops incident", "ops remediate", "ops drill"),
    ),
    _line(
        Act.PREVIEW,
        "alert preview",
        "알림 프리뷰",
        producer=False,
        operator=True,
        only={OPERATOR: {"en": "on the console", "ko": "CONSOLE"}},
        commands=("ops live preview", "ops live run"),
    ),
    _line(
        Act.DASHBOARD,
        "dashboard",
        "대시보드",
        producer=True,
        operator=True,
        only={PRODUCER: {"en": "local only", "ko": "로컬만"}},
        commands=("ops serve",),
    ),
)
# The line says that an operator generates reports, and only again: this is who may do what, act by act.
_ALLOWED: Mapping[Act, frozenset[str]] = MappingProxyType(
    {
        Act.BACKTEST: frozenset({PRODUCER}),
        Act.DATA: frozenset({PRODUCER}),
        Act.TUNING: frozenset({PRODUCER}),
        Act.REPORTS: frozenset({PRODUCER}),
        Act.REGENERATE: frozenset({PRODUCER, OPERATOR}),
        Act.CYCLE: frozenset({OPERATOR}),
        Act.HEALTH: frozenset({OPERATOR}),
        Act.PREVIEW: frozenset({OPERATOR}),
        Act.DASHBOARD: frozenset({PRODUCER, OPERATOR}),
    }
)

EVERYBODY = None
# By the words that are typed, the act; the longest beginning counts: a verb's entry is for all below it without one.
COMMANDS: Mapping[str, Act | None] = MappingProxyType(
    {
        "observe": Act.HEALTH,
        "runtime-health": EVERYBODY,  # asks one address, from wherever somebody stands
        "bench": Act.HEALTH,
        "decide": EVERYBODY,  # says what a record means
        "remediate": Act.HEALTH,
        "incident": Act.HEALTH,
        "incident list": EVERYBODY,
        "incident show": EVERYBODY,
        "incident timeline": EVERYBODY,
        "postmortem": Act.REGENERATE,
        "metrics": Act.REGENERATE,
        "report": Act.REGENERATE,
        "rollout": Act.HEALTH,
        "drill": Act.HEALTH,
        "estop": EVERYBODY,
        "gate": EVERYBODY,
        "gate set REAL_ENABLED": Act.CYCLE,
        "window": Act.CYCLE,
        "window status": EVERYBODY,
        "window revoke": EVERYBODY,
        "approve": Act.CYCLE,
        "sender": Act.CYCLE,
        "sender status": EVERYBODY,
        "sender disable": EVERYBODY,
        "outbox": Act.CYCLE,
        "outbox list": EVERYBODY,
        "outbox withdraw": EVERYBODY,
        "live-fire": Act.CYCLE,
        "live-fire status": EVERYBODY,
        "live-fire latest": EVERYBODY,
        "live-fire postmortem": Act.REGENERATE,
        "cycle": Act.CYCLE,
        "cycle latest": EVERYBODY,
        "daily": Act.CYCLE,
        "schedule": Act.CYCLE,
        "schedule show": EVERYBODY,
        "schedule remove": EVERYBODY,
        "handoff": Act.CYCLE,
        "handoff publish": Act.BACKTEST,
        "handoff status": EVERYBODY,
        "handoff key": EVERYBODY,
        "live": Act.CYCLE,
        "live latest": EVERYBODY,
        "live preview": Act.PREVIEW,
        "summary": Act.CYCLE,
        "summary latest": EVERYBODY,
        "snapshot": EVERYBODY,
        "serve": Act.DASHBOARD,
        "operator": EVERYBODY,
        "secrets": EVERYBODY,
        "contracts": EVERYBODY,
        "audit": EVERYBODY,
        "store": EVERYBODY,
        "roles": EVERYBODY,
        "lint": EVERYBODY,
        "init": EVERYBODY,
        "doctor": EVERYBODY,
    }
)
# What the server of a producer does not do for anybody who asks; all else that it answers only tells, or makes safer.
REQUESTS: Mapping[str, Act] = MappingProxyType(
    {
        "POST /api/ops/cycle/run": Act.CYCLE,
        "POST /api/live/cycle/run": Act.CYCLE,
        "POST /api/ops/summary/regenerate": Act.CYCLE,
        "POST /api/ops/push/live_fire/run": Act.CYCLE,
        "GET /api/live/alerts/preview": Act.PREVIEW,
    }
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def line_of(act: Act) -> Line:
    """The line of the table that an act belongs to."""
    wanted = Act.REPORTS if act is Act.REGENERATE else act
    return next(line for line in TABLE if line.act is wanted)


def act_of(words: Sequence[str]) -> Act | None:
    """What the words behind `ops` are an act of; None where anybody may. A verb that is not known is the operator's."""
    for count in range(len(words), 0, -1):
        typed = " ".join(words[:count])
        if typed in COMMANDS:
            return COMMANDS[typed]
    return Act.CYCLE


def requested(asked: str) -> Act:
    """What a request of the server is an act of, by its method and path: looking, unless the table says otherwise."""
    return REQUESTS.get(asked, Act.DASHBOARD)


def may(role: str | None, act: Act) -> bool:
    """Whether a host of that role does that; one without a role does everything."""
    return role is None or role in _ALLOWED[act]


def require(role: str | None, act: Act, *, what: str = "", where: str = "ops.toml") -> None:
    """Go on only where a host of that role does that.

    Args:
        role: of this host; None where it has none.
        act: what is about to be done.
        what: how that is called, such as a command; the line of the table unless given.
        where: the file, and the profile in it, that sets the role.

    Raises:
        Refused: it is the other one's to do.
    """
    if may(role, act):
        return
    other = next(one for one in (PRODUCER, OPERATOR) if one in _ALLOWED[act])
    title = line_of(act).title["en"]
    raise Refused(
        f"{what or title} is not done on {WHERE.get(str(role), 'this host')} ({title}: the {other} alone)",
        where=f'{where}: role = "{role}"',
        allowed=f'role = "{other}", or no role',
        next_step=f"type it on {WHERE[other]}; ops roles shows who may do what",
    )


def require_local(role: str | None, host: str, *, where: str = "ops.toml") -> None:
    """Go on only where a server may listen on that address: a producer's is for the producer's own host.

    Raises:
        Refused: others could reach it.
    """
    if role != PRODUCER or host in LOOPBACK:
        return
    raise Refused(
        "the dashboard of a producer is local only, and this address can be reached from other hosts",
        where=f'{where}: serve.host = "{host}", role = "{role}"',
        allowed=", ".join(LOOPBACK),
        next_step='host = "127.0.0.1" in [profiles.NAME.serve], or serve from the operator\'s host',
    )
