"""Certificates re-made: whatever their bytes are, they become others of the same length that name nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings, strategies as st

from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from tests.build import certificate

KEY = b"k" * 32


@given(st.binary(max_size=300))
def test_any_bytes_become_others_of_the_same_length(data: bytes) -> None:
    disguise = Disguise(KEY)
    made = Remaker(disguise).certificate(data)
    assert len(made) == len(data)
    assert made != data or not data
    assert len(disguise.raw(data)) == len(data)


@pytest.mark.parametrize("tag", [0x05, 0x06, 0x17, 0x18])
def test_a_name_under_a_tag_that_names_nobody_is_replaced(tag: int) -> None:
    """NULL, OBJECT IDENTIFIER and times are left as they are, where they are that by their content too."""
    der = certificate("a", ("a.example.com", "b.example.com"), ("10.0.0.1",))
    for name in (b"a.example.com", b"b.example.com"):
        at = der.index(name) - 2
        made = Remaker(Disguise(KEY)).certificate(der[:at] + bytes([tag]) + der[at + 1 :])
        assert len(made) == len(der)
        assert b"example" not in made


@pytest.mark.parametrize("tag", [0x00, 0x02, 0x06, 0x13, 0x16, 0x88])
def test_no_name_survives_a_wrong_byte_wherever_it_stands(tag: int) -> None:
    der = certificate("a", ("a.example.com", "b.example.com"), ("10.0.0.1",))
    for at in range(len(der)):
        made = Remaker(Disguise(KEY)).certificate(der[:at] + bytes([tag]) + der[at + 1 :])
        assert b"example" not in made, at


@given(st.data())
@settings(max_examples=60)
def test_mutated_certificates_become_others(data: st.DataObject) -> None:
    der = bytearray(certificate("a", ("a.example.com", "b.example.com"), ("10.0.0.1",)))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    made = Remaker(Disguise(KEY)).certificate(bytes(der))
    assert len(made) == len(der)
    assert b"example" not in made


ADDRESS = bytes((10, 20, 30, 40))
"""An address whose bytes are all below 0x80, none of them a letter or a digit."""


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


WHERE_ADDRESSES_HIDE: dict[str, x509.ExtensionType] = {
    "where a subject's information is": x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.5.5.7.1.11"),
        _tlv(0x30, _tlv(0x30, _tlv(6, bytes.fromhex("2b06010505073005")) + _tlv(0x87, ADDRESS))),
    ),
    "an octet string": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), _tlv(4, ADDRESS)),
    "no DER": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), ADDRESS),
    "another name": x509.SubjectAlternativeName(
        [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), _tlv(4, ADDRESS))]
    ),
    "what may be text": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), _tlv(4, b"****")),
}


@pytest.mark.parametrize("where", WHERE_ADDRESSES_HIDE)
def test_an_address_survives_nowhere(where: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host-a")])
    der = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 << 70)
        .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2034, 1, 1, tzinfo=UTC))
        .add_extension(WHERE_ADDRESSES_HIDE[where], critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    secret = b"****" if where == "what may be text" else ADDRESS
    assert secret in der
    assert secret not in Remaker(Disguise(b"k" * 32)).certificate(der)


SHORT = certificate("wx", ("qj.zk", "vu.jq"), ("10.0.0.1",), issuer="kz")
OF_NAMES = [range(at, at + len(name)) for name in (b"wx", b"qj.zk", b"vu.jq", b"kz") for at in [SHORT.index(name)]]
EVERY_TAG = (0x01, 0x02, 0x03, 0x05, 0x06, 0x0A, 0x0C, 0x17, 0x30, 0x31, 0x41, 0x61, 0x80, 0x82, 0x87, 0x88, 0xA0, 0xA3)


def _unchanged(der: bytes) -> set[int]:
    """Where a byte stays as it is by design, and not because its replacement happens to be the same."""
    made = [Remaker(Disguise(bytes((n,)) * 32)).certificate(der) for n in range(3)]
    return {at for at, old in enumerate(der) if all(new[at] == old for new in made)}


@pytest.mark.parametrize("byte", EVERY_TAG)
def test_no_short_word_survives_a_wrong_byte_wherever_it_stands(byte: int) -> None:
    """Whatever a damaged certificate's tags and lengths say of a name."""
    for at in range(len(SHORT)):
        unchanged = _unchanged(SHORT[:at] + bytes([byte]) + SHORT[at + 1 :]) - {at}
        for name in OF_NAMES:
            kept = [i for i in name if i in unchanged and SHORT[i] != ord(".")]
            assert not any(i + 1 in kept for i in kept), (at, bytes(SHORT[i] for i in kept))


@pytest.mark.parametrize("number", [14, 15, 16, 19, 35, 36, 37])
def test_no_word_survives_in_an_extension_of_another_number(number: int) -> None:
    """Names stand in it, whatever it should hold."""
    at = SHORT.index(bytes.fromhex("0603551d11")) + 4
    assert not {i for name in OF_NAMES for i in name if SHORT[i] != ord(".")} & _unchanged(
        SHORT[:at] + bytes([number]) + SHORT[at + 1 :]
    )


@pytest.mark.parametrize("first", [0x00, 0x3F, 0x7F, 0x80, 0xBF, 0xFF])
def test_a_serial_of_either_sign_is_replaced(first: int) -> None:
    der = bytearray(certificate("a"))
    at = der.index(bytes.fromhex("a00302010202")) + 6
    number = slice(at + 1, at + 1 + der[at])
    der[number] = bytes([first]) + b"serial12345"[: der[at] - 1]
    assert not set(range(number.start + 2, number.stop)) & _unchanged(bytes(der))
    assert Remaker(Disguise(KEY)).certificate(bytes(der))[number][0] & 0x80 == first & 0x80


def test_a_name_is_replaced_once() -> None:
    """Part of its replacement is what it was: no second look may take that for a word that was left."""
    name = "amxmdse.svc-uptjaevj.example.com"
    new = Disguise(KEY).name(name)
    assert new[3:7] == name[3:7] == "mdse"
    assert new.encode() in Remaker(Disguise(KEY)).certificate(certificate("a", (name,)))
