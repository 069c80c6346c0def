"""Whatever a probe does or returns, the run ends in time, its own checks are unknown, and its neighbours are seen."""

from __future__ import annotations

import json
from collections.abc import Callable

import hostile
import pytest
from faults_expecting import assert_ended_in_time
from hostile import HostileServer
from observing import Project

from ops_core.verdict import Judged

Serve = Callable[..., HostileServer]
GOOD, BAD, UNKNOWN = Judged.GOOD, Judged.BAD, Judged.UNKNOWN

NEIGHBOURS = """
@probe(budget_s=3, needs="health_url")
async def asked(target, http):
    return await http.get(target.health_url)

@probe(budget_s=3, needs="health_url")
def asked_plainly(target, http):
    return http.get(target.health_url)

@finding("neighbour.bad")
def check_neighbour(asked):
    assert asked.status == 200

@finding("neighbour.bad")
def check_plain_neighbour(asked_plainly):
    assert asked_plainly.status == 200
"""


def with_neighbours(project: Project, serve: Serve, count: int = 5) -> HostileServer:
    """A few healthy targets, asked by an async and by a plain probe."""
    server = serve(hostile.healthy)
    for number in range(count):
        project.target(f"n{number}", health_url=server.url(f"/{number}"))
    project.check(NEIGHBOURS, name="checks/observe/check_neighbours.py")
    return server


def assert_neighbours_seen(ran, count: int = 5) -> None:
    names = {f"n{number}" for number in range(count)}
    for check in ("check_neighbour", "check_plain_neighbour"):
        assert ran.judged(check) == dict.fromkeys(names, GOOD), ran.output


RETURNS = {
    "none": ("return None", "returned nothing (None)"),
    "nan": ("return float('nan')", "not JSON"),
    "deep_nan": ("return {'a': [1, float('inf')]}", "not JSON"),
    "an_object": ("return object()", "not JSON"),
    "a_set": ("return {1, 2}", "not JSON"),
    "huge": ("return 'x' * 100_000_000", "too large"),
    "huge_list": ("return [10**12] * 10_000_000", "too large"),
    "nested": ("value = []\n    for _ in range(100_000): value = [value]\n    return value", "not JSON"),
    "circular": ("value = []\n    value.append(value)\n    return value", "not JSON"),
    "with_object": ("return Own(field=object())", "field"),
    "with_nan": ("return Own(field=float('nan'))", "field"),
    "with_lock": ("return Own(field=threading.Lock())", "field"),
    "with_set": ("return Own(field={1})", "field"),
    "with_huge": ("return Own(field='x' * 100_000_000)", "too large"),
    "facts_raise": ("return Rude(field=1)", "RuntimeError"),
    "a_generator": ("return (i for i in range(3))", "not JSON"),
    "a_class": ("return Own", "not JSON"),
}

RAISES = {
    "exception": "raise RuntimeError('boom')",
    "base_exception": "raise BaseException('boom')",
    "system_exit": "raise SystemExit('boom')",
    "sys_exit_zero": "sys.exit(0)",
    "keyboard_interrupt": "raise KeyboardInterrupt('boom')",
    "generator_exit": "raise GeneratorExit('boom')",
    "cancelled": "raise asyncio.CancelledError('boom')",
    "stop_iteration": "raise StopIteration('boom')",
    "pytest_exit": "pytest.exit('boom')",
    "pytest_skip": "pytest.skip('boom')",
    "pytest_fail": "pytest.fail('boom')",
    "assertion": "assert False, 'boom'",
    "cannot_look": "raise CannotLook('boom')",
    "unprintable": "raise Unprintable",
    "surrogates": "raise RuntimeError('boom \\udcff\\x00')",
    "endless_text": "raise RuntimeError('boom' * 10_000_000)",
    "recursion": "def again(): return again()\n    again()",
    "group": "raise ExceptionGroup('boom', [ValueError('one')])",
}

