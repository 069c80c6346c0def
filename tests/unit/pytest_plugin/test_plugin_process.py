"""Signals that ask an operational run to end."""

from __future__ import annotations

import os
import signal

import pytest

from ops_core.pytest_plugin.process import AGAIN_AFTER_S, StopSignals


@pytest.fixture
def heard():
    """What was heard, and the time that counts."""
    told, now = [], [100.0]
    signals = StopSignals(told.append, now=lambda: now[0])
    signals.listen()
    yield told, now
    signals.release()


def test_impatience_counts_once(heard):
    """Signals in quick succession ask once: a second exception could break into the unwinding of the first."""
    told, now = heard
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    now[0] += AGAIN_AFTER_S / 2
    os.kill(os.getpid(), signal.SIGTERM)
    assert told == ["SIGTERM"]


def test_who_asks_again_later_is_heard_again(heard):
    """Somebody may have swallowed the first one."""
    told, now = heard
    os.kill(os.getpid(), signal.SIGTERM)
    now[0] += AGAIN_AFTER_S
    os.kill(os.getpid(), signal.SIGHUP)
    assert told == ["SIGTERM", "SIGHUP"]


def test_a_second_interrupt_from_the_keyboard_waits_for_the_first(heard):
    """Ctrl-C twice is one KeyboardInterrupt."""
    told, now = heard
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    now[0] += AGAIN_AFTER_S
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert told == []
