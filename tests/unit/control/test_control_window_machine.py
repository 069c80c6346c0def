"""The whole pure model against an oracle of plain numbers, through any order of acts and any jumps of the clock."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ops_core.control import model
from ops_core.control.model import live_fire, window
from ops_core.errors import Refused, UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START_US = 1_767_571_200_000_000 + 3_600_000_000  # Monday 2026-01-05 01:00 UTC, 10:00 in Seoul
STORE = "5" * 32
PEOPLE = ("kim", "lee", "park", "choi")
HOUR_MS = 3_600_000


def key_of(person):
    return hashlib.sha256(person.encode()).hexdigest()


def offer(ids=("m1",), channel="TELEGRAM_ONLY", allowlist="a" * 64, destination="d" * 64, body=""):
    return model.Permit(
        run_id="run-1",
        message_ids=ids,
        outbox_digest=hashlib.sha256(repr((ids, body)).encode()).hexdigest(),
        allowlist_digest=allowlist,
        channel=model.Channel(channel),
        destination=destination,
    )


OFFERS = {
    "same": offer(),
    "one more": offer(ids=("m1", "m2")),
    "none": offer(ids=()),
    "other text": offer(body="x"),
    "other list": offer(allowlist="b" * 64),
    "elsewhere": offer(destination="e" * 64),
    "console": offer(channel="CONSOLE_ONLY"),
}


class WindowMachine(RuleBasedStateMachine):
    """The oracle knows microseconds and milliseconds since 1970 as whole numbers, and no class of the model."""

    @initialize()
    def begin(self):
        self.us = START_US
        self.state = model.initial("kim", self.now())
        self.stopped = True
        self.gate, self.gate_span = "DRY_RUN", None
        self.channel, self.sender_span = None, None
        self.window = None
        self.number, self.burnt = 0, []

    # -- time ----------------------------------------------------------------------------------------------------

    def now(self):
        return EPOCH + timedelta(microseconds=self.us)

    def ms(self):
        return self.us // 1000

    @rule(
        us=st.sampled_from([1, 999, 1000, 1_000_000, 59_999_999, 60_000_000, 3_600_000_000, 86_400_000_000])
        | st.integers(1, 10**9)
    )
    def time_passes(self, us):
        self.us += us

    @rule(us=st.sampled_from([1, 1000, 1_000_000, 3_600_000_000, 86_400_000_000]) | st.integers(1, 10**10))
    def clock_goes_back(self, us):
        self.us -= us

    @rule(pick=st.integers(0, 5), off_us=st.sampled_from([-1_000_000, -1000, -1, 0, 1, 999, 1000, 1_000_000]))
    def clock_stands_at_a_boundary(self, pick, off_us):
        spans = [self.gate_span, self.sender_span, self.window and (self.window["at"], self.window["until"])]
        boundaries = [ms for span in spans if span for ms in span]
        if boundaries:
            self.us = boundaries[pick % len(boundaries)] * 1000 + off_us

    def within(self, span):
        return span is not None and span[0] * 1000 <= self.us < span[1] * 1000

    # -- acts ----------------------------------------------------------------------------------------------------

    @rule(reason=st.sampled_from(["fire", "", "x" * 600, "a\nb"]))
    def engage(self, reason):
        self.state = model.engage(self.state, reason, "kim", self.now())
        self.stopped = True

    @rule()
    def release(self):
        self.state = model.release(self.state, "all well", "kim", self.now())
        self.stopped = False

    @rule(gate=st.sampled_from(["MOCK_ONLY", "DRY_RUN"]))
    def shut(self, gate):
        self.state = model.set_gate(self.state, gate, "r", "lee", self.now())
        self.gate, self.gate_span = gate, None

    @rule(ttl_s=st.sampled_from([1, 3600, 8 * 3600]))
    def open(self, ttl_s):
        self.state = model.set_gate(self.state, "REAL_ENABLED", "r", "lee", self.now(), ttl_s=ttl_s)
        self.gate, self.gate_span = "REAL_ENABLED", (self.ms(), self.ms() + 1000 * ttl_s)

    @rule(channel=st.sampled_from(["TELEGRAM_ONLY", "TELEGRAM_ONLY", "CONSOLE_ONLY"]))
    def sender_goes_on(self, channel):
        def act():
            return model.enable_sender(self.state, channel, "weekly", "lee", self.now())

        if self.stopped:
            self.refused(act)
            return
        self.state = act()
        self.channel, self.sender_span = channel, (self.ms(), self.ms() + HOUR_MS)

    @rule()
    def sender_goes_off(self):
        self.state = model.disable_sender(self.state, "", "lee", self.now())
        self.channel = self.sender_span = None

    @rule(
        person=st.sampled_from(PEOPLE),
        duration_s=st.sampled_from([1, 60, 3600, 8 * 3600]),
        what=st.sampled_from(["same", "same", "same", "none", "console"]),
    )
    def request(self, person, duration_s, what):
        def act():
            return window.request_window(
                self.state,
                OFFERS[what],
                window_id=f"W-{self.number}",
                store_id=STORE,
                requester=person,
                requester_key=key_of(person),
                reason="weekly live fire",
                duration_s=duration_s,
                now=self.now(),
            )

        if self.stopped or self.status() in {"REQUESTED", "ACTIVE"} or what == "none":
            self.refused(act)
            return
        self.state = act()
        self.window = {
            "id": f"W-{self.number}",
            "what": what,
            "at": self.ms(),
            "until": self.ms() + 1000 * duration_s,
            "people": [person],
            "end": None,
        }
        self.number += 1

    @rule(duration_s=st.sampled_from([0, -1, 8 * 3600 + 1, True, 60.0]))
    def ask_for_a_span_that_cannot_be(self, duration_s):
        with pytest.raises(UsageError):
            window.request_window(
                self.state,
                OFFERS["same"],
                window_id="W",
                store_id=STORE,
                requester="kim",
                requester_key=key_of("kim"),
                reason="r",
                duration_s=duration_s,
                now=self.now(),
            )

    @rule(
        name=st.sampled_from(PEOPLE),
        key=st.none() | st.sampled_from(PEOPLE),
        right=st.sampled_from([True] * 4 + [False]),
    )
    def approve(self, name, key, right):
        owner = key or name
        digest = self.state.window.permit_digest if right and self.state.window else "0" * 64

        def act():
            return window.approve(
                self.state,
                operator=name,
                public_key=key_of(owner),
                digest=digest,
                signature="5" * 128,
                now=self.now(),
            )

        one = self.window
        stands = one is not None and any(
            person in told.split("/") for told in one["people"] for person in (name, owner)
        )
        if self.stopped or self.status() != "REQUESTED" or not right or stands:
            self.refused(act)
            return
        self.state = act()
        one["people"].append(f"{name}/{owner}")

    @rule()
    def revoke(self):
        def act():
            return window.revoke(self.state, "changed our minds", "park", self.now())

        if self.status() not in {"REQUESTED", "ACTIVE"}:
            self.refused(act)
            return
        self.state = act()
        self.window["end"] = "REVOKED"

    @rule()
    def note_expiry(self):
        after = window.note_expiry(self.state, self.now())
        if self.status() == "EXPIRED" and self.window["end"] is None:
            self.window["end"] = "EXPIRED"
        else:
            assert after is self.state
        self.state = after

    @rule(reason=st.sampled_from(["interrupted", "", "x" * 600, "a\nb"]))
    def lock_down(self, reason):
        status = self.status()
        self.state = live_fire.lock_down(self.state, reason, "ops", self.now())
        self.channel = self.sender_span = None
        if self.window is not None and self.window["end"] is None:
            self.window["end"] = "EXPIRED" if status == "EXPIRED" else "REVOKED"

    @rule(
        what=st.sampled_from(["same"] * 6 + sorted(OFFERS)),
        self_test=st.sampled_from([True, True, True, False]),
        request_problem=st.sampled_from(["", "", "", "not on the allowlist"]),
        keys_problem=st.sampled_from(["", "", "", "a signature does not fit"]),
    )
    def fire(self, what, self_test, request_problem, keys_problem):
        facts = live_fire.FireFacts(
            self_test="SELF_TEST_PASS" if self_test else "SELF_TEST_FAIL",
            self_test_seen="2 of 2",
            offer=OFFERS[what],
            request_problem=request_problem,
            keys_problem=keys_problem,
            calendar=model.TradingCalendar(),
        )
        fits = self.status() == "ACTIVE" and not request_problem and not keys_problem and what == self.window["what"]
        if fits and self.channel_in_force() is not None:
            fits = self.channel_in_force() == OFFERS[what].channel.value
        seoul_ms = self.ms() + 9 * HOUR_MS
        wanted = {
            "gate_mode": self.gate_in_force() == "REAL_ENABLED",
            "self_test": self_test,
            "emergency_stop": not self.stopped,
            "outbox_messages": what != "none",
            "sender_enable": self.channel_in_force() is not None,
            "window_active": fits,
            "weekday": (seoul_ms // (24 * HOUR_MS) + 3) % 7 < 5,  # 1970 began on a Thursday
            "hours": 9 <= seoul_ms // HOUR_MS % 24 < 18,
        }
        found = live_fire.preconditions(self.state, facts, self.now())
        assert {one.name: one.ok for one in found} == wanted
        assert tuple(one.name for one in found) == live_fire.NAMES
        if not all(wanted.values()):
            self.refused(lambda: live_fire.burn(self.state, facts, "ops", self.now()))
            return
        self.state = live_fire.burn(self.state, facts, "ops", self.now())
        self.channel = self.sender_span = None
        self.window["end"] = "CONSUMED"
        self.burnt.append(self.window["id"])

    @precondition(lambda self: self.window is None or self.window["end"] is not None)
    @rule(skip=st.integers(0, 3))
    def prepare_all(self, skip):
        """The whole way to a live fire in one step, which chance alone finds too seldom."""
        self.us = START_US + self.number * 86_400_000_000 * 7 + skip
        self.release()
        self.open(3600)
        self.sender_goes_on("TELEGRAM_ONLY")
        self.request("kim", 3600, "same")
        self.approve("lee", None, True)
        self.approve("park", None, True)
        assert self.status() == "ACTIVE"

    def refused(self, act):
        before = self.state
        with pytest.raises(Refused):
            act()
        assert self.state == before

    # -- what has to hold ----------------------------------------------------------------------------------------

    def status(self):
        one = self.window
        if one is None:
            return "NONE"
        if one["end"] is not None:
            return one["end"]
        if not self.within((one["at"], one["until"])):
            return "EXPIRED"
        return "ACTIVE" if len(one["people"]) == 3 else "REQUESTED"

    def gate_in_force(self):
        return "DRY_RUN" if self.gate == "REAL_ENABLED" and not self.within(self.gate_span) else self.gate

    def channel_in_force(self):
        return self.channel if self.within(self.sender_span) else None

    @invariant()
    def every_question_has_the_oracles_answer(self):
        now = self.now()
        status = self.status()
        assert bool(model.why_stopped(self.state)) == self.stopped
        assert model.effective_gate(self.state, now) == self.gate_in_force()
        assert model.sender_on(self.state, now) == (self.channel_in_force() is not None)
        assert model.delivery_policy(self.state, now) == (self.channel_in_force() or "CONSOLE_ONLY")
        assert window.is_active(self.state, now) == (status == "ACTIVE")
        assert window.is_open(self.state, now) == (status in {"REQUESTED", "ACTIVE"})
        assert (self.state.window is None) == (self.window is None)
        if self.window is not None:
            assert window.window_status(self.state.window, now) == status
            left_us = self.window["until"] * 1000 - self.us if status in {"REQUESTED", "ACTIVE"} else 0
            assert window.remaining_s(self.state.window, now) == left_us // 1_000_000
        allowed = (
            not self.stopped
            and self.gate_in_force() == "REAL_ENABLED"
            and self.channel_in_force() == "TELEGRAM_ONLY"
            and status == "ACTIVE"
        )
        assert live_fire.external_send(self.state, now) == ("ALLOWED" if allowed else "FORBIDDEN")

    @invariant()
    def a_window_is_burnt_once(self):
        assert len(set(self.burnt)) == len(self.burnt)
        if self.burnt and self.window["id"] == self.burnt[-1]:
            assert self.state.window.status == "CONSUMED"

    @invariant()
    def what_is_recorded_is_what_is_read(self):
        told = json.loads(json.dumps(self.state.as_dict()))
        assert model.from_values(told, self.state.version) == self.state
        if self.state.window is not None:
            read = model.from_values(told, 0).window
            assert window.permit_digest(read, STORE) == read.permit_digest
            assert window.permit_digest(read, "6" * 32) != read.permit_digest


TestWindowMachine = WindowMachine.TestCase
TestWindowMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
