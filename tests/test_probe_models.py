"""One probe that stands for several JVMs: each a client of its own, with sessions, interface and verdict of its own."""

from __future__ import annotations

import ssl
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from inspector import bounds
from inspector.capture.probe_marks import ProbeMarks, ProbeTurn, client_at
from inspector.document import Document, ProbedAs
from inspector.packets.reread import flow_of, save
from inspector.probe.client_model import MODELS
from inspector.probe.transcript import ProbeEnd
from inspector.reports import overview, probed
from tests.build import document_of, facts_of
from tests.pools import HOST, Issued, LoopbackPool, server_context, tls
from tests.probing import (
    PLAN,
    TLS12,
    WITH_TICKETS,
    asked,
    back_ends,
    ends,
    only,
    openssl_servers,
    probe,
    probed_in,
    to,
)
from tests.waiting import COMMAND_SECONDS

BOTH = (WITH_TICKETS["java8"], WITH_TICKETS["java8-no-ems"])


def by_model(document: Document) -> dict[str, ProbedAs]:
    return {met.model or "": met for met in probed_in(document).models}


def test_each_fares_by_itself(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "random")
    run, document = asked(tmp_path, PLAN._replace(through=to(vip), models=BOTH, connections=61))
    assert ends(run) == {ProbeEnd.FINISHED}
    assert [transcript.stands_for for transcript in run.transcripts] == ["java8"] * 31 + ["java8-no-ems"] * 30
    met = by_model(document)
    assert list(met) == ["java8", "java8-no-ems"]
    guarded, exposed = met.values()
    assert (guarded.connections, exposed.connections) == (31, 30)
    assert (guarded.state, guarded.rule, guarded.would_abort, len(guarded.ems)) == ("protected", "ems", 0, 3)
    assert (exposed.state, exposed.ems, len(exposed.without_ems)) == ("exposed", [], 3)
    assert 0 < exposed.would_abort <= exposed.declined
    assert guarded.declined + guarded.resumed == 30
    assert exposed.declined + exposed.resumed == 29
    service = only(document)
    assert service.assessment.state == "exposed"
    assert "the client is a probe, which asks as java8-no-ems does" in service.assessment.because
    assert "certificate-change-exposed" in {finding.rule for finding in document.findings}
    [_, first, second] = probed.lines_of(document, service)
    assert first.startswith("java8: protected: extended master secret (EMS) in every handshake, at A, B, C, unless one")
    assert second.startswith(f"java8-no-ems: exposed; gives up on {exposed.would_abort} of {exposed.declined} declined")
    assert service.assessment.do.startswith("put one name, e.g. DNS db.example.com, into all")
    assert overview.clients(document, service) == (
        f"client {HOST} (a probe, not users' traffic, as java8, java8-no-ems)"
    )
    [address] = probed_in(document).addresses
    assert address.connections == 61
    assert address.missed == pytest.approx(0.75**61)


def test_sessions_of_one_are_never_offered_as_another(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "random")
    models = tuple(WITH_TICKETS[name] for name in ("java8-no-ems", "java8", "java17"))
    _, document = asked(tmp_path, PLAN._replace(through=to(vip), models=models, connections=60))
    clients = {client.id: client.probed_as for client in document.clients}
    assert sorted(name or "" for name in clients.values()) == ["java17", "java8", "java8-no-ems"]
    firsts = {client: next(c for c in document.connections if c.client == client) for client in clients}
    assert all(c.handshakes[0].session.offered_ticket is None for c in firsts.values())
    issued: dict[str, set[str]] = {client: set() for client in clients}
    offered: dict[str, set[str]] = {client: set() for client in clients}
    for c in document.connections:
        session = c.handshakes[0].session
        for ticket, seen in ((session.issued_ticket, issued), (session.offered_ticket, offered)):
            if ticket:
                seen[c.client].add(ticket)
    assert all(offered[client] <= issued[client] for client in clients)
    assert sum(map(len, offered.values())) > 3
    assert not set.intersection(*issued.values())


