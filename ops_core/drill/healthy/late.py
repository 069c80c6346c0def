"""Passes packets on, each so much later than it came: a slow line for a kernel that has no netem.

    late.py DESCRIPTOR DELAY_S

The descriptor is that of a TUN device, which routes lead through. What is read from it was sent there; what is written
to it arrives. A script of its own, run by its path on the leash, on the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections import deque

PACKET_BYTES_MAX = 1 << 16
WAITING_MAX = 10_000


def main(arguments: list[str]) -> None:
    """Pass packets on until a signal ends it."""
    device, delay_s = int(arguments[0]), float(arguments[1])
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        left_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([device], [], [], left_s)[0]:
            packet = os.read(device, PACKET_BYTES_MAX)
            # A line that is full loses packets, as any other does.
            if len(waiting) < WAITING_MAX:
                waiting.append((time.monotonic() + delay_s, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            with contextlib.suppress(OSError):
                os.write(device, waiting.popleft()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
