"""What evidence answers of the checklist and of a report: from looks, and from what the loop decided and did. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ops_core.incident.events import Event, Kind
from ops_core.incident.looks import Look, Shown
from ops_core.incident.progress import Attempt, History, Stage
from ops_core.report.seen import Text, said

EVIDENCE = "evidence"
UNKNOWN = "unknown"
SHOWN_MAX = 5
LABEL_STEP = 100
# Probes by what the checklist asks about.
HEALTH = frozenset({"health", "live", "ready"})
METRICS = frozenset({"metrics"})
TRACE = frozenset({"request_id"})
ROLLOUT = frozenset({"halt_rollout", "rollback_release", "rollback_image", "rollback_config", "rollback_schema"})
BACK = ROLLOUT - {"halt_rollout"}
DEGRADED = frozenset({"enter_degraded_mode"})
LIMITS = frozenset({"lower_limits"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, by evidence or a person, with what it rests on and since when it holds."""

    by: str
    text: Text
    cited: tuple[str, ...]
    at: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A look; `prefix` is its label where it was taken by a run that was attached, and empty where it is our own."""

    look: Look
    prefix: str

    @property
    def label(self) -> str:
        """What it is called here."""
        return self.prefix or self.look.label

    def cite(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Evidence of this look as it is called here, as far as it is kept; else the look."""
        kept = {one.id for one in self.look.evidence}
        return tuple(f"{self.label}:{one}" for one in ids if one in kept) or (self.label,)


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What answers can rest on.

    Attributes:
        affected: endpoints or targets, as they were recorded when it was opened.
        version: the version.
        started_at: when it began, ISO 8601, or empty.
        cited: which evidence these three rest on.
        opened: the event of the opening.
        seen: the looks, in the order of time.
        runs: what the loop did, with the number under which it is attached.
        events: everything that was recorded.
    """

    affected: tuple[str, ...]
    version: str
    started_at: str
    cited: Mapping[str, Sequence[str]]
    opened: Event
    seen: tuple[Seen, ...]
    runs: tuple[tuple[int, History], ...]
    events: tuple[Event, ...]


def unknown(text: str) -> bool:
    """Whether somebody says outright that they do not know: recorded, and no answer."""
    return text.strip().casefold() in {UNKNOWN, ""}


def answers_of(name: str, basis: Basis) -> Iterator[Answer]:
    """What evidence answers of an item, or of a field of a report; nothing where it answers nothing."""
    teller = _TELLERS.get(name)
    if teller is not None:
        yield from teller(basis)


def _scope(basis: Basis) -> Iterator[Answer]:
    named = [one for one in basis.affected if not unknown(one)]
    if named:
        text = ", ".join(named)
        yield _opened(basis, "affected", {"en": text, "ko": text})
        return
    for seen in basis.seen:
        if seen.look.bad:
            codes = dict.fromkeys(f"{bad.target or '-'}: {bad.code}" for bad in seen.look.bad)
            ids = dict.fromkeys(one for bad in seen.look.bad for one in bad.evidence)
            text = ", ".join(codes)
            yield _answer({"en": text, "ko": text}, seen.cite(list(ids)), seen.look.finished_at)
            return


def _began(basis: Basis) -> Iterator[Answer]:
    if basis.started_at:
        yield _opened(basis, "started_at", {"en": basis.started_at, "ko": basis.started_at})
        return
    for seen in basis.seen:
        if seen.look.bad:
            at = seen.look.started_at
            text = {
                "en": f"{at} at the latest: it was bad in the first look",
                "ko": f"늦어도 {at} (첫 관측에서 이미 비정상)",
            }
            yield _answer(text, (seen.label,), seen.look.finished_at)
            return


def _version(basis: Basis) -> Iterator[Answer]:
    if not unknown(basis.version):
        yield _opened(basis, "version", {"en": basis.version, "ko": basis.version})


def _acted(wanted: frozenset[str] | None) -> Callable[[Basis], Iterator[Answer]]:
    def told(basis: Basis) -> Iterator[Answer]:
        for number, _, attempt in _applied(basis):
            if wanted is None or attempt.remediation in wanted:
                plan = attempt.plan
                assert plan is not None  # noqa: S101 - what was applied was planned
                text = {lang: said(plan.summary, lang) for lang in ("en", "ko")}
                yield _answer(text, (attempt_label(number, attempt),), _done_at(basis, number, attempt))

    return told


def _looked(probes: frozenset[str]) -> Callable[[Basis], Iterator[Answer]]:
    def told(basis: Basis) -> Iterator[Answer]:
        for seen in reversed(basis.seen):
            shown = [one for one in seen.look.evidence if _probe(one) in probes and not one.reason]
            if shown:
                text = "; ".join(f"{one.id}: {one.explanation}" for one in shown[:SHOWN_MAX])
                yield _answer({"en": text, "ko": text}, seen.cite([one.id for one in shown]), seen.look.finished_at)
                return

    return told


def _verified(basis: Basis) -> Iterator[Answer]:
    last = basis.seen[-1] if basis.seen else None
    if last is not None and last.look.healthy and _was_bad(basis):
        look, shown = last.look, [one for one in last.look.evidence if not one.reason][:SHOWN_MAX]
        told = "".join(f"; {one.id}: {one.explanation}" for one in shown)
        text = {
            "en": f"{look.verdict}, looked again for {look.used_s:g} s{told}",
            "ko": f"{look.verdict}, {look.used_s:g}초 동안 재관측{told}",
        }
        yield _answer(text, (last.label, *last.cite([one.id for one in shown])), look.finished_at)


def _verified_at(basis: Basis) -> Iterator[Answer]:
    for answer in _verified(basis):
        yield Answer(by=EVIDENCE, text={"en": answer.at, "ko": answer.at}, cited=answer.cited[:1], at=answer.at)


def _cleared(basis: Basis) -> Iterator[Answer]:
    notes = [event for event in basis.events if event.kind is Kind.NOTED and event.data.get("cleared")]
    for event in notes[-1:]:
        text = str(event.data["text"])
        yield _answer({"en": text, "ko": text}, (f"E{event.seq}",), event.at)


def _recorded(kind: Kind, key: str) -> Callable[[Basis], Iterator[Answer]]:
    def told(basis: Basis) -> Iterator[Answer]:
        for event in [one for one in basis.events if one.kind is kind][-1:]:
            text = str(event.data[key])
            yield _answer({"en": text, "ko": text}, (f"E{event.seq}",), event.at)

    return told


def _suspected(basis: Basis) -> Iterator[Answer]:
    for number, history in basis.runs:
        for event in history.events:
            for decision in event.data["decisions"] if event.kind is Kind.DECIDED else ():
                if decision["cause"]:
                    cited = [_renamed(number, one) for one in decision["evidence"]]
                    yield _answer(dict(decision["cause"]), cited or [label_of(number, "O1")], event.at)
                    return


def _period(basis: Basis) -> Iterator[Answer]:
    began = next(_began(basis), None)
    ended = next(_verified(basis), None)
    if basis.started_at and began is not None and ended is not None:
        text = f"{basis.started_at} / {ended.at}"
        yield _answer({"en": text, "ko": text}, (*began.cited, *ended.cited[:1]), ended.at)


def _applied(basis: Basis) -> Iterator[tuple[int, History, Attempt]]:
    for number, history in basis.runs:
        acted = {event.data["attempt"] for event in history.events if event.kind is Kind.ACTED}
        for attempt in history.attempts:
            # What was taken back again is no mitigation.
            if attempt.number in acted and attempt.plan is not None and attempt.stage is not Stage.GIVEN_UP:
                yield number, history, attempt


def _done_at(basis: Basis, number: int, attempt: Attempt) -> str:
    history = next(one for at, one in basis.runs if at == number)
    done = (e.at for e in history.events if e.kind is Kind.ACTED and e.data["attempt"] == attempt.number)
    return next(done)


def attempt_label(number: int, attempt: Attempt) -> str:
    """What an attempt of an attached run is called: R101 for the first one of the first run."""
    return label_of(number, f"R{attempt.number}")


def label_of(number: int, label: str) -> str:
    """What a label of the loop's own incident (O1) is called in one that it is attached to as number `number`: O101."""
    return f"{label[0]}{number * LABEL_STEP + int(label[1:])}"


