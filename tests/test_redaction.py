"""Redacted bundles: the same findings and relations, and nothing of the original in any file, compared
field by field.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from inspector.bundle.verify import verify
from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.capture.files import Story
from inspector.extract.processes import extract
from inspector.facts import ConnectionFacts, Facts
from inspector.findings.judge import Analysis, judge
from inspector.packets.messages import raw_messages
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.tls import messages
from inspector.tracking.certificates import parse
from tests.build import (
    VIP,
    Flow,
    Pool,
    certificate,
    certificates,
    extension,
    message,
    numbered,
    record,
    vector,
    written,
)
from tests.conftest import find
from tests.test_report import reported

NAMES = (
    "puppet-session-ids",
    "jdk17-abort",
    "ipv6",
    "both-legs",
    "mutual-tls",
    "tickets",
    "tls13",
    "mixed-pool",
    "python-clients",
)
KEY = b"k" * 32
OWN_WORDS = ("puppet", "tickets")
"""Names of a server and of a capture that stand in every report, in paths and in what was replaced."""


def both(name: str) -> tuple[Analysis, Analysis, Path]:
    """The analysis, that of the redacted bundle's JSON's source, and where the bundle lies."""
    analysis, bundle = reported(name, redact=True)
    return analysis, judge(extract([str(bundle.directory / "evidence.pcapng")])), bundle.directory


def strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def identifying(analysis: Analysis) -> dict[str, set[str]]:
    """What identifies in the original, as text."""
    case = analysis.case
    document = msgspec.to_builtins(analysis.complete())
    connections = document["connections"]
    handshakes = [h for c in connections for h in c["handshakes"]]
    found = {
        "address": {e["ip"] for c in connections for e in (c["client_endpoint"], c["server_endpoint"])}
        | {a for b in document["backends"] for a in b["addresses"]},
        "name": {n for c in document["certificates"] for n in (*c["dns_names"], c["subject"], c["issuer"])}
        | {h["server_name"] for h in handshakes if h["server_name"]}
        | {n for listed in document["authorities"] for n in listed["names"]},
        "serial": {c["serial"] for c in document["certificates"] if len(c["serial"]) > 6},
        "fingerprint": {c["sha256"][:12] for c in (*document["certificates"], *document["authorities"])},
        "session": {
            h["session"][k][:12]
            for h in handshakes
            for k in ("offered_id", "answered_id", "offered_ticket", "issued_ticket")
            if h["session"][k]
        },
        "psk": {p[:12] for h in handshakes for p in h["session"]["offered_psks"] or []},
        "connection": {c["id"] for c in connections},
        "file": {Path(c["path"]).name.split(".")[0] for c in document["captures"]}
        | {Path(log["path"]).name for log in document["logs"]},
        "node": {f.node for log in case.facts.logs for f in log.failures if f.node},
        "thread": {f.thread for log in case.facts.logs for f in log.failures if f.thread},
        "server": {p.server for log in case.facts.logs for p in log.proxied if p.server},
    }
    found["name"] |= {
        part.split("=", 1)[1] for name in found["name"] if "=" in name for part in name.split(", ") if "=" in part
    }
    return {kind: {v for v in values if len(v) > 2 and v not in OWN_WORDS} for kind, values in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_no_file_holds_anything_of_the_original(name: str) -> None:
    analysis, _, directory = both(name)
    original = identifying(analysis)
    for path in directory.iterdir():
        if path.suffix == ".json":
            texts = list(strings(json.loads(path.read_bytes())))
        elif path.suffix == ".csv":
            texts = [cell for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) for cell in row]
        elif path.suffix == ".pcapng":
            texts = [text.decode() for text in re.findall(rb"inspector[:\x20][\x20-\x7e]+", path.read_bytes())]
            assert len(texts) > 1
        else:
            texts = [path.read_text(encoding="utf-8").replace("\\", "").replace("&#39;", "'")]
        whole = "\n".join(texts)
        for kind, values in original.items():
            for value in values:
                assert not re.search(rf"(?<![0-9a-zA-Z.:]){re.escape(value)}(?![0-9a-zA-Z.:])", whole), (
                    f"{path.name} holds the {kind} {value}"
                )
    manifest = json.loads((directory / "MANIFEST.json").read_bytes())
    assert manifest["host"] != socket.gethostname()
    assert len(manifest["redacted"]["replaced"]) >= 8
    assert "k" * 8 not in json.dumps(manifest)


def fields_of(der: bytes) -> dict[str, object]:
    """What identifies in a certificate, decoded by a library of others."""
    cert = x509.load_der_x509_certificate(der)
    found: dict[str, object] = {
        "serial": cert.serial_number,
        "key": cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "signature": cert.signature,
        "subject": cert.subject.rfc4514_string(),
        "issuer": cert.issuer.rfc4514_string(),
    }
    for kind in (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier):
        try:
            value = cert.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            continue
        found[kind.__name__] = value.digest if isinstance(value, x509.SubjectKeyIdentifier) else value.key_identifier  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_packet_holds_anything_of_the_original(name: str) -> None:
    analysis, alone, directory = both(name)
    case = analysis.case
    old_addresses = {
        end.address for s in case.observed for leg in (s.client_leg, *s.legs) for end in (leg.client, leg.server)
    }
    story = Story([str(directory / "evidence.pcapng")])
    blob = bytearray()
    for batch in story.batches():
        assert set(batch.link_type.tolist()) <= {228, 229}
        for offset, count in zip(batch.offset.tolist(), batch.captured.tolist(), strict=True):
            frame = batch.data[offset : offset + count].tobytes()
            ends = (frame[12:16], frame[16:20]) if frame[0] >> 4 == 4 else (frame[8:24], frame[24:40])
            assert not set(ends) & old_addresses
            header = 40 if frame[0] >> 4 == 6 else 20
            blob += frame[header + 20 :]
    payload = bytes(blob)
    for end in old_addresses:
        assert str(ipaddress.ip_address(end)).encode() not in payload
    secrets: set[bytes] = set()
    raw_paths = [str(find(name))]
    for seen in case.observed[:12]:
        h = seen.client_leg.handshake
        secrets |= {h.offered_id, h.answered_id}
        if h.offer is not None and h.offer.server_name:
            secrets.add(h.offer.server_name)
        for raw in raw_messages(raw_paths, seen.client_leg):
            if raw.letter != "message":
                continue
            if raw.data[:1] == b"\4":
                secrets.add(messages.session_ticket(raw.data[4:]).ticket)
            if raw.data[:1] == b"\1":
                secrets.add(messages.client_hello(raw.data[4:]).ticket or b"")
            if raw.data[:1] in (b"\x0c", b"\x0f"):
                secrets.add(raw.data[-48:])
    for der in case.facts.certificates.values():
        old = fields_of(der)
        serial = int(str(old["serial"]))
        secrets |= {serial.to_bytes(serial.bit_length() // 8 + 1, "big")} if serial > 1 << 48 else set()
        secrets |= {value for value in old.values() if isinstance(value, bytes)}
        secrets |= {n.encode() for n in parse(der).identity.dns_names}
    for value in secrets:
        assert len(value) < 6 or value not in payload
    new_certificates = [fields_of(der) for der in alone.case.facts.certificates.values()]
    for der in case.facts.certificates.values():
        old = fields_of(der)
        for new in new_certificates:
            assert not [k for k in old if k in new and old[k] == new[k]], parse(der).subject


def relation(rows: Iterable[Any], get: Callable[[Any], Any]) -> list[int]:
    """Values by the order of their first appearance: two lists are the same where the same things are equal."""
    seen: dict[Any, int] = {}
    return [seen.setdefault(json.dumps(get(row)), len(seen)) for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_findings_and_relations_stay(name: str) -> None:
    analysis, alone, directory = both(name)
    old = msgspec.to_builtins(analysis.complete())
    new = json.loads((directory / "analysis.json").read_bytes())
    assert [
        (f["rule"], f["severity"], f["verdict"], f["grade"], f["first"], f["last"], f["count"])
        for f in sorted(old["findings"], key=order)
    ] == [
        (f["rule"], f["severity"], f["verdict"], f["grade"], f["first"], f["last"], f["count"])
        for f in sorted(new["findings"], key=order)
    ]
    assert [s["assessment"]["state"] for s in old["services"]] == [s["assessment"]["state"] for s in new["services"]]
    assert [[m[k] for k in ("resumed", "declined", "aborted")] for s in old["services"] for m in s["matrix"]] == [
        [m[k] for k in ("resumed", "declined", "aborted")] for s in new["services"] for m in s["matrix"]
    ]
    pairs = [
        (c["outcome"], c["history"], c["first_seen"], c["bytes"], c["alerts"] and c["alerts"][0]["code"])
        for c in old["connections"]
    ]
    assert pairs == [
        (c["outcome"], c["history"], c["first_seen"], c["bytes"], c["alerts"] and c["alerts"][0]["code"])
        for c in new["connections"]
    ]
    for get in (
        lambda c: c["client_endpoint"]["ip"],
        lambda c: c["server_endpoint"]["ip"],
        lambda c: c["backend"],
        lambda c: c["handshakes"][0]["server_chain"],
        lambda c: c["handshakes"][0]["client_chain"],
        lambda c: c["handshakes"][0]["server_name"],
        lambda c: c["handshakes"][0]["session"]["offered_id"],
        lambda c: c["handshakes"][0]["session"]["answered_id"],
        lambda c: c["handshakes"][0]["session"]["offered_ticket"],
        lambda c: c["handshakes"][0]["jsse"]["identity"],
        lambda c: c["handshakes"][0]["ja4"],
        lambda c: [line["form"] for line in c["logs"]],
    ):
        assert relation(old["connections"], get) == relation(new["connections"], get)
    in_evidence = {s.id for s in alone.case.observed}
    assert in_evidence <= {c["id"] for c in new["connections"]}
    assert verify(str(directory)).problems == []


def order(finding: dict[str, Any]) -> tuple[str, str, int]:
    return finding["rule"], finding["first"] or "", finding["count"]


def test_an_address_as_server_name(tmp_path: Path) -> None:
    """The service of an address and of a server name that is one are the same before, and perhaps not after: nothing
    breaks.
    """
    pool = Pool(name=VIP)
    a, b = certificate("a", ("a.example.com",), (VIP,)), certificate("b", ("b.example.com",))
    pool.full(a, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(b, numbered(2), numbered(1))
    pool.name = ""
    pool.full(a, numbered(3))
    path = written(tmp_path, pool.flows)
    analysis = judge(extract([str(path)]))
    bundle = write_bundle(analysis, str(tmp_path / "report"), BundleRequest([str(path)], key=KEY))
    assert bundle.incidents == 1
    assert verify(str(bundle.directory)).problems == []
    assert VIP not in (bundle.directory / "report.md").read_text()


def test_facts_and_packets_become_the_same() -> None:
    """A redacted report is judged from facts, its packets are changed byte by byte: both must say the same of each
    connection.
    """
    for name in NAMES:
        _, alone, directory = both(name)
        whole = {c["id"]: c for c in json.loads((directory / "analysis.json").read_bytes())["connections"]}
        for index, seen in enumerate(alone.case.observed):
            new = msgspec.to_builtins(alone.connection(index))["handshakes"][0]
            old = whole[seen.id]["handshakes"][0]
            for key in (
                "server_name",
                "session",
                "server_chain",
                "client_chain",
                "authorities",
                "ja3",
                "ja4",
                "version",
                "cipher",
                "kind",
            ):
                assert json.loads(json.dumps(new[key])) == old[key], (name, key)


def test_no_word_of_the_original_stays_in_the_process(tmp_path: Path) -> None:
    """The app describes the original, then writes a redacted report: a protocol that only the server names, where the
    ClientHello is missing or holds nothing that is replaced, is not taken from what was described before.
    """
    own = extension(16, vector(2, vector(1, b"corpsecretproto")))
    suites = vector(2, b"\xc0\x2b") + vector(1, b"\0")
    hello = message(2, b"\3\3" + numbered(9) + vector(1, b"") + b"\xc0\x2b\0" + vector(2, own))
    pool = Pool()
    for is_seen in (False, True):
        flow = Flow(45_000 + is_seen, pool.ns).open()
        if is_seen:
            flow.client_says(record(22, message(1, b"\3\3" + numbered(5) + vector(1, b"") + suites)))
        else:
            flow.sent[0] += 150
        flow.server_says(record(22, hello + certificates(certificate("a")) + message(14, b""))).close()
        pool.flows.append(flow)
        pool.ns = flow.ns
    facts = extract([str(written(tmp_path, pool.flows))])
    disguise = Disguise(KEY)

    def chosen(facts: Facts) -> list[str | None]:
        return [h.alpn for c in judge(facts).complete().connections for h in c.handshakes]

    assert chosen(facts) == ["corpsecretproto"] * 2
    replaced = disguise.protocol(b"corpsecretproto").decode()
    assert chosen(redacted_facts(facts, disguise, Remaker(disguise))) == [replaced] * 2
    assert chosen(facts) == ["corpsecretproto"] * 2


def test_hidden_facts_stay_hidden(tmp_path: Path) -> None:
    """What a connection's facts hold is either made of numbers or replaced: a field that is added must be looked at
    here.
    """
    fields = {f.name for f in msgspec.structs.fields(ConnectionFacts)}
    assert fields == {
        *(
            "client",
            "server",
            "initial_sequence",
            "syn",
            "first_ns",
            "last_ns",
            "first_frame",
            "last_frame",
            "rtt",
            "preamble",
            "handshake",
        ),
        *(
            "from_client",
            "from_server",
            "alerts",
            "anomalies",
            "events",
            "renegotiations",
            "secrets",
            "spread",
            "sightings",
        ),
    }
