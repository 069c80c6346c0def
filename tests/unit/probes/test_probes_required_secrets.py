"""Secrets that a service must have: there and strong, and nothing of their values is ever told."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.probes.required_secrets import length_of, weakness_of

STRONG = "9f2Lq7ZtX0aVb4Rk8WmYc1HdEs6UgJp3"


@pytest.mark.parametrize(
    ("name", "value", "weakness"),
    [
        ("API_KEY", STRONG, ""),
        ("POSTGRES_PASSWORD", STRONG[:16], ""),
        ("API_KEY", STRONG[:31], "is shorter than 32 bytes"),
        ("POSTGRES_PASSWORD", STRONG[:15], "is shorter than 16 bytes"),
        ("JWT_SECRET", "a" * 64, "repeats few characters"),
        ("JWT_SECRET", "abcABCab" * 8, "repeats few characters"),
        ("JWT_SECRET", STRONG[:10] * 4, "repeats itself"),
        ("JWT_SECRET", "change-me-in-production-0123456789", "is a placeholder"),
        ("JWT_SECRET", "YOUR-JWT-SIGNING-KEY-0123456789-secret", "is a placeholder"),
        ("JWT_SECRET", "Example-0123456789-abcdefghijklmnop", "is a placeholder"),
        ("JWT_SECRET", "열쇠열쇠", "is shorter than 32 bytes"),
        ("JWT_SECRET", "\udcff" * 40, "repeats few characters"),
    ],
)
def test_what_is_easily_guessed_is_weak(name, value, weakness):
    """Too short for what it does, few characters, a repetition, a word that stands for a value to come."""
    assert weakness_of(name, value) == weakness


@given(st.randoms(use_true_random=False))
def test_what_a_generator_makes_is_strong(chance):
    """The hexadecimal digits of 32 random bytes, as `openssl rand -hex 32` prints them."""
    assert weakness_of("API_KEY", random.Random(chance.random()).randbytes(32).hex()) == ""


def test_each_is_read_where_the_configuration_says(look):
    """One that is missing and one that is weak are told by name; one without a source is missing."""
    seen = look(
        "required_secrets",
        {"API_KEY": STRONG, "JWT_SECRET": "hunter2"},
        required_secrets=("API_KEY", "JWT_SECRET", "NO_SOURCE"),
    )
    assert [(one.name, one.present, one.length) for one in seen.secrets] == [
        ("API_KEY", True, "32 bytes or more"),
        ("JWT_SECRET", True, "1 to 15 bytes"),
        ("NO_SOURCE", False, "none"),
    ]
    assert seen.missing == ("NO_SOURCE",)
    assert [one.name for one in seen.weak] == ["JWT_SECRET"]
    assert seen.explain() == "NO_SOURCE has no value; JWT_SECRET is shorter than 32 bytes"


@pytest.mark.parametrize("value", [STRONG, "hunter2-hunter2", "change-me-please-0123456789-abcdef"])
def test_nothing_of_a_value_is_told(look, value):
    """No part of it of four characters, strong or weak."""
    told = repr(look("required_secrets", {"API_KEY": value}, required_secrets=("API_KEY",)))
    assert not [value[i : i + 4] for i in range(len(value) - 3) if value[i : i + 4] in told]


def test_of_a_length_only_the_class_is_known():
    """Three classes, in bytes."""
    assert [length_of("x" * size) for size in (1, 15, 16, 31, 32, 99)] == [
        "1 to 15 bytes", "1 to 15 bytes", "16 to 31 bytes", "16 to 31 bytes", "32 bytes or more", "32 bytes or more",
    ]  # fmt: skip
    assert length_of("열" * 6) == "16 to 31 bytes"
