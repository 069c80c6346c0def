"""Every pair is answered exactly once, in time, whatever its probe does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import pytest
from hostile import HostileServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_core.config import Settings, load_settings
from ops_core.errors import CannotLook
from ops_core.evidence import ControlEvidence, EvidenceRecord, HttpEvidence
from ops_core.observation.engine import Engine
from ops_core.observation.look import Pair
from ops_core.probes.instruments.context import LastGood, Lookout
from ops_core.probes.instruments.redact import Redactor
from ops_core.probes.instruments.transport import TlsContexts
from ops_core.probes.registry import ProbeDefinition, _define
from ops_core.targets import Target


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    path = tmp_path_factory.mktemp("engine") / "ops.toml"
    path.write_text("[profiles.default.targets.one]\n")
    return load_settings(path, environ={})


@pytest.fixture
def engines(config: Settings) -> Iterator[Callable[..., Engine]]:
    """Make engines; all are stopped at the end."""
    made = []

    def make(*pairs: Pair, **options: Any) -> Engine:
        def lookout_for(now: Callable[[], float]) -> Lookout:
            return Lookout(
                settings=config,
                redact=Redactor(["secret-value"]),
                tls=TlsContexts(None),
                now=now,
                read_control=lambda: ControlEvidence(store="x", stopped=True, stop_reason="", gate="DRY_RUN"),
                read_last_good=lambda _: LastGood(),
            )

        made.append(Engine(list(pairs), lookout_for=lookout_for, **{"total_s": 20.0, **options}))
        return made[-1]

    yield make
    for engine in made:
        engine.stop("the test is over")


def pair(function: Callable[..., Any], budget_s: float = 5.0, target: str | None = None, **options: Any) -> Pair:
    definition: ProbeDefinition = _define(function, budget_s, (), options.get("attempts", 1), options.get("until"))
    return Pair(definition=definition, target=Target(name=target) if target else None, budget_s=budget_s)


def answered(engine: Engine) -> dict[str, EvidenceRecord]:
    engine.start()
    engine.wait(engine.ids)
    return {record.id: record for record in engine.records()}


async def fine() -> int:
    return 1


def plain() -> int:
    return 2


async def raising() -> None:
    raise RuntimeError("has secret-value in it")


async def cannot() -> None:
    raise CannotLook("no such thing", where="here")


async def hangs() -> None:
    await asyncio.Event().wait()


def hangs_plainly() -> None:
    threading.Event().wait()


def test_answers_are_seen_or_say_why_not(engines: Callable[..., Engine]) -> None:
    """In the order of the pairs; reasons without secrets, places where the probe's own file has one."""
    records = answered(engines(*map(pair, (fine, plain, raising, cannot))))
    assert list(records) == ["fine", "plain", "raising", "cannot"]
    assert [record.seen for record in records.values()] == [True, True, False, False]
    assert records["raising"].reason == "the probe raised RuntimeError: has [redacted] in it"
    assert records["raising"].where.rpartition(":")[0] == str(Path(__file__).resolve())
    assert records["cannot"].reason == "no such thing (here)"
    assert all(record.started_at for record in records.values())


def test_a_budget_ends_its_own_probe_only(engines: Callable[..., Engine]) -> None:
    """The others go on."""
    records = answered(engines(pair(hangs, 0.2), pair(hangs_plainly, 0.2), pair(fine)))
    assert records["fine"].seen
    for name in ("hangs", "hangs_plainly"):
        assert records[name].reason == "no answer within the budget of 0.2 s"
        assert records[name].charged_s >= 0.2


def test_the_total_budget_answers_all_the_rest(engines: Callable[..., Engine]) -> None:
    """Those that run and those that never got a place."""
    engine = engines(pair(hangs), pair(hangs_plainly), pair(fine), total_s=0.4, in_flight_max=1)
    records = answered(engine)
    assert {record.reason for record in records.values()} == {"the total budget of 0.4 s ended"}


