"""Holds every command against the role of this host, in one place: no verb has to think of it, and none can forget it.

Which command was typed is known when it is called; which role this host has, once its settings are read. So the one is
noted around the call, and asked for wherever settings are read for a command. A command that reads none is held against
the `ops.toml` that stands where it is typed, if there is one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import typer

from ops_core.config import Settings, find_config, load_settings
from ops_core.errors import ConfigError
from ops_core.handoff.roles import act_of, require

_TYPED: ContextVar[str] = ContextVar("typed", default="")


def hold(app: typer.Typer, verb: str, words: tuple[str, ...] = ()) -> None:
    """Hold the commands of a verb, those below it included, against the role of the host that they are typed on."""
    for command in app.registered_commands:
        name = command.name or verb
        if command.callback is not None and (words or name == verb):
            command.callback = _held(command.callback, (*words, name))
    for group in app.registered_groups:
        below = group.typer_instance
        if below is None or not (words or group.name == verb):
            continue
        path = (*words, str(group.name))
        told = below.registered_callback
        if told is not None and told.callback is not None:
            told.callback = _held(told.callback, path)
        hold(below, verb, path)


def permitted(settings: Settings) -> Settings:
    """These settings, if the command that was typed may be done on a host of their role.

    Raises:
        Refused: it is the other host's to do.
    """
    typed = _TYPED.get()
    if settings.role is None or not typed:
        return settings
    act = act_of(typed.split(" "))
    if act is not None:
        require(settings.role, act, what=f"ops {typed}", where=place_of(settings))
    return settings


def place_of(settings: Settings) -> str:
    """Where the role is set, for messages."""
    return f"{settings.path}, [profiles.{settings.profile}]"


def _held(callback: Callable[..., Any], words: tuple[str, ...]) -> Callable[..., Any]:
    reads_settings = "config" in inspect.signature(callback).parameters

    @functools.wraps(callback)
    def call(*args: Any, **given: Any) -> Any:
        token = _TYPED.set(" ".join((*words, *_meant(words, given))))
        try:
            if not reads_settings and act_of(words) is not None and not _has_more(given):
                _hold_here()
            return callback(*args, **given)
        finally:
            _TYPED.reset(token)

    return call


def _meant(words: tuple[str, ...], given: dict[str, Any]) -> tuple[str, ...]:
    """What an argument adds to the words: only one of the gate's positions lets anything real happen."""
    if words == ("gate", "set"):
        return (str(given.get("mode", "")).strip().upper(),)
    return ()


def _has_more(given: dict[str, Any]) -> bool:
    """Whether this is only the way to a command below, which is held by itself."""
    return any(isinstance(one, typer.Context) and one.invoked_subcommand is not None for one in given.values())


def _hold_here() -> None:
    try:
        path = find_config(Path.cwd())
    except ConfigError:
        return
    permitted(load_settings(path))
