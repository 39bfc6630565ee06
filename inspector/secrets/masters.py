"""The master secret of a handshake up to TLS 1.2, from whatever was given: the key log's own line, a session that is
resumed, a premaster secret, a server's key.
"""

from __future__ import annotations

from inspector.errors.decryption import NoServerKey, NotDecrypted, NotKeyTransport, ServerKeyDoesNotFit
from inspector.facts import HandshakeFacts
from inspector.secrets import keylog
from inspector.secrets.derivation import master_secret, transcript_hash
from inspector.secrets.openers import Suite
from inspector.secrets.store import Secrets
from inspector.tls.messages import with_header
from inspector.tls.registry import cipher_name
from inspector.tls.types import CLIENT_HELLO, HandshakeType


class Exchange:
    """What a handshake said that a premaster secret needs: the transcript up to ClientKeyExchange (RFC 7627, section
    3), by sender.
    """

    def __init__(self) -> None:
        self.master: bytes | None = None
        self.problem: NotDecrypted | None = None
        self.key_exchange: bytes | None = None
        self._client: list[bytes] = []
        self._server: list[bytes] = []
        self._is_server_done = False

    def add(self, is_client: bool, kind: int, body: bytes) -> None:
        """A message in the order of its sender."""
        if kind == HandshakeType.HELLO_REQUEST or (
            self.key_exchange is not None if is_client else self._is_server_done
        ):
            return
        whole = with_header(kind, body)
        if is_client:
            self._client.append(whole)
            if kind == HandshakeType.CLIENT_KEY_EXCHANGE:
                self.key_exchange = body
        else:
            self._server.append(whole)
            self._is_server_done = kind == HandshakeType.SERVER_HELLO_DONE

    @property
    def may_still_come(self) -> bool:
        """Whether the other direction may bring what is lacking."""
        return bool(self._client or self._server) and not (self.key_exchange is not None and self._is_server_done)

    def transcript(self) -> bytes | None:
        """All messages up to ClientKeyExchange; None while one is lacking."""
        if self.key_exchange is None or not self._is_server_done or self._client[0][0] != CLIENT_HELLO:
            return None
        return self._client[0] + b"".join(self._server) + b"".join(self._client[1:])

    def forget(self) -> None:
        """The master secret is known: nothing else is needed."""
        self._client.clear()
        self._server.clear()


def master_of(
    secrets: Secrets, handshake: HandshakeFacts, suite: Suite, exchange: Exchange, certificate: bytes | None
) -> bytes | None:
    """The master secret, kept in ``exchange``; None where it cannot be told (yet), with ``exchange.problem`` where that
    is for good.
    """
    if exchange.master is None:
        exchange.master = (
            secrets.find(keylog.MASTER, handshake.client_random)
            or _resumed(secrets, handshake)
            or _exchanged(secrets, handshake, suite, exchange, certificate)
        )
        if exchange.master is not None:
            exchange.forget()
            secrets.keep_master(handshake.client_random, exchange.master)
    return exchange.master


def _resumed(secrets: Secrets, handshake: HandshakeFacts) -> bytes | None:
    if handshake.offered_id and handshake.offered_id == handshake.answered_id:
        return secrets.session(handshake.offered_ticket or b"") or secrets.session(handshake.offered_id)
    return None


def _exchanged(
    secrets: Secrets, handshake: HandshakeFacts, suite: Suite, exchange: Exchange, certificate: bytes | None
) -> bytes | None:
    premaster = secrets.find(keylog.PREMASTER, handshake.client_random)
    if premaster is None and exchange.key_exchange is not None:
        premaster = _decrypted(secrets, handshake, exchange, certificate)
    answer = handshake.answer
    if premaster is None or answer is None:
        return None
    session_hash = None
    if answer.extended_master_secret:
        transcript = exchange.transcript()
        if transcript is None:
            return None
        session_hash = transcript_hash(suite.version, suite.digest, transcript)
    return master_secret(
        suite.version, suite.digest, premaster, handshake.client_random + handshake.server_random, session_hash
    )


def _decrypted(
    secrets: Secrets, handshake: HandshakeFacts, exchange: Exchange, certificate: bytes | None
) -> bytes | None:
    """The premaster secret of an RSA key exchange."""
    encrypted = (exchange.key_exchange or b"")[2:]
    premaster = secrets.find(keylog.RSA_PREMASTER, encrypted[:8])
    if premaster is not None or not secrets.server_keys:
        return premaster
    answer = handshake.answer
    name = cipher_name(answer.cipher_suite) if answer is not None else ""
    if not name.startswith("TLS_RSA_"):
        exchange.problem = NotKeyTransport(answer.cipher_suite if answer is not None else 0)
        return None
    key = next((key for key in secrets.server_keys if certificate is not None and key.belongs_to(certificate)), None)
    if key is None:
        exchange.problem = NoServerKey()
        return None
    premaster = key.premaster_secret(encrypted)
    if premaster is None:
        exchange.problem = ServerKeyDoesNotFit()
    return premaster
