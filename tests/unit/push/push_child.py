"""A live fire in a process of its own that can be killed at a named point: `push_child.py ROOT PHASE COUNT`.

The process kills itself the way nobody can prepare for, at the COUNT-th time that the live fire passes PHASE.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from push_world import MONDAY

from ops_core.clock import ManualClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.push import fire


def main() -> None:
    root, phase, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    settings = load_settings(root / "ops.toml", environ={})

    def pause(at: str) -> None:
        nonlocal left
        if at == phase:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    plane = plane_of(settings, ManualClock(MONDAY), "kim")
    print(json.dumps(fire(settings, plane, authorised=True, pause=pause)))


if __name__ == "__main__":
    main()
