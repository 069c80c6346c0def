"""What ships with the package is where it says."""

from __future__ import annotations

from ops_core.content import content_dir


def test_the_shipped_content_is_all_there() -> None:
    """Checks, remediations, templates and the configuration of the embedded stack."""
    for name in ("checks/observe", "remediations", "templates", "ops.toml"):
        assert (content_dir() / name).exists()
