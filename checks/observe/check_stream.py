"""Does the event stream say anything?"""

import pytest

from ops_core import StreamEvidence, finding


@pytest.mark.observe
@finding("stream.silent")
def check_stream_says_something(stream: StreamEvidence) -> None:
    """The event stream answers 200 and sends bytes, if only a heartbeat, within its window."""
    assert stream.status == 200 and stream.size_bytes > 0, stream.explain()
