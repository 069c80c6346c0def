"""Errors say what is wrong, where, what is allowed, and what to type next."""

from __future__ import annotations

import pytest

from ops_core.errors import CannotLook, ConfigError, OpsError, RecordError, Refused, UsageError


def test_an_error_tells_its_four_parts() -> None:
    """Those that are there, one a line; and the same for --json."""
    error = OpsError("it broke", where="x:1", allowed="a, b", next_step="ops init")
    assert str(error) == "it broke\n  where    x:1\n  allowed  a, b\n  next     ops init"
    assert error.as_dict() == {"error": "it broke", "where": "x:1", "allowed": "a, b", "next": "ops init"}
    assert str(OpsError("it broke")) == "it broke"


@pytest.mark.parametrize(
    ("error", "code"),
    [(OpsError, 3), (CannotLook, 3), (UsageError, 64), (ConfigError, 64), (RecordError, 64), (Refused, 2)],
)
def test_each_kind_has_its_exit_code(error: type[OpsError], code: int) -> None:
    """They are contracts."""
    assert error("x").exit_code == code
