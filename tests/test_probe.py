"""The active probe against real servers on loopback: what it says is what the servers were made to do."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from inspector.probe import conversation
from inspector.probe.alerts import received_alert
from inspector.probe.client_model import MODELS, Credentials
from inspector.probe.conversation import MOST_BYTES, probings_of
from inspector.probe.running import ProbeRun
from inspector.probe.starttls import StartTls
from inspector.probe.synthetic_capture import write_capture
from inspector.probe.transcript import ProbeEnd
from inspector.reports import probed
from tests.build import document_of
from tests.pools import HOST, RESET, Issued, LoopbackPool, Talk, issued, server_context, tls
from tests.probing import PLAN, TLS12, WITH_TICKETS, asked, back_ends, ends, only, probed_in, to
from tests.waiting import PATIENCE_SECONDS

CBC = "ECDHE-ECDSA-AES128-SHA"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is given time."""
    monkeypatch.setattr(conversation, "TICKET_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(conversation, "ANSWER_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(conversation, "CLOSING_SECONDS", PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("model", "newest", "state"),
    [
        ("java8-no-ems", TLS12, "exposed"),
        ("java8", TLS12, "protected"),
        ("java17", ssl.TLSVersion.TLSv1_3, "protected"),
    ],
)
def test_a_pool_at_random_and_what_java_would_do(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued], model: str, newest: ssl.TLSVersion, state: str
) -> None:
    vip = pool.balancer(back_ends(pool, certificates, newest), "random")
    run, document = asked(tmp_path, PLAN._replace(through=to(vip), models=(WITH_TICKETS[model],), connections=30))
    service = only(document)
    assert service.probed is not None
    [address] = service.probed.addresses
    assert ends(run) == {ProbeEnd.FINISHED}
    assert service.assessment.state == state
    assert {c.subject for c in document.certificates} == {f"CN=db{n}.example.com" for n in (1, 2, 3)}
    assert len(address.backends) == 3
    assert address.order == "mixed"
    assert address.missed == pytest.approx(0.75**30)
    assert service.connections == 30
    assert not service.health_checks
    matrix = service.matrix
    assert sum(cell.resumed + cell.declined for cell in matrix) == 29  # all but the first offer a session
    assert all(not cell.declined for cell in matrix if cell.issued_by == cell.offered_to)
    assert all(not cell.resumed for cell in matrix if cell.issued_by != cell.offered_to)
    assert bool(service.probed.models[0].would_abort) == (state == "exposed")
    assert [client.stack for client in document.clients] == ["probe"]
    assert [capture.source for capture in document.captures] == ["probe"]


def test_strict_turn(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "in_turn")
    _, document = asked(tmp_path, PLAN._replace(through=to(vip), models=(WITH_TICKETS["java8-no-ems"],)))
    service = only(document)
    assert service.probed is not None
    [address] = service.probed.addresses
    assert (address.order, address.fails_in_turn, len(address.backends)) == ("in_turn", False, 3)
    assert address.missed is None
    assert probed.lines_of(document, service)[0].endswith("A, B, C in strict turn: no other place was met")
    assert service.probed.models[0].would_abort == 0  # nothing is resumed, so nothing is restricted
    assert service.resumed == 0


def test_a_member_that_is_down_in_the_rotation(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    vip = pool.balancer([*back_ends(pool, certificates[:2]), pool.down()], "in_turn")
    run, document = asked(tmp_path, PLAN._replace(through=to(vip)))
    service = only(document)
    assert service.probed is not None
    [address] = service.probed.addresses
    assert (address.order, address.fails_in_turn, len(address.backends), address.failed) == ("in_turn", True, 2, 4)
    assert address.unanswered == 4
    assert "and a place from which no ServerHello comes in strict turn" in probed.lines_of(document, service)[0]
    assert Counter(transcript.end for transcript in run.transcripts)[ProbeEnd.RESET] == 4


@pytest.mark.parametrize(("count", "grade"), [(4, "inferred"), (20, "observed")])
def test_of_members_that_few_connections_may_have_missed_nothing_is_said(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued], count: int, grade: str
) -> None:
    """Extended master secret with all that were met."""
    vip = pool.balancer(back_ends(pool, certificates), "in_turn")
    _, document = asked(tmp_path, PLAN._replace(through=to(vip), connections=count))
    assessment = only(document).assessment
    assert (assessment.state, assessment.grade) == ("protected", grade)
    assert any("did not meet is otherwise" in change for change in assessment.breaks_if) == (grade == "inferred")


