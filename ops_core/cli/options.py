"""Options that many verbs share, and what follows from them."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.permitting import permitted
from ops_core.clock import SystemClock
from ops_core.config import LANGUAGES, Settings, find_config, load_settings
from ops_core.errors import UsageError

ProfileOption = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of ops.toml.")]
ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE", help="The ops.toml to use.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
LangOption = Annotated[str | None, typer.Option("--lang", metavar="en|ko", help="Language of what is said.")]
AllowDegradedOption = Annotated[
    bool, typer.Option("--allow-ready-degraded", help="A documented degraded mode is good enough.")
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")]


def settings_of(config: str | None, profile: str | None) -> Settings:
    """The settings in force, for a command that a host of their role may do.

    Raises:
        ConfigError: there is no configuration, or it cannot be followed.
        Refused: what was typed is for a host of another role.
    """
    return permitted(load_settings(find_config(Path.cwd(), config), profile))


def language_of(settings: Settings, lang: str | None) -> str:
    """The language asked for, else the configuration's.

    Raises:
        UsageError: it is not one we speak.
    """
    if lang is not None and lang not in LANGUAGES:
        raise UsageError(f"there is no language {lang!r}", where="--lang", allowed=", ".join(LANGUAGES))
    return lang or settings.lang


def actor() -> str:
    """Who types: the login name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def clock() -> SystemClock:
    """The clock of this machine."""
    return SystemClock()