def test_stopping_answers_what_is_left_and_can_be_done_twice(engines: Callable[..., Engine]) -> None:
    """With the reason that is given."""
    engine = engines(pair(hangs), pair(hangs_plainly))
    engine.start()
    engine.stop("enough")
    engine.stop("again")
    assert {record.reason for record in engine.records()} == {"enough"}
    assert engine.progress() == (2, 2)


def test_an_engine_without_pairs_is_done_at_once(engines: Callable[..., Engine]) -> None:
    """No loop, no thread."""
    engine = engines()
    assert answered(engine) == {}
    assert engine.progress() == (0, 0)


def test_no_more_probes_run_at_once_than_allowed(engines: Callable[..., Engine]) -> None:
    """And all of them get their turn."""
    running, most, lock = [0], [0], threading.Lock()

    async def counts(target: Target) -> str:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        await asyncio.sleep(0.01)
        with lock:
            running[0] -= 1
        return target.name

    records = answered(engines(*(pair(counts, target=f"t{n}") for n in range(20)), in_flight_max=3))
    assert most[0] == 3
    assert all(record.seen for record in records.values())


def test_further_attempts_are_made_until_one_will_do(engines: Callable[..., Engine]) -> None:
    """After an exception as well; what was seen before counts where the last one sees nothing."""
    tries: dict[str, int] = {}

    def tried(name: str) -> int:
        tries[name] = tries.get(name, 0) + 1
        return tries[name]

    async def third() -> int:
        if tried("third") < 2:
            raise RuntimeError
        return tries["third"]

    async def worse() -> int:
        if tried("worse") == 3:
            raise RuntimeError("last")
        return tries["worse"]

    def not_ok() -> HttpEvidence:
        return HttpEvidence(method="GET", url="x", status=500 + tried("not_ok"))

    records = answered(
        engines(
            pair(third, attempts=5, until=lambda seen: seen == 3),
            pair(worse, attempts=3, until=lambda seen: False),
            pair(not_ok, attempts=2),
        )
    )
    assert [(r.evidence.value, r.attempts) for r in (records["third"], records["worse"])] == [(3, 3), (2, 3)]
    assert isinstance(records["not_ok"].evidence, HttpEvidence)
    assert (records["not_ok"].evidence.status, records["not_ok"].attempts) == (502, 2)


def test_a_budget_covers_all_attempts(engines: Callable[..., Engine]) -> None:
    """And what an earlier attempt saw counts when it ends."""
    calls = []

    async def slower() -> int:
        calls.append(1)
        if len(calls) > 1:
            await asyncio.Event().wait()
        return 1

    record = answered(engines(pair(slower, 0.3, attempts=5, until=lambda _: False)))["slower"]
    assert record.seen
    assert record.attempts == 2


def test_the_sink_gets_every_record_and_may_fail(engines: Callable[..., Engine]) -> None:
    """Whatever it raises: the answers stand, and the problem is told."""
    got = []

    def sink(record: EvidenceRecord) -> None:
        got.append(record.id)
        raise ValueError("no room")

    engine = engines(pair(fine), pair(plain), sink=sink)
    records = answered(engine)
    assert sorted(got) == sorted(records) == ["fine", "plain"]
    assert all(record.seen for record in records.values())
    assert engine.sink_problem == "ValueError: no room"


def test_who_blocks_the_loop_is_named_and_the_others_look_again(engines: Callable[..., Engine]) -> None:
    """On a fresh loop; what the old one still does counts no more."""
    release, started = threading.Event(), []

    async def blocks() -> None:
        release.wait()

    async def neighbour() -> int:
        started.append(threading.get_ident())
        await asyncio.sleep(0.3)
        return len(started)

    engine = engines(pair(neighbour), pair(blocks, 9.0), blocked_after_s=0.3)
    try:
        records = answered(engine)
    finally:
        release.set()
    assert "the probe 'blocks' blocked the event loop for 0.3 s" in records["blocks"].reason
    assert records["blocks"].where.rpartition(":")[0] == str(Path(__file__).resolve())
    assert records["neighbour"].seen
    assert len(set(started)) == 2
    assert engine.left_behind == 1


