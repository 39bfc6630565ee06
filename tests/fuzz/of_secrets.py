"""Targets of ``secrets/``: key logs, secrets blocks, servers' keys, sealed records."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from inspector.errors import UsageError
from inspector.errors.internal import Border
from inspector.secrets import keylog
from inspector.secrets.channel import Channels
from inspector.secrets.inputs import SecretInputs, Supply
from inspector.secrets.lanes import DecryptionClient
from inspector.secrets.openers import NotOpened, Traffic, openers
from inspector.secrets.server_keys import read_server_key
from inspector.secrets.store import Secrets
from tests.build import certificate
from tests.conftest import CAPTURES, find
from tests.fuzz.of_tls import ClearStore, dialogue, records as clear_records, told, turns
from tests.replay import flows_of
from tests.sealing import CLIENT, MASTER, SERVER, modern_sealer, sealer, suite_of

RANDOM, SECRET = b"r" * 32, b"s" * 48


def key_log(data: bytes) -> None:
    """Lines one by one, all at once, and as a capture brings them: what is read is written the same again."""
    for line in data.split(b"\n"):
        try:
            read = keylog.read_line(line)
        except keylog.NoKeyLogLine:
            continue
        if read is not None:
            assert keylog.read_line(keylog.written(read)) == read or read.label == keylog.SESSION
    store = Secrets()
    store.add(data, "a")
    store.add_foreign(data, "b")
    repr(store)
    list(store.lines_for([RANDOM]))


def secrets_block(data: bytes) -> None:
    """The body of a Decryption Secrets Block."""
    supply = Supply(SecretInputs())
    supply.take([data, data[: len(data) // 2]], data[0] & 1 if data else 0, "a")
    supply.problems()
    assert (supply.channels is None) == (supply.secrets is None)


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def server_key(data: bytes) -> None:
    """A file that is given as a server's key."""
    path = Path(_folder().name) / "key"
    path.write_bytes(data)
    try:
        key = read_server_key(str(path), lambda prompt: "secret")
    except UsageError as error:
        assert str(error)
        return
    key.belongs_to(certificate("puppetdb1"))
    key.belongs_to(data)
    key.premaster_secret(data[:256])


SUITES = tuple(
    suite_of(code, version, encrypt_then_mac=is_mac_last)
    for code, version, is_mac_last in (
        *((0xC02F, 0x0303, False), (0xC0AC, 0x0303, False), (0xCCA8, 0x0303, False), (0x002F, 0x0301, False)),
        *((0x002F, 0x0303, False), (0x003D, 0x0303, True), (0x0002, 0x0303, False), (0x000A, 0x0302, True)),
    )
)
SUITES13 = tuple(suite_of(code, 0x0304) for code in (0x1301, 0x1303, 0x1304))
KINDS = (20, 21, 22, 23)


def sealed_records(data: bytes) -> None:
    """The first byte names suite and direction, the second the content type; a record follows."""
    if len(data) < 2:
        return
    body, kind = data[2:], KINDS[data[1] % 4]
    suite = SUITES[data[0] % len(SUITES)]
    opener = openers(suite, MASTER, CLIENT, SERVER)[data[0] >> 7]
    for sequence in range(2):
        try:
            assert len(opener.open(sequence, kind, suite.version, body)) <= len(body)
        except NotOpened:
            opener.passed(body)
    opener.passed(None)
    suite13 = SUITES13[data[0] % len(SUITES13)]
    traffic = Traffic(suite13.protection, suite13.digest, SECRET[:32])
    try:
        inner, plain = traffic.open(data[1], 0x0303, body)
        assert len(plain) < len(body)
        assert traffic.inner_type(data[1], body) in (inner, 0)
    except NotOpened:
        traffic.inner_type(data[1], body)
    traffic.updated()


OPENED = ("tls13-inside", "renegotiations", "tls10")


@lru_cache(maxsize=1)
def _secrets() -> Secrets:
    store = Secrets()
    for name in OPENED:
        store.add((CAPTURES / f"{name}.keylog").read_bytes(), name)
    return store


class OpenStore(ClearStore):
    """With the secrets of the bundled recordings."""

    has_secrets = True

    def channel(self, connection: DecryptionClient) -> Any:
        return Channels(_secrets()).channel(connection)


def opened_records(data: bytes) -> None:
    """A dialogue of somebody whose secrets are known, in one piece and in small ones: the same."""
    said = list(turns(data))
    if len(said) > 60:
        return
    whole, pieces = (told(said, OpenStore(), size) for size in (1 << 16, 1 + len(data) % 97))
    if not any(turn.lost for turn in said) and not whole.is_odd and not pieces.is_odd:
        assert (whole.handshakes, whole.alerts) == (pieces.handshakes, pieces.alerts)
    clear_records(data[:600])


def _lines() -> Iterator[bytes]:
    yield keylog.written(keylog.KeyLogLine(keylog.MASTER, RANDOM, SECRET)) + b"# comment\n\n"
    yield keylog.written(keylog.KeyLogLine(keylog.SERVER_HANDSHAKE, RANDOM, SECRET[:32]))
    yield b"RSA Session-ID:" + b"ab" * 32 + b" Master-Key:" + b"cd" * 48
    yield b"RSA 0011223344556677 " + b"cd" * 48 + b"\nPMS_CLIENT_RANDOM " + b"ab" * 32 + b" 0102\n"
    yield b"Nov 23 17:00:00 lb haproxy[1]: CLIENT_RANDOM " + b"ab" * 32 + b" -\n"


def _keys() -> Iterator[bytes]:
    private = ec.derive_private_key(7, ec.SECP256R1())
    yield private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    yield private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    yield b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    sealed = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\nAAAA\n"
    yield b"-----BEGIN RSA PRIVATE KEY-----\n" + sealed + b"-----END RSA PRIVATE KEY-----\n"
    yield (CAPTURES / "renegotiations.same.key").read_bytes()


def _sealed() -> Iterator[bytes]:
    for number, suite in enumerate(SUITES):
        for from_client in (True, False):
            body = sealer(suite, from_client)(0, 22, b"finished" * 3)
            yield bytes((number | (0 if from_client else 0x80), 2)) + body
    for number, suite in enumerate(SUITES13):
        yield bytes((number, 0)) + modern_sealer(suite, SECRET[:32], 3)(0, 22, b"finished")


def _opened() -> Iterator[bytes]:
    for name in OPENED:
        if name == "tls10":
            continue
        for flow in flows_of(find(name))[:6]:
            said = [(0 if s.from_client else 1, s.payload) for s in flow.segments if s.payload]
            yield dialogue(*said)[:6000]


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "key_log": _lines,
    "secrets_block": lambda: (
        kind + len(lines).to_bytes(4, "little") + lines for kind in (b"KSLT", b"LKGW") for lines in _lines()
    ),
    "server_key": _keys,
    "sealed_records": _sealed,
    "opened_records": _opened,
}


def prepare() -> None:
    """Mistakes of the program are loud."""
    Border.is_loud = True
