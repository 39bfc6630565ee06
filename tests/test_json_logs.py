"""Lines that are JSON objects, and journald's export format: what is read of whatever members they have."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from inspector.logs.journald import MOST_BYTES, MOST_LINES, Exported
from inspector.logs.opened import OpenedLog
from inspector.logs.records import LogRecord, stamp_of
from inspector.logs.stamps import Stamp

AT = {"@timestamp": "2026-11-23T17:10:17.080Z"}
WHEN = b"2026-11-23T17:10:17.080Z"


NESTED = pytest.param(b'{"a":' * 100_000, id="nested")


@pytest.mark.parametrize("line", [b"[1, 2]", b'"text"', b"1", b"null", b"{", b"", b'{"a": "\xff"}', NESTED])
def test_what_is_no_object_is_no_record(line: bytes) -> None:
    with pytest.raises(ValueError):
        LogRecord(line)


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"level": "WARN", "thread": "t", "logger": "a.B"}, b"WARN  [t] [a.B] x"),
        ({"level": "warning", "logger": "a.B"}, b"WARN  [a.B] x"),
        ({"level": "SEVERE", "thread": "[t 1]"}, b"ERROR [_t_1_] [] x"),
        ({"level": "odd", "severity": "ERROR", "thread": "t"}, b"ERROR [t] [] x"),
        ({"level": ["WARN"], "severity": "ERROR", "thread": "t"}, b"ERROR [t] [] x"),
        ({"level": 4, "short_message": "x", "_thread": "t"}, b"WARN  [t] [] x"),
        ({"log": {"level": "WARN"}, "thread": "t"}, b"WARN  [t] [] x"),
        ({"level": "odd", "thread": "t"}, None),
        ({"level": 4, "thread": "t"}, None),
        ({"level": 8, "short_message": "x", "thread": "t"}, None),
        ({"level": "WARN"}, None),
        ({"level": "WARN", "thread": 5}, None),
        ({"thread": "t"}, None),
    ],
)
def test_a_line_is_composed_of_its_parts(members: dict[str, Any], line: bytes | None) -> None:
    record = LogRecord(json.dumps({"message": "x"} | AT | members).encode())
    assert record.composed() == (None if line is None else WHEN + b" " + line)
    untimed = LogRecord(json.dumps({"message": "x"} | members).encode())
    assert untimed.composed() is None


FAILED = {"class": "a.Failed", "message": "why"}


@pytest.mark.parametrize(
    ("trace", "lines"),
    [
        ("a.Failed: why\n\tat b", ["a.Failed: why", "\tat b"]),
        (["a.Failed: why", 5, "\tat b\n\tat c", None], ["a.Failed: why", "\tat b", "\tat c"]),
        (FAILED, ["a.Failed: why"]),
        ({"name": "a.Failed"}, ["a.Failed"]),
        ({"message": "why", "stack_trace": "\tat b"}, ["\tat b"]),
        (FAILED | {"stackTrace": ["\tat b"]}, ["a.Failed: why", "\tat b"]),
        (FAILED | {"cause": FAILED}, ["a.Failed: why", "Caused by: a.Failed: why"]),
        (FAILED | {"cause": "of no shape"}, ["a.Failed: why"]),
        (FAILED | {"cause": {"cause": FAILED}}, ["a.Failed: why", "Caused by: a.Failed: why"]),
        (5, []),
        ({}, []),
    ],
)
def test_an_exception_stands_on_lines_of_its_own(trace: object, lines: list[str]) -> None:
    record = LogRecord(json.dumps({"message": "x\n", "exception": trace}).encode())
    assert record.raw() == "\n".join(["x", *lines]).encode()


def test_causes_of_causes_end() -> None:
    nested: dict[str, Any] = FAILED
    for _ in range(20):
        nested = FAILED | {"cause": nested}
    lines = LogRecord(json.dumps({"message": "x", "exception": nested}).encode()).raw().split(b"\n")
    assert lines == [b"x", b"a.Failed: why", *[b"Caused by: a.Failed: why"] * 4]


SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"epochSecond": 1_795_000_000, "nanoOfSecond": 5}, Stamp(1_795_000_000 * SECOND + 5, True, 1)),
        ({"seconds": 1_795_000_000, "nanos": 0}, Stamp(1_795_000_000 * SECOND, True, 1)),
        ({"seconds": 1_795_000_000, "nanos": SECOND}, None),
        ({"seconds": 1_795_000_000, "nanos": -1}, None),
        ({"seconds": "1795000000", "nanos": 0}, None),
        ({"seconds": 17, "nanos": 0}, None),
        ({}, None),
        (1_795_000_000, Stamp(1_795_000_000 * SECOND, True, SECOND)),
        (1_795_000_000.25, Stamp(1_795_000_000 * SECOND + SECOND // 4, True, SECOND // 100)),
        (1e300, None),
        (True, None),
        ([1_795_000_000], None),
        (None, None),
        ("no time", None),
    ],
)
def test_times_of_every_kind(value: object, expected: Stamp | None) -> None:
    assert stamp_of(value) == expected


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (list(b"a\xffb"), b"a\xffb"),
        ([256], None),
        ([], None),
        (["a"], None),
        ({"text": "a"}, None),
    ],
)
def test_a_message_may_be_bytes(message: object, text: bytes | None) -> None:
    record = LogRecord(json.dumps({"MESSAGE": message, "_HOSTNAME": "h", "_PID": 5}).encode())
    assert record.raw() == (text or b"")
    assert (record.text is None) == (text is None)
    assert record.source == b"h"


def exported(*lines: bytes) -> list[OpenedLog]:
    """The entries of an export, all of whose lines belong to it."""
    reader, entries = Exported(), []
    for line in lines:
        assert reader.accepts(line)
        entry = reader.entry()
        entries += [entry] if entry is not None else []
    return entries


def binary(name: bytes, value: bytes) -> list[bytes]:
    return [name, *(len(value).to_bytes(8, "little") + value).split(b"\n")]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x",
        b"two\nlines",
        b"\n\n\n",
        b"ten bytes\n",  # its length is a line end itself
        b"y" * 0x0A0A,
        b"MESSAGE=not this\n\n__CURSOR=nor this",
    ],
)
def test_a_value_with_a_length_is_read_whatever_is_in_it(value: bytes) -> None:
    lines = [b"__CURSOR=x", *binary(b"MESSAGE", value), b"_HOSTNAME=h", b""]
    assert exported(*lines) == [OpenedLog(value, None, b"h//")]


def test_a_value_is_cut_where_nobody_writes_more() -> None:
    endless = [b"__CURSOR=x", b"MESSAGE", b"\xff" * 8 + b"z" * (MOST_BYTES - 1), b"z", b""]
    [entry] = exported(*endless)
    assert entry.text == b"z" * (MOST_BYTES - 1) + b"\nz"
    [shown] = exported(b"__CURSOR=x", *[b"_PID=7"] * (MOST_LINES - 2), b"MESSAGE=m", b"MESSAGE=behind the last line")
    assert shown == OpenedLog(b"m", None, b"//7")


def test_a_line_more_of_a_value_costs_no_more_than_it_is_long() -> None:
    reader = Exported()
    for line in (b"__CURSOR=x", b"MESSAGE", b"\xff" * 8, *[b"z" * 60_000] * 10):
        assert reader.accepts(line)
    tracemalloc.start()
    for _ in range(10):
        reader.accepts(b"z")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 400_000  # it may grow once


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        ([b"__REALTIME_TIMESTAMP=1795000000000005"], 1_795_000_000_000_005_000),
        ([b"__REALTIME_TIMESTAMP=5", b"_SOURCE_REALTIME_TIMESTAMP=7"], 7000),
        ([b"__REALTIME_TIMESTAMP=" + b"9" * 17], None),
        ([b"__REALTIME_TIMESTAMP=-5"], None),
        ([b"__REALTIME_TIMESTAMP="], None),
    ],
)
def test_the_time_of_an_entry(lines: list[bytes], at: int | None) -> None:
    [entry] = exported(*lines, b"MESSAGE=m", b"")
    assert entry.at == (None if at is None else Stamp(at, True, 1000))


def test_what_is_no_entry() -> None:
    assert exported(b"__CURSOR=x", b"_PID=7", b"") == []
    reader = Exported()
    assert not reader.accepts(b"MESSAGE=m")
    assert not reader.is_begun
    assert reader.accepts(b"__CURSOR=x")
    assert not reader.accepts(b"a line of another program")
    assert not reader.accepts(b"MESSAGE=m")
    assert reader.entry() is None
