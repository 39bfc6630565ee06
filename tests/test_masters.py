"""Master secrets from everything but the usual line: premaster secrets, encrypted premaster secrets, sessions that are
resumed.
"""

from __future__ import annotations

from inspector.document import Connection
from inspector.facts import ConnectionFacts
from inspector.packets.messages import raw_messages
from inspector.secrets.inputs import SecretInputs, read_inputs
from inspector.tls.types import HandshakeType
from tests.build import document_of, facts_of
from tests.conftest import find
from tests.opening import KEYS, no_passphrase


def facts_at(port: int) -> list[ConnectionFacts]:
    facts = facts_of(find("renegotiations"))
    found = [facts.unpack(packed) for packed in sorted(facts.connections)]
    return [connection for connection in found if connection.server.port == port]


def opened_with(lines: str, port: int) -> list[Connection]:
    document = document_of(find("renegotiations"), given=SecretInputs([("lines", lines.encode())]))
    return [c for c in document.connections if c.server_endpoint.port == port]


def encrypted_premaster(connection: ConnectionFacts) -> bytes:
    """What a ClientKeyExchange of RSA holds (RFC 5246, section 7.4.7.1)."""
    messages = raw_messages([str(find("renegotiations"))], connection)
    return next(m.data[6:] for m in messages if m.data[:1] == bytes([HandshakeType.CLIENT_KEY_EXCHANGE]))


def test_premaster_secrets_open_with_extended_master_secret() -> None:
    """OpenSSL, TLS_RSA_WITH_AES_128_CCM: the transcript is needed (RFC 7627)."""
    [connection] = facts_at(9013)
    encrypted = encrypted_premaster(connection)
    premaster = read_inputs([], KEYS[:1], no_passphrase).server_keys[0].premaster_secret(encrypted)
    assert premaster is not None
    random = connection.handshake.client_random.hex()
    for line in (f"PMS_CLIENT_RANDOM {random} {premaster.hex()}", f"RSA {encrypted[:8].hex()} {premaster.hex()}"):
        [found] = opened_with(line, 9013)
        assert len(found.handshakes) == 2  # the renegotiation has a premaster secret of its own
        assert found.secrets == "no secret for this connection"
        assert found.handshakes[1].visibility == "decrypted"
        assert found.handshakes[1].inside is not None
        assert found.handshakes[1].inside.certificate == "same"
    [wrong] = opened_with(f"PMS_CLIENT_RANDOM {random} {'00' * 48}", 9013)
    assert wrong.secrets == "the secret does not open its records"
    assert wrong.handshakes[1].visibility == "encrypted"


def test_a_session_s_secret_opens_who_resumes_it() -> None:
    by = read_inputs([], KEYS, no_passphrase)
    facts_of(find("renegotiations"), given=by)
    first, second = facts_at(9048)
    session = first.handshake.answered_id
    assert second.handshake.answered_id == session
    master = by.secrets.session(session)
    assert master is not None
    _, resumed = opened_with(f"RSA Session-ID:{session.hex()} Master-Key:{master.hex()}", 9048)
    assert resumed.handshakes[0].kind == "session_id"
    assert resumed.handshakes[1].visibility == "decrypted"
