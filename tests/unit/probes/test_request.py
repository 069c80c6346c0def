"""A request made without httpx is the one that httpx would have made."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops_core.errors import CannotLook
from ops_core.probes.instruments import request as module
from ops_core.probes.instruments.request import DEFAULT_HEADERS, build_request, of_httpx

PIECES = st.sampled_from([*"aZ0./%?&='\"~+;:@!*# é", "..", "//", "%2F", "%zz"])
HOSTS = st.sampled_from(
    ["a", "a.example", "A.example", "a_b", "a-b.c", "127.0.0.1", "999.0.0.1", "1.2", "[::1]", "xn--bcher-kva.ch"]
) | st.sampled_from(["bücher.ch", "u:p@h", ""])
PORTS = st.sampled_from(["", ":80", ":443", ":8010", ":0", ":65536", ":08", ":x"])
URLS = st.builds(
    lambda scheme, host, port, rest: f"{scheme}://{host}{port}{rest}",
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    HOSTS,
    PORTS,
    st.one_of(st.just(""), st.lists(PIECES, max_size=8).map(lambda parts: "/" + "".join(parts))),
)


@settings(deadline=None, max_examples=600)
@given(URLS, st.sampled_from(["GET", "post", "HEAD", "PUT"]), st.sampled_from([None, b"", b"body"]))
@example("http://127.0.0.1:8010/api/health", "GET", None)
@example("http://a?x=1", "GET", None)
@example("http://a/b/./c/../d", "GET", None)
def test_what_is_made_without_httpx_is_what_httpx_makes(url: str, method: str, content: bytes | None) -> None:
    """Method, target, host, port, shown URL and headers are the same, whichever way a request was made."""
    merged = module._merge({"Accept": "text/plain", "X-Own": "1"}, ("user", "word"))
    assert merged is not None
    plain = module._plain(method, url, merged, content)
    if plain is None:
        return
    headers = {**DEFAULT_HEADERS, "Accept": "text/plain", "X-Own": "1", "Authorization": "Basic dXNlcjp3b3Jk"}
    theirs = of_httpx(httpx.Request(method, url, headers=headers, content=content))
    assert (plain.method, plain.target, plain.host, plain.port, plain.scheme, plain.url) == (
        theirs.method,
        theirs.target,
        theirs.host,
        theirs.port,
        theirs.scheme,
        theirs.url,
    )
    assert plain.headers[0] == theirs.headers[0], "Host stands first"
    assert sorted(plain.headers) == sorted(theirs.headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8010/api/health",
        "http://a.example/",
        "https://a.example:8443/x/.well-known?y=1&z=%20",
        "http://a",
    ],
)
def test_a_usual_request_needs_no_httpx(url: str) -> None:
    """A health endpoint as people write it is asked without httpx."""
    code = f"import sys; from ops_core.probes.instruments.request import build_request; build_request('GET', {url!r}); "
    code += "raise SystemExit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("url", "target"),
    [("http://a/b c", b"/b%20c"), ("http://a/b/../c", b"/c"), ("HTTP://A/x", b"/x"), ("http://a:80/x", b"/x")],
)
def test_what_needs_rewriting_is_left_to_httpx(url: str, target: bytes) -> None:
    """A URL that httpx would rewrite is rewritten by httpx."""
    made = build_request("GET", url)
    assert (made.target, made.host, made.port) == (target, "a", 80)


def test_parts_are_encoded_by_httpx() -> None:
    """Parameters, cookies, forms and JSON are encoded as httpx does it."""
    made = build_request("POST", "http://a/x", params={"q": "ü"}, cookies={"c": "1"}, json={"k": 1})
    assert made.target == b"/x?q=%C3%BC"
    assert (b"Content-Type", b"application/json") in made.headers
    assert dict(made.headers)[b"Cookie"] == b"c=1"


@pytest.mark.parametrize(
    "url", ["ftp://a/", "http://", "nonsense", "http://999.0.0.1/", "http://a:99999/", "http://a\n/"]
)
def test_a_url_that_cannot_be_asked_is_not_seen(url: str) -> None:
    """A URL that cannot be asked keeps us from looking; it accuses nobody."""
    with pytest.raises(CannotLook):
        build_request("GET", url)


@pytest.mark.parametrize("headers", [{"X": "ü"}, {"X": 1}])
def test_a_header_that_cannot_be_sent_is_not_seen(headers: dict[str, str]) -> None:
    """A header that cannot be put on the wire keeps us from looking."""
    with pytest.raises(CannotLook):
        build_request("GET", "http://a/", headers=headers)


def test_the_callers_headers_take_the_place_of_ours() -> None:
    """A header of the caller replaces our default of that name, whatever its case."""
    made = build_request("GET", "http://a/", headers={"accept": "text/html", "host": "other"})
    assert [v for k, v in made.headers if k.lower() == b"accept"] == [b"text/html"]
    assert [v for k, v in made.headers if k.lower() == b"host"] == [b"other"]