def test_many_busy_probes_are_no_blocked_loop(engines: Callable[..., Engine]) -> None:
    """Each takes a moment of the loop, all of them in one turn of it: nobody is the culprit."""

    async def busy(target: Target) -> int:
        until = time.monotonic() + 0.02
        while time.monotonic() < until:
            pass
        return 1

    records = answered(engines(*(pair(busy, target=f"t{n}") for n in range(60)), blocked_after_s=0.4))
    assert all(record.seen for record in records.values()), [r.reason for r in records.values() if not r.seen]


def test_calls_of_plain_probes_survive_a_blocked_loop_and_end_with_their_budget(engines: Callable[..., Engine]) -> None:
    """Their coroutines run on the loop, so they move with the others."""
    release, blocked = threading.Event(), threading.Event()
    server, hanging = HostileServer(hostile.healthy), HostileServer(hostile.never_answers)

    async def blocks() -> None:
        blocked.set()
        release.wait()

    def asks(http: Any) -> int:
        blocked.wait()
        return http.get(server.url()).status

    def asks_in_vain(http: Any) -> None:
        while True:
            try:
                http.get(hanging.url())
            except Exception:  # noqa: BLE001  # that is how helpers go wrong
                continue

    engine = engines(pair(asks), pair(asks_in_vain, 1.0), pair(blocks, 9.0), blocked_after_s=0.4)
    try:
        records = answered(engine)
    finally:
        release.set()
        server.close()
        hanging.close()
    assert records["asks"].evidence.value == 200, records["asks"]
    assert "no answer within the budget of 1 s" in records["asks_in_vain"].reason


def test_waiting_can_be_told_about(engines: Callable[..., Engine]) -> None:
    """A tick now and then, in the waiting thread."""
    ticks = []
    engine = engines(pair(hangs, 0.5))
    engine.start()
    engine.wait(["hangs"], tick=lambda: ticks.append(engine.progress()), tick_s=0.05)
    assert ticks[0] == (0, 1)


behaviours = st.lists(st.sampled_from(["fine", "plain", "raise", "hang", "hang_plainly", "none", "exit"]), max_size=7)


@given(behaviours, st.integers(1, 4))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_pair_is_answered_exactly_once(engines: Callable[..., Engine], kinds: list[str], at_once: int) -> None:
    """Whatever they do, however many may run at once."""

    async def acts(target: Target) -> Any:
        kind = target.name.partition("-")[0]
        if kind == "raise":
            raise RuntimeError
        if kind == "hang":
            await asyncio.Event().wait()
        if kind == "exit":
            raise SystemExit
        return None if kind == "none" else 1

    def acts_plainly(target: Target) -> int:
        if target.name.startswith("hang"):
            threading.Event().wait(0.5)
        return 1

    noted: list[str] = []
    pairs = [
        pair(
            acts_plainly if kind in {"plain", "hang_plainly"} else acts,
            0.05 if kind.startswith("hang") else 9.0,
            target=f"{kind}-{number}",
        )
        for number, kind in enumerate(kinds)
    ]
    engine = engines(*pairs, sink=lambda record: noted.append(record.id), in_flight_max=at_once)
    records = answered(engine)
    engine.stop("over")
    assert sorted(noted) == sorted(records) == sorted(one.id for one in pairs)
    for one, record in records.items():
        assert record.seen == (one.partition("[")[2].startswith(("fine", "plain"))), record


def test_a_place_that_is_free_at_once_is_taken_at_once(engines: Callable[..., Engine]) -> None:
    """The first answers may come before the engine has returned from starting."""

    async def at_once(target: Target) -> int:
        return 1

    for _ in range(20):
        engine = engines(*(pair(at_once, target=f"t{number}") for number in range(5)), in_flight_max=1)
        assert all(record.seen for record in answered(engine).values())
