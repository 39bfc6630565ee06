"""The session ledger: who issued an id or a ticket, with which certificate and EMS; every later offer and what became
of it.

One ledger for all services, keyed by what was offered. Connections must be entered in the order of their ClientHellos.
A session id in a ClientHello that also offers TLS 1.3 may be random (RFC 8446, section 4.1.2, legacy_session_id), and a
TLS 1.3 server echoes it: neither is an offer.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from msgspec import Struct

from inspector import bounds, facts
from inspector.facts import HandshakeFacts, PackedEndpoint
from inspector.tls.shapes import AnswerShape, HelloShape
from inspector.tls.types import TLS13

Kind = Literal["full", "session_id", "ticket", "resumed", "psk"]
"""``resumed``: by session id or ticket; which, was not captured, or what was offered and answered does not fit."""
FULL_FLIGHT = (
    facts.S_CERTIFICATE
    | facts.S_KEY_EXCHANGE
    | facts.S_REQUEST
    | facts.S_DONE
    | facts.C_CERTIFICATE
    | facts.C_KEY_EXCHANGE
    | facts.C_VERIFY
)
"""Messages that only a full handshake has, up to TLS 1.2."""
BEGUN_FLIGHT = facts.C_BEGUN_FLIGHT | facts.S_BEGUN_FLIGHT
Peers = tuple[bytes, PackedEndpoint]
"""A client's address, and the server."""


class KindReason(Enum):
    """Why a handshake is of its kind."""

    NO_SERVER_HELLO = auto()
    """This and the next five: why the kind cannot be told."""
    SERVER_HELLO_CUT = auto()
    ONLY_RETRY_REQUEST = auto()
    CLIENT_HELLO_CUT = auto()
    FLIGHT_CUT = auto()
    NO_FLIGHT = auto()
    PSK_ACCEPTED = auto()
    NO_PSK_OFFERED = auto()
    NO_PSK_ACCEPTED = auto()
    ID_ECHOED = auto()
    NO_CERTIFICATE_SENT = auto()
    CERTIFICATE_SENT = auto()
    NO_SESSION_OFFERED = auto()
    OTHER_ID = auto()
    EMPTY_ID = auto()


class LedgerSession(Struct, kw_only=True):
    """What resumption re-uses. ``issuer``: index of the connection, or None where it lies before the capture.
    ``usable``: its handshake was completed.
    ``name``: what a TLS 1.3 identity begins with.
    """

    key: bytes
    method: Literal["session_id", "ticket", "psk"]
    issuer: int | None = None
    leaf: bytes | None = None
    ems: bool | None = None
    issued_ns: int | None = None
    usable: bool = True
    resumed_ns: int | None = None
    resumed_by: int | None = None
    uses: list[int] = []
    """For each offer, the connection's index * 2, plus 1 where it was resumed."""
    dropped: int = 0
    name: bytes = b""
    is_doubtful: bool = False
    """Its issuer's handshake may itself have resumed a session: that cannot be told."""
    over_ns: int | None = None
    """Where stamps are coarse: when the client closed the connection that resumed it first, which takes longer than any
    race.
    """


class LedgerEntry(Struct, frozen=True, gc=False):
    """What the ledger knew of the offer in one connection. ``resumed_before``: None where it cannot be told.
    ``clouded``: an earlier connection of the same client and server was not seen whole, and may have resumed the
    session, or have been issued what is offered.
    """

    session: LedgerSession | None
    known: bool
    resumed_before: bool | None
    resumed_by: int | None
    clouded: bool = False


NOTHING = LedgerEntry(None, False, False, None)
CLOUDED = LedgerEntry(None, False, None, None, True)
MAX_USES = 10_000


def is_tls13(handshake: HandshakeFacts) -> bool:
    """Whether TLS 1.3 was chosen."""
    answer = handshake.answer
    return answer is not None and answer.version >= TLS13


def is_read(shape: HelloShape | AnswerShape | None) -> bool:
    """Whether a hello was read to its end."""
    return shape is not None and not shape.partial


