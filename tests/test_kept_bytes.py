"""Caches and what is kept of long messages are bounded in bytes, and what is not kept is told."""

from __future__ import annotations

import hashlib
import io
import ipaddress

import pytest

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import read_pcap
from inspector.errors.bounds import AuthoritiesNotKept, CertificatesNotKept
from inspector.extract.engine import Engine
from inspector.extract.live_engine import LiveEngine
from inspector.findings.wording import worded
from tests.build import (
    START_NS,
    Flow,
    Pool,
    capture,
    certificate,
    certificate_request,
    client_hello,
    ethernet,
    numbered,
    pcap,
    record,
    server_hello,
    vector,
)
from tests.live import listened

LONG = 1_000


def chain_of(n: int) -> bytes:
    """The body of a Certificate message with one long certificate."""
    return vector(3, vector(3, n.to_bytes(4, "big") * (LONG // 4)))


def test_long_messages_are_known_only_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CACHE_BYTES", 10 * LONG)
    engine = Engine()
    for n in range(100):
        engine.chain(chain_of(n))
        engine.authorities(certificate_request(n.to_bytes(2, "big") * 400)[4:], 0x0303)
        for cache in (engine._chains, engine._requests):
            assert 0 < sum(len(body) for body, _ in cache._known) <= cache._bytes <= 10 * LONG
    assert engine.chain(chain_of(99)) is engine.chain(chain_of(99))


def test_certificates_are_kept_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of others the digest alone, and how many they are is told; where some are forgotten there is room again."""
    monkeypatch.setattr(bounds, "CERTIFICATE_BYTES", 10 * (LONG + bounds.READ_CERTIFICATE_BYTES))
    engine = LiveEngine(10)
    chains = [engine.chain(chain_of(n)) for n in range(12)]
    engine.chain(chain_of(11))
    assert len(engine.facts.certificates) == 10
    assert [chain[0] for chain in chains] == [hashlib.sha256(chain_of(n)[6:]).digest() for n in range(12)]
    assert engine.not_kept() == [CertificatesNotKept(2)]
    engine.forget_certificates(set(chains[0]))
    engine.chain(chain_of(11))
    assert set(engine.facts.certificates) == {chains[0][0], chains[11][0]}


def test_what_is_not_kept_is_a_limit_of_a_live_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CERTIFICATE_BYTES", 100)
    monkeypatch.setattr(bounds, "AUTHORITY_BYTES", 1)
    pool = Pool(request=certificate_request(b"\x30\0"))
    pool.full(certificate("puppetdb1", ("puppetdb1.example.com",)), numbered(1))
    watching, _ = listened(capture(pool.flows))
    assert watching.limits() == [CertificatesNotKept(1), AuthoritiesNotKept(1)]
    assert [worded(limit) for limit in watching.limits()] == [
        "certificates of which nothing but the digest was kept, for there are too many, or they are too large: 1",
        "lists of client certificate authorities of which the names were not kept, for there are too many: 1",
    ]


def test_a_few_large_certificates_that_nothing_uses_go(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.live import window as module

    pool = Pool()
    for n in range(4):
        pool.full(certificate(f"c{n}", (f"c{n}.example.com",)), numbered(n))
    watching, _ = listened(capture(pool.flows), most=1_000)
    assert watching.window.tidy() is None
    monkeypatch.setattr(module, "CERTIFICATE_BYTES", 100)
    assert watching.window.tidy() == set(watching.window.facts.certificates)


def test_addresses_of_which_no_flow_is_open_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is told with another's address for it, however many come."""
    monkeypatch.setattr(bounds, "ADDRESSES", 10)
    engine = LiveEngine(100)
    found = {}
    for n in range(60):
        flow = Flow(40_000 + n, START_NS + n * 3_000_000_000, client=f"2001:db8::{n:x}", server="2001:db8:1::1").open()
        hello = client_hello(numbered(n))
        flow.client_says(record(22, hello)).server_says(record(22, server_hello(numbered(n))))
        if n % 20:
            flow.close()
        frames = [(s.ns, ethernet(s)) for s in flow.segments]
        for batch in read_pcap(ByteSource(io.BytesIO(pcap(frames))), CaptureInfo("test")):
            engine.take(batch)
        settled = engine.settle(flow.ns + 2_000_000_000)
        for connection in (*settled.ended, *engine.decided()):
            found[connection.client.port] = connection.client.address
        assert len(engine._decoder.addresses) <= 12
    found |= {connection.client.port: connection.client.address for connection in engine.close().ended}
    assert found == {40_000 + n: ipaddress.ip_address(f"2001:db8::{n:x}").packed for n in range(60)}