HELPERS = """
@dataclass(frozen=True, kw_only=True)
class Own(Evidence):
    field: object

@dataclass(frozen=True, kw_only=True)
class Rude(Evidence):
    field: object
    @property
    def facts(self):
        raise RuntimeError("facts")

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__
"""


def probes_of(bodies: dict[str, str]) -> str:
    """An async and a plain probe of each body, and a check of each probe."""
    text = HELPERS
    for name, body in bodies.items():
        for kind, define in (("a", "async def"), ("p", "def")):
            text += f"""
@probe(budget_s=3)
{define} {kind}_{name}():
    {body}

@finding("probe.{name}")
def check_{kind}_{name}({kind}_{name}):
    pass
"""
    return text


def test_a_probe_that_returns_what_no_evidence_is_has_not_seen(project: Project, serve: Serve) -> None:
    """None, NaN, objects, 100 MB, evidence whose fields cannot be recorded: unknown, with the reason; nobody else minds."""
    project.budgets = {"total_s": 15}
    with_neighbours(project, serve)
    project.check(probes_of({name: body for name, (body, _) in RETURNS.items()}))
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    for name, (_, reason) in RETURNS.items():
        for kind in "ap":
            judgement = ran.judgement(f"check_{kind}_{name}")
            assert judgement.judged is UNKNOWN, (judgement, ran.output)
            assert reason in judgement.seen, judgement
    assert ran.record_path.stat().st_size < 5_000_000


def test_a_probe_that_raises_whatever_it_likes_has_not_seen(project: Project, serve: Serve) -> None:
    """Also what normally ends a thread, a loop or a process: unknown, with type, text and place."""
    project.budgets = {"total_s": 15}
    with_neighbours(project, serve)
    project.check(probes_of(RAISES))
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    for name in RAISES:
        for kind in "ap":
            judgement = ran.judgement(f"check_{kind}_{name}")
            assert judgement.judged is UNKNOWN, (judgement, ran.output)
            assert len(judgement.seen) < 2000
    assert "boom" in ran.judgement("check_a_exception").seen
    assert "check_own.py:" in ran.observation.record("a_exception").where
    assert ran.record_path.stat().st_size < 5_000_000


def test_surrogates_and_odd_numbers_are_recorded_as_they_can_be(project: Project) -> None:
    """What JSON cannot hold literally is made so that it can, before the check sees it: replaying judges the same."""
    project.check(
        """
        @probe(budget_s=3)
        def text():
            return {"lone \\udcff": "value \\ud800", "nul": "\\x00", 1: (1, 2), None: True}

        @finding("text.bad")
        def check_text(text):
            assert text == {"lone ?": "value ?", "nul": "\\x00", "1": [1, 2], "None": True}, ascii(text)
        """
    )
    ran = project.run()
    assert ran.exit_code == 0, ran.output
    again = project.run("checks/", "-m", "observe", f"--replay={ran.record_path}")
    assert again.exit_code == 0, again.output


def test_children_of_a_probe_that_raise_end_neither_loop_nor_run(project: Project, serve: Serve) -> None:
    """asyncio lets SystemExit and KeyboardInterrupt of a task or callback escape from the loop: the loop goes on."""
    project.budgets = {"total_s": 12}
    with_neighbours(project, serve)
    project.check(
        """
        async def leave(error):
            await asyncio.sleep(0)
            raise error

        def throw(error):
            raise error

        @probe(budget_s=2)
        async def gathered():
            await asyncio.gather(leave(SystemExit(0)), leave(KeyboardInterrupt()))

        @probe(budget_s=2)
        async def forgotten():
            asyncio.get_running_loop().create_task(leave(SystemExit(1)))
            await asyncio.sleep(0.2)
            return 1

        @probe(budget_s=2)
        async def called_back():
            asyncio.get_running_loop().call_soon(throw, KeyboardInterrupt())
            asyncio.get_running_loop().call_soon(throw, SystemExit())
            await asyncio.sleep(0.2)
            return 1

        @probe(budget_s=2)
        async def stops_the_loop():
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0.2)
            return 1

        @finding("x.gathered")
        def check_gathered(gathered): pass

        @finding("x.others")
        def check_others(forgotten, called_back, stops_the_loop): pass
        """
    )
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    assert ran.judged("check_gathered") == {None: UNKNOWN}
    assert "SystemExit" in ran.judgement("check_gathered").seen
    assert ran.judged("check_others") == {None: GOOD}


