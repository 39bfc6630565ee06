"""Opening the records of one connection, record by record: what is told, what is waited for, why a direction ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import bounds
from inspector.errors import UsageError
from inspector.errors.decryption import (
    BytesMissing,
    CipherSuiteNotOpened,
    ClientHelloMissing,
    MessageTooLong,
    NoLabel,
    NoSecret,
    NotDecrypted,
    SecretDoesNotFit,
    ServerHelloMissing,
    ServerKeyDoesNotFit,
    VersionNotOpened,
)
from inspector.errors.secrets import KeyLogLabel
from inspector.facts import HandshakeFacts
from inspector.secrets import keylog
from inspector.secrets.channel import Channel
from inspector.secrets.inputs import SecretInputs, read_inputs
from inspector.secrets.masters import Exchange, master_of
from inspector.secrets.openers import Traffic, is_supported
from inspector.secrets.server_keys import read_server_key
from inspector.secrets.store import Secrets
from inspector.tls import messages
from inspector.tls.sink import Mark
from tests import der as d
from tests.build import client_hello, extension, message, server_hello
from tests.opening import KEYS, no_passphrase
from tests.sealing import CLIENT, MASTER, SERVER, Seal, modern_sealer, sealer, suite_of

GCM, GCM13, SM4 = 0xC02F, 0x1301, 0x00C6
C, S = 0, 1
MARK = (0, 0, 0)
ALERT, HANDSHAKE, DATA, HEARTBEAT = 21, 22, 23, 24
FINISHED = message(20, b"f" * 12)


class Told:
    """A connection that writes down what it is told."""

    client_lane: int | None = C

    def __init__(self, *handshakes: HandshakeFacts) -> None:
        self.handshakes = list(handshakes)
        self.said: list[str] = []

    def certificate(self, number: int) -> bytes | None:
        return None

    def set_interest(self, lane: int, *, wants_encrypted: bool, data_bytes: int) -> None:
        if not wants_encrypted:
            self.said.append(f"{lane}: over")

    def unsealed_message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        self.said.append(f"{lane}: message {kind} {len(body)} at {mark[0]}")

    def unsealed_change(self, lane: int, mark: Mark) -> None:
        self.said.append(f"{lane}: change")

    def unsealed_alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        self.said.append(f"{lane}: alert {level} {code}")

    def unsealed_data(self, lane: int, length: int, mark: Mark) -> None:
        self.said.append(f"{lane}: data {length}")


def handshake(
    suite: int = GCM, version: int = 0x0303, *, client_random: bytes = CLIENT, more: tuple[bytes, ...] = ()
) -> HandshakeFacts:
    """``more``: extensions of the ClientHello."""
    offer = messages.client_hello(client_hello(CLIENT, more=more)[4:]).shape
    answer = messages.server_hello(server_hello(SERVER, suite=suite.to_bytes(2, "big"))[4:]).shape
    return HandshakeFacts(
        offer=offer, client_random=client_random, answer=answer._replace(version=version), server_random=SERVER
    )


def secrets_of(*lines: tuple[KeyLogLabel, bytes], may_grow: bool = False) -> Secrets:
    store = Secrets(may_grow=may_grow)
    for label, secret in lines:
        store.add(keylog.written(keylog.KeyLogLine(label, CLIENT, secret)), "lines")
    return store


def channel_of(*handshakes: HandshakeFacts, secrets: Secrets | None = None) -> tuple[Channel, Told]:
    told = Told(*handshakes)
    return Channel(secrets or secrets_of((keylog.MASTER, MASTER)), told), told


def records(channel: Channel, lane: int, seal: Seal, *plain: tuple[int, bytes], first: int = 0) -> None:
    """Sealed records one behind the other, from the number ``first`` on."""
    for sequence, (kind, data) in enumerate(plain, first):
        channel.record(lane, kind, 0x0303, seal(sequence, kind, data), (sequence, 0, 0))


CLIENT12, SERVER12 = (sealer(suite_of(GCM), is_client) for is_client in (True, False))


def test_records_of_every_kind() -> None:
    channel, told = channel_of(handshake())
    kinds = (HANDSHAKE, FINISHED), (HEARTBEAT, b"\1beat"), (DATA, b"data"), (ALERT, b"\1\0")
    records(channel, C, CLIENT12, *kinds)
    assert told.said == ["0: message 20 12 at 0", "0: alert 1 0"]
    assert channel.outcome() == ("", (3, 0))


def test_a_message_may_go_over_records() -> None:
    channel, told = channel_of(handshake())
    whole = FINISHED + FINISHED
    records(channel, S, SERVER12, (HANDSHAKE, whole[:2]), (HANDSHAKE, whole[2:20]), (HANDSHAKE, whole[20:]))
    assert told.said == ["1: message 20 12 at 0", "1: message 20 12 at 1"]


def test_a_message_that_is_too_long_ends_its_direction() -> None:
    channel, told = channel_of(handshake())
    length = bounds.MESSAGE_BYTES + 1
    records(channel, S, SERVER12, (HANDSHAKE, b"\x0b" + length.to_bytes(3, "big")), (ALERT, b"\1\0"))
    records(channel, C, CLIENT12, (ALERT, b"\1\0"))
    assert told.said == ["1: over", "0: alert 1 0"]
    assert channel.outcome() == (MessageTooLong(length), (1, 1))


CHANGE = (20, b"\1")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (handshake(SM4), CipherSuiteNotOpened(SM4)),
        (handshake(0xFEFE), CipherSuiteNotOpened(0xFEFE)),
        (handshake(version=0x0300), VersionNotOpened()),
        (handshake(client_random=b"another" * 4 + b"rand"), NoSecret()),
        (handshake(client_random=b""), NoSecret()),
        (None, NoSecret()),
    ],
)
def test_a_renegotiation_may_not_be_opened(second: HandshakeFacts | None, reason: NotDecrypted) -> None:
    channel, told = channel_of(handshake(), *([second] if second is not None else []))
    records(channel, C, CLIENT12, (HANDSHAKE, FINISHED), CHANGE)
    channel.record(C, HANDSHAKE, 0x0303, bytes(40), MARK)
    assert told.said[:2] == ["0: message 20 12 at 0", "0: change"]
    assert channel.outcome() == (reason, (2, 0))


def test_a_renegotiation_under_other_keys_is_opened() -> None:
    channel, told = channel_of(handshake(), handshake())
    for _ in range(2):
        records(channel, C, sealer(suite_of(GCM), True), (HANDSHAKE, FINISHED), CHANGE)
    assert told.said == ["0: message 20 12 at 0", "0: change"] * 2
    assert channel.outcome() == ("", (4, 0))


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (HandshakeFacts(), ServerHelloMissing()),
        (handshake(client_random=b""), ClientHelloMissing()),
        (handshake(GCM13, 0x0304, client_random=b""), ClientHelloMissing()),
        (handshake(SM4), CipherSuiteNotOpened(SM4)),
        (handshake(version=0x0300), VersionNotOpened()),
        (handshake(GCM13, 0x7F12), VersionNotOpened()),
        (handshake(client_random=b"x" * 32), NoSecret()),
    ],
)
def test_why_nothing_is_opened(known: HandshakeFacts, reason: NotDecrypted) -> None:
    channel, _ = channel_of(known)
    channel.record(S, DATA, 0x0303, bytes(40), MARK)
    assert channel.outcome() == (reason, (0, 0))


def test_the_first_reason_stays() -> None:
    channel, told = channel_of(handshake())
    channel.broken(C)
    channel.record(C, HANDSHAKE, 0x0303, bytes(40), MARK)
    channel.broken(C)
    assert told.said == ["0: over"]
    assert channel.outcome() == (BytesMissing(), (0, 0))


EARLY = extension(42)
SECRETS13 = {label: bytes([number]) * 32 for number, label in enumerate(keylog.TRAFFIC)}


def modern(label: KeyLogLabel) -> Seal:
    """Seals under one of the secrets of TLS 1.3; the kind is hidden inside."""
    return modern_sealer(suite_of(GCM13, 0x0304), SECRETS13[label])


def modern_records(channel: Channel, lane: int, label: KeyLogLabel, *plain: tuple[int, bytes]) -> None:
    seal = modern(label)
    for sequence, (kind, data) in enumerate(plain):
        channel.record(lane, DATA, 0x0303, seal(sequence, kind, data), MARK)


def modern_channel(*labels: KeyLogLabel, early: bool = False, may_grow: bool = False) -> tuple[Channel, Told]:
    known = handshake(GCM13, 0x0304, more=(EARLY,) if early else ())
    return channel_of(known, secrets=secrets_of(*((label, SECRETS13[label]) for label in labels), may_grow=may_grow))


def test_all_stages_of_a_client() -> None:
    channel, told = modern_channel(*keylog.TRAFFIC, early=True)
    modern_records(channel, C, keylog.CLIENT_EARLY, (DATA, b"early"), (DATA, b"more"), (HANDSHAKE, message(5, b"")))
    channel.record(C, 20, 0x0303, b"\1", MARK)
    modern_records(channel, C, keylog.CLIENT_HANDSHAKE, (HANDSHAKE, FINISHED))
    modern_records(channel, C, keylog.CLIENT_TRAFFIC, (DATA, b"data"), (ALERT, b"\1\0"))
    assert told.said == ["0: data 5", "0: message 5 0 at 0", "0: message 20 12 at 0", "0: alert 1 0"]
    assert channel.outcome() == ("", (5, 0))


@pytest.mark.parametrize("early", [keylog.CLIENT_EARLY, None])
def test_early_data_that_is_not_taken(early: KeyLogLabel | None) -> None:
    """With the secret of another, or none: what does not open before the first that does is passed over."""
    known = (keylog.CLIENT_HANDSHAKE, keylog.CLIENT_TRAFFIC)
    channel, told = modern_channel(*([early] if early is not None else []), *known, early=True)
    modern_records(channel, C, keylog.SERVER_TRAFFIC, (DATA, b"early"), (DATA, b"more"))
    modern_records(channel, C, keylog.CLIENT_HANDSHAKE, (HANDSHAKE, FINISHED))
    assert told.said == ["0: message 20 12 at 0"]
    assert channel.outcome() == ("", (1, 0))


def test_early_data_alone_says_that_the_secret_does_not_fit() -> None:
    channel, _ = modern_channel(keylog.CLIENT_HANDSHAKE, early=True)
    modern_records(channel, C, keylog.SERVER_TRAFFIC, (DATA, b"early"))
    assert channel.outcome() == (SecretDoesNotFit(), (0, 0))


def test_records_without_their_bytes() -> None:
    """Of application data only their number counts; before it nothing may be passed over."""
    for established in (True, False):
        channel, told = modern_channel(keylog.SERVER_HANDSHAKE, keylog.SERVER_TRAFFIC)
        if established:
            modern_records(channel, S, keylog.SERVER_HANDSHAKE, (HANDSHAKE, FINISHED))
        channel.record(S, DATA, 0x0303, None, MARK)
        seal = modern(keylog.SERVER_TRAFFIC)
        channel.record(S, DATA, 0x0303, bytes(40), MARK)
        channel.record(S, DATA, 0x0303, seal(2, ALERT, b"\1\0"), MARK)
        if established:
            assert told.said == ["1: message 20 12 at 0", "1: data 0", "1: alert 1 0"]
            assert channel.outcome() == ("", (0, 2))
        else:
            assert told.said == ["1: over"]
            assert channel.outcome() == (BytesMissing(), (0, 0))


def test_a_record_that_was_emptied_is_one_of_data_whatever_its_zeros_decrypt_to() -> None:
    """Whoever wrote the capture may have kept the lengths of what is in it, and no byte."""
    channel, told = modern_channel(keylog.SERVER_HANDSHAKE, keylog.SERVER_TRAFFIC)
    modern_records(channel, S, keylog.SERVER_HANDSHAKE, (HANDSHAKE, FINISHED))
    suite = suite_of(GCM13, 0x0304)
    traffic = Traffic(suite.protection, suite.digest, SECRETS13[keylog.SERVER_TRAFFIC])
    like_an_alert = next(n for n in range(10_000) if traffic.inner_type(n, bytes(40)) in (ALERT, HANDSHAKE))
    for _ in range(like_an_alert + 1):
        channel.record(S, DATA, 0x0303, bytes(40), MARK)
    channel.record(S, DATA, 0x0303, modern(keylog.SERVER_TRAFFIC)(like_an_alert + 1, ALERT, b"\1\0"), MARK)
    assert told.said == ["1: message 20 12 at 0", "1: data 40", "1: alert 1 0"]
    assert channel.outcome() == ("", (0, 2))


@pytest.mark.parametrize("padding", [1, 15, 16, 200])
def test_tickets_and_alerts_that_are_padded_are_read(padding: int) -> None:
    """JSSE pads them by 16 bytes, so that no type stands at the end of the record."""
    channel, told = modern_channel(keylog.SERVER_HANDSHAKE, keylog.SERVER_TRAFFIC)
    modern_records(channel, S, keylog.SERVER_HANDSHAKE, (HANDSHAKE, FINISHED))
    seal = modern(keylog.SERVER_TRAFFIC)
    inner = [(HANDSHAKE, message(4, bytes(46))), (DATA, b"data"), (ALERT, b"\1\0")]
    for sequence, (kind, data) in enumerate(inner):
        padded = data + bytes([kind]) + bytes(padding - 1)
        channel.record(S, DATA, 0x0303, seal(sequence, 0, padded), MARK)
    assert told.said[1:2] + told.said[-1:] == ["1: message 4 46 at 0", "1: alert 1 0"]
    assert [words for words in told.said if " data " in words]


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303, 0x1304, 0x1305])
@pytest.mark.parametrize("padding", [0, 1, 15, 16, 63, 64, 200, 4000])
def test_the_kind_is_known_behind_any_padding_without_opening(
    suite: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of the record's end is nothing but zeros."""
    known = suite_of(suite, 0x0304)
    secret = bytes(range(32 if known.digest == "sha256" else 48))
    traffic = Traffic(known.protection, known.digest, secret)
    monkeypatch.setattr(Traffic, "open", None)
    seal = modern_sealer(known, secret)
    for sequence, (kind, data) in enumerate([(DATA, b"data" * 90), (HANDSHAKE, b"\4"), (ALERT, b"\1\0"), (DATA, b"")]):
        sealed = seal(sequence, 0, data + bytes([kind]) + bytes(max(padding - 1, 0))) if padding else None
        assert traffic.inner_type(sequence, sealed or seal(sequence, kind, data)) == kind
    assert traffic.inner_type(9, seal(9, 0, bytes(padding))) == 0


