"""How often one caller may call the reference service, with Redis and without."""

import pytest
import redis

from ops_core.drill.ingest.options import BadEnvironment, read_options
from ops_core.drill.ingest.rates import LOCAL_SHARE, PAUSE_S, Rates

START = 1_800_000_000.0


class Counting:
    """What Redis answers to the few commands that are asked of it; it can be away."""

    def __init__(self):
        self.counts, self.ends, self.away, self.asked, self.waiting = {}, {}, False, 0, []

    def pipeline(self):
        return self

    def incr(self, key):
        self.waiting.append(key)

    def expire(self, key, seconds):
        self.ends[key] = seconds

    def execute(self):
        self.asked += 1
        key = self.waiting.pop()
        if self.away:
            raise redis.ConnectionError
        self.counts[key] = self.counts.get(key, 0) + 1
        return [self.counts[key], True]


class Time:
    """Seconds since 1970, as the test sets them."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def counting():
    return Counting()


@pytest.fixture
def time_s():
    return Time()


def test_a_caller_has_so_many_requests_in_a_minute(counting, time_s):
    """The next minute is a new one; every caller has an own count, which Redis forgets by itself."""
    rates = Rates("", 3, time_s, counting)
    assert [rates.ask("a").passes for _ in range(4)] == [True, True, True, False]
    assert rates.ask("b").passes
    assert 0 < rates.ask("a").retry_after_s <= 60
    time_s.now += 60
    assert rates.ask("a").passes
    assert set(counting.ends) == set(counting.counts)
    assert not [key for key in counting.counts if ":a:" in key or ":b:" in key]


def test_without_redis_it_is_a_tenth(counting, time_s):
    """And at least one; Redis is not asked again at once, but soon."""
    counting.away = True
    rates = Rates("", 2 * LOCAL_SHARE, time_s, counting)
    assert [rates.ask("a").passes for _ in range(3)] == [True, True, False]
    assert rates.ask("b").passes
    assert counting.asked == 1
    counting.away = False
    time_s.now += PAUSE_S
    assert rates.ask("a").passes
    assert counting.asked == 2
    few = Rates("", 1, time_s, counting)
    counting.away = True
    assert [few.ask("c").passes for _ in range(2)] == [True, False]


def test_no_limit_is_no_limit(counting, time_s):
    """Nobody is counted then."""
    assert all(Rates("", 0, time_s, counting).ask("a").passes for _ in range(50))
    assert counting.asked == 0


GOOD = {
    "DATABASE_URL": "postgresql://x@h/d",
    "POSTGRES_PASSWORD": "p",
    "REDIS_URL": "redis://h",
    "API_KEY": "k",
    "JWT_SECRET": "j",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing_is_named(name):
    """The service does not start half configured."""
    with pytest.raises(BadEnvironment, match=f"{name} is not set"):
        read_options({**GOOD, name: " "})


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "٣", "9999999999", "1e3"])
def test_a_number_is_a_number(value):
    """The message names the variable, never what it holds."""
    with pytest.raises(BadEnvironment) as caught:
        read_options({**GOOD, "MAX_REQUEST_BODY_BYTES": value})
    assert str(caught.value) == "MAX_REQUEST_BODY_BYTES is not a whole number from 0 to 999999999"


def test_what_is_not_said_has_a_safe_default():
    """Limits are in force unless they are switched off; the degraded mode is off unless it is switched on."""
    options = read_options(GOOD)
    assert options.batch_items_max > 0
    assert options.body_max_bytes > 0
    assert options.rate_per_minute > 0
    assert not options.degraded
    assert read_options({**GOOD, "DEGRADED_MODE": "1"}).degraded
