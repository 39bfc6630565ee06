"""Opens the encrypted records of a connection as they come, with what key logs and servers' keys give.

A *channel* has two *directions*, and each goes through *stages*. Up to TLS 1.2 there is one key a handshake: a record
waits until the master secret of its direction's *round* (0 for the first handshake, one more behind each Finished) is
known or can be derived; a ChangeCipherSpec that was decrypted begins the next. In TLS 1.3 a direction has a secret for
each stage (early data, handshake, application traffic; RFC 8446, section 7.1): a Finished, or an EndOfEarlyData, ends a
stage, a KeyUpdate renews its secret. Keys count records, so nothing may be passed over unseen: a direction of which
bytes are missing *ends*, with the reason that a person is given, and so does one whose secret will not come. Whatever
is lacking may still come, the other side's hello or a line of a key log that grows: in which order it comes changes
nothing.

Application data is counted, not opened, but for its type where TLS 1.3 hides what a record is. What waits is bounded,
for one connection and for all together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from inspector import bounds
from inspector.errors.decryption import (
    BytesMissing,
    CipherSuiteNotOpened,
    ClientHelloMissing,
    MessageTooLong,
    NoLabel,
    NoSecret,
    NotDecrypted,
    SecretDoesNotFit,
    SecretTooLate,
    ServerHelloMissing,
    VersionNotOpened,
)
from inspector.errors.notice import Notice
from inspector.errors.secrets import KeyLogLabel
from inspector.secrets import keylog
from inspector.secrets.lanes import DecryptionClient, EncryptedRecord, RecordLane
from inspector.secrets.masters import Exchange, master_of
from inspector.secrets.openers import NotOpened, Opener, Suite, Traffic, is_supported, openers
from inspector.secrets.store import Secrets
from inspector.tls.extension_types import ExtensionType
from inspector.tls.protection import protection_of
from inspector.tls.sink import Mark
from inspector.tls.types import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    FINISHED,
    HANDSHAKE,
    TLS10,
    TLS11,
    TLS13,
    HandshakeType,
    is_draft,
)

FIRST_DRAFT = 25
"""Earlier drafts of TLS 1.3 authenticate records without their header."""

NO_SECRET, WRONG, LOST, TOO_LATE = NoSecret(), SecretDoesNotFit(), BytesMissing(), SecretTooLate()


class Channel:
    """Opens the records of one connection, as they come."""

    def __init__(self, secrets: Secrets, client: DecryptionClient) -> None:
        self._secrets = secrets
        self._client = client
        self._lanes = (RecordLane(), RecordLane())
        self._exchanges: list[Exchange] = [Exchange()]
        self._suites: dict[int, Suite] = {}
        self._pairs: dict[int, tuple[Opener, Opener]] = {}

    def on_clear_message(self, lane: int, kind: int, body: bytes) -> None:
        """A handshake message in clear."""
        if self._secrets.has_premasters:
            self._exchange(0).add(lane == self._client.client_lane, kind, body)

    def broken(self, lane: int) -> None:
        """Bytes of a direction are missing: the records behind them have unknown numbers."""
        self._end(lane, LOST)

    def record(self, lane: int, kind: int, version: int, body: bytes | None, mark: Mark) -> None:
        """The next protected record of a direction; ``body`` None where it was passed over by its length."""
        direction = self._lanes[lane]
        if direction.ended is not None:
            return
        record = EncryptedRecord(kind, version, body, mark)
        direction.waiting.append(record)
        self._hold(direction, 1, record.size)
        self.advance()
        if direction.held_bytes > bounds.HELD_BYTES or (
            direction.held_bytes and self._secrets.held_bytes > bounds.HELD_ALTOGETHER
        ):
            self._end(lane, self._reason(lane) or TOO_LATE)

    def advance(self) -> None:
        """Open all that can be opened by now."""
        is_moving = True
        while is_moving:
            is_moving = False
            for lane in (0, 1):
                while self._lanes[lane].waiting and self._step(lane):
                    is_moving = True

    def outcome(self) -> tuple[NotDecrypted | Literal[""], tuple[int, int]]:
        """Why something was not opened, ``""`` where all was; and how many encrypted records of each direction were."""
        self.advance()
        reasons = [
            lane.ended
            or (self._reason(number) if lane.waiting else WRONG if lane.passed_over and not lane.opened else None)
            for number, lane in enumerate(self._lanes)
        ]
        return next((reason for reason in reasons if reason is not None), ""), (
            self._lanes[0].opened,
            self._lanes[1].opened,
        )

    def _end(self, lane: int, reason: NotDecrypted) -> None:
        direction = self._lanes[lane]
        if direction.ended is None:
            direction.ended = reason
            self._release(direction)
            self._client.set_interest(lane, wants_encrypted=False, data_bytes=0)

    def _step(self, lane: int) -> bool:
        """Deal with the first record that waits; False where something is lacking still."""
        direction = self._lanes[lane]
        suite = self._suite(0)
        if isinstance(suite, Notice):
            self._end(lane, suite)
            return True
        if suite is None:
            return False
        record = direction.waiting[0]
        is_done = (
            self._tls13(lane, direction, suite, record)
            if suite.version == TLS13
            else self._tls12(lane, direction, record)
        )
        if is_done and direction.waiting:
            self._hold(direction, -1, -direction.waiting.popleft().size)
        return is_done

    def _hold(self, direction: RecordLane, records: int, size: int) -> None:
        direction.held_bytes += size
        self._secrets.held_bytes += size + records * bounds.HELD_RECORD_BYTES

    def _release(self, direction: RecordLane) -> None:
        self._hold(direction, -len(direction.waiting), -direction.held_bytes)
        direction.waiting.clear()

    def close(self) -> None:
        """No more records: nothing waits any longer."""
        for lane in self._lanes:
            self._release(lane)

    def _suite(self, number: int) -> Suite | CipherSuiteNotOpened | VersionNotOpened | None:
        """What a handshake negotiated, or why it cannot be opened; None where it is not known yet."""
        known = self._suites.get(number)
        if known is not None:
            return known
        handshakes = self._client.handshakes
        answer = handshakes[number].answer if number < len(handshakes) else None
        if answer is None:
            return None
        version = TLS13 if is_draft(answer.version) and answer.version & 0xFF >= FIRST_DRAFT else answer.version
        protection = protection_of(answer.cipher_suite)
        if protection is None or not is_supported(protection) or not TLS10 <= version <= TLS13:
            return CipherSuiteNotOpened(answer.cipher_suite) if TLS10 <= version <= TLS13 else VersionNotOpened()
        suite = self._suites[number] = Suite(protection, version, ExtensionType.ENCRYPT_THEN_MAC in answer.extensions)
        if number == 0 and version != TLS13:
            for lane in (0, 1):
                keeps_iv = protection.mode == "cbc" and version < TLS11
                self._client.set_interest(
                    lane,
                    wants_encrypted=self._lanes[lane].ended is None,
                    data_bytes=bounds.RECORD_BYTES if keeps_iv else 0,
                )
        return suite

    def _exchange(self, number: int) -> Exchange:
        while len(self._exchanges) <= number:
            self._exchanges.append(Exchange())
        return self._exchanges[number]

    def _reason(self, lane: int) -> NotDecrypted:
        """Why a direction still waits."""
        if self._suite(0) is None:
            return ServerHelloMissing()
        if not self._client.handshakes[0].client_random:
            return ClientHelloMissing()
        return self._exchange(self._lanes[lane].round).problem or NO_SECRET

    # --- up to TLS 1.2

    def _tls12(self, lane: int, direction: RecordLane, record: EncryptedRecord) -> bool:
        if direction.opener is None:
            direction.opener = self._opener(lane, direction)
            if direction.opener is None:
                return direction.ended is not None
        if record.body is None or record.kind == APPLICATION_DATA:
            direction.opener.passed(record.body)
            direction.sequence += 1
            return True
        try:
            plain = direction.opener.open(direction.sequence, record.kind, record.version, record.body)
        except NotOpened:
            self._end(lane, WRONG)
            return True
        direction.sequence += 1
        direction.opened += 1
        if record.kind == HANDSHAKE:
            self._handshake(lane, direction, plain, record.mark, lambda kind: self._on_tls12_message(direction, kind))
        elif record.kind == ALERT:
            self._alert(lane, plain, record.mark)
        elif record.kind == CHANGE_CIPHER_SPEC:
            self._client.unsealed_change(lane, record.mark)
            direction.sequence, direction.opener = 0, None
        return True

    @staticmethod
    def _on_tls12_message(direction: RecordLane, kind: int) -> None:
        if kind == FINISHED:
            direction.round += 1

    def _opener(self, lane: int, direction: RecordLane) -> Opener | None:
        number = direction.round
        pair = self._pairs.get(number)
        if pair is None:
            suite = self._suite(number)
            if suite is None:
                return None
            if isinstance(suite, Notice):
                self._end(lane, suite)
                return None
            handshake = self._client.handshakes[number]
            if not handshake.client_random:
                return None
            exchange = self._exchange(number)
            master = master_of(self._secrets, handshake, suite, exchange, self._client.certificate(number))
            if master is None:
                if not exchange.may_still_come and not self._secrets.may_grow:
                    self._end(lane, exchange.problem or NO_SECRET)
                return None
            pair = self._pairs[number] = openers(suite, master, handshake.client_random, handshake.server_random)
        handshake = self._client.handshakes[number]
        master = self._exchange(number).master
        assert master is not None
        self._secrets.keep_session(handshake.answered_id, master)
        self._secrets.keep_session(handshake.issued_ticket or b"", master)
        return pair[0 if lane == self._client.client_lane else 1]

    # --- TLS 1.3

    def _tls13(self, lane: int, direction: RecordLane, suite: Suite, record: EncryptedRecord) -> bool:
        if record.kind != APPLICATION_DATA:
            return True
        labels = self._labels(lane)
        if direction.traffic is None:
            direction.traffic = self._traffic(lane, direction, suite, labels)
            if direction.traffic is None:
                return direction.ended is not None
        is_established = direction.stage == len(labels) - 1
        if record.body is None:
            if is_established:
                self._data(lane, direction, record)
            else:
                self._end(lane, LOST)
            return True
        try:
            if is_established and direction.traffic.inner_type(direction.sequence, record.body) not in (
                HANDSHAKE,
                ALERT,
            ):
                self._data(lane, direction, record)
                return True
            kind, plain = direction.traffic.open(direction.sequence, record.version, record.body)
        except NotOpened:
            if is_established and not any(record.body):  # made empty by whoever wrote the capture
                self._data(lane, direction, record)
                return True
            return self._next_stage_or_end(lane, direction, labels)
        direction.sequence += 1
        direction.opened += 1
        if kind == HANDSHAKE:
            self._handshake(
                lane, direction, plain, record.mark, lambda message: self._on_tls13_message(lane, direction, message)
            )
        elif kind == ALERT:
            self._alert(lane, plain, record.mark)
        elif not direction.has_data:
            direction.has_data = True
            self._client.unsealed_data(lane, len(plain), record.mark)
        return True

    def _labels(self, lane: int) -> tuple[KeyLogLabel, ...]:
        if lane != self._client.client_lane:
            return (keylog.SERVER_HANDSHAKE, keylog.SERVER_TRAFFIC)
        offer = self._client.handshakes[0].offer
        early = (keylog.CLIENT_EARLY,) if offer is not None and offer.early_data else ()
        return (*early, keylog.CLIENT_HANDSHAKE, keylog.CLIENT_TRAFFIC)

    def _traffic(
        self, lane: int, direction: RecordLane, suite: Suite, labels: tuple[KeyLogLabel, ...]
    ) -> Traffic | None:
        random = self._client.handshakes[0].client_random
        if not random:
            return None
        secret = self._secrets.find(labels[direction.stage], random)
        if secret is None and labels[direction.stage] == keylog.CLIENT_EARLY:
            direction.stage += 1
            secret = self._secrets.find(labels[direction.stage], random)
        if secret is None:
            if not self._secrets.may_grow:
                self._end(lane, NoLabel(labels[direction.stage]) if self._secrets.knows(random) else NO_SECRET)
            return None
        return Traffic(suite.protection, suite.digest, secret)

    def _next_stage_or_end(self, lane: int, direction: RecordLane, labels: tuple[KeyLogLabel, ...]) -> bool:
        """A record that does not open may be early data: then the next secret is tried, or the record passed over, as a
        server does (RFC 8446, section 4.2.10).
        """
        if labels[direction.stage] == keylog.CLIENT_EARLY:
            direction.stage, direction.sequence, direction.traffic = direction.stage + 1, 0, None
            direction.waiting.appendleft(direction.waiting[0])  # tried again: one is taken off
            self._hold(direction, 1, direction.waiting[0].size)
            return True
        if (
            direction.sequence == 0
            and labels[direction.stage] == keylog.CLIENT_HANDSHAKE
            and labels[0] == keylog.CLIENT_EARLY
        ):
            direction.passed_over = True
            return True
        self._end(lane, WRONG)
        return True

    def _on_tls13_message(self, lane: int, direction: RecordLane, kind: int) -> None:
        if kind in (FINISHED, HandshakeType.END_OF_EARLY_DATA) and direction.stage < len(self._labels(lane)) - 1:
            direction.stage, direction.sequence, direction.traffic = direction.stage + 1, 0, None
            if direction.stage == len(self._labels(lane)) - 1:
                self._client.set_interest(lane, wants_encrypted=True, data_bytes=bounds.POST_HANDSHAKE_BYTES)
        elif kind == HandshakeType.KEY_UPDATE and direction.traffic is not None:
            direction.sequence, direction.traffic = 0, direction.traffic.updated()

    def _data(self, lane: int, direction: RecordLane, record: EncryptedRecord) -> None:
        """Application data: counted, not opened."""
        direction.sequence += 1
        if not direction.has_data:
            direction.has_data = True
            self._client.unsealed_data(lane, len(record.body or b""), record.mark)

    # --- both

    def _handshake(
        self, lane: int, direction: RecordLane, plain: bytes, mark: Mark, on_message: Callable[[int], None]
    ) -> None:
        """Messages of a record; one may begin in an earlier record."""
        if not direction.message:
            direction.message_mark = mark
        direction.message += plain
        at = 0
        message = direction.message
        while at + 4 <= len(message):
            length = int.from_bytes(message[at + 1 : at + 4], "big")
            if length > bounds.MESSAGE_BYTES:
                self._end(lane, MessageTooLong(length))
                return
            if at + 4 + length > len(message):
                break
            kind, body = message[at], bytes(message[at + 4 : at + 4 + length])
            at += 4 + length
            if self._secrets.has_premasters and direction.round:
                self._exchange(direction.round).add(lane == self._client.client_lane, kind, body)
            self._client.unsealed_message(lane, kind, body, direction.message_mark)
            on_message(kind)
            direction.message_mark = mark
        del message[:at]

    def _alert(self, lane: int, plain: bytes, mark: Mark) -> None:
        for at in range(0, min(len(plain) - 1, 8), 2):
            self._client.unsealed_alert(lane, plain[at], plain[at + 1], mark)


class Channels:
    """What an engine asks: a channel for each connection. ``secrets``: those of the story."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def channel(self, connection: DecryptionClient) -> Channel:
        """What opens one connection's records."""
        return Channel(self._secrets, connection)