def test_a_record_that_was_changed_ends_its_direction() -> None:
    channel, _ = modern_channel(keylog.SERVER_HANDSHAKE, keylog.SERVER_TRAFFIC)
    modern_records(channel, S, keylog.SERVER_HANDSHAKE, (HANDSHAKE, FINISHED))
    sealed = bytearray(modern(keylog.SERVER_TRAFFIC)(0, HANDSHAKE, b"\4" * 20))
    sealed[0] ^= 1
    channel.record(S, DATA, 0x0303, bytes(sealed), MARK)
    assert channel.outcome() == (SecretDoesNotFit(), (0, 1))


def test_a_missing_label_is_named_where_none_can_come() -> None:
    for may_grow, reason in ((False, NoLabel(keylog.SERVER_HANDSHAKE)), (True, NoSecret())):
        channel, _ = modern_channel(keylog.SERVER_TRAFFIC, may_grow=may_grow)
        channel.record(S, DATA, 0x0303, bytes(40), MARK)
        assert channel.outcome() == (reason, (0, 0))


RSA = 0x003C


def exchange_of(*said: tuple[bool, bytes]) -> Exchange:
    exchange = Exchange()
    for is_client, whole in said:
        exchange.add(is_client, whole[0], whole[4:])
    return exchange


KEY_EXCHANGE, DONE = message(16, b"\0\x10" + bytes(16)), message(14, b"")
FLIGHTS = ((True, client_hello(CLIENT)), (False, server_hello(SERVER)), (False, DONE), (True, KEY_EXCHANGE))


