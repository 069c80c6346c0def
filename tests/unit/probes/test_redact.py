"""No known secret survives redaction, in any of the forms in which secrets travel."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ops_core.probes.instruments.redact import CUT_SHORTEST, MASK, SHORTEST, Redactor, secret_name

secrets = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=SHORTEST, max_size=40).map(
    str.strip
)
around = st.text(max_size=30)


def forms(value: str) -> dict[str, str]:
    """The ways in which a server may hand a secret back."""
    raw = value.encode()
    basic = base64.b64encode(b"user:" + raw).decode()
    return {
        "plain": value,
        "upper": value.upper() if value.isascii() else value,
        "quoted": quote(value),
        "quoted_whole": quote(value, safe=""),
        "quoted_plus": quote_plus(value),
        "quoted_lower": quote(value, safe="").replace("%", "%").lower() if value.isascii() else quote(value, safe=""),
        "httpx": quote(value, safe="!$&'()*+,;=:@/?"),
        "json": json.dumps(value)[1:-1],
        "json_utf8": json.dumps(value, ensure_ascii=False)[1:-1],
        "html": html.escape(value),
        "html_unquoted": html.escape(value, quote=False),
        "latin1": raw.decode("latin-1"),
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode(),
        "base64_url": base64.urlsafe_b64encode(raw).decode(),
        "base64_bare": base64.b64encode(raw).decode().rstrip("="),
        "basic": basic,
    }


def core_of(form: str, value: str, text: str) -> bool:
    """Whether enough of a form is left in `text` to give the secret away."""
    if form in {"base64", "base64_url", "base64_bare", "basic"}:
        # The characters at the edges may stay: they say only a few bits.
        return forms(value)[form].rstrip("=")[:-3] in text and len(value.encode()) > SHORTEST
    return forms(value)[form] in text


@given(secrets, around, around)
@example("hunter2-secret", "", "")
@example("a+b/c=d&e f", "x", "y")
@example("pä§§wörd<\"'>\\", "", "")
@example("🔑🔑🔑🔑", "", "")
@example("%41%41", "", "")
@example("000İ", "", "")
def test_no_form_of_a_known_secret_survives(value: str, before: str, after: str) -> None:
    """Wherever it stands, whatever stands around it."""
    assume(len(value) >= SHORTEST)
    redactor = Redactor([value])
    for form, written in forms(value).items():
        if form == "upper" and len(written) != len(value):
            continue
        found = redactor.text(f"{before}{written}{after}")
        assume(not core_of(form, value, f"{before}{MASK}{after}"))
        assert not core_of(form, value, found), (form, found)


@given(secrets, secrets, around)
def test_of_two_secrets_none_survives(one: str, other: str, between: str) -> None:
    """Also where one is part of the other."""
    assume(len(one) >= SHORTEST and len(other) >= SHORTEST)
    found = Redactor([one, other]).text(f"{one}{between}{other}")
    assume(one not in f"{MASK}{between}{MASK}" and other not in f"{MASK}{between}{MASK}")
    assert one not in found
    assert other not in found


@given(secrets, around, st.integers(1, 400))
@example("correct horse battery", "", 15)
@example("pässwört", "", 6)
def test_the_beginning_of_a_secret_at_a_cut_does_not_survive(value: str, before: str, cut_at: int) -> None:
    """A body is cut at a byte; what stands before the cut must not give a part of the secret away."""
    assume(len(value) >= SHORTEST)
    raw = f"{before}{value}".encode()[:cut_at]
    text = raw.decode("utf-8", "replace")
    found = Redactor([value]).text(text, cut=True)
    beginning = value[:CUT_SHORTEST]
    assume(beginning not in before)
    if text.endswith(value[: len(value) - 1]) or beginning in text:
        assume(beginning not in MASK)
        assert beginning not in found, found


def test_text_that_was_not_cut_keeps_what_only_looks_like_a_beginning() -> None:
    """A whole text that ends like a secret begins is left alone."""
    assert Redactor(["secretive"]).text("this is secr") == "this is secr"
    assert Redactor(["secretive"]).text("this is secr", cut=True) == f"this is {MASK}"


def test_a_secret_inside_longer_base64_is_found_at_every_offset() -> None:
    """As in a basic authorization, or a token that packs several things."""
    secret = "s3cr3t-value"
    for before in ("", "a", "ab", "abc", "user:"):
        packed = base64.b64encode(f"{before}{secret}:more".encode()).decode()
        found = Redactor([secret]).text(f"x {packed} y")
        assert MASK in found
        assert base64.b64encode(secret.encode()).decode()[:8] not in found


def test_a_secret_that_is_not_utf8_can_be_hidden() -> None:
    """The environment may hold bytes that no text stands for."""
    value = b"caf\xe9-secret".decode("utf-8", "surrogateescape")
    assert Redactor([value]).text(f"a {value} b") == f"a {MASK} b"
    assert "secret" not in Redactor([value]).text("x caf%E9-secret")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("http://user:pass@host/x", f"http://{MASK}@host/x"),
        ("GET /?token=abc&x=1", f"GET /?token={MASK}&x=1"),
        ("GET /?x=1&api_key=abc#f", f"GET /?x=1&api_key={MASK}#f"),
        ("Authorization: Bearer abcdefgh123", f"Authorization: Bearer {MASK}"),
        ("Basic dXNlcjpwYXNz", f"Basic {MASK}"),
        ("nothing here", "nothing here"),
        ("/?monkey=1&x=2", "/?monkey=1&x=2"),
    ],
)
def test_what_usually_is_a_secret_is_hidden_without_knowing_it(text: str, redacted: str) -> None:
    """Credentials in URLs, secret-looking parameters, bearer tokens."""
    assert Redactor().text(text) == redacted


def test_headers_with_secret_names_are_masked_whole() -> None:
    """Set-Cookie, Authorization and what is called like them; others only by value."""
    found = Redactor(["known-value"]).headers(
        [("Set-Cookie", "a=b"), ("X-Api-Key", "zz"), ("X-Other", "has known-value in it"), ("Date", "today")]
    )
    assert found == (("Set-Cookie", MASK), ("X-Api-Key", MASK), ("X-Other", f"has {MASK} in it"), ("Date", "today"))


def test_json_values_are_redacted_all_the_way_down() -> None:
    """Keys, items, and texts under secret names."""
    value = {"a": ["known-value", 1, None], "password": "x", "known-value": {"b": ("known-value",)}, "n": 1.5}
    assert Redactor(["known-value"]).value(value) == {
        "a": [MASK, 1, None],
        "password": MASK,
        MASK: {"b": [MASK]},
        "n": 1.5,
    }


def test_short_values_do_not_black_out_everything() -> None:
    """A secret of three characters is not looked for in texts."""
    assert Redactor(["abc", ""]).text("abcabc") == "abcabc"


@pytest.mark.parametrize(
    "name", ["token", "X-Auth-Token", "api_key", "apikey", "Cookie", "client-secret", "passwd", "keys"]
)
def test_secret_names(name: str) -> None:
    """Names that give secrets away."""
    assert secret_name(name)


@pytest.mark.parametrize("name", ["monkey", "tokenizer", "author", "keyboard", "Content-Type", "design"])
def test_names_that_only_sound_like_it(name: str) -> None:
    """Part of a word is not the word."""
    assert not secret_name(name)
