"""A Bot API server and a profile that may fire, for each test."""

import pytest
from bot_api import BotApi
from push_world import PushWorld


@pytest.fixture
def bot():
    with BotApi() as server:
        yield server


@pytest.fixture
def world(tmp_path, bot):
    """A profile with everything that a live fire needs, but for messages, a window, the gate and the sender."""
    return PushWorld(tmp_path, bot.url)
