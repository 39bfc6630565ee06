"""Which frames that were not opened weaken a verdict: what may carry the service's connections, and nothing else."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest

from inspector.document import Assessment
from inspector.facts import Unopened
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from tests.build import CLIENT, MS, START_NS, VIP, Pool, certificate, document_of, ethernet, facts_of, numbered, pcap
from tests.encapsulations import ethernet as framed, u16, udp
from tests.test_encapsulations import LOST, ORDINARY

A = certificate("puppetdb1", ("puppetdb1.example.com",))
GATEWAYS = ("192.0.2.1", "192.0.2.2")


def ip(ends: tuple[str, str], protocol: int, body: bytes) -> bytes:
    """An Ethernet frame with an IP packet between two addresses."""
    source, target = (ip_address(end).packed for end in ends)
    if len(source) == 16:
        return framed(0x86DD, u16(0x6000, 0, len(body)) + bytes((protocol, 64)) + source + target + body)
    return framed(
        0x0800, b"\x45\0" + u16(20 + len(body), 1, 0) + bytes((64, protocol)) + u16(0) + source + target + body
    )


SEALED = {
    "ESP": (50, b"e" * 60),
    "ESP behind AH": (51, bytes((50, 4)) + bytes(22) + b"e" * 60),
    "ESP in UDP": (17, udp(4500, b"e" * 60, source=4500)),
    "WireGuard": (17, udp(51820, b"\4\0\0\0" + b"w" * 60)),
    "OpenVPN": (17, udp(1194, b"\x48" + b"o" * 60)),
    "IPComp": (108, b"c" * 60),
    "CAPWAP in DTLS": (17, udp(5247, b"\1\0\0\0" + bytes(40))),
}


def verdict(tmp_path: Path, *others: bytes) -> Assessment:
    """Of a service with one certificate, everything of which was seen, beside some other frames."""
    pool = Pool()
    for n in range(3):
        pool.full(A, numbered(n))
        pool.resumed(numbered(n))
    frames = [(s.ns, ethernet(s)) for s in pool.segments()]
    frames[5:5] = [(frames[5][0], other) for other in others]
    path = tmp_path / "beside.pcap"
    path.write_bytes(pcap(frames))
    document = document_of(path)
    assert any(limit.kind == "undecoded" for limit in document.limits) == bool(
        others and facts_of(path).captures[0].undecoded
    )
    (service,) = document.services
    assert service.assessment.state == "protected"
    return service.assessment


def is_weakened(assessment: Assessment) -> bool:
    return "undecoded" in {unseen.kind for unseen in assessment.unseen}


@pytest.mark.parametrize("name", SEALED)
def test_a_tunnel_weakens_what_its_ends_serve(tmp_path: Path, name: str) -> None:
    protocol, body = SEALED[name]
    whole = verdict(tmp_path)
    assert not is_weakened(whole)
    assert whole.grade == "observed"
    assert verdict(tmp_path, ip(GATEWAYS, protocol, body), ip(GATEWAYS[::-1], protocol, body)) == whole
    assert verdict(tmp_path, ip((CLIENT, GATEWAYS[0]), protocol, body)) == whole, "past it the client speaks in clear"
    for ends in ((CLIENT, VIP), (VIP, CLIENT), (GATEWAYS[0], VIP)):
        hidden = verdict(tmp_path, ip(GATEWAYS, protocol, body), ip(ends, protocol, body))
        assert is_weakened(hidden)
        assert hidden.grade == "inferred"


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, (link_type, _, wanted) in LOST.items()
        if link_type == 1 and (wanted[3] not in ("encrypted", "compressed") or n == "MACsec")
    ],
)
def test_what_may_carry_anything_weakens_all(tmp_path: Path, name: str) -> None:
    assert is_weakened(verdict(tmp_path, LOST[name][1]))


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_traffic_weakens_nothing(tmp_path: Path, name: str) -> None:
    assert not verdict(tmp_path, ORDINARY[name]).unseen


def test_ends_are_replaced_in_what_strangers_read(tmp_path: Path) -> None:
    """And facts of before they were kept are read as facts without them."""
    path = tmp_path / "tunnel.pcap"
    path.write_bytes(pcap([(START_NS, ip(GATEWAYS, *SEALED["ESP"]))]))
    disguise = Disguise(b"key")
    (found,) = redacted_facts(facts_of(path), disguise, Remaker(disguise)).captures[0].unopened
    assert found.ends == tuple(disguise.address(ip_address(end).packed) for end in GATEWAYS)
    assert not set(found.ends) & {ip_address(end).packed for end in GATEWAYS}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found[:5]), type=Unopened) == found._replace(ends=())


def test_both_directions_are_one_tunnel_and_many_tunnels_one_kind(tmp_path: Path) -> None:
    protocol, body = SEALED["ESP"]
    ends = [(f"192.0.2.{n}", f"192.0.2.{n + 1}") for n in range(1, 4)]
    path = tmp_path / "tunnels.pcap"
    path.write_bytes(
        pcap(
            [(START_NS + n * MS, ip(way, protocol, body)) for n, pair in enumerate(ends) for way in (pair, pair[::-1])]
        )
    )
    packed = [tuple(ip_address(end).packed for end in pair) for pair in ends]
    assert sorted(facts_of(path).captures[0].unopened) == [
        Unopened("ip_protocol", 50, "ESP", "encrypted", 2, pair) for pair in packed
    ]
    (limit,) = [limit for limit in document_of(path).limits if limit.kind == "undecoded"]
    assert limit.text.endswith("6 of 6 frames were not opened: IP protocol 50 (ESP), encrypted. They may carry TLS")