def test_source_affinity_is_on_begun_by_back_ends_that_are_asked_directly(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    ports = back_ends(pool, certificates)
    vip = pool.balancer(ports, "source")
    _, alone = asked(tmp_path, PLAN._replace(through=to(vip)))
    service = only(alone)
    assert service.probed is not None
    [address] = service.probed.addresses
    assert (address.order, len(address.backends), address.missed) == ("one", 1, None)
    assert "always A: alone there, or several that show one certificate, or" in probed.lines_of(alone, service)[0]
    assert (service.assessment.state, service.assessment.grade) == ("protected", "inferred")
    assert any("keeps the probe at one back end" in change for change in service.assessment.breaks_if)
    assert "protected as things stand: one certificate alone was seen" in probed.lines_of(alone, service)[-1]
    run, document = asked(tmp_path, PLAN._replace(through=to(vip), direct=to(*ports[1:], is_direct=True)))
    assert len(run.transcripts) == 16
    by_port = {
        address.port: address
        for service in document.services
        if service.probed is not None
        for address in service.probed.addresses
    }
    assert set(by_port) == {vip, *ports[1:]}
    assert [by_port[port].connections for port in (vip, *ports[1:])] == [12, 2, 2]
    assert len({*(backend.leaf for backend in document.backends)}) == 3


def test_tls13_alone_shows_certificates_and_uses_each_ticket_once(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    context = server_context(certificates[0], oldest=ssl.TLSVersion.TLSv1_3)
    _, document = asked(tmp_path, PLAN._replace(through=to(pool.server(tls(context)))))
    assert [c.handshakes[0].kind for c in document.connections] == ["full"] + ["psk"] * 11
    offered = [psk for c in document.connections for psk in c.handshakes[0].session.offered_psks or []]
    assert len({*offered}) == 11
    assert {c.handshakes[0].version for c in document.connections} == {"TLSv1.3"}
    assert [c.subject for c in document.certificates] == ["CN=db1.example.com"]
    run, refused = asked(tmp_path, PLAN._replace(through=to(pool.server(tls(context))), models=(MODELS["java8"],)))
    assert ends(run) == {ProbeEnd.TLS_ERROR}
    assert received_alert(run.transcripts[0].reason) == "protocol_version"
    assert [finding.rule for finding in refused.findings] == ["handshake-failed"]


def test_tls10_alone_is_refused_by_openssl_and_named(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    context = server_context(certificates[0], ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1)
    port = pool.server(tls(context))
    run, document = asked(tmp_path, PLAN._replace(through=to(port), connections=3))
    assert ends(run) <= {ProbeEnd.TLS_ERROR, ProbeEnd.CLOSED, ProbeEnd.RESET}
    assert [finding.rule for finding in document.findings] == ["handshake-failed"]
    run, document = asked(tmp_path, PLAN._replace(through=to(port), connections=3, models=(MODELS["java7"],)))
    assert ends(run) == {ProbeEnd.FINISHED}
    assert {c.handshakes[0].version for c in document.connections} == {"TLSv1"}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("suite", "is_rsa"), [("AES128-GCM-SHA256", True), ("AES128-SHA", True), (CBC, False)])
def test_suites_that_java_offers_and_python_does_not(
    tmp_path: Path, pool: LoopbackPool, model: str, suite: str, is_rsa: bool
) -> None:
    context = server_context(issued(tmp_path, "old.example.com", is_rsa=is_rsa), TLS12)
    context.set_ciphers(suite)
    plan = PLAN._replace(through=to(pool.server(tls(context))), connections=2, models=(MODELS[model],))
    run, _ = asked(tmp_path, plan)
    has_gcm = model != "java7"
    assert ends(run) == ({ProbeEnd.FINISHED} if has_gcm or "GCM" not in suite else {ProbeEnd.TLS_ERROR})


def test_a_client_certificate_is_asked_for(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    authority = issued(tmp_path, "ca.example.com")
    own = issued(tmp_path, "client.example.com", authority)
    for newest in (TLS12, ssl.TLSVersion.TLSv1_3):
        context = server_context(certificates[0], newest)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.path)
        plan = PLAN._replace(through=to(pool.server(tls(context))), connections=2)
        run, document = asked(tmp_path, plan)
        assert ends(run) == {ProbeEnd.TLS_ERROR}
        assert "handshake-failed" in {finding.rule for finding in document.findings}
        assert probed.lines_of(document, only(document))[0].endswith("2 of them not established, answered by A")
        run, document = asked(tmp_path, plan, Credentials(str(own.path)))
        assert ends(run) == {ProbeEnd.FINISHED}
        assert not [finding for finding in document.findings if finding.severity in ("high", "medium")]


def test_an_authority_that_is_asked_for_refuses_others(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    plan = PLAN._replace(through=to(pool.server(tls(server_context(certificates[0], TLS12)))), connections=2)
    run, _ = asked(tmp_path, plan, Credentials(authorities=str(certificates[1].path)))
    assert {(t.end, t.reason) for t in run.transcripts} == {(ProbeEnd.TLS_ERROR, "CERTIFICATE_VERIFY_FAILED")}
    assert not received_alert("CERTIFICATE_VERIFY_FAILED")
    run, _ = asked(tmp_path, plan, Credentials(authorities=str(certificates[0].path)))
    assert ends(run) == {ProbeEnd.FINISHED}


def test_certificates_by_server_name(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    context, other = server_context(certificates[0]), server_context(certificates[1])

    def by_name(channel: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name == "two.example.com":
            channel.context = other

    context.sni_callback = by_name
    port = pool.server(tls(context))
    for name, subject in (("two.example.com", "CN=db2.example.com"), ("", "CN=db1.example.com")):
        _, document = asked(tmp_path, PLAN._replace(through=to(port), server_name=name, connections=2))
        assert [certificate.subject for certificate in document.certificates] == [subject]


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def hang(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def speak_plainly(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    hang(connection)


def flood(connection: socket.socket) -> None:
    header = b"\x16\x03\x03\x40\x00"  # a handshake record of 16 KiB, of a message that goes on for ever
    message = b"\x0b\xff\xff\xff" + bytes(0x3FFC)
    connection.sendall(header + message)
    while True:
        connection.sendall(header + bytes(0x4000))


def flood_without_tls(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\x16\x03\x03\x00\x00" * 1000)  # empty records


def close_at_once(connection: socket.socket) -> None:
    connection.recv(4096)


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (reset, {ProbeEnd.RESET}),
        (hang, {ProbeEnd.HUNG}),
        (speak_plainly, {ProbeEnd.TLS_ERROR}),
        (flood, {ProbeEnd.FLOODED, ProbeEnd.TLS_ERROR}),
        (flood_without_tls, {ProbeEnd.FLOODED, ProbeEnd.TLS_ERROR}),
        (close_at_once, {ProbeEnd.CLOSED}),
    ],
)
def test_a_server_that_misbehaves_is_named_and_bounded(
    tmp_path: Path, pool: LoopbackPool, talk: Talk, expected: set[ProbeEnd]
) -> None:
    run, document = asked(
        tmp_path,
        PLAN._replace(
            through=to(pool.server(talk)), connections=3, at_once=3, seconds=3.0 if talk is hang else PATIENCE_SECONDS
        ),
    )
    assert len(run.transcripts) == 3
    assert ends(run) <= expected
    assert all(transcript.received <= MOST_BYTES + (16 << 10) for transcript in run.transcripts)
    [failed] = [finding for finding in document.findings if finding.rule == "handshake-failed"]
    assert failed.count == 3


def flood_behind_the_handshake(context: ssl.SSLContext) -> Talk:
    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as channel:
            while True:
                channel.sendall(bytes(1 << 14))

    return talk


def test_a_flood_behind_the_handshake_is_bounded(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    port = pool.server(flood_behind_the_handshake(server_context(certificates[0], TLS12)))
    run, _ = asked(tmp_path, PLAN._replace(through=to(port), connections=2))
    assert ends(run) == {ProbeEnd.FLOODED}
    assert all(transcript.received <= MOST_BYTES + (16 << 10) for transcript in run.transcripts)


def test_nobody_listens(tmp_path: Path, pool: LoopbackPool) -> None:
    run, document = asked(tmp_path, PLAN._replace(through=to(pool.down()), connections=3))
    assert ends(run) == {ProbeEnd.REFUSED}
    assert not document.connections


def line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n"):
        data += connection.recv(1)
    return data


def test_the_proxy_protocol(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    lines: list[bytes] = []
    port = pool.server(tls(server_context(certificates[0]), lambda connection: lines.append(line(connection))))
    run, document = asked(tmp_path, PLAN._replace(through=to(port), connections=2, sends_proxy_header=True))
    assert ends(run) == {ProbeEnd.FINISHED}
    clients = [transcript.client for transcript in run.transcripts]
    assert lines == [f"PROXY TCP4 {HOST} {HOST} {own} {port}\r\n".encode() for _, own in clients]
    assert [c.outcome for c in document.connections] == ["established"] * 2


def postgres(answer: bytes) -> Talk:
    def before(connection: socket.socket) -> None:
        request = connection.recv(8, socket.MSG_WAITALL)
        assert request == bytes.fromhex("00000008 04d2162f")
        connection.sendall(answer)

    return before


def ldap(result: int) -> Talk:
    def before(connection: socket.socket) -> None:
        request = connection.recv(31, socket.MSG_WAITALL)
        assert request == bytes.fromhex("301d020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
        connection.sendall(bytes.fromhex(f"300c020101 7807 0a01{result:02x} 0400 0400"))

    return before


@pytest.mark.parametrize(
    ("protocol", "accepting", "declining"),
    [(StartTls.POSTGRES, postgres(b"S"), postgres(b"N")), (StartTls.LDAP, ldap(0), ldap(2))],
)
def test_starttls(
    tmp_path: Path,
    pool: LoopbackPool,
    certificates: list[Issued],
    protocol: StartTls,
    accepting: Talk,
    declining: Talk,
) -> None:
    context = server_context(certificates[0])
    plan = PLAN._replace(connections=2, starttls=protocol)
    run, document = asked(tmp_path, plan._replace(through=to(pool.server(tls(context, accepting)))))
    assert ends(run) == {ProbeEnd.FINISHED}
    assert [c.outcome for c in document.connections] == ["established"] * 2
    run, _ = asked(tmp_path, plan._replace(through=to(pool.server(declining))))
    assert ends(run) == {ProbeEnd.NO_STARTTLS}


def test_one_head_request_and_no_more(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    requests: list[bytes] = []
    context = server_context(certificates[0])

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as channel:
            received = b""
            while data := channel.recv(4096):
                received += data
                channel.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            requests.append(received)

    through = to(pool.server(talk))
    asked(tmp_path, PLAN._replace(through=through, connections=2))
    pool.settle()
    assert requests == [b""] * 2
    run, _ = asked(tmp_path, PLAN._replace(through=through, connections=2, sends_head=True))
    assert ends(run) == {ProbeEnd.FINISHED}
    pool.settle()
    assert requests[2:] == [b"HEAD / HTTP/1.1\r\nHost: db.example.com\r\nConnection: close\r\n\r\n"] * 2


def test_stopped_before_its_end_it_gives_what_is_known(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    port = pool.server(tls(server_context(certificates[0])))
    keys = tmp_path / "keys"
    plan = PLAN._replace(through=to(port), connections=1000)
    probings = probings_of(plan, Credentials(), str(keys))

    def told(begun: int, total: int) -> None:
        assert total == 1000
        if begun == 5:
            run.stop()

    run = ProbeRun(probings, told)
    run.run()
    assert 1 <= len(run.transcripts) <= 5
    with (tmp_path / "part.pcapng").open("wb") as out:
        write_capture(run.transcripts, keys.read_bytes(), out)
    assert document_of(tmp_path / "part.pcapng").captures[0].source == "probe"


def test_what_is_open_when_it_is_stopped_is_blamed_on_nobody(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    members = [tls(server_context(certificate, TLS12)) for certificate in certificates[:2]]
    number = count()

    def talk(connection: socket.socket) -> None:
        at = next(number)
        if at < 12:
            members[at % 2](connection)
        else:
            connection.recv(4096)  # its ClientHello
            run.stop()
            connection.recv(1)

    keys = tmp_path / "keys"
    run = ProbeRun(probings_of(PLAN._replace(through=to(pool.server(talk)), connections=40), Credentials(), str(keys)))
    run.run()
    assert (len(run.transcripts), ends(run)) == (13, {ProbeEnd.FINISHED, ProbeEnd.STOPPED})
    with (tmp_path / "part.pcapng").open("wb") as out:
        write_capture(run.transcripts, keys.read_bytes(), out)
    document = document_of(tmp_path / "part.pcapng")
    [address] = probed_in(document).addresses
    assert (address.connections, address.failed, address.order) == (13, 1, "in_turn")
    assert "handshake-failed" not in {finding.rule for finding in document.findings}
