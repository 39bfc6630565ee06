"""Redacted packets: what of a direction's bytes is no message, and bytes that were sent twice and not the same."""

from __future__ import annotations

from inspector.facts import PackedEndpoint
from inspector.packets.buffer import BufferedFlow, BufferedFrame
from inspector.redaction.disguise import Disguise
from inspector.redaction.frames import redacted_packets
from inspector.redaction.messages import Redactor
from tests.build import ACK, CHANGE, DONE, NAME, client_hello, numbered, record

ENDS = PackedEndpoint(b"\x0a\0\0\1", 40_000), PackedEndpoint(b"\x0a\0\0\2", 443)
HEADERS = 40
SECRET = bytes(range(0xE3, 0xF3))
HELLO = record(22, client_hello(numbered(1)))


def shown(*payloads: tuple[int, bytes], is_tls13: bool = False) -> list[bytes]:
    """The payloads of a client's segments, redacted; before each where it begins."""
    frames = [
        BufferedFrame(
            frame=number,
            ns=number,
            link_type=1,
            original=len(data),
            data=data,
            payload_at=0,
            payload=data,
            length=len(data),
            seq=1000 + at,
            flags=ACK,
            is_client=True,
        )
        for number, (at, data) in enumerate(payloads, 1)
    ]
    packets = redacted_packets(BufferedFlow(ENDS, frames, [0, 0]), is_tls13, Redactor(Disguise(b"k" * 32)))
    return [p.data[HEADERS:] for p in packets]


def test_a_copy_that_differs_says_nothing_of_what_it_differs_in() -> None:
    """The first one had nothing where the second has a name: what is replaced there must not be undone."""
    name = NAME.encode()
    empty = HELLO.replace(name, bytes(len(name)))
    first, second, third = shown((0, empty), (0, HELLO), (0, empty))
    at = HELLO.index(name)
    assert first == third
    assert (second[:at], second[at + len(name) :]) == (first[:at], first[at + len(name) :])
    assert all(a != b for a, b in zip(first[at : at + len(name)], second[at : at + len(name)], strict=True))
    assert not any(word in second for word in (b"puppet", b"example", b"com"))


def test_alerts_and_changes_in_clear_stay_and_nothing_behind_them() -> None:
    """An alert of more bytes is encrypted, though nothing says so."""
    alerts, change = record(21, b"\1\0\2\x28"), record(20, b"\1" + SECRET)
    sealed = record(21, b"\2" + SECRET)
    data = HELLO + alerts + change + record(21, b"\2\x28") + record(21, b"\1\0\2\x28") + sealed
    (new,) = shown((0, data))
    behind = new[len(HELLO) :]
    assert behind.startswith(alerts + change[:6])
    assert SECRET[:4] not in new
    assert record(21, b"\2\x28") + record(21, bytes(4)) in behind
    (open_one,) = shown((0, HELLO + sealed), is_tls13=True)
    assert open_one.endswith(record(21, bytes(len(SECRET) + 1)))


def test_what_is_no_tls_is_zero() -> None:
    assert shown((0, SECRET)) == [bytes(len(SECRET))]
    (new,) = shown((0, HELLO + CHANGE + record(22, SECRET) + record(22, DONE) + b"\xff" + SECRET))
    assert new.endswith(record(22, bytes(len(SECRET))) + record(22, bytes(4)) + bytes(1 + len(SECRET)))
