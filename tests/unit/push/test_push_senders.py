"""Senders say what is certain: delivered, not delivered, or unknown. And they never tell where they lead."""

from __future__ import annotations

import json
import logging
import socket
import threading
from datetime import UTC, datetime

import pytest
from bot_api import BotApi
from push_world import CHAT, TOKEN

from ops_core.control.model import Channel
from ops_core.errors import OpsError
from ops_core.push.senders import (
    ConsoleSender,
    Delivered,
    NotDelivered,
    TelegramSender,
    Unknown,
    fit_for_json,
    sender_for,
)

SHORT_S = 1.0
SECRETS = (TOKEN, CHAT, "AAEx-made-up_token", "100987654321")


def telegram(url, timeout_s=5.0):
    return TelegramSender(url=url, token=TOKEN, chat=CHAT, timeout_s=timeout_s)


EXPECTED = {
    "ok": Delivered,
    "not_ok": Unknown,
    "garbage": Unknown,
    "list": Unknown,
    "endless": Unknown,
    "400": NotDelivered,
    "401": NotDelivered,
    "403": NotDelivered,
    "404": NotDelivered,
    "429": NotDelivered,
    "500": Unknown,
    "502": Unknown,
    "redirect": Unknown,
    "cut_before": Unknown,
    "cut_after": Unknown,
}


@pytest.mark.parametrize(("answer", "kind"), EXPECTED.items())
def test_an_answer_means_what_is_certain(bot, answer, kind):
    """Only a refusal is certain not to have been delivered, only `ok` to have been; and there is one request, not two."""
    bot.answers = [answer]
    result = telegram(bot.url).send("hello")
    assert type(result) is kind
    assert bot.connections == 1
    assert not any(secret in repr(result) for secret in SECRETS)


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_server_that_takes_its_time_is_left(bot, answer):
    """The limit is for everything together: one byte a moment does not stretch it; what was written may have arrived."""
    bot.answers = [answer]
    result = telegram(bot.url, SHORT_S).send("hello")
    assert isinstance(result, Unknown)
    assert "no answer within 1 s" in result.detail
    assert bot.texts == ["hello"]


def test_a_refused_connection_delivers_nothing():
    """Nobody listens: certain."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = telegram(f"http://127.0.0.1:{port}").send("hello")
    assert isinstance(result, NotDelivered)
    assert result.way_out


def test_a_name_that_does_not_exist_delivers_nothing():
    """Nothing can have been written to a server that was not found."""
    assert isinstance(telegram("http://no-such-host.invalid").send("hello"), NotDelivered)


def test_a_name_server_that_hangs_holds_nobody_up(monkeypatch):
    """A look-up that does not end counts as not connected, and its thread is left behind."""
    let_go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: let_go.wait(30.0) and [])
    try:
        result = telegram("http://slow-name.invalid", SHORT_S).send("hello")
    finally:
        let_go.set()
    assert isinstance(result, NotDelivered)


def test_a_handshake_that_hangs_delivers_nothing(bot):
    """Before the connection is encrypted nothing was written that anybody could read."""
    bot.answers = ["hang"]
    result = telegram(bot.url.replace("http:", "https:"), SHORT_S).send("hello")
    assert isinstance(result, NotDelivered)


def test_a_refusal_of_one_message_is_not_one_of_the_way_out(bot):
    """A text that is refused says nothing about the next one; a wrong token does."""
    bot.answers = ["400", "401"]
    sender = telegram(bot.url)
    first, second = sender.send("one"), sender.send("two")
    assert (first.way_out, second.way_out) == (False, True)
    assert first.detail == "refused with 400: Bad Request: message text is empty"


def test_text_goes_out_as_it_is(bot):
    """No mark-up is interpreted, emoji stay whole, lone surrogates cannot break the request."""
    said = "*no* <b>mark-up</b> &amp; 👩‍👩‍👧 가족\nsecond line"
    sender = telegram(bot.url)
    assert isinstance(sender.send(said), Delivered)
    assert isinstance(sender.send("lone \ud83d end"), Delivered)
    assert bot.texts == [said, "lone \ufffd end"]
    assert bot.ledger[0].fields == ("chat_id", "text")
    assert bot.ledger[0].chat == CHAT
    assert fit_for_json("\U0001f600") == "\U0001f600"


def test_neither_proxies_nor_credentials_come_from_the_environment(bot, monkeypatch):
    """What the environment says about proxies does not matter: the approved destination is asked itself."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(telegram(bot.url).send("hello"), Delivered)


def test_nothing_is_logged_however_loggers_are_set(bot, caplog):
    """The HTTP library logs addresses at INFO, and the address holds the token."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)
    bot.answers = ["ok", "500", "cut_after", "429"]
    for _ in bot.answers:
        telegram(bot.url).send("hello")
    assert not any(secret in caplog.text for secret in SECRETS)
    assert not logging.getLogger("httpx").disabled


def test_what_a_server_says_of_us_is_redacted(monkeypatch):
    """A refusal that quotes the token or the chat is told without them."""
    said = json.dumps({"ok": False, "description": f"bot {TOKEN} may not write to {CHAT}"}).encode()
    monkeypatch.setitem(__import__("bot_api").CANNED, "401", (401, said))
    with BotApi(answers=["401"]) as bot:
        result = telegram(bot.url).send("hello")
    assert result.detail == "refused with 401: bot [redacted] may not write to [redacted]"


def test_a_sender_does_not_tell_its_secrets(bot):
    """Neither token nor chat stands in what a traceback would show."""
    assert not any(secret in repr(telegram(bot.url)) for secret in SECRETS)


def test_the_console_gets_one_line(capsys):
    """As JSON, so that a message of several lines stays one line; standard output belongs to the receipt."""
    sender = ConsoleSender(now=lambda: datetime(2026, 1, 5, 1, 0, tzinfo=UTC))
    assert isinstance(sender.send("two\nlines \ud800"), Delivered)
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["message"] == "two\nlines \ud800"
    assert err.count("\n") == 1


def test_the_way_out_is_made_of_the_profile(world):
    """With its secrets; where one has no value nothing is tried."""
    sender = sender_for(world.settings, Channel.TELEGRAM_ONLY, world.clock.now)
    assert isinstance(sender, TelegramSender)
    assert (sender.url, sender.token, sender.chat) == (world.url, TOKEN, CHAT)
    assert isinstance(sender_for(world.settings, Channel.CONSOLE_ONLY, world.clock.now), ConsoleSender)
    (world.root / "secrets" / "BOT_TOKEN").unlink()
    with pytest.raises(OpsError, match="BOT_TOKEN has no value"):
        sender_for(world.settings, Channel.TELEGRAM_ONLY, world.clock.now)
