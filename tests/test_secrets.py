"""Encrypted handshakes of real peers, opened: OpenSSL, NSS, JSSE, nginx; by key logs, captures' own secrets, servers'
keys; and what cannot be opened.
"""

from __future__ import annotations

import gzip
import json
import random
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.document import Connection, Document
from inspector.document.rules import Rule
from inspector.errors.decryption import NoSecret
from inspector.secrets.inputs import SecretInputs, content_of, read_inputs
from tests.build import capture, document_of, ordered
from tests.conftest import CAPTURES, find
from tests.replay import flows_of, given_for
from tests.test_segmentation import compared, cut
from tests.work import Work

KEYS = [str(CAPTURES / f"renegotiations.{name}.key") for name in ("same", "renewed", "other")]
CASES = [json.loads(line) for line in (CAPTURES / "renegotiations.jsonl").read_text(encoding="utf-8").splitlines()]
MODERN = {
    row["port"]: row["name"]
    for row in map(json.loads, (CAPTURES / "tls13-inside.jsonl").read_text(encoding="utf-8").splitlines())
}


MOST_CALLS = 1_000_000
OWN = "each message has a record of its own"


def no_passphrase(prompt: str) -> str:
    raise AssertionError(prompt)


@lru_cache(maxsize=8)
def opened(name: str, how: str = "keylog") -> Document:
    by = given_for(name) if how == "keylog" else read_inputs([], KEYS, no_passphrase) if how == "rsa" else None
    return document_of(find(name), given=by)


def at_port(document: Document, port: int) -> list[Connection]:
    return [c for c in document.connections if c.server_endpoint.port == port]


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["client"] == "s_client"], ids=lambda c: f"{c['server']}-{c['suite']}-{c['change']}"
)
def test_renegotiations_are_read(case: dict[str, Any]) -> None:
    [connection] = at_port(opened("renegotiations"), case["port"])
    assert connection.secrets == "decrypted"
    first, second = connection.handshakes
    assert second.visibility == "decrypted"
    assert second.renegotiation
    assert second.inside is not None
    assert second.inside.state == "completed"
    assert second.client_random not in (None, first.client_random)
    if case["change"] == "abbreviated":
        assert (second.kind, second.server_chain, second.inside.certificate) == ("session_id", [], "unknown")
        return
    assert second.kind == "full"
    assert (second.server_chain == first.server_chain) == (case["change"] == "same")
    assert second.inside.certificate == ("same" if case["change"] == "same" else "changed")
    assert second.inside.basis == "decrypted"
    assert [a.name for a in connection.alerts if a.visibility == "decrypted"] == [a.name for a in connection.alerts]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['server']}-{c['suite']}-{c['change']}-{c['client']}")
def test_lengths_claim_no_more_than_they_prove(case: dict[str, Any]) -> None:
    """Without keys: another length is *changed*, an equal one *consistent*, and nothing is *the same*."""
    connection = at_port(opened("renegotiations", "nothing"), case["port"])[-1]
    inside = connection.handshakes[1].inside
    assert inside is not None
    assert connection.handshakes[1].visibility == "encrypted"
    assert (
        inside.certificate
        == {"same": "consistent", "renewed": "consistent", "other": "changed", "abbreviated": "unknown"}[case["change"]]
    )
    assert inside.basis == (None if case["change"] == "abbreviated" else "length")
    assert connection.secrets is None


def test_servers_pack_flights_differently() -> None:
    """OpenSSL and JSSE give each message a record of its own, NSS the whole flight one."""
    told: dict[str, set[str]] = {}
    for case in CASES:
        inside = at_port(opened("renegotiations", "nothing"), case["port"])[-1].handshakes[1].inside
        assert inside is not None
        if case["change"] != "abbreviated":
            told.setdefault(case["server"], set()).add(inside.text.partition(";")[0])
    assert told == {"openssl": {OWN}, "jsse": {OWN}, "nss": {"messages share records"}}


