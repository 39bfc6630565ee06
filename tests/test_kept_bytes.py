"""Caches and what is kept of long messages are bounded in bytes, and what is not kept is told."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import pickle
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, strategies as st

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import read_pcap
from inspector.errors.bounds import AuthoritiesNotKept, CertificatesNotKept
from inspector.extract.engine import Engine
from inspector.extract.kept_values import STORED_BYTES, KeptValues
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
    """The last ones; of others the digest alone, and how many they are is told."""
    monkeypatch.setattr(bounds, "LIVE_CERTIFICATE_BYTES", 10 * (LONG + STORED_BYTES))
    engine = LiveEngine(10)
    chains = [engine.chain(chain_of(n)) for n in range(12)]
    engine.chain(chain_of(11))
    assert set(engine.facts.certificates) == {chain[0] for chain in chains[2:]}
    assert [chain[0] for chain in chains] == [hashlib.sha256(chain_of(n)[6:]).digest() for n in range(12)]
    assert engine.not_kept() == [CertificatesNotKept(2)]
    assert set(engine.forget_certificates(set(chains[5]))) == {chain[0] for chain in (*chains[2:5], *chains[6:])}
    engine.chain(chain_of(11))
    assert set(engine.facts.certificates) == {chains[5][0], chains[11][0]}
    assert engine.certificates.bytes == 2 * (LONG + STORED_BYTES)


@pytest.mark.parametrize("engine", [Engine, lambda: LiveEngine(10)], ids=["files", "live"])
def test_a_flood_of_certificates_leaves_those_that_come_again(
    engine: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("CERTIFICATE_BYTES", "LIVE_CERTIFICATE_BYTES"):
        monkeypatch.setattr(bounds, bound, 20 * (LONG + 2_000))
    flooded = engine()
    pool = [flooded.chain(chain_of(n))[0] for n in range(3)]
    for n in range(3):
        flooded.chain(chain_of(n))
    for n in range(1_000):
        flooded.chain(chain_of(100 + n))
    assert set(pool) <= set(flooded.facts.certificates)
    assert flooded.chain(chain_of(1_099))[0] in flooded.facts.certificates
    assert flooded.not_kept()[0].count > 900  # type: ignore[union-attr]


VALUES = st.lists(st.tuples(st.sampled_from(["keep", "keep", "find", "retain"]), st.integers(0, 30)), max_size=200)


@given(acts=VALUES, most=st.integers(1, 8))
def test_what_is_kept_never_takes_more_than_its_room(acts: list[tuple[str, int]], most: int) -> None:
    """And the ledger is the sum of it, whatever is done."""
    kept: KeptValues[bytes] = KeptValues(most, 3_000, len)
    values = {bytes([n]): bytes(100 * (n % 7) + 1) for n in range(31)}

    def remembered(keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return {key: values[key] for key in keys}

    for act, n in acts:
        digest = bytes([n])
        if act == "keep":
            kept[digest] = values[digest]
            assert len(values[digest]) > 3_000 or digest in kept
        elif act == "find":
            was = digest in kept
            assert kept.find([digest], remembered).get(digest, values[digest]) == values[digest]
            assert was <= (digest in kept)
        else:
            gone = kept.retain({digest})
            assert set(kept) <= {digest}
            assert digest not in gone
        assert kept.bytes == sum(map(len, kept.values())) <= 3_000
        assert len(kept) <= most
        on_trial = {key: e.size for alike in kept._on_trial._of_weight.values() for key, e in alike.items()}
        proven = {key: e.size for key, e in kept._proven.items()}
        assert {**on_trial, **proven} == {key: len(value) for key, value in kept.items()}
        assert kept._proven_bytes == sum(proven.values()) <= 1_500


@given(sizes=st.lists(st.integers(100_000, 1_000_000), min_size=20, max_size=100), first=st.integers(0, 20))
def test_a_flood_of_large_values_leaves_those_of_ordinary_size(sizes: list[int], first: int) -> None:
    """Each was met once, before the flood and in it."""
    kept: KeptValues[int] = KeptValues(1_000, 2_000_000, lambda size: size)
    ordinary = [b"ordinary %d" % n for n in range(40)]
    for key in ordinary[:first]:
        kept[key] = 1_500
    for n, size in enumerate(sizes):
        kept[b"large %d" % n] = size
        if n < len(ordinary) - first:
            kept[ordinary[first + n]] = 1_500
    assert {*ordinary[: first + len(sizes)]} <= set(kept)
    assert kept.missed == len(sizes) + len(ordinary[: first + len(sizes)]) - len(kept)


def test_many_at_once_go_as_if_they_were_one() -> None:
    kept: KeptValues[bytes] = KeptValues(100_000, 100_000, len)
    kept[b"ordinary"] = bytes(1_500)
    for n in range(2_500):
        kept.meet(b"crumb %d" % n, bytes(500), whole=30_000)
    assert b"ordinary" in kept


def test_twice_in_one_message_is_met_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a flood would prove its own."""
    monkeypatch.setattr(bounds, "LIVE_CERTIFICATE_BYTES", 30_000)
    engine = LiveEngine(10)
    pool = [engine.chain(chain_of(n))[0] for n in range(3) for _ in range(3)]
    for n in range(200):
        ders = [b"%d.%d" % (n, m) for m in range(9)] * 2
        engine.chain(vector(3, b"".join(vector(3, der) for der in ders)))
    assert {*pool} <= {*engine.facts.certificates}
    assert engine.not_kept()


