"""Captures made in memory: TLS messages, flows of them, and pcap files. What the tests say is a transcript; what the
program gets is bytes.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2s
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from inspector.document import Document
from inspector.extract.processes import extract
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.secrets.inputs import SecretInputs

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT, VIP, PORT = "10.0.0.10", "10.0.0.100", 8081
NAME = "puppetdb.example.com"


def vector(width: int, body: bytes) -> bytes:
    return len(body).to_bytes(width, "big") + body


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return struct.pack(">BHH", kind, version, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def extension(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">H", kind) + vector(2, body)


def sni(name: str) -> bytes:
    return extension(0, vector(2, b"\0" + vector(2, name.encode())))


def client_hello(
    random: bytes,
    session_id: bytes = b"",
    *,
    name: str = NAME,
    ems: bool = False,
    ticket: bytes | None = None,
    java: bool = True,
    versions: Sequence[int] = (),
    psk: bytes | None = None,
    alpn: str = "",
    more: Sequence[bytes] = (),
) -> bytes:
    """As JDK 8 writes it (``java``), else as OpenSSL does. ``more``: extensions behind the others."""
    groups, formats = extension(10, vector(2, b"\x00\x17\x00\x18")), extension(11, vector(1, b"\0"))
    algorithms = extension(13, vector(2, b"\x04\x03\x04\x01"))
    listed = [groups, formats, algorithms] if java else [formats, groups, algorithms]
    if ems:
        listed.append(extension(23))
    listed[len(listed) if java else 0 : 0] = [sni(name)] if name else []
    if ticket is not None:
        listed.append(extension(35, ticket))
    if versions:
        listed.append(extension(43, vector(1, b"".join(struct.pack(">H", v) for v in versions))))
    if psk is not None:
        listed.append(extension(41, vector(2, vector(2, psk) + b"\0\0\0\0") + vector(2, vector(1, bytes(32)))))
    if java and ticket is not None:  # JDK 13 and later write another order
        listed = [sni(name), groups, formats, *([extension(23)] if ems else []), extension(35, ticket), algorithms]
    if alpn:
        listed.append(extension(16, vector(2, vector(1, alpn.encode()[:255]))))
    listed += more
    suites = vector(2, b"\xc0\x2b\xc0\x2f\x00\xff")
    return message(1, b"\x03\x03" + random + vector(1, session_id) + suites + b"\1\0" + vector(2, b"".join(listed)))


def server_hello(
    random: bytes,
    session_id: bytes = b"",
    *,
    ems: bool = False,
    version: int = 0x0303,
    psk: int | None = None,
    suite: bytes = b"",
    more: Sequence[bytes] = (),
) -> bytes:
    """``suite``: another one than by default. ``more``: extensions behind the others."""
    listed = [extension(65281, b"\0")] if version < 0x0304 else [extension(43, struct.pack(">H", version))]
    if ems:
        listed.append(extension(23))
    if psk is not None:
        listed.append(extension(41, struct.pack(">H", psk)))
    listed += more
    suite = suite or (b"\xc0\x2b" if version < 0x0304 else b"\x13\x01")
    return message(2, b"\x03\x03" + random + vector(1, session_id) + suite + b"\0" + vector(2, b"".join(listed)))


def certificates(*ders: bytes) -> bytes:
    return message(11, vector(3, b"".join(vector(3, d) for d in ders)))


def certificate_request(*names: bytes, version: int = 0x0303) -> bytes:
    """A CertificateRequest up to TLS 1.2 that lists these authorities, encoded."""
    algorithms = vector(2, b"\4\3\4\1") if version >= 0x0303 else b""
    return message(13, vector(1, b"\1\x40") + algorithms + vector(2, b"".join(vector(2, name) for name in names)))


def certificate_request13(*names: bytes) -> bytes:
    """The same of TLS 1.3."""
    listed = vector(2, b"".join(vector(2, name) for name in names))
    return message(13, vector(1, b"") + vector(2, extension(13, vector(2, b"\4\3")) + extension(47, listed)))


@lru_cache(maxsize=256)
def certificate(
    common_name: str | None,
    dns: tuple[str, ...] = (),
    ips: tuple[str, ...] = (),
    issuer: str = "Puppet CA",
    days: tuple[int, int] = (-365, 3650),
    is_authority: bool = False,
) -> bytes:
    """DER. ``days``: validity around the built captures' first second. ``common_name`` None: an empty subject."""
    start = dt.datetime.fromtimestamp(START_NS / 1e9, dt.UTC)
    digest = int.from_bytes(blake2s(repr((common_name, dns, ips, issuer, days)).encode()).digest(), "big")
    key = ec.derive_private_key(digest % (1 << 255) + 1, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(digest % (1 << 60) + 1)
        .not_valid_before(start + dt.timedelta(days=days[0]))
        .not_valid_after(start + dt.timedelta(days=days[1]))
    )
    names: list[x509.GeneralName] = [*map(x509.DNSName, dns), *(x509.IPAddress(ip_address(i)) for i in ips)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=common_name is None)
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass(slots=True)
class Segment:
    """One TCP segment on its way. ``seq`` counts from the initial sequence number of its side, ``ack`` from that of the
    other side.
    """

    ns: int
    from_client: bool
    flags: int
    seq: int
    payload: bytes = b""
    flow: Flow | None = None
    ack: int = 0


