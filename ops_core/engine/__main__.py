"""`python -m ops_core.engine SOCKET VERB NAME …`: the steps of a remediation on a container.

    stop NAME              stop it
    start NAME             start it
    draft NAME IMAGE-ID    make it anew from an image, beside it
    swap NAME OTHER        give its name to another container

The exit status is 0 when it is done, 1 when the engine refused, 3 when it cannot be asked, 64 for bad usage. What
really came of it is for whoever looks at the outcome.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops_core.engine import acting
from ops_core.engine.asking import Engine, EngineUnanswered
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, EXIT_USAGE, OpsError

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}")
_ACTS: Mapping[str, tuple[Callable[..., str], int]] = {
    "stop": (acting.stop, 1),
    "start": (acting.start, 1),
    "draft": (acting.draft, 2),
    "swap": (acting.swap, 2),
}


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say."""
    socket, verb, *words = (*arguments, "", "")[: max(2, len(arguments))]
    act, count = _ACTS.get(verb, (None, 0))
    if act is None or len(words) != count or not all(_WORD.fullmatch(word) for word in words):
        sys.stderr.write(f"usage: python -m ops_core.engine SOCKET {'|'.join(_ACTS)} NAME …\n")
        return EXIT_USAGE
    try:
        sys.stdout.write(act(Engine(Path(socket)), *words) + "\n")
    except EngineUnanswered as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    except OpsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FINDINGS
    return EXIT_DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
