"""What leads: what failed, worst first and where; else a member that makes its clients pay; else Java's rule. Each
sentence says which error it means.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.document import Assessment
from tests.build import NAME, document_of, written
from tests.odd_pools import PADDED, PLANTED, Caller, Member, Recording, leaf, pool_of

A, B, C = pool_of(3)
OLD = Caller("10.0.0.12", alpn="h2", staples=True)
MODERN = Caller("10.0.0.13", java=True, versions=(0x0304, 0x0303))
CBC = b"\xc0\x23"


def assessment(tmp_path: Path, caller: Caller, members: list[Member], times: int = 8) -> Assessment:
    recording = Recording(random.Random(5))
    for _ in range(times):
        for member in members:
            recording.call(caller, member)
    return document_of(written(tmp_path, recording.flows)).services[0].assessment


NONE = "No connection failed;"
REACHED = "which 8 of 24 connections reach, is the odd one in"
ALIKE = "Protected: Java's certificate change cannot happen here."
FAILED = "8 of 24 connections failed, all at back end"
EXPIRED = "the server's certificate has expired, says the client: alert certificate_expired (45) from the client."

LEADS = [
    ("nobody", OLD, [A, B, C], ALIKE),
    (
        "slow",
        OLD,
        [A, PLANTED["latency"](B), C],
        f"{NONE} back end B (db77.example.com), {REACHED} latency: the ClientHello is answered after ",
    ),
    (
        "slow, at nobody",
        MODERN,
        [A, PLANTED["latency"](B), C],
        f"{ALIKE} The pool is mixed in latency.",
    ),
    (
        "weaker suite",
        OLD,
        [A, replace(B, suite=CBC), C],
        f"{NONE} back end B (db1.example.com), {REACHED} cipher suite: TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, ",
    ),
    (
        "other suite as strong",
        OLD,
        [A, PLANTED["cipher"](B), C],
        f"{ALIKE} Back end B (db77.example.com) is the odd one in cipher suite.",
    ),
    (
        "two things, as good",
        OLD,
        [A, replace(PLANTED["alpn"](B), staples=False), C],
        f"{ALIKE} Back end B (db77.example.com) is the odd one in application protocol (ALPN) and OCSP stapling.",
    ),
    (
        "older version",
        MODERN,
        [A, replace(B, version=0x0303), C],
        f"{NONE} back end A (db1.example.com), {REACHED} versions: TLSv1.2, elsewhere TLSv1.3.",
    ),
    ("asks again", MODERN, [A, replace(B, retries=True), C], f"{ALIKE} The pool is mixed in key exchange group."),
    (
        "expired",
        OLD,
        [A, PLANTED["validity"](B), C],
        f"{FAILED} B (db77.example.com): {EXPIRED}",
    ),
    (
        "expired, at two of three",
        OLD,
        [A, PLANTED["validity"](B), replace(PLANTED["validity"](C), leaf=leaf(78, (NAME,), (-800, -3)))],
        f"16 of 24 connections failed, all at back ends B, C: {EXPIRED}",
    ),
    (
        "expired, and another one slow",
        OLD,
        [A, PLANTED["validity"](B), replace(C, wait=80)],
        f"{FAILED} B (db77.example.com): {EXPIRED} Back end C (db2.example.com) is the odd one in latency.",
    ),
    (
        "rejected without a word",
        MODERN,
        [A, replace(B, certificate_bytes=420, rejected_with=PADDED), C],
        "8 of 24 connections failed: the client rejected the server's flight, most likely its certificate: its only",
    ),
]


@pytest.mark.parametrize(("caller", "members", "begins"), [row[1:] for row in LEADS], ids=[row[0] for row in LEADS])
def test_what_leads(caller: Caller, members: list[Member], begins: str, tmp_path: Path) -> None:
    found = assessment(tmp_path, caller, members)
    assert found.sentence.startswith(begins)
    has_failed = "connections failed" in begins
    assert found.state == ("not_this" if has_failed else "protected")
    if not begins.startswith(ALIKE):
        assert found.because[-1].startswith("Java's certificate change: protected, because ")
        assert found.do != "nothing"


def test_since_when_is_said_where_it_changed(tmp_path: Path) -> None:
    recording = Recording(random.Random(5))
    for number in range(60):
        slow = replace(B, wait=80 if number > 30 else 0)
        recording.call(OLD, (A, slow, C)[number % 3])
    found = document_of(written(tmp_path, recording.flows)).services[0].assessment
    assert "is the odd one in latency since 22:13:2" in found.sentence
