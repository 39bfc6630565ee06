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
from hypothesis import given, settings, strategies as st

from inspector.bundle.verify import verify
from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.capture.files import Story
from inspector.extract.processes import extract
from inspector.facts import ConnectionFacts
from inspector.findings.judge import Analysis, judge
from inspector.packets.messages import raw_messages
from inspector.redaction import keys
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.messages import Redactor
from inspector.tls import messages
from inspector.tls.messages import with_header
from inspector.tls.reader import Malformed
from inspector.tracking.certificates import parse
from tests.build import VIP, Pool, certificate, client_hello, extension, numbered, server_hello, vector, written
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
        for message in raw_messages(raw_paths, seen.client_leg):
            if message.letter != "message":
                continue
            if message.data[:1] == b"\4":
                secrets.add(messages.session_ticket(message.data[4:]).ticket)
            if message.data[:1] == b"\1":
                secrets.add(messages.client_hello(message.data[4:]).ticket or b"")
            if message.data[:1] in (b"\x0c", b"\x0f"):
                secrets.add(message.data[-48:])
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


def test_bundles_of_one_key_can_be_compared() -> None:
    first, second, other = Disguise(KEY), Disguise(KEY), Disguise(b"another key, not that one")
    assert first.fingerprint == second.fingerprint != other.fingerprint
    for text in ("puppetdb.example.com", "CN=Puppet CA: puppet", "10.0.0.5"):
        assert first.name(text) == second.name(text) != other.name(text)
    der = certificate("a", ("a.example.com",))
    assert Remaker(first).certificate(der) == Remaker(second).certificate(der) != Remaker(other).certificate(der)


def test_the_key_is_kept_by_its_owner(tmp_path: Path) -> None:
    place = tmp_path / "some" / "key"
    key, where, is_new = keys.load(str(place))
    assert (where, is_new, len(key)) == (place, True, 64)
    assert place.stat().st_mode & 0o777 == 0o600
    assert keys.load(str(place)) == (key, place, False)
    place.write_text("short")
    with pytest.raises(Exception, match="no key"):
        keys.load(str(place))


@given(st.text(max_size=40))
@settings(max_examples=300)
def test_text_keeps_its_shape_and_length(text: str) -> None:
    new = Disguise(KEY).text(text)
    assert len(new.encode("utf-8", "surrogatepass")) == len(text.encode("utf-8", "surrogatepass"))
    assert re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub("[0-9]", "0", new if text.isascii() else ""))) == (
        re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub("[0-9]", "0", text))) if text.isascii() else ""
    )
    for old_word, new_word in zip(re.findall("[A-Za-z0-9]+", text), re.findall("[A-Za-z0-9]+", new), strict=True):
        assert old_word != new_word
    assert Disguise(KEY).text(text.swapcase()) == new.swapcase() or not text.isascii()


@given(st.integers(1, 70), st.data())
@settings(max_examples=200)
def test_numbers_are_permuted_without_fixed_points(count: int, data: st.DataObject) -> None:
    disguise = Disguise(data.draw(st.binary(min_size=1, max_size=4)))
    new = [disguise.number(i, count, "x") for i in range(count)]
    assert sorted(new) == list(range(count))
    assert count == 1 or all(i != n for i, n in enumerate(new))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_addresses_keep_common_prefixes(first: int, second: int) -> None:
    disguise = Disguise(KEY)
    a, b = (int.from_bytes(disguise.address(v.to_bytes(4, "big")), "big") for v in (first, second))
    assert (first ^ second).bit_length() == (a ^ b).bit_length()


@given(st.binary(max_size=300))
def test_any_bytes_become_others_of_the_same_length(data: bytes) -> None:
    disguise = Disguise(KEY)
    made = Remaker(disguise).certificate(data)
    assert len(made) == len(data)
    assert made != data or not data
    assert len(disguise.raw(data)) == len(data)
    for kind in (1, 2, 4, 11, 12, 13, 15, 16, 22, 99):
        message = with_header(kind, data)
        assert len(Redactor(disguise).message(message)) == len(message)


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


def test_hellos_are_hellos_again() -> None:
    for name in ("jdk17-abort", "tickets", "python-clients", "tls13", "ipv6"):
        case = judge(extract([str(find(name))])).case
        redactor = Redactor(Disguise(KEY))
        for seen in case.observed[:10]:
            for message in raw_messages([str(find(name))], seen.client_leg):
                if message.letter != "message" or message.data[0] not in (1, 2):
                    continue
                body = redactor.message(message.data)[4:]
                read = messages.client_hello if message.data[0] == 1 else messages.server_hello
                try:
                    old, new = read(message.data[4:]), read(body)
                except Malformed:
                    pytest.fail("a hello that cannot be read")
                assert old.random == new.random
                assert old.shape._replace(**changing(old)) == new.shape._replace(**changing(old))
                assert not old.session_id or old.session_id != new.session_id


def test_extensions_that_name_somebody_are_replaced() -> None:
    """Authorities, timestamps of certificates, an extension that nobody knows."""
    plain = client_hello(b"r" * 32)[4:]
    start = 2 + 32 + 1 + 2 + int.from_bytes(plain[35:37], "big") + 2
    for kind, content in (
        (47, b"\0\x10" + b"CN=some authority"[:16]),
        (18, b"\0\x0e" + b"a certificate!"),
        (0xFE0D, b"encrypted hello"),
        (4711, b"secret name"),
    ):
        hello = b"\1\0\0\0" + plain[:start] + vector(2, plain[start + 2 :] + extension(kind, content))
        body = Redactor(Disguise(KEY)).message(hello)[4:]
        assert content[2:] in hello
        assert content[2:] not in body
        assert messages.client_hello(body).shape.extensions == messages.client_hello(hello[4:]).shape.extensions
    answer = server_hello(b"r" * 32, b"s" * 32)[4:]
    answer = answer[: 2 + 32 + 33 + 3] + vector(
        2, extension(18, b"\0\x0e" + b"a certificate!") + extension(23) + extension(65_281, b"\0")
    )
    body = Redactor(Disguise(KEY)).message(with_header(2, answer))[4:]
    assert b"a certificate!" not in body
    assert messages.server_hello(body).shape == messages.server_hello(answer).shape


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


def changing(hello: object) -> dict[str, Any]:
    return {"server_name": None, "key": b""} if isinstance(hello, messages.ClientHello) else {"key": b""}


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
