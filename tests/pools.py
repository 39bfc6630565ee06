"""Real TLS servers and balancers on loopback, for whoever asks them: threads of this process, ports that are free."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.waiting import PATIENCE_SECONDS

HOST = "127.0.0.1"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER by which closing sends a RST (socket(7))."""
Talk = Callable[[socket.socket], None]
"""What a server does with a connection; an OSError ends it."""


class Issued(NamedTuple):
    """A certificate with its key, in one PEM file, and both as objects."""

    path: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def issued(
    folder: Path, name: str, issuer: Issued | None = None, also: Sequence[str] = (), *, is_rsa: bool = False
) -> Issued:
    """A certificate for DNS names; self-signed where there is no issuer."""
    key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in (name, *also)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer.key if issuer is not None else key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return Issued(path, certificate, key)


def server_context(
    certificate: Issued,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
) -> ssl.SSLContext:
    """A back end's own: what it issues no other resumes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = oldest, newest
    if newest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def tls(context: ssl.SSLContext, before: Talk | None = None) -> Talk:
    """A handshake, and nothing else; an answer to whatever request comes. ``before``: what is said before TLS."""

    def talk(connection: socket.socket) -> None:
        if before is not None:
            before(connection)
        with context.wrap_socket(connection, server_side=True) as channel:
            while channel.recv(4096):
                channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    return talk


class LoopbackPool:
    """Servers that run until ``close``."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._talking: list[threading.Thread] = []

    def server(self, talk: Talk) -> int:
        """Each connection in a thread of its own. Its port."""
        listening = socket.create_server((HOST, 0))
        self._open.append(listening)
        threading.Thread(target=self._accept, args=(listening, talk), daemon=True).start()
        port: int = listening.getsockname()[1]
        return port

    def down(self) -> int:
        """A port at which nobody listens, nor ever will in this test."""
        bound = socket.socket()
        bound.bind((HOST, 0))
        self._open.append(bound)
        port: int = bound.getsockname()[1]
        return port

    def balancer(self, ports: Sequence[int], how: str) -> int:
        """TCP passed on ``in_turn``, at ``random`` (always the same chances), or by ``source``. Where a back end does
        not answer the connection is reset once the client has spoken.
        """
        chances, count = random.Random(20), iter(range(1 << 30))

        def talk(connection: socket.socket) -> None:
            with self._lock:
                chosen = {
                    "in_turn": lambda: ports[next(count) % len(ports)],
                    "random": lambda: chances.choice(ports),
                    "source": lambda: ports[0],
                }[how]()
            try:
                behind = socket.create_connection((HOST, chosen), PATIENCE_SECONDS)
            except OSError:
                connection.recv(1 << 16)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            with behind:
                back = threading.Thread(target=_pump, args=(behind, connection), daemon=True)
                back.start()
                _pump(connection, behind)
                back.join(PATIENCE_SECONDS)

        return self.server(talk)

    def settle(self) -> None:
        """Wait for the connections that were accepted."""
        for talking in self._talking:
            talking.join(PATIENCE_SECONDS)

    def close(self) -> None:
        """No further connections."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listening: socket.socket, talk: Talk) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            talking = threading.Thread(target=_talked, args=(connection, talk), daemon=True)
            self._talking.append(talking)
            talking.start()


def _talked(connection: socket.socket, talk: Talk) -> None:
    with connection:
        connection.settimeout(PATIENCE_SECONDS)
        with contextlib.suppress(OSError):
            talk(connection)


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def loopback_pool() -> Iterator[LoopbackPool]:
    """A pool that is closed again."""
    pool = LoopbackPool()
    try:
        yield pool
    finally:
        pool.close()