@dataclass
class Flow:
    """One TCP connection as a list of segments; each ``send`` goes on where its side stopped."""

    port: int
    ns: int
    client: str = CLIENT
    server: str = VIP
    server_port: int = PORT
    isn: tuple[int, int] = (0xFFFFFF00, 77_000)
    segments: list[Segment] = field(default_factory=list)
    sent: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, from_client: bool, flags: int, payload: bytes = b"", wait: int = MS) -> Flow:
        side = 0 if from_client else 1
        self.segments.append(Segment(self.ns, from_client, flags, self.sent[side], payload, self, self.sent[1 - side]))
        self.sent[side] += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        self.ns += wait
        return self

    def open(self) -> Flow:
        return self.add(True, SYN).add(False, SYN | ACK).add(True, ACK)

    def client_says(self, *records: bytes, wait: int = MS) -> Flow:
        return self.add(True, ACK, b"".join(records), wait)

    def server_says(self, *records: bytes, wait: int = MS) -> Flow:
        return self.add(False, ACK, b"".join(records), wait)

    def close(self, by_client: bool = True) -> Flow:
        return self.add(by_client, FIN | ACK).add(not by_client, FIN | ACK).add(by_client, ACK)


def numbered(n: int) -> bytes:
    """32 bytes that differ with ``n``."""
    return b"\x5a" * 28 + struct.pack(">I", n)


CHANGE = record(20, b"\1")
FINISHED = record(22, b"\xf1" * 40)
DONE = message(14, b"")
CURVE = b"\x03\x00\x1d"
"""Of a ServerKeyExchange in x25519."""

KEY_EXCHANGE = record(22, message(16, b"\x20" + b"k" * 32))
DATA = record(23, b"d" * 200)


