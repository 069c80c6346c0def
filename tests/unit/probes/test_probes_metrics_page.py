"""A page of metrics as figures: the right ones, and none from a page that cannot be believed."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from serving import Service, page

from ops_core.errors import CannotLook
from ops_core.evidence.service import SINCE_START, WINDOW
from ops_core.probes import metrics
from ops_core.probes.metrics_page import Page, between, quantile_of, read_page

COUNTER = 'http_requests_total{status="200"}'
BUCKET = "http_request_duration_seconds_bucket"


@pytest.fixture
def at_once(monkeypatch):
    """Both looks without the second in between."""
    monkeypatch.setattr(metrics, "WINDOW_S", 0.001)


def naive(limits, inside, q):
    """The smallest value below which `q` of all lie, if each bucket's lie evenly in it: found by halving, not solved."""
    edges = [0.0, *limits]

    def below(x):
        return sum(
            count * min(1.0, max(0.0, (x - start) / (end - start)))
            for start, end, count in zip(edges, limits, inside, strict=False)
        )

    rank = q * sum(inside)
    if sum(inside[:-1]) < rank:
        return limits[-1], True
    low, high = 0.0, limits[-1]
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if below(middle) >= rank else (middle, high)
    return high, False


@given(
    st.lists(st.floats(0.001, 60).map(lambda x: round(x, 3)), min_size=1, max_size=8, unique=True).map(sorted),
    st.data(),
    st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_the_quantile_is_the_value_below_which_that_share_lies(limits, data, q):
    """As in a model that knows nothing of ranks and interpolation; None exactly where nothing was observed."""
    inside = data.draw(st.lists(st.integers(0, 1000), min_size=len(limits) + 1, max_size=len(limits) + 1))
    counts = [sum(inside[: index + 1]) for index in range(len(inside))]
    found = quantile_of(dict(zip([*limits, math.inf], counts, strict=True)), q)
    if counts[-1] == 0:
        assert found is None
        return
    value, more = naive(limits, inside, q)
    assert found[1] is more
    assert found[0] == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "buckets",
    [
        {0.1: 5.0, 1.0: 4.0, math.inf: 6.0},
        {0.1: 5.0, 1.0: 6.0},
        {math.inf: 6.0},
        {0.1: -1.0, math.inf: 6.0},
        {-math.inf: 1.0, 1.0: 2.0, math.inf: 6.0},
        {0.1: 5.0, math.inf: math.inf},
    ],
)
def test_what_is_no_histogram_is_not_interpolated(buckets):
    """Counts that fall, no last bucket, one bucket alone, less than nothing: nobody can tell."""
    with pytest.raises(CannotLook, match="no histogram"):
        quantile_of(buckets)


def test_a_first_bucket_that_ends_at_nothing_has_no_inside():
    """As Prometheus has it: its limit is the answer."""
    assert quantile_of({0.0: 10.0, math.inf: 10.0}) == (0.0, False)
    assert quantile_of({}) is None


def test_what_prometheus_client_writes_is_read_back():
    """Requests, failures among them, and the histogram, over all labels; what probes ask is left out."""
    registry = CollectorRegistry()
    counter = Counter("http_requests", "x", ["method", "path", "status"], registry=registry)
    seconds = Histogram("http_request_duration_seconds", "x", ["path"], registry=registry, buckets=(0.1, 1))
    for path, status, times in (("/a", "200", 7), ("/b", "503", 2), ("/b", "404", 1), ("/metrics", "200", 50)):
        counter.labels("GET", path, status).inc(times)
        for _ in range(times):
            seconds.labels(path).observe(0.05)
    found = read_page(generate_latest(registry).decode(), {"/metrics"})
    assert (found.requests, found.failed, found.left_out) == (10, 2, ("/metrics",))
    assert found.buckets == {0.1: 10, 1.0: 10, math.inf: 10}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"{COUNTER} NaN\n", "no count"),
        (f"{COUNTER} -1\n", "no count"),
        (f"{COUNTER} +Inf\n", "no count"),
        (f'{BUCKET}{{le="0.1"}} NaN\n', "no count"),
        (f'{BUCKET}{{le="NaN"}} 1\n', "no number"),
        (f'{BUCKET}{{le="fast"}} 1\n', "not in Prometheus"),
        (f"{BUCKET} 1\n", "not in Prometheus"),
        (f"{COUNTER} many\n", "not in Prometheus"),
        ("<html><body>Sign in</body></html>", "Prometheus"),
        ('{"status": "ok"}', "Prometheus"),
        ("\0\x01\x02", "Prometheus"),
        ("", "holds no metric"),
        ("# only a remark\n", "holds no metric"),
    ],
)
def test_a_page_that_cannot_be_believed_is_not_seen(text, what):
    """No number, less than nothing, or no metrics at all: never a figure."""
    with pytest.raises(CannotLook, match=what):
        read_page(text)


