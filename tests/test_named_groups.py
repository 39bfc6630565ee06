"""In which group keys are exchanged: read from a ServerKeyExchange or a key share, however the frames cut them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from inspector.facts import HandshakeFacts
from inspector.findings.judge import judge
from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.messages import named_curve
from tests.build import (
    CHANGE,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    Pool,
    certificate,
    certificates,
    extension,
    facts_of,
    message,
    numbered,
    record,
    server_hello,
    written,
)
from tests.conftest import find

SUITES = {name: number for number, name in CIPHER_SUITES.items()}
X25519 = 29


@pytest.mark.parametrize(
    ("suite", "beginning", "group"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0x03001D, X25519),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0x030017, 23),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0x01001D, 0),
        ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 0x0300FF, 0),
        ("TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", 0x03001D, 0),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", 0x03001D, 0),
    ],
)
def test_a_curve_is_one_of_suites_that_have_curves(suite: str, beginning: int, group: int) -> None:
    """A prime of 6144 bits begins with the same byte."""
    assert named_curve(SUITES[suite], beginning) == group


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize(
    "name", ["jdk17-abort", "mixed-pool", "mutual-tls", "puppet-tls13", "python-clients", "rotated", "tls10"]
)
def test_groups_are_those_that_tshark_reads(name: str) -> None:
    """By the client's port, of the first handshake that is in clear."""
    fields = ("tcp.dstport", "tls.handshake.server_named_curve", "tls.handshake.extensions_key_share_group")
    answers = "tls.handshake.type == 12 || tls.handshake.type == 2"
    done = subprocess.run(
        ["tshark", "-n", "-r", str(find(name)), "-Y", answers, "-T", "fields", *(w for f in fields for w in ("-e", f))],
        capture_output=True,
        text=True,
        check=True,
    )
    expected: dict[int, int] = {}
    for line in done.stdout.splitlines():
        port, curve, share = line.split("\t")
        if curve or share:
            expected[int(port)] = int((curve or share).split(",")[-1], 0)
    facts = facts_of(find(name))
    read = [facts.unpack(packed) for packed in facts.connections]
    groups = {one.client.port: one.handshake.group for one in read if one.handshake.group}
    assert groups == expected


def test_facts_of_an_earlier_version_are_read() -> None:
    """They end before the group."""
    facts = HandshakeFacts(client_random=b"r" * 32, missing=1, group=X25519)
    shorter = msgspec.msgpack.encode(msgspec.to_builtins(facts, builtin_types=(bytes,))[:-1])
    before = msgspec.msgpack.decode(shorter, type=HandshakeFacts)
    assert (before.client_random, before.missing, before.group) == (b"r" * 32, 1, 0)


def named(group: int) -> bytes:
    """A ServerKeyExchange."""
    return message(12, b"\3" + group.to_bytes(2, "big") + b"s" * 20)


HELLO = server_hello(numbered(7), b"")
FLIGHT = certificates(certificate("a"))
SPOKEN: dict[str, tuple[bytes, bytes, int]] = {
    "the server's": (HELLO + FLIGHT + named(X25519) + DONE, b"", X25519),
    "the client's is none": (HELLO + FLIGHT + named(X25519) + DONE, named(23), X25519),
    "the client's alone": (HELLO + FLIGHT + DONE, named(23), 0),
    "the last one": (HELLO + FLIGHT + named(23) + named(X25519) + DONE, b"", X25519),
    "ahead of the hello": (named(23) + HELLO + FLIGHT + DONE, b"", 0),
    "a key share before TLS 1.3": (
        server_hello(numbered(7), b"", suite=b"\0\x9c", more=[extension(51, b"\0\x1d\0\0")]) + FLIGHT + DONE,
        b"",
        0,
    ),
    "a header alone": (HELLO + b"\x0c\x00\x00\x10", b"", 0),
    "a header and a byte": (HELLO + b"\x0c\x00\x00\x10\x03", b"", 0),
}


@pytest.mark.parametrize("name", SPOKEN)
@pytest.mark.parametrize("goes_on", [True, False])
def test_one_rule_however_many_connections_are_read_at_once(name: str, goes_on: bool, tmp_path: Path) -> None:
    """Few flows are read one by one, many by columns."""
    flight, inserted, group = SPOKEN[name]
    pool = Pool()
    for _ in range(12):
        flow = pool._begin(b"")
        flow.server_says(record(22, flight))
        if inserted:
            flow.client_says(record(22, inserted))
        if goes_on:
            flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED).close()
        pool._end(flow)
    together = facts_of(written(tmp_path, pool.flows))
    assert not together.problems
    assert "internal_errors" not in {limit.kind for limit in judge(together).document.limits}
    groups = [together.unpack(packed).handshake.group for packed in together.connections]
    for number, flow in enumerate(pool.flows):
        alone = facts_of(written(tmp_path, [flow], f"{number}.pcap"))
        assert [alone.unpack(packed).handshake.group for packed in alone.connections] == [group]
    assert groups == [group] * 12
