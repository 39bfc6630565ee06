"""Tables of bytes: handshake messages as they stand in the RFCs, what is read of them, and the tree that
a person sees.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

import pytest

from inspector import bounds
from inspector.tls import messages
from inspector.tls.message_cache import MessageCache
from inspector.tls.reader import Malformed
from inspector.tls.tree import alert_tree, flattened, handshake_tree
from tests.build import certificates, client_hello, extension, message, numbered, server_hello, vector

LIST13 = vector(1, b"") + vector(
    3, vector(3, b"leaf") + vector(2, b"") + vector(3, b"authority") + vector(2, extension(5, b"ocsp"))
)
NAMES = vector(2, vector(2, b"first") + vector(2, b"second"))
ALPN_H2 = extension(16, vector(2, vector(1, b"h2")))
TICKET13 = b"\0\0\x0e\x10" + b"\0\0\0\7" + vector(1, b"n") + vector(2, b"ticket") + vector(2, b"")


def packed(data: bytes, algorithm: int = 1, length: int | None = None) -> bytes:
    """A CompressedCertificate (RFC 8879, section 4)."""
    return (
        algorithm.to_bytes(2, "big")
        + (len(data) if length is None else length).to_bytes(3, "big")
        + vector(3, zlib.compress(data))
    )


READ: dict[str, tuple[Callable[[bytes], object], bytes, object]] = {
    "certificate": (messages.certificate, certificates(b"leaf", b"authority")[4:], (b"leaf", b"authority")),
    "certificate of TLS 1.3": (messages.certificate13, LIST13, (b"leaf", b"authority")),
    "compressed certificate": (messages.compressed_certificate, packed(LIST13), LIST13),
    "authorities of TLS 1.1": (
        lambda body: messages.certificate_authorities(body, 0x0302),
        vector(1, b"\1") + NAMES,
        NAMES[2:],
    ),
    "authorities of TLS 1.2": (
        lambda body: messages.certificate_authorities(body, 0x0303),
        vector(1, b"\1") + vector(2, b"\4\3") + NAMES,
        NAMES[2:],
    ),
    "authorities of TLS 1.3": (
        messages.certificate_authorities13,
        vector(1, b"") + vector(2, extension(13, vector(2, b"\4\3")) + extension(47, NAMES)),
        NAMES[2:],
    ),
    "no authorities in TLS 1.3": (
        messages.certificate_authorities13,
        vector(1, b"") + vector(2, b""),
        b"",
    ),
    "encrypted ALPN": (messages.encrypted_alpn, vector(2, extension(10, vector(2, b"\0\x17")) + ALPN_H2), b"h2"),
    "no encrypted ALPN": (messages.encrypted_alpn, vector(2, extension(10, vector(2, b"\0\x17"))), None),
    "ticket": (messages.session_ticket, b"\0\0\1\x2c" + vector(2, b"ticket"), messages.SessionTicket(300, b"ticket")),
    "ticket of TLS 1.3": (messages.session_ticket13, TICKET13, b"ticket"),
    "session id of a beginning": (
        messages.beginning_session_id,
        client_hello(numbered(1), numbered(2))[4:80],
        numbered(2),
    ),
    "session id that is cut": (messages.beginning_session_id, client_hello(numbered(1), numbered(2))[4:50], b""),
    "no session id": (messages.beginning_session_id, b"\3\3", b""),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name: str) -> None:
    read, body, expected = READ[name]
    assert read(body) == expected


REFUSED: dict[str, tuple[bytes, str]] = {
    "another algorithm": (packed(LIST13, algorithm=2), "algorithm 2"),
    "a length beyond all bounds": (packed(LIST13, length=bounds.MESSAGE_BYTES + 1), "certificate message of"),
    "a length that is not its own": (packed(LIST13, length=len(LIST13) - 1), "its length"),
    "bytes that are not compressed": (b"\0\1\0\0\4" + vector(3, b"none"), "header"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_compressed_certificates_that_are_refused(name: str) -> None:
    body, why = REFUSED[name]
    with pytest.raises(Malformed, match=why):
        messages.compressed_certificate(body)


def test_a_hello_in_sslv2_framing() -> None:
    body = b"\1\3\1\0\x09\0\4\0\x10" + b"\0\0\x2f\7\0\xc0\0\0\xff" + b"same" + b"c" * 16
    hello = messages.sslv2_client_hello(body)
    assert (hello.shape.legacy_version, hello.shape.cipher_suites) == (0x0301, (0x2F, 0xFF))
    assert hello.shape.secure_renegotiation
    assert (hello.session_id, hello.random) == (b"same", bytes(16) + b"c" * 16)


def test_an_answer_of_an_early_draft_has_neither_session_id_nor_compression() -> None:
    answer = messages.server_hello(b"\x7f\x12" + numbered(1) + b"\x13\x01" + vector(2, b""))
    assert (answer.shape.version, answer.shape.cipher_suite, answer.session_id) == (0x7F12, 0x1301, b"")


def test_of_several_names_the_first_host_name_counts() -> None:
    def hello(*names: bytes) -> messages.ClientHello:
        listed = vector(2, extension(0, vector(2, b"".join(names))))
        return messages.client_hello(b"\3\3" + numbered(1) + b"\0" + vector(2, b"\x13\x01") + b"\1\0" + listed)

    assert (
        hello(
            b"\1" + vector(2, b"other"), b"\0" + vector(2, b"a.example"), b"\0" + vector(2, b"b.example")
        ).shape.server_name
        == b"a.example"
    )
    assert hello(b"\1" + vector(2, b"other")).shape.server_name is None


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CACHE", 2)
    for name in ("_clients", "_patterns", "_servers", "_shapes"):
        monkeypatch.setattr(messages, name, MessageCache())
    for number in range(9):
        name = f"{number}.example.com"
        others = extension(1000 + number // 2)
        hello = messages.client_hello(client_hello(numbered(1), name=name, more=(others,))[4:])
        assert hello.shape.server_name == name.encode()
        answer = messages.server_hello(server_hello(numbered(1))[4:-1] + bytes([number]))
        assert answer.shape.version == 0x0303
        caches = (messages._clients, messages._patterns, messages._servers, messages._shapes)
        assert all(len(cache._known) <= 2 for cache in caches)


def hello_with(*extensions: bytes) -> bytes:
    listed = vector(2, b"".join(extensions))
    return message(1, b"\3\3" + numbered(1) + b"\0" + vector(2, b"\x13\x01") + b"\1\0" + listed)


TREES: dict[str, tuple[bool, bytes, dict[str, str | None]]] = {
    "certificate of TLS 1.3": (
        True,
        message(11, LIST13),
        {"Certificate.certificate_list.[0]": f"4 bytes, SHA-256 {hashlib.sha256(b'leaf').hexdigest()}"},
    ),
    "request of TLS 1.3": (
        True,
        message(13, vector(1, b"") + vector(2, extension(13, vector(2, b"\4\3")))),
        {
            "CertificateRequest.extensions.signature_algorithms (13).supported_signature_algorithms.[0]": (
                "ecdsa_secp256r1_sha256 (0x0403)"
            )
        },
    ),
    "request of TLS 1.1": (
        False,
        message(13, vector(1, b"\1\x40") + NAMES),
        {
            "CertificateRequest.certificate_types.[1]": "ecdsa_sign (0x40)",
            "CertificateRequest.certificate_authorities.[0]": b"first".hex(),
        },
    ),
    "request of TLS 1.2": (
        False,
        message(13, vector(1, b"\1") + vector(2, b"\4\3") + NAMES),
        {"CertificateRequest.certificate_authorities.[1]": b"second".hex()},
    ),
    "ticket of TLS 1.3": (
        True,
        message(4, TICKET13),
        {"NewSessionTicket.ticket_lifetime": "3600 seconds (0x00000e10)", "NewSessionTicket.ticket_nonce": "6e"},
    ),
    "ticket": (
        False,
        message(4, b"\0\0\1\x2c" + vector(2, b"ticket")),
        {"NewSessionTicket.ticket_lifetime_hint": "300 seconds (0x0000012c)"},
    ),
    "verify": (
        True,
        message(15, b"\4\3" + vector(2, b"sign")),
        {"CertificateVerify.algorithm": "ecdsa_secp256r1_sha256 (0x0403)"},
    ),
    "key update": (True, message(24, b"\1"), {"KeyUpdate.request_update": "update_requested (0x01)"}),
    "encrypted extensions": (
        True,
        message(8, vector(2, ALPN_H2 + extension(0))),
        {"EncryptedExtensions.extensions.server_name (0)": "empty"},
    ),
    "key exchange": (
        False,
        message(12, b"\3\0\x17" + vector(1, b"pub") + b"\4\3" + vector(2, b"signed")),
        {"ServerKeyExchange.public": b"pub".hex(), "ServerKeyExchange.signature": b"signed".hex()},
    ),
    "key exchange before TLS 1.2": (
        False,
        message(12, b"\3\0\x17" + vector(1, b"pub") + vector(2, b"signed")),
        {"ServerKeyExchange.signature": b"signed".hex(), "ServerKeyExchange.algorithm": None},
    ),
    "key exchange of nobody": (
        False,
        message(12, b"\3\0\x17" + vector(1, b"pub")),
        {"ServerKeyExchange.public": b"pub".hex(), "ServerKeyExchange.signature": None},
    ),
    "key exchange with a signature of another length": (
        False,
        message(12, b"\3\0\x17" + vector(1, b"pub") + b"\0\3signed"),
        {"ServerKeyExchange.malformed": "its length is not the one that it names at offset 11"},
    ),
    "status asked for": (
        False,
        hello_with(extension(5, b"\1" + vector(2, b"id") + vector(2, b"more"))),
        {
            f"ClientHello.extensions.status_request (5).{field}": value
            for field, value in (
                ("status_type", "ocsp (0x01)"),
                ("responder_id_list", b"id".hex()),
                ("request_extensions", b"more".hex()),
            )
        },
    ),
    "next protocols, asked for": (
        False,
        hello_with(extension(13172)),
        {"ClientHello.extensions.next_protocol_negotiation (13172)": "empty"},
    ),
    "next protocols": (
        False,
        message(2, b"\3\3" + numbered(1) + b"\0\x13\x01\0" + vector(2, extension(13172, b"\2h2\3spd"))),
        {
            "ServerHello.extensions.next_protocol_negotiation (13172).[0]": "h2",
            "ServerHello.extensions.next_protocol_negotiation (13172).[1]": "spd",
        },
    ),
    "answer of an early draft": (
        True,
        message(2, b"\x7f\x12" + numbered(1) + b"\x13\x01" + vector(2, extension(51, b"\0\x17"))),
        {
            "ServerHello.session_id": None,
            "ServerHello.compression_method": None,
            "ServerHello.extensions.key_share (51).group": "secp256r1 (0x0017)",
        },
    ),
    "answer without extensions": (
        False,
        message(2, b"\3\0" + numbered(1) + b"\0\0\x2f\1"),
        {"ServerHello.compression_method": "DEFLATE (0x01)", "ServerHello.extensions": None},
    ),
    "another key exchange": (False, message(12, b"\1abc"), {"ServerKeyExchange.exchange_keys": b"\1abc".hex()}),
    "a kind that nobody knows": (False, message(99, b"xy"), {}),
    "nothing": (False, b"", {}),
}


@pytest.mark.parametrize("name", TREES)
def test_trees(name: str) -> None:
    is_tls13, data, expected = TREES[name]
    found = flattened(handshake_tree(data, is_tls13=is_tls13))
    assert {path: found.get(path) for path in expected} == expected, found


def test_key_shares_pre_shared_keys_and_long_lists() -> None:
    share = b"\0\x17" + vector(2, b"key")
    offered = extension(51, vector(2, share + share)) + extension(
        41, vector(2, vector(2, b"id") + bytes(4)) + vector(2, vector(1, b"b" * 32))
    )
    hello = message(1, b"\3\3" + numbered(1) + b"\0" + vector(2, b"\x13\x01" * 500) + b"\1\0" + vector(2, offered))
    found = flattened(handshake_tree(hello))
    assert found["ClientHello.extensions.key_share (51).client_shares.key_exchange #2"] == b"key".hex()
    assert found["ClientHello.extensions.pre_shared_key (41).binders.binder"] == (b"b" * 32).hex()
    assert found["ClientHello.cipher_suites.…"] == "100 more"
    retry = message(
        2, b"\3\3" + numbered(1) + b"\0\x13\x01\0" + vector(2, extension(51, b"\0\x17") + extension(41, b"\0\1"))
    )
    found = flattened(handshake_tree(retry))
    assert found["ServerHello.extensions.key_share (51).group"].startswith("secp256r1")
    assert found["ServerHello.extensions.pre_shared_key (41).selected_identity"] == "1"


def test_fields_of_one_name_are_told_apart() -> None:
    """However many there are: a field has the place of its number, and each number is looked for once."""
    count = 30
    shares = b"".join(b"\0\x17" + vector(2, bytes([number])) for number in range(count))
    found = flattened(handshake_tree(hello_with(*[extension(51, vector(2, shares))] * 3)))
    one = "ClientHello.extensions.key_share (51).client_shares.key_exchange"
    keys = [one, *(f"{one} #{number}" for number in range(2, count + 1))]
    assert [found[key] for key in keys] == [f"{number:02x}" for number in range(count)]
    values = [value for path, value in found.items() if path.startswith(one)]
    assert sorted(values) == sorted([f"{number:02x}" for number in range(count)] * 3)


def test_alerts_of_any_level() -> None:
    assert flattened(alert_tree(1, 0))["Alert.level"] == "warning (1)"
    assert flattened(alert_tree(7, 0))["Alert.level"] == "unknown (7)"