def test_nothing_stays_for_ever_that_is_not_met_again() -> None:
    """Neither a value of ordinary size among large ones, nor a large one among those; what is met again does."""
    kept: KeptValues[int] = KeptValues(100_000, 100_000, lambda size: size)
    for size in (20_000, 1_000):
        kept[b"again"] = kept[b"once"] = 21_000 - size
        kept[b"again"] = 21_000 - size
        for n in range(3_000):
            kept[b"%d of %d" % (n, size)] = size
        assert b"once" not in kept
        assert b"again" in kept
        del kept[b"again"]


def test_in_another_process_it_is_a_dictionary() -> None:
    kept: KeptValues[bytes] = KeptValues(100, 8_000, len)
    kept[b"here"] = b"value"
    sent = pickle.loads(pickle.dumps(kept))
    assert type(sent) is dict
    assert sent == {b"here": b"value"}


def test_no_more_is_recalled_at_once_than_there_is_room_for() -> None:
    past = {bytes([n]): bytes(100) for n in range(200)}

    def remembered(keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return {key: past[key] for key in keys if key in past}

    kept: KeptValues[bytes] = KeptValues(1_000, 20_000, len)
    kept[b"here"] = bytes(450)
    assert len(kept.find([b"here", b"nowhere", *past], remembered)) == 30
    assert len(kept) == 30
    assert kept.missed == len(past) - 29


def test_what_is_recalled_pushes_nothing_out() -> None:
    kept: KeptValues[bytes] = KeptValues(10, 1_000, len)
    kept[b"here"] = bytes(950)
    assert kept.find([b"past"], lambda keys: dict.fromkeys(keys, bytes(100))) == {b"past": bytes(100)}
    assert set(kept) == {b"here"}


def test_what_was_missed_is_counted_as_far_as_it_is_known() -> None:
    kept: KeptValues[bytes] = KeptValues(1, 1_000, len)
    for n in range(bounds.CACHE + 10):
        kept[n.to_bytes(2, "big")] = b"x"
    assert kept.missed == bounds.CACHE
    assert worded(CertificatesNotKept(kept.missed)).endswith(": 4096 or more")
    assert worded(AuthoritiesNotKept(2)).endswith(": 2")


def test_what_is_not_kept_is_a_limit_of_a_live_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LIVE_CERTIFICATE_BYTES", 100)
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
    used = watching.window.tidy()
    assert used is not None
    assert set(used) == set(watching.window.facts.certificates)


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
