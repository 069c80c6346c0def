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
    """Take a share of the tests: `SAMPLE_TESTS` of all, `SAMPLE_SLOW` of the slow ones; `SAMPLE_SEED` says which."""
    shares = [float(os.environ.get(name) or 1) for name in ("SAMPLE_TESTS", "SAMPLE_SLOW")]
    if min(shares) < 1:
        seed = os.environ.get("SAMPLE_SEED", "")
        kept, left = [], []
        for item in items:
            share = min(shares) if item.get_closest_marker("slow") else shares[0]
            (kept if random.Random(f"{seed} {item.nodeid}").random() < share else left).append(item)
        config.hook.pytest_deselected(items=left)
        items[:] = kept


# How long an example takes depends on what else the machine does. In CI, Hypothesis says the same by itself.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if not os.environ.get("CI"):
    settings.load_profile("unhurried")