def _renamed(number: int, one: str) -> str:
    label, colon, rest = one.partition(":")
    return f"{label_of(number, label)}{colon}{rest}"


def _was_bad(basis: Basis) -> bool:
    return any(seen.look.bad for seen in basis.seen[:-1])


def _probe(shown: Shown) -> str:
    return shown.id.partition("[")[0]


def _answer(text: Text, cited: Sequence[str], at: str) -> Answer:
    return Answer(by=EVIDENCE, text=text, cited=tuple(dict.fromkeys(cited)), at=at)


def _opened(basis: Basis, name: str, text: Text) -> Answer:
    cited = tuple(basis.cited.get(name, ()))
    by = EVIDENCE if cited else "person"
    return Answer(by=by, text=text, cited=cited or (f"E{basis.opened.seq}",), at=basis.opened.at)


_TELLERS: Mapping[str, Callable[[Basis], Iterator[Answer]]] = {
    "scope": _scope,
    "began": _began,
    "version": _version,
    "rollout": _acted(ROLLOUT),
    "dependency": _acted(DEGRADED),
    "ingest_limits": _acted(LIMITS),
    "health": _looked(HEALTH),
    "metrics": _looked(METRICS),
    "trace": _looked(TRACE),
    "fix": _acted(None),
    "verified": _verified,
    "cleared": _cleared,
    "report": _recorded(Kind.REPORTED, "path"),
    "changelog": _recorded(Kind.CHANGELOG, "path"),
    "impact.endpoints": _scope,
    "impact.period": _period,
    "cause.suspected": _suspected,
    "mitigation.done": _acted(None),
    "verification.figures": _verified,
    "verification.at": _verified_at,
    "rollback_record": _acted(BACK),
}