@pytest.mark.parametrize(
    "blocking",
    [
        pytest.param("time.sleep(3600)", marks=pytest.mark.slow),
        "await asyncio.gather(blocks(), asyncio.sleep(0))",
        pytest.param("[None for _ in iter(int, 1)]", marks=pytest.mark.slow),
        pytest.param(
            "asyncio.get_running_loop().call_soon(time.sleep, 3600); await asyncio.sleep(9)", marks=pytest.mark.slow
        ),
        pytest.param("await asyncio.create_task(blocks())", marks=pytest.mark.slow),
    ],
    ids=["sleep", "gathered", "endless-loop", "called-back", "task"],
)
def test_a_probe_that_blocks_the_loop_is_named_and_its_neighbours_are_seen(
    project: Project, serve: Serve, blocking: str
) -> None:
    """A blocking call in an async probe costs that probe its answer, whichever way it got on the loop."""
    project.budgets = {"total_s": 12}
    with_neighbours(project, serve)
    project.check(
        f"""
        async def blocks():
            await asyncio.sleep(0)
            time.sleep(3600)

        @probe(budget_s=5)
        async def a_blocking():
            {blocking}

        @probe(budget_s=1)
        def hangs():
            threading.Event().wait()

        @finding("probe.blocks")
        def check_blocking(a_blocking): pass

        @finding("probe.hangs")
        def check_hanging(hangs): pass
        """
    )
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    judgement = ran.judgement("check_blocking")
    assert judgement.judged is UNKNOWN
    assert "'a_blocking' blocked the event loop" in judgement.seen, judgement
    assert "check_own.py:" in ran.observation.record("a_blocking").where
    # A plain probe's budget holds also when the loop that kept its account was left behind.
    assert "no answer within the budget of 1 s" in ran.judgement("check_hanging").seen
    assert ran.observation.used_s < 9


@pytest.mark.slow
def test_several_probes_that_block_are_all_named(project: Project, serve: Serve) -> None:
    """Each blocks a loop of its own generation; the neighbours are seen all the same."""
    project.budgets = {"total_s": 20}
    with_neighbours(project, serve)
    project.check(
        "\n".join(
            f"""
@probe(budget_s=5)
async def blocks_{number}():
    time.sleep(3600)

@finding("probe.blocks")
def check_{number}(blocks_{number}): pass
"""
            for number in range(3)
        )
    )
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    for number in range(3):
        assert f"'blocks_{number}' blocked the event loop" in ran.judgement(f"check_{number}").seen