LINES = st.sampled_from(
    [COUNTER, BUCKET, f'{BUCKET}{{le="1"}}', "process_start_time_seconds", "# TYPE http_requests_total", "{", '"']
)


@given(
    st.lists(st.tuples(LINES, st.sampled_from(["1", "-1", "NaN", "x", "1e999", "1 2 3", "{", "counter"])), max_size=6)
)
@example([("{", "1")])
def test_whatever_stands_on_a_page_is_figures_or_not_seen(lines):
    """Nothing else comes out of reading, whatever the parser makes of it."""
    try:
        found = read_page("\n".join(" ".join(line) for line in lines) + "\n")
    except CannotLook:
        return
    for figure in (found.requests, found.failed, *found.buckets.values()):
        assert figure is None or (math.isfinite(figure) and figure >= 0)


def test_figures_of_two_processes_are_not_subtracted():
    """A start in between, a count that fell, a bucket that went: nothing compares."""
    before = read_page(page(100, 1))
    assert between(before, read_page(page(130, 2))).requests == 31
    assert between(before, read_page(page(130, 2, started_at_s=2000))) is None
    assert between(before, read_page(page(30, 1))) is None
    assert between(before, read_page(page(130, 0))) is None
    assert between(before, Page(requests=130, failed=1, buckets={math.inf: 130}, started_at_s=1000)) is None
    assert between(Page(), before) is None


def test_the_figures_are_of_now_where_somebody_asked_meanwhile(look, serve, at_once):
    """Between two looks, the rate is that of the requests in between, and what was before does not count."""
    server = serve(Service(metrics=[page(100, 50), page(108, 52)]))
    seen = look("metrics", metrics_url=server.url("/metrics"))
    assert (seen.basis, seen.requests, seen.failed, seen.error_rate) == (WINDOW, 10, 2, 0.2)
    assert (seen.requests_since_start, seen.missing) == (160, ())
    assert seen.per_s > 0


@pytest.mark.parametrize("last", [page(100, 50), page(3, 0, started_at_s=2000.0)], ids=["nobody asked", "restarted"])
def test_otherwise_they_are_since_the_start_and_say_so(look, serve, at_once, last):
    """Nobody asked in between, or it is another process now."""
    server = serve(Service(metrics=[page(100, 50), last]))
    seen = look("metrics", metrics_url=server.url("/metrics"))
    assert (seen.basis, seen.per_s) == (SINCE_START, None)
    assert seen.requests == seen.requests_since_start


def test_a_page_without_our_metrics_says_what_is_missing(look, serve, at_once):
    """Prometheus' format, but neither requests nor times: nothing is invented."""
    seen = look("metrics", metrics_url=serve(Service(metrics=["up 1\n"])).url("/metrics"))
    assert (seen.requests, seen.error_rate, seen.p95_ms, len(seen.missing)) == (None, None, None, 2)


@pytest.mark.parametrize(
    ("text", "what"),
    [("no metrics here", "Prometheus"), (page() + "# x\n" * (5 << 18), "larger than 4 MiB")],
    ids=["other text", "5 MB"],
)
def test_a_page_that_is_none_or_too_large_is_not_seen(look, serve, at_once, text, what):
    """The size is bounded before anything is parsed: what stands behind the cut might be the worst of it."""
    with pytest.raises(CannotLook, match=what):
        look("metrics", metrics_url=serve(Service(metrics=[text])).url("/metrics"))


def test_metrics_that_are_refused_are_not_seen(look, serve, at_once):
    """A page that says 404 has no figures."""
    server = serve(Service(live=(404, {})))
    with pytest.raises(CannotLook, match="404"):
        look("metrics", metrics_url=server.url("/health/live"))