def kind_of(handshake: HandshakeFacts) -> tuple[Kind | None, KindReason]:
    """How the handshake was made, and why one can say so; None, and why not, where it cannot be told.

    Up to TLS 1.2 the flight behind the ServerHello tells: a certificate, or ChangeCipherSpec at once (RFC 5246, section
    7.3). Session ids alone tell it only of a hello that was read to its end, and tickets only where nothing is missing
    behind the ServerHello (RFC 5077, section 3.4).
    """
    answer = handshake.answer
    if answer is None:
        return None, KindReason.NO_SERVER_HELLO
    if answer.partial:
        return None, KindReason.SERVER_HELLO_CUT
    is_known = is_read(handshake.offer)
    if is_tls13(handshake):
        if handshake.retried and handshake.server_random == b"":
            return None, KindReason.ONLY_RETRY_REQUEST
        if answer.accepted_psk is not None:
            return "psk", KindReason.PSK_ACCEPTED
        return (
            "full",
            KindReason.NO_PSK_OFFERED if is_known and not handshake.offered_psks else KindReason.NO_PSK_ACCEPTED,
        )
    offered, has_ticket = handshake.offered_id, bool(handshake.offered_ticket)
    echoed = bool(offered) and offered == handshake.answered_id
    if handshake.messages & FULL_FLIGHT or handshake.missing & BEGUN_FLIGHT:
        return "full", _why_full(handshake, is_known)
    is_lost = bool(handshake.missing & facts.S_LOST_FLIGHT)
    if handshake.messages & facts.S_CHANGE and not is_lost:
        if is_known and echoed:
            return ("ticket" if has_ticket else "session_id"), KindReason.ID_ECHOED
        return ("ticket" if has_ticket else "resumed"), KindReason.NO_CERTIFICATE_SENT
    if is_lost and (echoed or has_ticket or not is_known):
        return None, KindReason.FLIGHT_CUT
    if not is_known:
        return None, KindReason.CLIENT_HELLO_CUT
    if echoed:
        return ("ticket" if has_ticket else "session_id"), KindReason.ID_ECHOED
    if has_ticket and not offered and not handshake.answered_id:
        return None, KindReason.NO_FLIGHT
    return "full", _why_full(handshake, is_known)


def _why_full(handshake: HandshakeFacts, is_known: bool) -> KindReason:
    if not is_known:
        return KindReason.CERTIFICATE_SENT
    if not handshake.offered_id and not handshake.offered_ticket:
        return KindReason.NO_SESSION_OFFERED
    return KindReason.OTHER_ID if handshake.answered_id else KindReason.EMPTY_ID