@pytest.mark.parametrize("how", ["nothing", "rsa"])
def test_java_gives_up_inside_a_connection(how: str) -> None:
    """The error message's own words: a renegotiation brings a certificate that Java does not take for the same
    server's.
    """
    document = opened("renegotiations", how)
    for case in (c for c in CASES if c["client"] == "java"):
        first, second = at_port(document, case["port"])
        failed = "server certificate change is restricted" in case["told"][1]["message"]
        assert failed == (case["change"] == "other")
        assert (first.outcome, second.outcome) == ("established", "aborted" if failed else "established")
        rules = {f.rule: f for f in document.findings if second.id in f.connections}
        assert "triple-handshake-exposure" in rules
        assert ("renegotiation-aborted" in rules) == failed
        is_read = second.secrets == "decrypted"
        assert ("renegotiation-certificate-changed" in rules) == (failed or is_read)
        jsse = second.handshakes[1].jsse
        if is_read:
            assert (jsse.verdict, jsse.row, jsse.identity) == (
                ("aborts", 6, "none") if failed else ("accepts", 5, "shared_dns")
            )
            if failed:
                assert (rules[Rule.RENEGOTIATION_ABORTED].verdict, rules[Rule.RENEGOTIATION_ABORTED].grade) == (
                    "confirmed",
                    "observed",
                )
                assert [(a.name, a.visibility) for a in second.alerts if a.level == 2] == [
                    ("bad_certificate", "decrypted")
                ]
        elif failed:
            assert (rules[Rule.RENEGOTIATION_ABORTED].verdict, rules[Rule.RENEGOTIATION_ABORTED].grade) == (
                "possible",
                "inferred",
            )
            assert rules[Rule.RENEGOTIATION_CERTIFICATE_CHANGED].grade == "inferred"


def test_server_keys_open_rsa_key_exchange_and_nothing_else() -> None:
    document = opened("renegotiations", "rsa")
    for case in CASES:
        name = (document_of_port := at_port(document, case["port"])[0]).handshakes[0].cipher
        assert name is not None
        if name.name.startswith("TLS_RSA_") and case["client"] == "s_client":
            assert document_of_port.secrets == "decrypted"
            assert document_of_port.handshakes[0].ems.negotiated
        elif not name.name.startswith("TLS_RSA_"):
            assert (
                document_of_port.secrets
                == f"a server's key does not open {name.name}: its key exchange is not RSA encryption"
                or case["client"] == "java"
            )


def test_another_server_s_key_is_named() -> None:
    found = document_of(find("renegotiations"), given=read_inputs([], KEYS[1:], no_passphrase))
    assert at_port(found, 9013)[0].secrets == "no server key belongs to its certificate"


MODERN_EXPECTED = {
    "retry": ("full", 1, 0, 2, "established"),
    "client certificate": ("full", 1, 1, 2, "established"),
    "post-handshake": ("full", 1, 1, 4, "established"),
    "no client certificate": ("full", 1, 0, 0, "aborted"),
}


@pytest.mark.parametrize(
    "port", [p for p, name in MODERN.items() if name != "early data"], ids=lambda p: MODERN[p].replace(" ", "-")
)
def test_modern_handshakes_are_read(port: int) -> None:
    [connection] = at_port(opened("tls13-inside"), port)
    handshake = connection.handshakes[0]
    kind, servers, clients, tickets, outcome = MODERN_EXPECTED.get(MODERN[port], ("full", 1, 0, 2, "established"))
    assert connection.secrets == "decrypted"
    assert (handshake.kind, connection.outcome) == (kind, outcome)
    assert bool(handshake.server_chain) == bool(servers)
    assert bool(handshake.client_chain) == bool(clients)
    assert len(handshake.session.issued_tickets) == tickets
    told = [(a.sender, a.name) for a in connection.alerts]
    assert told == (
        [("server", "certificate_required")]
        if outcome == "aborted"
        else [("client", "close_notify"), ("server", "close_notify")]
    )
    if MODERN[port].startswith("TLS_"):
        assert handshake.cipher is not None
        assert handshake.cipher.name == MODERN[port]


