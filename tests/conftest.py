"""What the project's own tests share."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]


def pytest_report_header() -> str:
    """Which part of the large tests this run takes."""
    seed = os.environ.get("SAMPLE_SEED")
    return f"samples: SAMPLE_SEED={seed} takes the same part again" if seed else "samples: none, everything is tried"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where `SAMPLE_TESTS` is set, take that share of the tests; which ones depends on `SAMPLE_SEED`."""
    share = float(os.environ.get("SAMPLE_TESTS") or 1)
    if share < 1:
        seed = os.environ.get("SAMPLE_SEED", "")
        kept = [item for item in items if random.Random(f"{seed} {item.nodeid}").random() < share]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


# How long an example takes depends on what else the machine does. In CI, Hypothesis says the same by itself.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if not os.environ.get("CI"):
    settings.load_profile("unhurried")