class Ledger:
    """All sessions by id and by ticket. ``tick_ns``: of how coarse stamps, 0 where they are fine."""

    def __init__(self, tick_ns: int = 0) -> None:
        self.tick_ns = tick_ns
        self._race_ns = bounds.RACE_NS + tick_ns
        self.sessions: list[LedgerSession] = []
        self._by_key: dict[bytes, LedgerSession] = {}
        self._clouds: dict[Peers, int] = {}

    def enter(
        self,
        index: int,
        handshake: HandshakeFacts,
        kind: Kind | None,
        peers: Peers | None = None,
        over_ns: int | None = None,
    ) -> LedgerEntry:
        """Look up what the connection offers, note what became of it, and what it was given. ``peers``: whose
        connections stand beside it. ``over_ns``: as in
        ``LedgerSession``.
        """
        if handshake.answer is None or (kind is None and is_tls13(handshake)):
            return NOTHING
        if kind is None:
            self._issue(index, handshake, is_doubtful=True)
            return NOTHING
        if is_tls13(handshake):
            return self._kind_of_tls13(index, handshake, kind)
        entry = self._offer(index, handshake, kind, self._clouds.get(peers) if peers is not None else None, over_ns)
        if kind == "full":
            self._issue(index, handshake)
        elif handshake.issued_ticket and entry.session is not None:
            self._by_key[handshake.issued_ticket] = entry.session
        return entry

    def cloud(self, peers: Peers, ns: int) -> None:
        """A connection at this time was not seen whole: it may have resumed any session that these two had."""
        self._clouds[peers] = max(ns, self._clouds.get(peers, 0))

    def _offer(
        self, index: int, handshake: HandshakeFacts, kind: Kind, clouded_ns: int | None, over_ns: int | None
    ) -> LedgerEntry:
        offered = handshake.offered_id or (handshake.answered_id if kind == "resumed" else b"")
        session = (
            (handshake.offered_ticket and self._by_key.get(handshake.offered_ticket))
            or (offered and self._by_key.get(offered))
            or None
        )
        known = session is not None and session.issuer is not None
        if session is None and not self._is_offer(handshake, kind):
            return NOTHING if clouded_ns is None else CLOUDED
        if session is None:
            method: Literal["session_id", "ticket"] = "ticket" if handshake.offered_ticket else "session_id"
            key = handshake.offered_ticket if handshake.offered_ticket else offered
            session = LedgerSession(key=key, method=method)
            self.sessions.append(session)
            self._by_key[key] = session
        if handshake.offered_ticket:
            self._by_key.setdefault(handshake.offered_ticket, session)
        if offered:
            self._by_key.setdefault(offered, session)
        marked, by = session.resumed_ns, session.resumed_by
        before: bool | None
        clouded = False
        if marked is None or marked >= handshake.hello_ns:
            clouded = session.is_doubtful or (clouded_ns is not None and clouded_ns >= (session.issued_ns or 0))
            before = False if known and not clouded else None
        elif handshake.hello_ns - marked < self._race_ns:
            before = True if session.over_ns is not None and session.over_ns < handshake.hello_ns else None
        else:
            before = True
        if len(session.uses) < MAX_USES:
            session.uses.append(index << 1 | (kind != "full"))
        else:
            session.dropped += 1
        if kind != "full" and (session.resumed_ns is None or handshake.answer_ns < session.resumed_ns):
            session.resumed_ns, session.resumed_by, session.over_ns = handshake.answer_ns, index, over_ns
        return LedgerEntry(session, known, before, by, clouded)

    @staticmethod
    def _is_offer(handshake: HandshakeFacts, kind: Kind) -> bool:
        """Whether an id that no server in the capture issued may still be a session."""
        if kind == "resumed":
            return bool(handshake.offered_id or handshake.answered_id)
        if handshake.offered_ticket or kind != "full":
            return True
        offer = handshake.offer
        return bool(handshake.offered_id) and offer is not None and not offer.partial and TLS13 not in offer.versions

    def _issue(self, index: int, handshake: HandshakeFacts, *, is_doubtful: bool = False) -> None:
        """What the server gave. ``is_doubtful``: it may have resumed another session, whose id it echoed."""
        answer = handshake.answer
        assert answer is not None
        keys = [key for key in (handshake.answered_id, handshake.issued_ticket) if key]
        if is_doubtful:
            keys = [key for key in keys if key not in self._by_key and key != handshake.offered_id]
        if not keys:
            return
        session = LedgerSession(
            key=keys[0],
            method="ticket" if handshake.issued_ticket else "session_id",
            issuer=index,
            leaf=handshake.chain[0] if handshake.chain else None,
            ems=answer.extended_master_secret if not answer.partial else None,
            issued_ns=handshake.answer_ns,
            usable=bool(handshake.messages & facts.C_KEY_EXCHANGE),
            is_doubtful=is_doubtful,
        )
        self.sessions.append(session)
        for key in keys:
            first = self._by_key.get(key)
            if (
                first is None or first.issuer is None or (session.leaf is not None and session.usable)
            ):  # issued anew: the client keeps the later one
                self._by_key[key] = session

    def _kind_of_tls13(self, index: int, handshake: HandshakeFacts, kind: Kind) -> LedgerEntry:
        """TLS 1.3: an identity is a ticket (RFC 8446, section 4.6.1), which secrets show being issued; without them
        equal identities are the same one.
        """
        entry = self._identity(index, handshake, kind) if handshake.offered_psks else NOTHING
        leaf = (
            handshake.chain[0]
            if handshake.chain
            else entry.session.leaf
            if entry.session is not None and kind == "psk"
            else None
        )
        for ticket in handshake.issued_tickets:
            session = LedgerSession(key=ticket, method="psk", issuer=index, leaf=leaf, issued_ns=handshake.answer_ns)
            self.sessions.append(session)
            self._by_key[ticket] = session
        return entry

    def _identity(self, index: int, handshake: HandshakeFacts, kind: Kind) -> LedgerEntry:
        offered, answer = handshake.offered_psks, handshake.answer
        accepted = answer.accepted_psk if answer is not None else None
        key = (
            offered[accepted]
            if accepted is not None and accepted < len(offered)
            else next((psk for psk in offered if psk in self._by_key), offered[0])
        )
        session = self._by_key.get(key)
        if session is None:
            session = LedgerSession(key=key, method="psk")
            self.sessions.append(session)
            self._by_key[key] = session
        if key == offered[0]:
            session.name = handshake.identity_name
        by = session.resumed_by
        if len(session.uses) < MAX_USES:
            session.uses.append(index << 1 | (kind == "psk"))
        else:
            session.dropped += 1
        if kind == "psk" and session.resumed_ns is None:
            session.resumed_ns, session.resumed_by = handshake.answer_ns, index
        return LedgerEntry(session, session.issuer is not None, None, by)