@dataclass
class Pool:
    """Makes the connections of one client and a pool, and gathers their flows."""

    ns: int = START_NS
    port: int = 40_000
    client: str = CLIENT
    java: bool = True
    ems: bool = False
    name: str = NAME
    alpn: str = ""
    request: bytes = b""
    flows: list[Flow] = field(default_factory=list)

    def _begin(self, offered: bytes, ticket: bytes | None = None) -> Flow:
        self.port += 1
        flow = Flow(self.port, self.ns, self.client).open()
        self.flows.append(flow)
        hello = client_hello(
            numbered(self.port), offered, name=self.name, ems=self.ems, java=self.java, ticket=ticket, alpn=self.alpn
        )
        flow.client_says(record(22, hello, 0x0301))
        return flow

    def _end(self, flow: Flow) -> Flow:
        self.ns = flow.ns + 20 * MS
        return flow

    def _flight(self, flow: Flow, der: bytes, answered: bytes, ems: bool) -> None:
        hello = server_hello(numbered(flow.port + (1 << 20)), answered, ems=ems)
        flow.server_says(record(22, hello + certificates(der) + message(12, CURVE + b"s" * 67) + self.request + DONE))

    def full(
        self, der: bytes, session_id: bytes, offered: bytes = b"", *, ems: bool = False, data: bool = True
    ) -> Flow:
        """A full handshake that succeeds and issues ``session_id``."""
        flow = self._begin(offered)
        self._flight(flow, der, session_id, ems)
        flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)
        if data:
            flow.client_says(DATA).server_says(DATA)
        return self._end(flow.close())

    def resumed(self, session_id: bytes, *, ems: bool = False) -> Flow:
        """An abbreviated handshake."""
        flow = self._begin(session_id)
        hello = server_hello(numbered(flow.port + (1 << 20)), session_id, ems=ems)
        flow.server_says(record(22, hello), CHANGE, FINISHED).client_says(CHANGE, FINISHED).client_says(
            DATA
        ).server_says(DATA)
        return self._end(flow.close())

    def given_up(
        self, der: bytes, session_id: bytes, offered: bytes = b"", *, alert: int | None = 42, ems: bool = False
    ) -> Flow:
        """The server's whole flight, then the client gives up: with an alert, or (None) with a FIN alone."""
        flow = self._begin(offered)
        self._flight(flow, der, session_id, ems)
        if alert is not None:
            flow.client_says(record(21, bytes([2, alert])))
        return self._end(flow.close())

    def server_alert(self, alert: int) -> Flow:
        """The server answers the hello with a fatal alert."""
        flow = self._begin(b"")
        flow.server_says(record(21, bytes([2, alert])))
        return self._end(flow.close(by_client=False))

    def tls13(self, *, psk: bytes | None = None, accepted: bool = False) -> Flow:
        """TLS 1.3."""
        self.port += 1
        flow = Flow(self.port, self.ns, self.client).open()
        self.flows.append(flow)
        session = numbered(self.port + (1 << 21))
        flow.client_says(
            record(
                22,
                client_hello(
                    numbered(self.port), session, name=self.name, java=self.java, versions=(0x0304, 0x0303), psk=psk
                ),
                0x0301,
            )
        )
        hello = server_hello(numbered(flow.port + (1 << 20)), session, version=0x0304, psk=0 if accepted else None)
        flow.server_says(record(22, hello), CHANGE, record(23, b"e" * 900))
        flow.client_says(CHANGE, record(23, b"f" * 53)).client_says(DATA).server_says(DATA)
        return self._end(flow.close())

    def segments(self) -> list[Segment]:
        return ordered(self.flows)


def ordered(flows: Iterable[Flow]) -> list[Segment]:
    return sorted((s for f in flows for s in f.segments), key=lambda s: s.ns)


def ethernet(segment: Segment, isn: tuple[int, int] | None = None) -> bytes:
    """The segment as an Ethernet frame."""
    flow = segment.flow
    assert flow is not None
    base, other = (isn or flow.isn)[:: 1 if segment.from_client else -1]
    ack = (other + segment.ack) & 0xFFFFFFFF if segment.flags & ACK else 0
    ends = [(ip_address(flow.client), flow.port), (ip_address(flow.server), flow.server_port)]
    (source, sport), (target, dport) = ends if segment.from_client else ends[::-1]
    tcp = (
        struct.pack(
            ">HHIIBBHHH", sport, dport, (base + segment.seq) & 0xFFFFFFFF, ack, 5 << 4, segment.flags, 65_535, 0, 0
        )
        + segment.payload
    )
    if source.version == 4:
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source.packed, target.packed)
        return bytes(12) + b"\x08\x00" + ip + tcp
    return (
        bytes(12)
        + b"\x86\xdd"
        + struct.pack(">IHBB16s16s", 6 << 28, len(tcp), 6, 64, source.packed, target.packed)
        + tcp
    )


def pcap(frames: Iterable[tuple[int, bytes]], *, link_type: int = 1, order: str = "<", nano: bool = True) -> bytes:
    """A pcap file of (ns, frame) pairs."""
    out = bytearray(struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link_type))
    for ns, frame in frames:
        out += (
            struct.pack(order + "IIII", ns // 10**9, ns % 10**9 // (1 if nano else 1000), len(frame), len(frame))
            + frame
        )
    return bytes(out)


def capture(flows: Iterable[Flow]) -> bytes:
    return pcap((s.ns, ethernet(s)) for s in ordered(flows))


def written(folder: Path, flows: Iterable[Flow], name: str = "built.pcap") -> Path:
    path = folder / name
    path.write_bytes(capture(flows))
    return path


def facts_of(*paths: Path, given: SecretInputs | None = None) -> Facts:
    return extract([str(p) for p in paths], secrets=given)


def document_of(*paths: Path, options: Options | None = None, given: SecretInputs | None = None) -> Document:
    return judge(facts_of(*paths, given=given), options).complete()
