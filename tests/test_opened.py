"""Encrypted handshakes of real peers, read: OpenSSL, NSS, JSSE, nginx; by key logs and servers' keys; and what lengths
tell without.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from inspector.document.rules import Rule
from inspector.secrets.inputs import read_inputs
from tests.build import document_of
from tests.conftest import CAPTURES, find
from tests.opening import KEYS, at_port, no_passphrase, opened

CASES = [json.loads(line) for line in (CAPTURES / "renegotiations.jsonl").read_text(encoding="utf-8").splitlines()]
MODERN = {
    row["port"]: row["name"]
    for row in map(json.loads, (CAPTURES / "tls13-inside.jsonl").read_text(encoding="utf-8").splitlines())
}
OWN = "each message has a record of its own"


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


def test_identities_of_one_server_begin_alike() -> None:
    """Without secrets the start of an identity tells the key that sealed it; with them, that it is the issuer's own."""
    hidden, shown = opened("tls13", "nothing"), opened("tls13")
    keys = {session.id: session.ticket_key for session in hidden.sessions}
    assert len(set(keys.values())) == 3
    backend = {c.id: c.backend for c in shown.connections}
    issued = {(keys[s.id], backend[s.issued_by]) for s in shown.sessions if s.id in keys and s.issued_by}
    assert len(issued) == len({key for key, _ in issued}) == len({who for _, who in issued}) == 3
    assert any("sealed with 3 ticket keys" in limit.text for limit in hidden.limits)