def test_tls13_is_what_protects_where_all_speak_it(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    vip = pool.balancer(back_ends(pool, certificates, ssl.TLSVersion.TLSv1_3), "random")
    models = (MODELS["java17"], MODELS["java11"], WITH_TICKETS["java8"])
    _, document = asked(tmp_path, PLAN._replace(through=to(vip), models=models, connections=60))
    for name, met in by_model(document).items():
        assert met.resumed + met.declined == 19, name
        assert met.resumed > 0, name
        assert (met.rule, len(met.tls13), len(met.ems)) == (("ems", 0, 3) if name == "java8" else ("tls13", 3, 0))
    lines = probed.lines_of(document, only(document))
    assert lines[1].startswith("java17: protected: all of its connections use TLS 1.3, at A, B, C, unless one loses it")


def test_strict_turn_goes_on_over_all_of_them(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    vip = pool.balancer(back_ends(pool, certificates[:2]), "in_turn")
    _, document = asked(tmp_path, PLAN._replace(through=to(vip), models=BOTH, connections=26))
    [address] = probed_in(document).addresses
    assert (address.order, len(address.backends)) == ("in_turn", 2)
    for met in by_model(document).values():
        assert (met.resumed, met.would_abort, met.state) == (0, 0, "protected")


def test_what_one_of_them_met_exposes_no_other(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    """With EMS at all back ends, and without at one alone: neither can meet a change without EMS."""
    members = back_ends(pool, certificates)
    vip = pool.balancer(members, "random")
    paths = []
    for model in BOTH:
        (tmp_path / model.name).mkdir()
        plan = PLAN._replace(through=to(vip), models=(model,), connections=20)
        paths.append(probe(tmp_path / model.name, plan)[1])
        members[:] = members[:1]
    document = document_of(*paths)
    met = by_model(document)
    assert [(each.state, each.resumed > 0) for each in met.values()] == [("protected", True), ("protected", True)]
    assert only(document).assessment.state == "protected"


def test_what_fails_as_one_hides_nothing_of_another(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    ports = []
    for certificate in certificates:
        context = server_context(certificate, TLS12)
        context.set_ciphers("ECDHE+AESGCM")
        ports.append(pool.server(tls(context)))
    vip = pool.balancer(ports, "random")
    models = (MODELS["java7"], WITH_TICKETS["java8-no-ems"])
    run, document = asked(tmp_path, PLAN._replace(through=to(vip), models=models, connections=40))
    assert ends(run) == {ProbeEnd.TLS_ERROR, ProbeEnd.FINISHED}
    met = by_model(document)
    assert (met["java7"].state, met["java7"].rule, met["java7"].established) == ("unknown", "nothing_completed", 0)
    assert met["java8-no-ems"].state == "exposed"
    assert "certificate-change-exposed" in {finding.rule for finding in document.findings}


def test_the_interfaces_stay_in_slices(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "random")
    _, path = probe(tmp_path, PLAN._replace(through=to(vip), models=BOTH, connections=20))
    facts = facts_of(path)
    flows = [flow_of(connection) for connection in facts.unpack_all(facts.connections)]
    with (tmp_path / "slice.pcapng").open("wb") as out:
        save([str(path)], flows[5:15], out, {})
    clients = {client.probed_as: client.connections for client in document_of(tmp_path / "slice.pcapng").clients}
    assert clients == {"java8": 5, "java8-no-ems": 5}


def test_the_command_says_a_line_for_each_and_the_capture_gives_the_same(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    kept, at_once, later = tmp_path / "kept.pcapng", tmp_path / "at-once.json", tmp_path / "later.json"
    with openssl_servers(certificates) as ports:
        vip = pool.balancer(ports, "random")
        words = [f"{HOST}:{vip}", "--as", "java8,java8-no-ems", "-n", "40", "--at-once", "4", "--rate", "50"]
        words += ["-T", "json", "--fail-on", "exposed", "-w", str(kept), "-o", str(at_once)]
        done = inspector("probe", *words)
    assert done.returncode == 1, done.stderr
    assert f"40 TLS handshakes with {HOST} port {vip}, as java8, then java8-no-ems, 50 a second" in done.stderr
    assert "40 of 40 connections: 40 finished" in done.stderr
    assert inspector("analyze", str(kept), "-T", "json", "-o", str(later)).returncode == 1
    assert at_once.read_bytes() == later.read_bytes()
    for name in ("inspector-probe java8", "inspector-probe java8-no-ems"):
        assert kept.read_bytes().count(name.encode() + bytes(-len(name) % 4)) >= 1
    text = inspector("analyze", str(kept)).stdout
    assert all(len(line) <= 100 for line in text.splitlines() if "java8" in line)
    assert "java8: protected" in text
    assert "java8-no-ems: exposed; gives up on" in text
    report = tmp_path / "report"
    assert inspector("report", str(kept), "-o", str(report)).returncode == 0
    assert inspector("verify", str(report)).returncode == 0
    evidence = {client.probed_as for client in document_of(report / "evidence.pcapng").clients}
    assert "java8-no-ems" in evidence
    assert evidence <= {"java8", "java8-no-ems"}


def test_a_jvm_that_completes_no_handshake_is_named(pool: LoopbackPool, certificates: list[Issued]) -> None:
    context = server_context(certificates[0], TLS12)
    context.set_ciphers("ECDHE+AESGCM")
    words = [f"{HOST}:{pool.server(tls(context))}", "--as", "java8,java7", "-n", "4", "--rate", "50"]
    done = inspector("probe", *words, "--fail-on", "exposed")
    assert done.returncode == 2, done.stderr
    assert "no handshake with it was completed as java7" in done.stderr


def test_never_more_than_asked_for() -> None:
    for words in (["--as", "each", "-n", "4"], ["--as", "java8,java9"], ["--as", ""]):
        done = inspector("probe", f"{HOST}:1", *words)
        assert done.returncode == 2, words
    for connections in (5, 7, 60):
        plan = PLAN._replace(
            through=to(1, 2), direct=to(3, is_direct=True), models=tuple(MODELS.values()), connections=connections
        )
        asked_of = [len(destinations) for _, destinations in plan.turns()]
        assert sum(asked_of) == plan.total == connections + 2
        shares = [asked_of[0] - 2, *asked_of[1:]]
        assert max(shares) - min(shares) <= 1
        through = [end.port for _, destinations in plan.turns() for end in destinations if not end.is_direct]
        assert all(one != other for one, other in pairwise(through))


def test_more_turns_than_anybody_writes_are_of_nobody() -> None:
    marks = ProbeMarks()
    both = [marks.add_interface(name) for name in ("java8", "java17")]
    count = 3 * bounds.PROBE_TURNS
    clients = np.array(both * count, np.int64)
    marks.add_frames(np.arange(1, 2 * count + 1), clients)
    marks.add_frames(np.arange(2 * count + 1, 4 * count + 1), clients)
    assert len(marks.turns) == bounds.PROBE_TURNS + 1
    assert [client_at(marks.turns, number) for number in (0, 1, 2, bounds.PROBE_TURNS)] == [
        "",
        "java8",
        "java17",
        "java17",
    ]
    assert {client_at(marks.turns, number) for number in range(bounds.PROBE_TURNS + 1, 4 * count)} == {""}
    assert client_at((ProbeTurn(5, "java8"),), 4) == ""


def inspector(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector", *words],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
