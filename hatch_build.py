"""Puts what ships with the package into the wheel as data: `checks/` becomes `ops_core/content/checks/`, and so on.

A static `force-include` would copy it into editable installations too, where it would grow stale beside the originals.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONTENT = ("checks", "deploy", "docs/contracts", "remediations", "templates", "ops.toml")


class ContentHook(BuildHookInterface[Any]):
    """Adds the content to wheels that are not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update({name: f"ops_core/content/{name}" for name in CONTENT})
