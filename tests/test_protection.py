"""Record protection: what suites do, what lengths tell, and that only what was sealed with the keys is opened."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings, strategies as st

from inspector.secrets.derivation import expand_label, master_secret, prf, transcript_hash
from inspector.secrets.openers import NotOpened, Suite, Traffic, is_supported, openers
from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.protection import Extent, plaintext_extent, protection_of
from inspector.tls.suite_strength import SuiteStrength, differ_in_strength, strength_of
from tests.sealing import CLIENT, MASTER, SERVER, modern_sealer, sealer, suite_of

LENGTHS = [
    # suite, version, encrypt-then-MAC, record, plaintext (RFC 5246, section 6.2.3; RFC 5288; RFC 6655; RFC 7366; RFC
    # 7905)
    (0xC02F, 0x0303, False, 40, Extent(16, 16)),
    (0xC030, 0x0303, False, 28, Extent(4, 4)),
    (0xC09C, 0x0303, False, 40, Extent(16, 16)),
    (0xC0A0, 0x0303, False, 32, Extent(16, 16)),
    (0xCCA8, 0x0303, False, 32, Extent(16, 16)),
    (0x002F, 0x0303, False, 64, Extent(12, 27)),
    (0x002F, 0x0301, False, 48, Extent(12, 27)),
    (0x002F, 0x0303, True, 68, Extent(16, 31)),
    (0x003C, 0x0303, False, 80, Extent(16, 31)),
    (0x000A, 0x0301, False, 40, Extent(12, 19)),
    (0x003B, 0x0303, False, 48, Extent(16, 16)),
    (0x0005, 0x0301, False, 36, Extent(16, 16)),
    (0xC02F, 0x0303, False, 23, None),
    (0x002F, 0x0303, False, 63, None),
    (0x002F, 0x0303, False, 16, None),
]


@pytest.mark.parametrize(("code", "version", "etm", "length", "expected"), LENGTHS)
def test_lengths(code: int, version: int, etm: bool, length: int, expected: Extent | None) -> None:
    protection = protection_of(code)
    assert protection is not None
    assert plaintext_extent(protection, version, etm, length) == expected


def test_free_padding_widens_the_range() -> None:
    protection = protection_of(0x002F)
    assert protection is not None
    assert plaintext_extent(protection, 0x0303, False, 320, True) == Extent(28, 283)


def test_every_suite_of_the_families_is_known() -> None:
    for code, name in CIPHER_SUITES.items():
        if (
            any(part in name for part in ("_AES_128_", "_AES_256_", "CHACHA20", "_NULL_SHA", "3DES_EDE"))
            and "OCB" not in name
        ):
            protection = protection_of(code)
            assert protection is not None, name
            assert is_supported(protection), name


CLASSIC = [
    *(
        Suite(*rest)
        for rest in [
            (suite_of(c).protection, 0x0303, False)
            for c in (0xC02F, 0xC030, 0xC09C, 0xC09D, 0xC0A0, 0xC0A1, 0xCCA8, 0x003C, 0xC028, 0x002F, 0x003B)
        ]
    ),
    *(suite_of(c, v) for c in (0x002F, 0x0035, 0x000A, 0x0002) for v in (0x0301, 0x0302)),
    *(suite_of(c, 0x0303, encrypt_then_mac=True) for c in (0x002F, 0xC028)),
    suite_of(0x0035, 0x0301, encrypt_then_mac=True),
]
NAMES = [
    f"{s.protection.algorithm}-{s.protection.mode}-{s.protection.tag}-{s.protection.digest}-{s.version:x}-{s.encrypt_then_mac}"
    for s in CLASSIC
]


@pytest.mark.parametrize("suite", CLASSIC, ids=NAMES)
@settings(max_examples=20)
@given(
    plains=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    from_client=st.booleans(),
    padding=st.integers(0, 3),
)
def test_what_was_sealed_is_opened(suite: Suite, plains: list[bytes], from_client: bool, padding: int) -> None:
    seal = sealer(suite, from_client, padding)
    opener = openers(suite, MASTER, CLIENT, SERVER)[0 if from_client else 1]
    for sequence, plain in enumerate(plains):
        body = seal(sequence, 22, plain)
        assert opener.open(sequence, 22, suite.version, body) == plain
        extent = plaintext_extent(suite.protection, suite.version, suite.encrypt_then_mac, len(body), padding > 0)
        assert extent is not None
        assert extent.has(len(plain))


@pytest.mark.parametrize("suite", CLASSIC, ids=NAMES)
@settings(max_examples=20)
@given(
    place=st.integers(0, 1 << 16),
    flip=st.integers(1, 255),
    what=st.sampled_from(["byte", "number", "kind", "cut", "side"]),
)
def test_anything_else_is_not(suite: Suite, place: int, flip: int, what: str) -> None:
    body = bytearray(sealer(suite, True)(7, 22, b"finished" * 3))
    sequence, kind, side = 7, 22, 0
    if what == "byte":
        body[place % len(body)] ^= flip
    elif what == "number":
        sequence += flip
    elif what == "kind":
        kind = 21
    elif what == "cut":
        del body[place % len(body) :]
    else:
        side = 1
    opener = openers(suite, MASTER, CLIENT, SERVER)[side]
    with pytest.raises(NotOpened):
        opener.open(sequence, kind, suite.version, bytes(body))


@pytest.mark.parametrize("code", [0x1301, 0x1302, 0x1303, 0x1304, 0x1305])
@settings(max_examples=30)
@given(
    plain=st.binary(max_size=400),
    kind=st.sampled_from([21, 22, 23]),
    padding=st.integers(0, 8),
    sequence=st.integers(0, 1 << 40),
)
def test_modern_records(code: int, plain: bytes, kind: int, padding: int, sequence: int) -> None:
    suite = suite_of(code, 0x0304)
    secret = b"\7" * (48 if code == 0x1302 else 32)
    traffic = Traffic(suite.protection, suite.digest, secret)
    body = modern_sealer(suite, secret, padding)(sequence, kind, plain)
    assert traffic.open(sequence, 0x0303, body) == (kind, plain)
    assert traffic.inner_type(sequence, body) in (kind, 0)
    if not padding:
        assert traffic.inner_type(sequence, body) == kind
    with pytest.raises(NotOpened):
        traffic.open(sequence + 1, 0x0303, body)
    following = expand_label(suite.digest, secret, "traffic upd", len(secret))
    assert traffic.updated().open(0, 0x0303, modern_sealer(suite, following)(0, kind, plain)) == (kind, plain)


def test_vectors() -> None:
    # the PRF of TLS 1.2 with SHA-256: the vector that the working group's list has had since 2009
    found = prf(
        0x0303,
        "sha256",
        bytes.fromhex("9bbe436ba940f017b17652849a71db35"),
        b"test label",
        bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c"),
        100,
    )
    assert found.hex().startswith("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a")
    # RFC 8448, section 3: the client's handshake traffic key and IV
    secret = bytes.fromhex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
    assert expand_label("sha256", secret, "key", 16).hex() == "dbfaa693d1762c5b666af5d950258d01"
    assert expand_label("sha256", secret, "iv", 12).hex() == "5bd3c71b836e0b76bb73265f"
    long = expand_label("sha256", secret, "key", 80)
    assert long[:32] == hmac.digest(secret, (80).to_bytes(2, "big") + b"\x09tls13 key\0\1", "sha256")
    assert len(long) == 80


def test_extended_master_secret_depends_on_the_transcript() -> None:
    plain = master_secret(0x0303, "sha256", b"p" * 48, CLIENT + SERVER, None)
    first = master_secret(0x0303, "sha256", b"p" * 48, CLIENT + SERVER, transcript_hash(0x0303, "sha256", b"one"))
    second = master_secret(0x0303, "sha256", b"p" * 48, CLIENT + SERVER, transcript_hash(0x0303, "sha256", b"two"))
    assert len({plain, first, second}) == 3
    assert transcript_hash(0x0301, "sha256", b"x") == hashlib.md5(b"x").digest() + hashlib.sha1(b"x").digest()


@pytest.mark.parametrize(
    ("suite", "strength"),
    [
        (0x1301, SuiteStrength(True, True)),
        (0xC02F, SuiteStrength(True, True)),
        (0xC013, SuiteStrength(True, False)),
        (0x009C, SuiteStrength(False, True)),
        (0x002F, SuiteStrength(False, False)),
        (0x0002, SuiteStrength(False, False)),
        (0x0A0A, None),
    ],
)
def test_strength(suite: int, strength: SuiteStrength | None) -> None:
    """What RFC 9325, sections 4.1 and 4.2, asks of a suite."""
    assert strength_of(suite) == strength
    assert differ_in_strength((suite, 0x1301)) == (strength not in (None, SuiteStrength(True, True)))
    assert not differ_in_strength((suite, suite))