def test_probes_that_do_not_let_go_cost_their_budget_only(project: Project, serve: Serve) -> None:
    """Swallowed cancellation, hanging plain functions, threads that are no daemons, executors: none delays the end."""
    project.budgets = {"total_s": 6}
    with_neighbours(project, serve)
    project.check(
        """
        from concurrent.futures import ThreadPoolExecutor

        @probe(budget_s=1)
        async def swallows():
            while True:
                try:
                    await asyncio.sleep(3600)
                except BaseException:
                    pass

        @probe(budget_s=1)
        async def slow_to_let_go():
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(3600)

        @probe(budget_s=1)
        def hangs():
            threading.Event().wait()

        @probe(budget_s=1)
        def spins():
            while True:
                pass

        @probe(budget_s=1)
        def holds_its_lock():
            lock = threading.Lock()
            lock.acquire()
            with lock:
                pass

        @probe(budget_s=1)
        def leaves_a_thread():
            threading.Thread(target=threading.Event().wait, daemon=False).start()
            return 1

        @probe(budget_s=1)
        def leaves_an_executor():
            ThreadPoolExecutor(1).submit(threading.Event().wait)
            return 1

        @probe(budget_s=1)
        async def in_a_thread():
            await asyncio.to_thread(threading.Event().wait)

        @probe(budget_s=1)
        async def in_an_executor():
            await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), threading.Event().wait)

        @finding("p.swallows")
        def check_swallows(swallows): pass
        @finding("p.slow_to_let_go")
        def check_slow_to_let_go(slow_to_let_go): pass
        @finding("p.hangs")
        def check_hangs(hangs): pass
        @finding("p.spins")
        def check_spins(spins): pass
        @finding("p.holds_its_lock")
        def check_holds_its_lock(holds_its_lock): pass
        @finding("p.in_a_thread")
        def check_in_a_thread(in_a_thread): pass
        @finding("p.in_an_executor")
        def check_in_an_executor(in_an_executor): pass
        @finding("p.leaves")
        def check_leaves(leaves_a_thread, leaves_an_executor): pass
        """
    )
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    judged = {j.check: j for j in ran.observation.judgements if "neighbour" not in j.check}
    assert judged.pop("check_leaves").judged is GOOD
    assert len(judged) == 7
    for judgement in judged.values():
        assert judgement.judged is UNKNOWN
        assert "no answer within the budget of 1 s" in judgement.seen
    assert ran.exit_code == 1


def test_what_a_helper_reads_without_end_is_cut(project: Project, serve: Serve) -> None:
    """A user's own httpx helper against an endless body gets an httpx error instead of all of the memory."""
    project.target("endless", health_url=serve(hostile.endless_body).url())
    project.check(
        """
        @probe(budget_s=10, needs="health_url")
        async def read_all(target, http):
            import httpx
            async with http.client() as client:
                try:
                    await client.get(target.health_url)
                except httpx.HTTPError as error:
                    return str(error)

        @finding("x.y")
        def check_it(read_all):
            assert "larger than" in read_all
        """
    )
    ran = project.run()
    assert ran.judged("check_it") == {"endless": GOOD}, ran.output


def test_a_probe_that_asks_without_end_leaves_a_bounded_record(project: Project, serve: Serve) -> None:
    """Its actions are kept, but not all of them."""
    project.target("one", health_url=serve(hostile.healthy).url())
    project.check(
        """
        @probe(budget_s=1, needs="health_url")
        async def asks(target, http):
            while True:
                await http.get(target.health_url)

        @finding("x.y")
        def check_it(asks): pass
        """
    )
    ran = project.run()
    assert ran.judged("check_it") == {"one": UNKNOWN}
    actions = ran.observation.record("asks[one]").actions
    assert 0 < len(actions) <= 100


@pytest.mark.slow
def test_a_thousand_hanging_plain_probes_end_within_the_total_budget(project: Project, serve: Serve) -> None:
    """A thread each, left behind; memory stays sane and the neighbours are seen."""
    project.budgets = {"total_s": 20}
    with_neighbours(project, serve)
    for number in range(1000):
        project.target(f"t{number}", vars={"own_url": "x"})
    project.check(
        """
        @probe(budget_s=2, needs="own_url")
        def hangs(target):
            threading.Event().wait()

        @finding("x.y")
        def check_it(hangs): pass
        """
    )
    project.write(
        "conftest.py",
        """
        import json, resource
        def pytest_unconfigure():
            open("memory.json", "w").write(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
        """,
    )
    ran = project.run()
    assert_ended_in_time(ran)
    assert_neighbours_seen(ran)
    assert set(ran.judged("check_it").values()) == {UNKNOWN}
    assert json.loads((project.root / "memory.json").read_text()) < 600_000