def test_early_data_and_the_ticket_that_became_an_identity() -> None:
    document = opened("tls13-inside")
    port = next(p for p, name in MODERN.items() if name == "early data")
    first, second = at_port(document, port)
    assert first.secrets == second.secrets == "decrypted"
    assert second.handshakes[0].kind == "psk"
    identity = (second.handshakes[0].session.offered_psks or [""])[0]
    assert identity in first.handshakes[0].session.issued_tickets
    session = next(s for s in document.sessions if s.id == identity)
    assert (session.issued_by, session.leaf) == (first.id, first.handshakes[0].server_chain[0])
    assert [(use.connection, use.result) for use in session.uses] == [(second.id, "resumed")]
    assert second.backend == first.backend


def test_modern_pools_show_their_back_ends() -> None:
    """nginx behind a balancer, TLS 1.3: certificates, back ends and sessions as in TLS 1.2. Without secrets none of
    them shows.
    """
    hidden, shown = opened("tls13", "nothing"), opened("tls13")
    assert not hidden.backends
    assert len(shown.backends) == 3
    assert {c.secrets for c in shown.connections} == {"decrypted"}
    assert all(c.backend for c in shown.connections)
    cells = sum(cell.resumed for cell in shown.services[0].matrix if cell.issued_by == cell.offered_to)
    assert cells == sum(c.handshakes[0].kind == "psk" for c in shown.connections) == 6


def test_records_without_an_iv_of_their_own() -> None:
    """TLS 1.0, nginx and JSSE: application data lies between the Finished and the alerts."""
    assert {c.secrets for c in opened("tls10").connections} == {"decrypted", "nothing was encrypted"}


