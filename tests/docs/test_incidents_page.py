"""The page about incidents names commands, items and fields that there are, and all of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from test_reference import commands_there_are

from ops_core.incident.fields import REPORT_FIELDS
from ops_core.incident.phases import ITEMS, Phase

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "incidents.md").read_text(encoding="utf-8")


def test_every_command_on_the_page_can_be_typed() -> None:
    """Each line of a block is a command with options that it has."""
    there_are = dict(commands_there_are())
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert lines
    for line in lines:
        words = shlex.split(line)
        command = " ".join(words[: 3 if words[1] == "incident" else 2])
        assert command in there_are, line
        assert {word for word in words if word.startswith("--")} <= there_are[command] | {"--lang"}, line


def test_every_item_and_field_is_on_the_page() -> None:
    """What can be answered is listed."""
    named = set(re.findall(r"`([a-z_.-]+)`", PAGE))
    assert {*ITEMS, *REPORT_FIELDS, *(phase.value for phase in Phase)} <= named
