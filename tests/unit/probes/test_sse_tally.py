"""An event stream counts the same however the network cuts it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ops_core.probes.instruments.sse import EXCERPT_BYTES, PENDING_MAX_BYTES, Tally

line = st.sampled_from(
    [b": ping", b":", b"data: x", b"data", b"data:", b"event: e", b"id: 1", b"retry: 5", b"", b"dataset", b"x:data:"]
)
ending = st.sampled_from([b"\n", b"\r\n", b"\r"])
streams = st.lists(st.tuples(line, ending), max_size=30).map(lambda parts: b"".join(a + b for a, b in parts))
cuts = st.lists(st.integers(0, 400), max_size=20)


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(stream)) for place in at})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


def counts(tally: Tally) -> tuple[int, int, int, bytes]:
    return tally.size_bytes, tally.events, tally.comments, tally.excerpt


def oracle(stream: bytes) -> tuple[int, int]:
    """Events and comments, by the letter of the standard, of the lines that are complete."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = text.split(b"\n")[:-1]
    events = comments = 0
    data = False
    for one in lines:
        if one.startswith(b":"):
            comments += 1
        elif one.split(b":")[0] == b"data":
            data = True
        elif not one:
            events += data
            data = False
    return events, comments


@given(streams, cuts, st.booleans())
@example(b"data: x\r\n\n", [8, 9], False)
@example(b"data: x\r\n\r\n", list(range(20)), False)
@example(b": a\n\n", [1, 2, 3], True)
def test_any_cutting_gives_the_same_counts(stream: bytes, at: list[int], marked: bool) -> None:
    """In one piece, in any pieces, byte by byte: the same, and what the standard says."""
    stream = b"\xef\xbb\xbf" * marked + stream
    whole, cut, bytewise = Tally(), Tally(), Tally()
    whole.feed(stream)
    for part in pieces(stream, at):
        cut.feed(part)
    for index in range(len(stream)):
        bytewise.feed(stream[index : index + 1])
    assert counts(whole) == counts(cut) == counts(bytewise)
    assert (whole.events, whole.comments) == oracle(stream)


@given(st.integers(1, 5))
def test_a_line_without_end_is_kept_in_bounds_and_keeps_its_kind(size: int) -> None:
    """A megabyte of one line is not held in memory, and is still a comment, or data, when it ends."""
    comment, data = Tally(), Tally()
    comment.feed(b": ")
    data.feed(b"data: ")
    for _ in range(20):
        comment.feed(b"x" * (PENDING_MAX_BYTES // size))
        data.feed(b"x" * (PENDING_MAX_BYTES // size))
    assert len(comment._pending) <= PENDING_MAX_BYTES
    comment.feed(b"\n")
    data.feed(b"\n\n")
    assert (comment.comments, data.events) == (1, 1)
    assert len(data.excerpt) == EXCERPT_BYTES
