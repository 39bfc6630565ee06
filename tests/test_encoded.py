"""Connections and sessions as JSON by the quick way are, to the byte, what their Structs are encoded as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from inspector import bounds
from inspector.facts import FRAME_BITS, Facts
from inspector.findings.case import Case
from inspector.findings.into_document import encoded, stencils
from inspector.findings.into_document.connection import connection
from inspector.findings.into_document.encoded import EncodedRows
from inspector.findings.into_document.pool import session
from inspector.findings.into_document.stencils import (
    NO_NUMBER,
    NO_TEXT,
    NO_TIME,
    NUMBER,
    TEXT,
    TIME,
    VALUE,
    Stencils,
    stencil,
)
from inspector.findings.judge import judge
from inspector.text.times import LATEST_NS
from tests.build import MS, Pool, certificate, ethernet, facts_of, numbered, pcap, written
from tests.conftest import CAPTURES, bundled, find
from tests.logged import puppet

S = TypeVar("S", bound=Struct)
NAMES = sorted(path.name.partition(".")[0] for path in CAPTURES.glob("*.pcap*"))
TIMES = 3
"""By then a stencil has been made of each kind, and used."""

encode = msgspec.json.encode


def compare(case: Case) -> EncodedRows:
    rows = EncodedRows(case)
    for _ in range(TIMES):
        for observed in case.observed:
            assert rows.connection(observed) == encode(connection(case, observed))
        for entry in case.sessions:
            assert rows.session(entry) == encode(session(case, entry))
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_of_bundled_captures(name: str) -> None:
    compare(bundled(name).case)


@pytest.mark.parametrize("name", ["puppet-session-ids", "puppet-shared-name"])
def test_with_lines_of_logs(name: str) -> None:
    case = puppet(name).case
    assert any(connection(case, observed).logs for observed in case.observed)
    compare(case)


def test_of_several_captures(tmp_path: Path) -> None:
    """The same packets twice, and a connection that begins in one file and ends in the next."""
    one = find("both-legs")
    compare(judge(facts_of(one, one, find("tickets"))).case)
    pool = Pool()
    pool.full(certificate("a"), numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(certificate("b"), numbered(2), numbered(1))
    segments = pool.segments()
    parts = [tmp_path / "first.pcap", tmp_path / "second.pcap"]
    for cut in range(2, len(segments), 5):
        for path, part in zip(parts, (segments[:cut], segments[cut:]), strict=True):
            path.write_bytes(pcap((segment.ns, ethernet(segment)) for segment in part))
        compare(judge(facts_of(*parts)).case)


def test_no_case_at_all() -> None:
    compare(judge(Facts()).case)


def test_nothing_is_described_where_kinds_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    case = bundled("silent-abort").case
    rows = compare(case)
    monkeypatch.delattr(encoded, "connection")
    monkeypatch.delattr(encoded, "session")
    assert [rows.connection(observed) for observed in case.observed]
    assert [rows.session(entry) for entry in case.sessions]


LATEST_PACKED = (1 << 63) - 1
OTHER: dict[str, tuple[object, ...]] = {
    "address": (bytes(16),),
    "port": (1,),
    "events": (b"",),
    "rtt": (None, 0, 5),
    "alpn": (b"h2", b"\xff%b"),
    "offered_ticket": (None, b"", b"\x01" * 32),
    "issued_ticket": (None, b"", b"\x02" * 32),
    "authorities": (None, b"", b"\x03" * 32),
    "level": (None, 1, 2),
    "code": (None, 0, 42, 200),
    "secrets": (None, "", "%s and 100 %"),
    "preamble": ("", "PROXY 1", '"%d"'),
    "first_ns": (-1, 0, LATEST_PACKED),
    "last_ns": (-1, 0, LATEST_PACKED),
    "hello_ns": (0, 1, LATEST_PACKED),
}
"""Values of fields by name, for what a type does not say."""


def others(name: str, value: object) -> Iterator[object]:
    """Values that a field could have instead."""
    if name in OTHER:
        yield from OTHER[name]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (0, value + 1, value + (1 << FRAME_BITS))
    elif isinstance(value, bytes):
        yield from (b"", value + b"\1")
    elif isinstance(value, Struct):
        yield from variants(value)
    elif isinstance(value, tuple) and not hasattr(value, "_fields"):
        yield from ((), value + value[:1])
        yield from ((other, *value[1:]) for item in value[:1] for other in others("", item))
    elif hasattr(value, "_fields"):
        yield None


def variants(row: S) -> Iterator[S]:
    """As it is but for one field."""
    for name in row.__struct_fields__:
        for other in others(name, getattr(row, name)):
            yield replace(row, **{name: other})


@pytest.mark.parametrize("name", ["silent-abort", "tickets", "tls13", "tls10", "mutual-tls", "renegotiations"])
def test_no_field_of_the_facts_is_forgotten(name: str) -> None:
    """Connections that differ in one field from one whose stencil is made."""
    case = bundled(name).case
    facts = Facts(captures=case.facts.captures * 3, certificates=case.facts.certificates)
    legs = [observed.client_leg for observed in (*case.observed[:3], case.observed[-1])]
    legs.append(replace(legs[0], handshake=replace(legs[0].handshake, server_random=b"")))
    for client_leg in legs:
        for variant in (*[client_leg] * TIMES, *variants(client_leg)):
            handshake = variant.handshake
            if handshake.client_random == client_leg.handshake.client_random:  # else all were legs of one connection
                random = numbered(len(facts.connections))
                variant = replace(variant, handshake=replace(handshake, client_random=random))
            facts.add(variant)
    varied = judge(facts).case
    assert len(varied.observed) > 300
    for observed in varied.observed[::2]:
        observed.columns.health_check[observed.index] ^= 1
    compare(varied)


@pytest.mark.parametrize("ns", [None, -MS, LATEST_NS + 1])
def test_sessions_whose_time_is_not_known_or_none(tmp_path: Path, ns: int | None) -> None:
    pool = Pool()
    for number in range(12):
        pool.full(certificate("a"), numbered(number))
    case = judge(facts_of(written(tmp_path, pool.flows))).case
    for entry in case.sessions[::2]:
        entry.issued_ns = ns
    compare(case)


class Row(Struct):
    text: str | None
    number: int | None
    at: str | None
    value: object


def test_a_stencil_is_the_row_with_gaps() -> None:
    row = Row('100 % "b" %b', 5, "at", [1, None])
    assert stencil(row, {}) % () == encode(row)
    gaps = {"text": TEXT, "number": NUMBER, "at": TIME, "value": VALUE}
    made = stencil(row, gaps) % (b"ab", 7, b"2026-11-23T17:10:17", 80, b"[]")
    assert made == encode(Row("ab", 7, "2026-11-23T17:10:17.000000080Z", []))
    nulls = stencil(row, {"text": NO_TEXT, "number": NO_NUMBER, "at": NO_TIME}) % (b"ab", 7, b"", 80)
    assert nulls == encode(Row(None, None, None, [1, None]))


def test_kinds_that_come_again_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CACHE", 3)
    monkeypatch.setattr(stencils, "MOST_MET", 3)
    kept = Stencils()
    assert [kept.is_repeated(kind) for kind in (1, 2, 1, 3, 1, 4, 1, 4)] == [
        *(False, False, True, False, True),
        *(False, False, True),
    ]
    for kind in range(5):
        assert kept.keep(kind, b"%d" % kind) == kept.get(kind) == b"%d" % kind
    assert [kept.get(kind) for kind in range(5)] == [None, None, None, b"3", b"4"]
    monkeypatch.setattr(bounds, "CACHE", 1)
    compare(bundled("mixed-pool").case)
