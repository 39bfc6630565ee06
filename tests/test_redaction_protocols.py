"""Names of protocols for ALPN, redacted: those that are everybody's stay, in packets and facts alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.redaction.messages import Redactor
from inspector.tls import messages
from inspector.tls.registry import PROTOCOLS
from tests.build import Flow, client_hello, extension, facts_of, numbered, record, vector, written

KEY = b"k" * 32
OWN_PROTOCOLS = (b"acme-billing/2", b"spdy/3.1", b"h4", b"\x01\x02\xff", b"http/1.2")


@pytest.mark.parametrize("name", [*sorted(PROTOCOLS), b"\x0a\x0a", b"\xfa\xfa"])
def test_a_protocol_of_everybody_s_stays(name: bytes) -> None:
    assert Disguise(KEY).protocol(name) == name


@pytest.mark.parametrize("name", OWN_PROTOCOLS)
def test_a_protocol_that_somebody_named_is_replaced(name: bytes) -> None:
    new = Disguise(KEY).protocol(name)
    assert len(new) == len(name)
    assert new != name
    assert new not in PROTOCOLS


def test_no_protocol_becomes_a_registered_one() -> None:
    """Of names as short as ``h2`` some would."""
    disguise = Disguise(KEY)
    short = [f"{letter}{digit}".encode() for letter in "abcdefghijklmnopqrstuvwxyz" for digit in range(10)]
    assert {disguise.protocol(name) for name in short if name not in PROTOCOLS}.isdisjoint(PROTOCOLS)


@pytest.mark.parametrize("kind", [16, 17513])
def test_protocols_in_packets_and_facts_become_the_same(kind: int, tmp_path: Path) -> None:
    """ALPN, and application_settings beside it."""
    names = (b"h2", *OWN_PROTOCOLS)
    body = b"".join(vector(1, name) for name in names)
    listed = extension(kind, vector(2, body))
    hello = client_hello(numbered(1), more=(listed,))
    redactor = Redactor(Disguise(KEY))
    new = redactor.message(hello)
    assert len(new) == len(hello)
    for name in OWN_PROTOCOLS:
        assert vector(1, name) not in new
        assert vector(1, redactor.disguise.protocol(name)) in new
    assert vector(1, b"h2") in new
    if kind == 16:
        flow = Flow(40001, 10**18).open().client_says(record(22, hello)).close()
        facts = redacted_facts(facts_of(written(tmp_path, [flow])), redactor.disguise, redactor.certificates)
        [connection] = facts.connections
        offer = facts.unpack(connection).handshake.offer
        assert offer is not None
        assert offer.alpn == messages.client_hello(new[4:]).shape.alpn
        assert offer.ja4 == messages.client_hello(new[4:]).shape.ja4
