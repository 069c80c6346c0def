"""The outbox: what may be in it, and where a message can go from each state."""

from __future__ import annotations

import pytest
from push_world import PushWorld

from ops_core.control.model import OUTBOX_MAX, Channel
from ops_core.errors import Refused, UsageError
from ops_core.push import add_message, messages, offer, outbox, withdraw


@pytest.fixture
def plane(world: PushWorld):
    world.plane.create()
    return world.plane


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("hello", "hello"),
        ("  two\r\nlines\r \n", "two\nlines"),
        ("a\x00b\x1bc", "a b c"),
        ("lone \ud800 surrogate", "lone   surrogate"),
        ("turned \u202egnuor", "turned  gnuor"),
        ("👩‍👩‍👧 가족", "👩‍👩‍👧 가족"),
        ("x" * 4096, "x" * 4096),
        ("😀" * 2048, "😀" * 2048),
        ("<b>*as it is*</b>", "<b>*as it is*</b>"),
    ],
)
def test_a_body_is_kept_as_it_can_be_sent(said, kept):
    """Line ends become one character, what hides or cannot be encoded a blank; everything else stays."""
    assert outbox.fit_body(said) == kept


@pytest.mark.parametrize("said", ["", " \n\t", "\x00", "\ud800", "x" * 4097, "😀" * 2049, "x" * 1_000_000])
def test_a_body_that_says_nothing_or_too_much_is_refused(said):
    """One to 4096 characters, as the Bot API counts them."""
    with pytest.raises(UsageError):
        outbox.fit_body(said)


def test_messages_wait_in_the_order_in_which_they_came(plane, world):
    """Also those of one millisecond: the clock stands."""
    ids = [add_message(plane, f"message {number}") for number in range(12)]
    with plane.snapshot() as found:
        assert [message.id for message in outbox.pending(found)] == ids
        assert [message.id for message in messages(found)] == ids[::-1]


@pytest.mark.parametrize("paragraphs", [1, 40])
def test_an_update_waits_as_one_message_that_fits(plane, world, paragraphs):
    """Whole where it fits; else whole paragraphs and a mark that there is more."""
    document = "\n\n".join(f"{number} " + "\N{CROSS MARK}가" * 100 for number in range(paragraphs))
    message = outbox.queue_update(plane, document, "kim")
    with plane.snapshot() as found:
        (waiting,) = outbox.pending(found)
    body = waiting.body
    assert (waiting.id, waiting.created_by) == (message, "kim")
    assert len(body.encode("utf-16-le")) // 2 <= 4096
    assert body == document if paragraphs == 1 else (body.endswith("\n\n[…]") and body.startswith("0 "))


def test_an_offer_holds_the_oldest_messages_and_no_more_than_a_window_may(plane, world):
    """What does not fit into this window waits for the next one."""
    with plane.transaction() as change:
        for number in range(OUTBOX_MAX + 3):
            values = {"id": f"M-{number:04d}", "created_at": f"{number:04d}", "created_by": "kim", "body": "x"}
            change.execute(outbox.schema.outbox.insert().values(**values, digest="", state="PENDING", detail=""))
    with plane.snapshot() as found:
        assert offer(found, world.settings, "run").message_ids == tuple(f"M-{n:04d}" for n in range(OUTBOX_MAX))


def test_an_offer_changes_with_everything_that_is_approved(plane, world):
    """Ids, bodies, allowlist, chat, bot and server: another one is another permit, and none of them is named."""
    add_message(plane, "one")

    def offered():
        with plane.snapshot() as found:
            return offer(found, world.settings, "run")

    seen = [offered()]
    assert seen[0] == offered()
    assert seen[0].channel is Channel.TELEGRAM_ONLY
    add_message(plane, "two")
    seen.append(offered())
    with plane.transaction() as change:
        change.execute(outbox.schema.outbox.update().values(body="behind the back"))
    seen.append(offered())
    (world.root / "contracts" / "execution_allowlist_v1.json").write_text("{}")
    seen.append(offered())
    for name, value in (("BOT_CHAT", "-1"), ("BOT_TOKEN", "7:other")):
        world.secret(name, value)
        seen.append(offered())
    world.url = "http://127.0.0.1:9"
    world.configure()
    seen.append(offered())
    assert len(set(seen)) == len(seen) == 7
    assert not any(value in repr(seen) for value in ("another one", "-100987654321", "1234567", "behind"))


def test_without_bot_and_chat_messages_go_to_the_console(plane, world):
    """A profile that names no bot, or no chat, has no way out but the console."""
    text = (world.root / "ops.toml").read_text()
    (world.root / "ops.toml").write_text(text.replace('telegram_chat = "BOT_CHAT"\n', ""))
    from ops_core.config import load_settings

    settings = load_settings(world.root / "ops.toml", environ={})
    with plane.snapshot() as found:
        permit = offer(found, settings, "run")
    assert (permit.channel, permit.destination) == (Channel.CONSOLE_ONLY, "")


def test_a_message_is_withdrawn_once_and_for_good(plane, world):
    """With a reason, while it waits; afterwards nothing is offered, and nothing more can be withdrawn."""
    one = add_message(plane, "one", by="ann")
    with pytest.raises(UsageError):
        withdraw(plane, one, " ")
    taken = withdraw(plane, one, "a mistake")
    assert (taken.state, taken.detail, taken.created_by) == ("WITHDRAWN", "a mistake", "ann")
    with pytest.raises(Refused, match="WITHDRAWN"):
        withdraw(plane, one, "again")
    with pytest.raises(UsageError, match="no message"):
        withdraw(plane, "M-of-nobody", "gone")
    assert world.actions()[-2:] == ["outbox.added", "outbox.withdrawn"]
    assert "one" not in str([row.detail for row in plane.audit_rows()][-2:]).replace(one, "")


ENDS = ("SENT", "FAILED", "UNKNOWN", "WITHDRAWN")


@pytest.mark.parametrize("state", ["SENDING", *ENDS])
def test_nothing_is_claimed_or_withdrawn_that_does_not_wait(plane, world, state):
    """Only PENDING leads to SENDING and to WITHDRAWN."""
    one = add_message(plane, "one")
    with plane.transaction() as change:
        (message,) = outbox.pending(change)
        change.execute(outbox.schema.outbox.update().values(state=state))
        assert not outbox.claim(change, message, "fire", plane.clock.now())
    with pytest.raises(Refused):
        withdraw(plane, one, "mine")


@pytest.mark.parametrize("state", ["PENDING", *ENDS])
def test_nothing_leads_out_of_an_end(plane, world, state):
    """Only what a live fire is sending gets a result, and only from that one."""
    one = add_message(plane, "one")
    with plane.transaction() as change:
        change.execute(outbox.schema.outbox.update().values(state=state))
        assert not outbox.settle(change, one, "fire", "SENT", "", plane.clock.now())
        assert outbox.find(change, one).state == state


def test_a_message_that_was_changed_is_not_claimed(plane, world):
    """What is sent is the text that was approved."""
    add_message(plane, "one")
    with plane.transaction() as change:
        (message,) = outbox.pending(change)
        change.execute(outbox.schema.outbox.update().values(body="another"))
        assert not outbox.claim(change, message, "fire", plane.clock.now())


def test_the_outbox_is_bounded(plane, world, monkeypatch):
    """A full outbox takes nothing more and says what to do."""
    monkeypatch.setattr(outbox, "WAITING_MAX", 2)
    add_message(plane, "one")
    two = add_message(plane, "two")
    with pytest.raises(Refused, match="wait already"):
        add_message(plane, "three")
    withdraw(plane, two, "to make room")
    add_message(plane, "three")