def dsb(lines: bytes) -> bytes:
    body = struct.pack("<II", 0x544C534B, len(lines)) + lines + bytes(-len(lines) % 4)
    return struct.pack("<II", 10, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def test_secrets_of_the_capture_itself(tmp_path: Path) -> None:
    from inspector.capture.files import Story
    from inspector.capture.writer import PcapngWriter

    path = tmp_path / "own.pcapng"
    with path.open("wb") as out:
        writer = PcapngWriter(out)
        writer.key_log(content_of(str(CAPTURES / "tls13-inside.keylog")))
        for batch in Story([str(find("tls13-inside"))]).batches():
            writer.write(batch)
    expected, found = compared(opened("tls13-inside")), compared(document_of(path))
    for one in (expected, found):
        one.pop("captures")
    assert found == expected


def test_wrong_secrets_are_named() -> None:
    lines = content_of(str(CAPTURES / "tls13-inside.keylog")).decode().splitlines()
    wrong = "\n".join(
        f"{label} {name} {'5a' * (len(secret) // 2)}"
        for label, name, secret in (line.split() for line in lines if not line.startswith("#"))
    )
    document = document_of(find("tls13-inside"), given=SecretInputs([("wrong", wrong.encode())]))
    assert {c.secrets for c in document.connections} == {"the secret does not open its records"}
    assert not any(h.server_chain for c in document.connections for h in c.handshakes)
    assert any(limit.kind == "not_decrypted" and "does not open" in limit.text for limit in document.limits)


def test_missing_secrets_are_named_connection_by_connection() -> None:
    lines = content_of(str(CAPTURES / "tls13-inside.keylog")).decode().splitlines(keepends=True)
    half = "".join(line for line in lines if "SERVER_HANDSHAKE" not in line)
    document = document_of(find("tls13-inside"), given=SecretInputs([("half", half.encode())]))
    assert {c.secrets for c in document.connections} == {"no SERVER_HANDSHAKE_TRAFFIC_SECRET for this connection"}
    some = document_of(
        find("renegotiations"),
        given=SecretInputs([("some", content_of(str(CAPTURES / "renegotiations.keylog"))[:4000])]),
    )
    assert {c.secrets for c in some.connections} == {"decrypted", "no secret for this connection"}
    assert any("none of a key log" in limit.text for limit in some.limits if limit.kind == "secrets")


@pytest.mark.parametrize("seed", range(6))
def test_cut_reordered_repeated_records_say_the_same(tmp_path: Path, seed: int) -> None:
    """Any segmentation of the same bytes, decrypted: the same analysis."""
    dice = random.Random(seed)
    expected = {c.id: compared_inside(c) for c in opened("tls13-inside").connections} | {
        c.id: compared_inside(c) for c in opened("renegotiations").connections
    }
    for name in ("tls13-inside", "renegotiations"):
        flows = flows_of(find(name), lambda port: port % 4 == seed % 4)
        for flow in flows:
            cut(flow, dice, window=seed % 3, duplicates=bool(seed % 2), overlap=seed > 2)
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(capture(flows))
        document = document_of(path, given=given_for(name))
        assert len(document.connections) == len(flows)
        for connection in document.connections:
            assert compared_inside(connection) == expected[connection.id], connection.server_endpoint.port


def compared_inside(connection: Connection) -> Any:
    """What was decrypted, without frames and times."""
    handshakes = msgspec.to_builtins(connection.handshakes)
    for handshake in handshakes:
        handshake.pop("frames")
        handshake.pop("inside")
        handshake.pop("jsse")
        handshake.pop("reason")
    return connection.secrets, handshakes, sorted((a.sender, a.name or "") for a in connection.alerts)


@pytest.mark.parametrize("name", ["tls13-inside", "renegotiations"])
def test_mutated_records_are_named_after_bounded_work(tmp_path: Path, name: str) -> None:
    dice = random.Random(3)
    known = {d.sha256 for d in opened(name).certificates}
    for round_number in range(6):
        flows = flows_of(find(name), lambda port, n=round_number: port % 6 == n)  # type: ignore[misc]
        for flow in flows:
            with_data = [s for s in flow.segments if len(s.payload) > 40]
            for segment in dice.sample(with_data[2:], min(3, len(with_data) - 2)):
                data = bytearray(segment.payload)
                for _ in range(dice.choice((1, 1, 8))):
                    data[dice.randrange(5, len(data))] ^= dice.randrange(1, 256)
                segment.payload = bytes(data)
        path = tmp_path / f"{round_number}.pcap"
        path.write_bytes(capture(flows))
        with Work() as work:
            document = document_of(path, given=given_for(name))
        assert work.calls < MOST_CALLS
        assert document.connections
        for connection in document.connections:
            assert connection.secrets is not None
            for handshake in (
                connection.handshakes
            ):  # in clear anything may have changed; under encryption nothing is believed that was
                if handshake.renegotiation or handshake.version == "TLSv1.3":
                    assert set(handshake.server_chain) <= known


def test_lost_segments_are_named(tmp_path: Path) -> None:
    """A hole in the encrypted part: what stands before it is read, what stands behind it is not guessed."""
    flows = flows_of(find("renegotiations"), lambda port: port in (9001, 9007, 9026))
    for flow in flows:
        sealed = [s for s in ordered([flow]) if not s.from_client and s.payload]
        flow.segments.remove(sealed[-3])
    path = tmp_path / "lossy.pcap"
    path.write_bytes(capture(flows))
    document = document_of(path, given=given_for("renegotiations"))
    assert {c.secrets for c in document.connections} <= {"bytes are missing", "the secret does not open its records"}
    assert all(c.handshakes[0].server_chain for c in document.connections)


def test_application_data_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an established connection only handshake messages, alerts and ChangeCipherSpecs come out of any opener."""
    from inspector.secrets import openers

    traffic_open, aead_open, cbc_open = openers.Traffic.open, openers.Aead.open, openers.Cbc.open
    kinds: list[int] = []

    def watch_modern(self: openers.Traffic, sequence: int, version: int, body: bytes) -> tuple[int, bytes]:
        found = traffic_open(self, sequence, version, body)
        kinds.append(found[0])
        return found

    def watch_classic(self: openers.Aead, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        kinds.append(kind)
        return aead_open(self, sequence, kind, version, body)

    def watch_cbc(self: openers.Cbc, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        kinds.append(kind)
        return cbc_open(self, sequence, kind, version, body)

    monkeypatch.setattr(openers.Traffic, "open", watch_modern)
    monkeypatch.setattr(openers.Aead, "open", watch_classic)
    monkeypatch.setattr(openers.Cbc, "open", watch_cbc)
    for name in ("tls13", "renegotiations"):
        document_of(find(name), given=given_for(name))
    assert set(kinds) == {20, 21, 22}


def test_encrypted_key_asks(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    from inspector.errors import UsageError

    key = load_pem_private_key(Path(KEYS[0]).read_bytes(), None)
    path = tmp_path / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")))
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "open sesame"

    assert read_inputs([], [str(path)], answer).server_keys
    assert asked == [f"Passphrase of {path}"]
    with pytest.raises(UsageError, match="does not open it"):
        read_inputs([], [str(path)], lambda prompt: "wrong")
    (tmp_path / "no.key").write_text("nothing")
    with pytest.raises(UsageError, match="not a private key"):
        read_inputs([], [str(tmp_path / "no.key")], no_passphrase)
    with pytest.raises(UsageError, match="No such file"):
        read_inputs([str(tmp_path / "none")], [], no_passphrase)


def test_analysis_holds_no_secret() -> None:
    for name in ("tls13-inside", "renegotiations"):
        lines = content_of(str(CAPTURES / f"{name}.keylog")).decode().splitlines()
        text = msgspec.json.encode(opened(name)).decode()
        assert not any(line.split()[-1] in text for line in lines if line.count(" ") == 2)


def test_gz_of_a_pcapng_with_secrets(tmp_path: Path) -> None:
    """The block may stand anywhere before the packets that it opens."""
    from inspector.capture.files import Story
    from inspector.capture.writer import PcapngWriter

    path = tmp_path / "late.pcapng.gz"
    with gzip.open(path, "wb") as out:
        writer = PcapngWriter(out)
        for place, batch in enumerate(Story([str(find("tls13-inside")), str(find("renegotiations"))]).batches()):
            if not place:
                out.write(dsb(content_of(str(CAPTURES / "tls13-inside.keylog"))))
            writer.write(batch)
    document = document_of(path)
    assert {c.secrets for c in document.connections} == {"decrypted", "no secret for this connection"}


def test_what_waits_is_bounded_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a key log may still grow, records wait; together they take no more than the bound, and nothing of them
    stays behind.
    """
    from inspector import bounds
    from inspector.capture.files import Story
    from inspector.extract.engine import Engine
    from inspector.secrets.channel import Channels
    from inspector.secrets.store import Secrets

    monkeypatch.setattr(bounds, "HELD_ALTOGETHER", 6000)
    secrets = Secrets(may_grow=True)
    engine = Engine(secrets=Channels(secrets))
    most = 0
    for batch in Story([str(find("tls13"))]).batches():
        engine.feed(batch)
        most = max(most, secrets.held_bytes)
    reasons = {engine.facts.unpack(packed).secrets for packed in engine.finish().connections}
    assert reasons == {NoSecret()}
    assert most <= 6000 + bounds.RECORD_BYTES
    assert secrets.held_bytes == 0


def test_identities_of_one_server_begin_alike() -> None:
    """Without secrets the start of an identity tells the key that sealed it; with them, that it is the issuer's own."""
    hidden, shown = opened("tls13", "nothing"), opened("tls13")
    keys = {session.id: session.ticket_key for session in hidden.sessions}
    assert len(set(keys.values())) == 3
    backend = {c.id: c.backend for c in shown.connections}
    issued = {(keys[s.id], backend[s.issued_by]) for s in shown.sessions if s.id in keys and s.issued_by}
    assert len(issued) == len({key for key, _ in issued}) == len({who for _, who in issued}) == 3
    assert any("sealed with 3 ticket keys" in limit.text for limit in hidden.limits)
