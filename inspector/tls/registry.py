"""Names for numbers, as IANA's registries and the RFCs spell them. An unknown number is named by its value."""

from __future__ import annotations

from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.extension_types import ExtensionType
from inspector.tls.types import AlertDescription, HandshakeType, ProtocolVersion, is_draft

VERSIONS: dict[int, str] = {
    ProtocolVersion.SSL_2_0: "SSLv2",
    ProtocolVersion.SSL_3_0: "SSLv3",
    ProtocolVersion.TLS_1_0: "TLSv1",
    ProtocolVersion.TLS_1_1: "TLSv1.1",
    ProtocolVersion.TLS_1_2: "TLSv1.2",
    ProtocolVersion.TLS_1_3: "TLSv1.3",
}

MESSAGES: dict[int, str] = {
    HandshakeType.HELLO_REQUEST: "HelloRequest",
    HandshakeType.CLIENT_HELLO: "ClientHello",
    HandshakeType.SERVER_HELLO: "ServerHello",
    HandshakeType.HELLO_VERIFY_REQUEST: "HelloVerifyRequest",
    HandshakeType.NEW_SESSION_TICKET: "NewSessionTicket",
    HandshakeType.END_OF_EARLY_DATA: "EndOfEarlyData",
    HandshakeType.HELLO_RETRY_REQUEST: "HelloRetryRequest",
    HandshakeType.ENCRYPTED_EXTENSIONS: "EncryptedExtensions",
    HandshakeType.CERTIFICATE: "Certificate",
    HandshakeType.SERVER_KEY_EXCHANGE: "ServerKeyExchange",
    HandshakeType.CERTIFICATE_REQUEST: "CertificateRequest",
    HandshakeType.SERVER_HELLO_DONE: "ServerHelloDone",
    HandshakeType.CERTIFICATE_VERIFY: "CertificateVerify",
    HandshakeType.CLIENT_KEY_EXCHANGE: "ClientKeyExchange",
    HandshakeType.FINISHED: "Finished",
    HandshakeType.CERTIFICATE_URL: "CertificateURL",
    HandshakeType.CERTIFICATE_STATUS: "CertificateStatus",
    HandshakeType.SUPPLEMENTAL_DATA: "SupplementalData",
    HandshakeType.KEY_UPDATE: "KeyUpdate",
    HandshakeType.COMPRESSED_CERTIFICATE: "CompressedCertificate",
    HandshakeType.NEXT_PROTOCOL: "NextProtocol",
    HandshakeType.MESSAGE_HASH: "MessageHash",
}

ALERTS: dict[int, str] = {code: code.name.lower() for code in AlertDescription}

EXTENSIONS: dict[int, str] = {kind: kind.name.lower() for kind in ExtensionType}

PROTOCOLS = frozenset(
    (
        *(b"http/0.9", b"http/1.0", b"http/1.1", b"spdy/1", b"spdy/2", b"spdy/3", b"h2", b"h2c", b"h3"),
        *(b"stun.turn", b"stun.nat-discovery", b"webrtc", b"c-webrtc", b"coap", b"co", b"mqtt", b"sip/2"),
        *(b"ftp", b"imap", b"pop3", b"managesieve", b"xmpp-client", b"xmpp-server", b"irc", b"nntp", b"nnsp"),
        *(b"acme-tls/1", b"dot", b"doq", b"ntske/1", b"radius/1.0", b"radius/1.1"),
        *(b"sunrpc", b"smb", b"dicom", b"postgresql", b"tds/8.0"),
    )
)
"""Names of protocols for ALPN (RFC 7301, section 6)."""

GROUPS = {
    1: "sect163k1",
    2: "sect163r1",
    3: "sect163r2",
    4: "sect193r1",
    5: "sect193r2",
    6: "sect233k1",
    7: "sect233r1",
    8: "sect239k1",
    9: "sect283k1",
    10: "sect283r1",
    11: "sect409k1",
    12: "sect409r1",
    13: "sect571k1",
    14: "sect571r1",
    15: "secp160k1",
    16: "secp160r1",
    17: "secp160r2",
    18: "secp192k1",
    19: "secp192r1",
    20: "secp224k1",
    21: "secp224r1",
    22: "secp256k1",
    23: "secp256r1",
    24: "secp384r1",
    25: "secp521r1",
    26: "brainpoolP256r1",
    27: "brainpoolP384r1",
    28: "brainpoolP512r1",
    29: "x25519",
    30: "x448",
    31: "brainpoolP256r1tls13",
    32: "brainpoolP384r1tls13",
    33: "brainpoolP512r1tls13",
    41: "curveSM2",
    256: "ffdhe2048",
    257: "ffdhe3072",
    258: "ffdhe4096",
    259: "ffdhe6144",
    260: "ffdhe8192",
    512: "MLKEM512",
    513: "MLKEM768",
    514: "MLKEM1024",
    4587: "SecP256r1MLKEM768",
    4588: "X25519MLKEM768",
    4589: "SecP384r1MLKEM1024",
    25497: "X25519Kyber768Draft00",
}

SIGNATURE_SCHEMES = {
    0x0201: "rsa_pkcs1_sha1",
    0x0202: "dsa_sha1",
    0x0203: "ecdsa_sha1",
    0x0301: "rsa_pkcs1_sha224",
    0x0302: "dsa_sha224",
    0x0303: "ecdsa_sha224",
    0x0401: "rsa_pkcs1_sha256",
    0x0402: "dsa_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
}

SCSV = 0x00FF
"""TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746, section 3.3)."""

HELLO_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446, section 4.1.3)."""


def version_name(version: int) -> str | None:
    """The version as OpenSSL and Java spell it; drafts of TLS 1.3 count as TLSv1.3; None for anything else."""
    return "TLSv1.3" if is_draft(version) else VERSIONS.get(version)


def cipher_name(code: int) -> str:
    """The IANA name of a cipher suite."""
    return CIPHER_SUITES.get(code) or ("GREASE" if is_grease(code) else f"0x{code:04X}")


def alert_name(code: int) -> str:
    """The name of an alert description."""
    return ALERTS.get(code, f"alert_{code}")


def message_name(kind: int) -> str:
    """The name of a handshake message type."""
    return MESSAGES.get(kind, f"handshake_{kind}")


def extension_name(kind: int) -> str:
    """The name of an extension type."""
    return EXTENSIONS.get(kind) or ("GREASE" if is_grease(kind) else f"extension_{kind}")


GREASE = frozenset(0x0A0A + 0x1010 * number for number in range(16))
"""Values that clients send to keep servers tolerant (RFC 8701)."""


def is_grease(value: int) -> bool:
    """Whether a value is one of those."""
    return value in GREASE


def without_grease(values: tuple[int, ...]) -> tuple[int, ...]:
    """The others, in their order."""
    return values if GREASE.isdisjoint(values) else tuple([value for value in values if value not in GREASE])


def group_name(code: int) -> str:
    """The name of a supported group."""
    return GROUPS.get(code) or ("GREASE" if is_grease(code) else f"0x{code:04x}")


def signature_name(code: int) -> str:
    """The name of a signature scheme."""
    return SIGNATURE_SCHEMES.get(code) or ("GREASE" if is_grease(code) else f"0x{code:04x}")
