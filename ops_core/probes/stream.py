"""Does the event stream say anything?"""

from __future__ import annotations

from ops_core.evidence import StreamEvidence
from ops_core.probes.instruments.sse import SseInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target


@probe(budget_s=20, needs="stream_url")
async def stream(target: Target, sse: SseInstrument) -> StreamEvidence:
    """Watch the event stream until its first event or heartbeat, at most for the target's `stream_window_s`."""
    assert target.stream_url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    return await sse.watch(target.stream_url, window_s=target.stream_window_s)
