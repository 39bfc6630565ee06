"""Bytes of a stream in two versions: named, with both frames; judged by what the receiver can have taken; and where
that cannot be told, nothing definite rests on them. The same live and from files, in batches of any size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inspector import bounds
from inspector.document import Document
from inspector.tls.anomalies import ConflictingSegments
from inspector.wire.checksums import Checksum, checksum_of
from inspector.wire.segments import URG
from tests.build import ACK, PORT, Pool, Segment, document_of, ethernet, facts_of, pcap, written
from tests.test_live_engine import read
from tests.test_regular import told
from tests.versions import IP, KINDS, NO_CONFLICT, TCP, Story, flood, made, other, summed

SERVED = PORT.to_bytes(2, "big")
FIRM = {"acknowledged", "first"}


def analysed(folder: Path, story: Story) -> Document:
    path = folder / "versions.pcap"
    path.write_bytes(pcap(story.frames()))
    return document_of(path)


def conflicts(document: Document) -> list[Any]:
    return [a for c in document.connections for a in c.anomalies if a.kind == "conflicting_segments"]


def taken(folder: Path) -> list[str]:
    facts = facts_of(folder / "versions.pcap")
    found = [a.what for packed in facts.connections for a in facts.unpack(packed).anomalies]
    return [what.version_taken.value for what in found if isinstance(what, ConflictingSegments)]


@pytest.mark.parametrize("name", KINDS)
def test_both_versions_are_named_and_judged(name: str, tmp_path: Path) -> None:
    kind, story = KINDS[name], made(name)
    document = analysed(tmp_path, story)
    found = conflicts(document)
    assert tuple(taken(tmp_path)) == kind.taken
    assert {f"{kind.size} byte{'s' * (kind.size > 1)} came in two versions" in a.text for a in found} == {True}
    frames = [frame for _, frame in story.frames()]
    for anomaly in found:
        first, second = (frames[place[1] - 1] for place in (anomaly.other_frame, anomaly.frame))
        assert first[IP + 12 : TCP + 4] == second[IP + 12 : TCP + 4]  # of one direction
        assert anomaly.other_frame < anomaly.frame
        shown = bytes.fromhex(anomaly.text.split("first ")[1].split(",")[0])
        assert shown in first
        assert first[TCP + 20 :] != second[TCP + 20 :]
    [finding] = [f for f in document.findings if f.rule == "conflicting-segments"]
    assert (finding.verdict, finding.grade) == ("confirmed", "observed")
    assert [e.frames for e in finding.evidence] == [[a.other_frame, a.frame] for a in found]


@pytest.mark.parametrize("name", KINDS)
def test_nothing_definite_rests_on_what_cannot_be_told(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    document = analysed(tmp_path, made(name))
    [service] = document.services
    aborts = [f for f in document.findings if f.rule == "certificate-change-abort"]
    [severity] = [f.severity for f in document.findings if f.rule == "conflicting-segments"]
    if set(kind.taken) <= FIRM:
        assert service.assessment.state == "confirmed"
        assert [f.verdict for f in aborts] == ["confirmed"]
        assert severity == "low"
        return
    assert service.assessment.state == "unknown"
    assert not any(f.verdict == "confirmed" for f in aborts)
    assert severity == "medium"
    assert "conflicting_segments" in {limit.kind for limit in document.limits}
    assert "conflicting_segments" in {unseen.kind for unseen in service.assessment.unseen}


@pytest.mark.parametrize("name", NO_CONFLICT)
def test_what_is_no_conflict(name: str, tmp_path: Path) -> None:
    story = Story()
    NO_CONFLICT[name](story)
    document = analysed(tmp_path, story)
    assert not conflicts(document)
    [service] = document.services
    assert service.assessment.state == "confirmed"


@pytest.mark.parametrize("name", [*KINDS, *NO_CONFLICT])
def test_batches_of_any_size_give_the_same(name: str) -> None:
    """Whole batches are read in columns, and go on segment by segment in the next: both keep what they compare with."""
    story = Story()
    (KINDS[name].make if name in KINDS else NO_CONFLICT[name])(story)
    frames = [(ns, frame, 1 << 16) for ns, frame in story.frames()]
    expected = told(frames, 0, 1 << 20, False)[0]
    for size in (150, 700, 1500, 1 << 20):
        for columns in (0, 1):
            assert told(frames, columns, size, False)[0] == expected
        live, _ = read(frames, 1, size)
        assert live == expected


def test_conflicts_are_bounded_and_more_of_them_prove_nothing(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, flood(500)))
    assert len(conflicts(document)) == bounds.CONFLICTS
    [finding] = [f for f in document.findings if f.rule == "conflicting-segments"]
    assert finding.severity == "medium"


@pytest.mark.parametrize("number", [0, 1])
def test_what_issued_or_resumed_the_session_matters_as_well(number: int, tmp_path: Path) -> None:
    story = Story()
    flow = story.flows[number]
    flight = next(s for s in flow.segments if not s.from_client and s.payload)
    payload = other(flight.payload, 20)
    flow.segments.append(Segment(flight.ns + 10, False, ACK, flight.seq, payload, flow, flight.ack))
    document = analysed(tmp_path, story)
    [abort] = [f for f in document.findings if f.rule == "certificate-change-abort"]
    assert (abort.verdict, abort.severity) == ("possible", "medium")
    assert "two versions" in abort.explanation


def test_urgent_data_is_read_in_two_ways(tmp_path: Path) -> None:
    story = Story()
    story.flight.flags |= URG
    document = analysed(tmp_path, story)
    [anomaly] = [a for c in document.connections for a in c.anomalies if a.kind == "urgent_data"]
    assert (anomaly.offset, anomaly.sender, anomaly.other_frame) == (0, "server", None)
    assert document.services[0].assessment.state == "unknown"
    assert {f.severity for f in document.findings if f.rule == "conflicting-segments"} == {"medium"}
    frames = [(ns, frame, 1 << 16) for ns, frame in story.frames()]
    expected = told(frames, 0, 1 << 20, False)[0]
    for size in (150, 700, 1 << 20):
        assert told(frames, 1, size, False)[0] == expected


def test_an_urgent_flag_alone_says_nothing(tmp_path: Path) -> None:
    story = Story()
    for segment in story.flow.segments:
        segment.flags |= URG if not segment.payload else 0
    document = analysed(tmp_path, story)
    assert not any(c.anomalies for c in document.connections)
    assert document.services[0].assessment.state == "confirmed"


def test_failures_are_possible_where_bytes_came_in_two_versions(tmp_path: Path) -> None:
    pool = Pool()
    flow = pool.server_alert(40)
    alert = next(s for s in flow.segments if not s.from_client and s.payload)
    [before] = [f for f in document_of(written(tmp_path, pool.flows)).findings if f.rule == "handshake-failed"]
    assert (before.verdict, before.grade) == ("confirmed", "observed")
    flow.segments.append(Segment(alert.ns + 10, False, ACK, alert.seq, alert.payload[:-1] + b"\x2a", flow, alert.ack))
    [after] = [f for f in document_of(written(tmp_path, pool.flows)).findings if f.rule == "handshake-failed"]
    assert (after.verdict, after.grade) == ("possible", "inferred")


def test_what_came_first_in_two_captures_nobody_knows(tmp_path: Path) -> None:
    """The acknowledgement that would tell lies in another file."""
    frames = made("acknowledged").frames()
    for name, is_of_server in (("server", True), ("client", False)):
        some = [(ns, frame) for ns, frame in frames if (frame[TCP : TCP + 2] == SERVED) == is_of_server]
        (tmp_path / f"{name}.pcap").write_bytes(pcap(some))
    facts = facts_of(tmp_path / "server.pcap", tmp_path / "client.pcap")
    found = [a.what for packed in facts.connections for a in facts.unpack(packed).anomalies]
    assert [w.version_taken.value for w in found if isinstance(w, ConflictingSegments)] == ["unknown"]
    assert not any(what.is_settled for what in found if isinstance(what, ConflictingSegments))


def test_checksums_of_ipv6() -> None:
    tcp = bytearray(ethernet(Story().flight)[TCP:])
    addresses = bytes(range(32))
    tcp[16:18] = bytes(2)
    summed_up = addresses + len(tcp).to_bytes(4, "big") + b"\0\0\0\6" + tcp + bytes(len(tcp) & 1)
    total = sum(int.from_bytes(summed_up[at : at + 2], "big") for at in range(0, len(summed_up), 2))
    tcp[16:18] = (~(total % 0xFFFF) & 0xFFFF).to_bytes(2, "big")
    ip = b"\x60\0\0\0" + len(tcp).to_bytes(2, "big") + b"\6\x40" + addresses
    head, payload = bytes(tcp[:20]), bytes(tcp[20:])
    assert checksum_of(ip + head, payload) is Checksum.RIGHT
    assert checksum_of(b"link" + ip + head, payload) is Checksum.RIGHT
    assert checksum_of(ip + head, bytes([payload[0] ^ 1]) + payload[1:]) is Checksum.WRONG
    assert checksum_of(ip + head, payload + b"x") is Checksum.UNKNOWN
    assert checksum_of(ip[4:] + head, payload) is Checksum.UNKNOWN
    assert checksum_of(ip[:6] + b"\x11" + ip[7:] + head, payload) is Checksum.UNKNOWN


def test_checksums() -> None:
    story = Story()
    for segment in story.flow.segments:
        frame = ethernet(segment)
        headers, payload = frame[: TCP + 20], frame[TCP + 20 :]
        assert checksum_of(headers, payload) is Checksum.WRONG
        right = summed(frame)
        assert checksum_of(right[: TCP + 20], payload) is Checksum.RIGHT
        assert checksum_of(bytes(8) + right[: TCP + 20], payload) is Checksum.RIGHT
        assert checksum_of(right[: TCP + 20], payload + b"x") is Checksum.UNKNOWN
        assert checksum_of(right[IP + 12 : TCP + 20], payload) is Checksum.UNKNOWN
        if payload:
            assert checksum_of(right[: TCP + 20], bytes([payload[0] ^ 1]) + payload[1:]) is Checksum.WRONG
    assert checksum_of(b"", b"") is Checksum.UNKNOWN
