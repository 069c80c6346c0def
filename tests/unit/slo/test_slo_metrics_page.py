"""What /metrics says of promises: a sample where something is known, none where nothing is, and scrapes stay cheap."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from slo_world import World, minutes, utc

from ops_core.api.app import create_app
from ops_core.api.promised import FRESH_S, STALE_S, PromisedMetrics

NOW = utc("2026-11-10 12:00")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, NOW, zone="UTC", slo="observation_valid_s = 86400\nbudget_days = 1")


def samples(text):
    """The lines of a page that are samples of ours, by name and labels."""
    found = dict(re.findall(r"^(ops_(?:slo|mtt|automatic|incidents)\S*) (\S+)$", text, re.MULTILINE))
    return {name: float(value) for name, value in found.items()}


async def asked(app):
    """The page as the server gives it."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        return await client.get("/metrics")


@dataclass
class Collected:
    """A collector with its registry, and how often it computed."""

    world: World
    problem: Exception | None = None
    computed: int = 0

    def __post_init__(self):
        context = SimpleNamespace(settings=self.world.settings, clock=self.world.clock, plane=lambda: self.world.plane)
        self.registry = CollectorRegistry()
        self.collector = PromisedMetrics(context)
        self._read = self.collector._read
        self.collector._compute = self.compute
        self.registry.register(self.collector)

    def compute(self):
        self.computed += 1
        if self.problem is not None:
            raise self.problem
        return self._read()

    def page(self):
        return samples(generate_latest(self.registry).decode())


def test_the_server_tells_figures(world):
    """A day of looks, 43.2 s of them bad: half of the 86.4 s that 99.9 % of a day allow."""
    bad_at = NOW - minutes(60)
    world.look(NOW - minutes(24 * 60), shop="good")
    world.look(bad_at, shop="bad")
    world.look(bad_at.replace(minute=0, second=43, microsecond=200_000), shop="good")
    world.incident(began=bad_at - minutes(1), detected=bad_at, ended=bad_at + minutes(2))
    page = asyncio.run(asked(create_app(world.settings, world.clock)))
    found = samples(page.text)
    assert page.status_code == 200
    assert found['ops_slo_availability_ratio{target="shop"}'] == pytest.approx(1 - 43.2 / 86400)
    assert found['ops_slo_error_budget_remaining_ratio{target="shop"}'] == pytest.approx(0.5)
    assert found['ops_slo_objective_ratio{target="search"}'] == 0.999
    # 43.2 s of the last six hours, a thousandth of which may be bad: 43.2 / 21600 / 0.001.
    assert found['ops_slo_burn_rate{target="shop",window="6h"}'] == pytest.approx(2)
    assert found['ops_slo_burn_rate{target="shop",window="5m"}'] == 0
    assert (found["ops_mttd_seconds"], found["ops_mttr_seconds"], found["ops_automatic_recovery_ratio"]) == (60, 120, 1)
    assert found['ops_incidents{kind="all"}'] == found['ops_incidents{kind="automatic"}'] == 1
    assert found["ops_slo_known"] == 1


def test_what_is_not_known_has_no_sample(world):
    """Nobody looked at anything: no ratio, no budget, no burn rate, no mean; that all of it is unknown is known."""
    found = Collected(world).page()
    assert found['ops_slo_unknown_ratio{target="shop"}'] == 1
    assert {name.partition("{")[0] for name in found} == {
        "ops_slo_known", "ops_slo_objective_ratio", "ops_slo_unknown_ratio", "ops_incidents", "ops_slo_records_damaged",
    }  # fmt: skip


def test_a_budget_of_which_too_little_is_known_has_no_sample(world):
    """An hour of a day was seen, and was good: that is what is known, and no budget that is left."""
    world.look(NOW - minutes(60), shop="good")
    found = Collected(world).page()
    assert found['ops_slo_availability_ratio{target="shop"}'] == 1
    assert 'ops_slo_error_budget_remaining_ratio{target="shop"}' not in found


def test_incidents_that_cannot_be_read_have_no_sample(world):
    """No incident is not the same as no store."""
    world.settings.control_store.write_bytes(b"no store")
    assert not [name for name in Collected(world).page() if name.startswith(("ops_incidents", "ops_mtt", "ops_auto"))]


def test_figures_are_computed_once_a_minute(world):
    """However often somebody scrapes; and not at all when the server starts."""
    collected = Collected(world)
    assert collected.computed == 0
    for _ in range(5):
        collected.page()
    assert collected.computed == 1
    world.clock.sleep(FRESH_S)
    collected.page()
    assert collected.computed == 2


def test_while_somebody_computes_the_others_get_what_there_is(world):
    """They do not wait: old figures for ten minutes, then none."""
    collected = Collected(world)
    assert collected.page()["ops_slo_known"] == 1
    with collected.collector._computing:
        world.clock.sleep(FRESH_S)
        assert collected.page()["ops_slo_known"] == 1
        world.clock.sleep(STALE_S)
        assert collected.page() == {"ops_slo_known": 0}
    assert collected.computed == 1


def test_figures_that_cannot_be_computed_do_not_take_the_page_with_them(world):
    """It says that they are not known, and tries again a minute later."""
    collected = Collected(world, problem=ZeroDivisionError())
    assert collected.page() == {"ops_slo_known": 0}
    collected.problem = None
    world.clock.sleep(FRESH_S)
    assert collected.page()["ops_slo_known"] == 1
