"""One direction put in order, segment by segment: what is handed on, woken and counted."""

from __future__ import annotations

import itertools
import random
from typing import ClassVar

import pytest

from inspector import bounds
from inspector.wire.runs import Run
from inspector.wire.streams import PLAUSIBLE_TAIL, Stream

NEVER = 1 << 60
HELLO = b"\x16\3\1"


class Reader:
    """Writes down what it is told. ``want``: the byte that it needs next; what is before it is passed over."""

    OPENING: ClassVar[int] = 0x16
    SKIPPED: ClassVar[int] = 0x17
    SKIPPED_BYTES: ClassVar[int] = 6

    def __init__(self, want: int = 0) -> None:
        self.want = want
        self.sealed = 0
        self.said: list[str] = []
        self.has_begun = False

    @staticmethod
    def opens(head: bytes, *, at_start: bool) -> bool:
        return head.startswith(HELLO)

    def feed(self, offset: int, chunk: bytes, frame: int, ns: int) -> None:
        self.said.append(f"{offset}: {chunk.decode('latin-1')}")
        self.want = offset + len(chunk)

    def skip_record(self, data: memoryview, at: int, left: int, frame: int, ns: int) -> bool:
        return False

    def skip_records(self, rows: Run, first: int, last: int, origin: int) -> bool:
        return False

    def gap(self, offset: int) -> None:
        self.said.append(f"gap to {offset}")
        self.want = max(self.want, offset)

    def wake(self, offset: int) -> None:
        self.said.append(f"woken at {offset}")
        self.want = min(self.want, offset) if offset else self.want

    def begin_midstream(self) -> None:
        self.said.append("midstream")

    def end(self) -> None:
        self.said.append("end")


def stream_of(want: int = 0) -> tuple[Stream, Reader]:
    reader = Reader(want)
    stream = Stream(reader)
    stream.anchor(1000)
    return stream, reader


def put(stream: Stream, offset: int, data: bytes, length: int | None = None) -> None:
    stream.insert(offset, data, len(data) if length is None else length, offset, 0)


def test_segments_in_any_order() -> None:
    """The same bytes once, whatever the order, the overlaps and the repetitions."""
    whole = b"abcdefghijklmnopqrstuvwxyz"
    for seed in range(50):
        dice = random.Random(seed)
        places = sorted({0, 26, *(dice.randrange(26) for _ in range(dice.randrange(6)))})
        pieces = list(itertools.pairwise(places))
        pieces += [(max(at - dice.randrange(3), 0), end) for at, end in pieces if dice.random() < 0.3]
        dice.shuffle(pieces)
        stream, reader = stream_of()
        for at, end in pieces:
            put(stream, at, whole[at:end])
        stream.finish()
        assert "".join(said.partition(": ")[2] for said in reader.said[:-1]) == whole.decode()
        assert reader.said[-1] == "end"
        assert (stream.received, stream.top, stream.next) == (26, 26, 26)


def test_what_never_comes_is_a_gap() -> None:
    stream, reader = stream_of()
    put(stream, 0, b"ab")
    put(stream, 5, b"fg")
    put(stream, 9, b"jk")
    stream.ends_at(15)
    stream.ends_at(15 + PLAUSIBLE_TAIL)  # damage
    stream.finish()
    assert reader.said == ["0: ab", "gap to 5", "5: fg", "gap to 9", "9: jk", "gap to 15", "end"]
    assert (stream.received, stream.top) == (6, 15)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "REORDER_SEGMENTS", 2)
    stream, reader = stream_of()
    for offset in (8, 4, 6):
        put(stream, offset, b"x")
    assert reader.said == ["gap to 4", "4: x"]
    monkeypatch.setattr(bounds, "REORDER_BYTES", 3)
    put(stream, 20, b"yyyy")
    assert reader.said[2:] == ["gap to 6", "6: x", "gap to 8", "8: x", "gap to 20", "20: yyyy"]


def test_a_frame_that_was_cut_is_a_gap_at_its_end() -> None:
    stream, reader = stream_of()
    put(stream, 0, b"ab", 5)
    put(stream, 5, b"fg")
    assert reader.said == ["0: ab", "gap to 5", "5: fg"]
    assert stream.received == 4


def test_bytes_that_nobody_wants_are_counted_and_late_ones_once() -> None:
    stream, reader = stream_of(want=NEVER)
    put(stream, 0, b"ab")
    put(stream, 10, b"kl")
    put(stream, 20, b"uv")
    assert (stream.received, stream.next) == (6, 22)
    put(stream, 4, b"efg")  # within a hole, twice
    put(stream, 4, b"efg")
    put(stream, 8, b"ijkl")  # at its end
    put(stream, 1, b"bcdefg")  # at its beginning
    put(stream, 12, b"mnopqrst")  # all of another
    assert stream.received == 22 - 1  # the byte at 7 never came
    put(stream, 0, b"abcdefghijklmnopqrstuv")
    assert stream.received == 22
    assert reader.said == []


def test_holes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late bytes of those that are not kept are not counted."""
    monkeypatch.setattr(bounds, "HOLES", 2)
    stream, _ = stream_of(want=NEVER)
    for offset in range(0, 40, 10):
        put(stream, offset, b"x")
    for offset in (1, 11, 21):
        put(stream, offset, b"y")
    assert stream.received == 4 + 2


def test_what_may_be_a_hello_wakes_whoever_wants_nothing() -> None:
    stream, reader = stream_of(want=NEVER)
    put(stream, 0, b"GET /")
    put(stream, 5, HELLO)
    put(stream, 8, b"\x16", 9)
    assert reader.said == [
        "woken at 5",
        f"5: {HELLO.decode('latin-1')}",
        "8: \x16",
        "gap to 17",
    ]
    late, reader = stream_of(want=NEVER)
    put(late, 0, b"")
    put(late, 5, b"", 3)
    assert reader.said == []


@pytest.mark.parametrize("first", [HELLO, b"abc"])
def test_without_a_syn_the_lowest_of_a_few_begins(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "UNANCHORED_SEGMENTS", 3)
    reader = Reader()
    stream = Stream(reader)
    for seq in (506, 503, 500):
        assert not stream.is_next(seq)
        put(stream, stream.offset(seq), first if seq == 500 else b"xyz")
    begun = [] if first == HELLO else ["midstream"]
    assert reader.said == [*begun, f"0: {first.decode('latin-1')}", "3: xyz", "6: xyz"]
    assert stream.initial_sequence() == 499
    assert stream.is_next(509)


def test_a_syn_that_comes_late_says_where_a_stream_begins() -> None:
    reader = Reader()
    stream = Stream(reader)
    put(stream, stream.offset(0), b"cd")
    assert stream.is_placed
    stream.anchor(0xFFFFFFFE)
    stream.anchor(5)  # it is known
    put(stream, 0, b"ab")
    assert reader.said == ["0: ab", "2: cd"]
    assert stream.initial_sequence() == 0xFFFFFFFD
