"""Server-sent events from pieces of any size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.server_sent_events import FAILED, EventReader
from rag.errors import LimitExceeded


def events_of(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    read = [event for piece in pieces for event in reader.read(piece)]
    return read + reader.end()


DATA = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)


@given(
    data=st.lists(st.lists(DATA, min_size=1, max_size=3), max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_where_the_pieces_are_cut_changes_nothing(
    data: list[list[str]], end: str, cuts: list[int]
) -> None:
    stream = "".join(
        "".join(f"data: {line}{end}" for line in lines) + f": comment{end}{end}" for lines in data
    ).encode()
    places = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(places)]

    assert events_of(*pieces) == ["\n".join(lines).encode() for lines in data]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a", [b"a"]),
        (b"data: a\rdata: b\r\r", [b"a\nb"]),
        (b"event: x\nid: 4\nretry: 9\ndata: a\n\n", [b"a"]),
        (b"\n\n\n", []),
        (b"<html>", []),
        (b'error: {"code": 500}\n\n', [FAILED]),
    ],
)
def test_events_are_read_as_the_standard_says(stream: bytes, events: list[bytes]) -> None:
    assert events_of(stream) == events
    assert events_of(*(bytes([byte]) for byte in stream)) == events


def test_an_event_that_never_ends_is_not_kept_for_ever() -> None:
    with pytest.raises(LimitExceeded):
        events_of(*[b"data: " + b"x" * 100_000] * 100)


def test_data_lines_that_never_end_their_event_are_not_kept_for_ever() -> None:
    with pytest.raises(LimitExceeded):
        events_of(*[b"data: " + b"x" * 100_000 + b"\n"] * 100)
