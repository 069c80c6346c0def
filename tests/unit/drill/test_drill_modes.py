"""`ops drill` does one thing at a time: what does not go together is refused, by name, with what would be possible."""

import pytest

from ops_core.cli.drill_modes import Mode, mode_of
from ops_core.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "mode"),
    [
        ({"": ["killed"]}, Mode.WORDS),
        ({"--matrix": True, "--suite": ["observe"], "--jobs": 2, "--seed": 0}, Mode.MATRIX),
        ({"--coverage": True, "--own": True, "--run": "newest"}, Mode.COVERAGE),
        ({"--mutate": True, "--jobs": 2, "--fail-under": 0.0}, Mode.MUTATE),
        ({"--random": True, "--duration": "30s", "--seed": 0}, Mode.RANDOM),
        ({"--healthy": 3, "--stress": True}, Mode.HEALTHY),
    ],
)
def test_one_thing_with_its_own_options_is_done(typed, mode):
    """What was not typed counts for nothing, whether it is None or False."""
    untyped = {"": None, "--matrix": False, "--seed": None, "--strict": False}
    assert mode_of({**untyped, **typed}) is mode


@pytest.mark.parametrize(
    ("typed", "said", "where"),
    [
        ({}, "nothing is said to be drilled", ""),
        ({"--matrix": False}, "nothing is said to be drilled", ""),
        ({"": ["killed"], "--matrix": True}, "a matrix is held as a whole", "--matrix"),
        ({"": ["killed"], "--seed": 0}, "a matrix is held as a whole", "--seed"),
        ({"--matrix": True, "--coverage": True}, "a matrix run is measured by itself", "--coverage"),
        ({"--matrix": True, "--own": True}, "a matrix is held as a whole", "--own"),
        ({"--coverage": True, "--mutate": True}, "a matrix run is measured by itself", "--coverage"),
        ({"--own": True}, "a matrix run is measured by itself", "--own"),
        ({"--random": True, "": ["killed"]}, "a game day is held by itself", "--random"),
        ({"--random": True, "--jobs": 2}, "a game day is held by itself", "--jobs"),
        ({"--duration": "30s"}, "a game day is held by itself", "--duration"),
        ({"--healthy": 3, "--matrix": True}, "healthy rounds are held by themselves", "--healthy"),
        ({"--healthy": 3, "--seed": 3}, "healthy rounds are held by themselves", "--seed"),
        ({"--stress": True, "": ["killed"]}, "healthy rounds are held by themselves", "--stress"),
    ],
)
def test_what_does_not_go_together_is_refused(typed, said, where):
    """The message names what is out of place, and what would be possible."""
    with pytest.raises(UsageError, match=said) as refused:
        mode_of(typed)
    assert refused.value.where == where
    assert refused.value.allowed
