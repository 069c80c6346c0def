"""What `ops drill` can be asked for, one of it at a time, and which options belong to what. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ops_core.errors import UsageError


class Mode(StrEnum):
    """What is to be done; the value is the option that says so, and empty where words do."""

    COVERAGE = "--coverage"
    MUTATE = "--mutate"
    RANDOM = "--random"
    HEALTHY = "--healthy"
    MATRIX = "--matrix"
    WORDS = ""


@dataclass(frozen=True, kw_only=True)
class _About:
    """The options of a mode, what to say where it is mixed with something else, and what would be possible."""

    options: tuple[str, ...]
    what: str
    allowed: str
    next_step: str = ""


MEASURED = _About(
    options=("--run", "--fail-under", "--own"),
    what="a matrix run is measured by itself",
    allowed="ops drill --coverage, or ops drill --mutate, each with --run, --own and --fail-under",
    next_step="ops drill --matrix, which holds one",
)
ABOUT = {
    Mode.COVERAGE: MEASURED,
    Mode.MUTATE: _About(
        options=(*MEASURED.options, "--jobs"),
        what=MEASURED.what,
        allowed=MEASURED.allowed,
        next_step=MEASURED.next_step,
    ),
    Mode.RANDOM: _About(
        options=("--duration", "--seed"),
        what="a game day is held by itself",
        allowed="ops drill --random with --duration and --seed",
    ),
    Mode.HEALTHY: _About(
        options=("--stress",),
        what="healthy rounds are held by themselves",
        allowed="ops drill --healthy N with --stress",
    ),
    Mode.MATRIX: _About(
        options=("--suite", "--fault", "--jobs", "--seed", "--resume", "--strict"),
        what="a matrix is held as a whole, single faults are rehearsed by name",
        allowed="ops drill FAULT..., or ops drill --matrix with --fault, --suite, --jobs, --seed, --resume",
        next_step="ops drill list",
    ),
}


def mode_of(typed: Mapping[str, object]) -> Mode:
    """What was asked for.

    Args:
        typed: options by name, and the words under the empty one; what was not typed is None or False.

    Raises:
        UsageError: nothing was, or what does not go together.
    """
    given = [name for name, value in typed.items() if value is not None and value is not False]
    modes = [mode for mode in Mode if mode.value in given]
    mode = modes[0] if modes else Mode.WORDS
    if len(modes) > 1:
        raise _refused(mode, mode.value)
    own = ABOUT[mode].options if mode in ABOUT else ()
    for name in given:
        if name not in (mode.value, *own):
            raise _refused(mode if mode in ABOUT else _owner(name), name)
    if not modes:
        raise UsageError(
            "nothing is said to be drilled", allowed="faults, --matrix, or --random", next_step="ops drill list"
        )
    return mode


def _owner(option: str) -> Mode:
    """The mode that an option belongs to."""
    return next(mode for mode in (Mode.MATRIX, *ABOUT) if option in ABOUT[mode].options)


def _refused(mode: Mode, where: str) -> UsageError:
    about = ABOUT[mode]
    return UsageError(about.what, where=where, allowed=about.allowed, next_step=about.next_step)
