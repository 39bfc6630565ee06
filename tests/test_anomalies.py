"""An anomaly's ``offset``: where in the sender's stream the field stands, however segments and records cut it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from inspector.document import Connection
from tests.build import (
    Flow,
    certificate,
    certificates,
    client_hello,
    document_of,
    message,
    numbered,
    record,
    server_hello,
    written,
)

START = 10**18
LEAF = certificate("a")
HELLO, GREETING = client_hello(numbered(1)), server_hello(numbered(7), b"")
CHAIN = certificates(LEAF)
LIST_LENGTH = 4
"""Where in a Certificate message the length of its list stands."""

TOO_LONG = CHAIN[:LIST_LENGTH] + bytes((0, 255, 255)) + CHAIN[LIST_LENGTH + 3 :]
UNKNOWN_TYPE = message(77, b"xyz")
FLIGHT = GREETING + TOO_LONG + UNKNOWN_TYPE + message(14, b"")
LIST_AT = len(GREETING) + LIST_LENGTH + 3
TYPE_AT = len(GREETING) + len(TOO_LONG)
"""Where in the flight the mistakes stand: behind the length, where too little is left; and the unknown type."""


def records_of(flight: bytes, ends: list[int]) -> tuple[bytes, list[int]]:
    """A flight in several records, and where in the stream each of its bytes stands."""
    stream = b""
    places: list[int] = []
    for begin, end in zip([0, *ends], [*ends, len(flight)], strict=True):
        places += range(len(stream) + 5, len(stream) + 5 + end - begin)
        stream += record(22, flight[begin:end])
    return stream, places


def analysed(folder: Path, stream: bytes, cuts: list[int]) -> Connection:
    """The server's stream in segments."""
    flow = Flow(40001, START).open().client_says(record(22, HELLO))
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if begin < end:
            flow.server_says(stream[begin:end])
    [connection] = document_of(written(folder, [flow.close()])).connections
    return connection


def places_in(length: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, length - 1), max_size=5, unique=True).map(sorted)


@settings(max_examples=80)
@given(ends=places_in(len(FLIGHT)), data=st.data())
def test_offsets_name_the_byte_in_the_stream(
    ends: list[int], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream, places = records_of(FLIGHT, ends)
    cuts = data.draw(places_in(len(stream)))
    connection = analysed(tmp_path_factory.mktemp("cut"), stream, cuts)
    by_kind = {a.kind: a for a in connection.anomalies if a.kind != "unexpected_message"}
    assert by_kind.keys() == {"malformed", "unknown_message"}
    assert by_kind["malformed"].offset == places[LIST_AT]
    assert by_kind["unknown_message"].offset == places[TYPE_AT]
    assert stream[by_kind["unknown_message"].offset] == UNKNOWN_TYPE[0]


@pytest.mark.parametrize("cuts", [[], [3], [40], [64]])
def test_an_implausible_length_and_a_record_that_is_none(cuts: list[int], tmp_path: Path) -> None:
    endless = record(22, GREETING + bytes((11, 255, 255, 255)) + bytes(9))
    [anomaly] = analysed(tmp_path, endless, cuts).anomalies
    assert (anomaly.kind, endless[anomaly.offset : anomaly.offset + 3]) == ("malformed", b"\xff" * 3)
    no_record = record(22, GREETING) + b"HTTP/1.1 400 Bad Request"
    [anomaly] = analysed(tmp_path, no_record, cuts).anomalies
    assert (anomaly.kind, no_record[anomaly.offset : anomaly.offset + 4]) == ("no_record", b"HTTP")