def test_what_comes_behind_the_key_exchange_is_no_part_of_the_transcript() -> None:
    whole = exchange_of(*FLIGHTS)
    more = exchange_of((False, message(0, b"")), *FLIGHTS, (True, FINISHED), (False, FINISHED))
    assert whole.transcript() is not None
    assert more.transcript() == whole.transcript()
    assert not whole.may_still_come


@pytest.mark.parametrize("lacking", range(len(FLIGHTS)))
def test_an_extended_master_secret_waits_for_the_whole_transcript(lacking: int) -> None:
    known = handshake(RSA)
    assert known.answer is not None
    known.answer = known.answer._replace(extended_master_secret=True)
    secrets = secrets_of((keylog.PREMASTER, b"p" * 48))
    without = exchange_of(*FLIGHTS[:lacking], *FLIGHTS[lacking + 1 :])
    whole = exchange_of(*FLIGHTS)
    found = master_of(secrets, known, suite_of(RSA), without, None)
    expected = master_of(secrets_of((keylog.PREMASTER, b"p" * 48)), known, suite_of(RSA), whole, None)
    assert expected is not None
    assert master_of(secrets, known, suite_of(RSA), whole, None) == expected  # it is known by now
    assert found is None or (lacking == 1 and found != expected)


def test_a_server_key_that_does_not_fit() -> None:
    key = read_server_key(KEYS[0], no_passphrase)
    public = key._key.public_key()
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate = d.certificate(public_key=encoded)
    assert key.belongs_to(certificate)
    assert not key.belongs_to(d.certificate())
    assert not key.belongs_to(d.certificate(public_key=d.seq(d.seq(d.oid("1.2.840.113549.1.1.1")), d.tlv(3, b"\0x"))))
    assert not key.belongs_to(b"no certificate")
    store = Secrets([key])
    for encrypted in (b"too short", public.encrypt(b"no premaster", padding.PKCS1v15())):
        exchange = exchange_of(*FLIGHTS[:3], (True, message(16, b"\0\0" + encrypted)))
        assert key.premaster_secret(encrypted) is None
        assert master_of(store, handshake(RSA), suite_of(RSA), exchange, certificate) is None
        assert exchange.problem == ServerKeyDoesNotFit()


def test_what_is_given(tmp_path: Path) -> None:
    assert read_inputs([], [], no_passphrase).is_empty
    given = SecretInputs.of(store := secrets_of((keylog.MASTER, MASTER)))
    assert given.secrets is store
    assert not given.is_empty
    with pytest.raises(UsageError, match="No such file"):
        read_server_key(str(tmp_path / "none"), no_passphrase)
    assert not is_supported(None)
