"""The session ledger: who issued a session, with which certificate and EMS; every later offer of it, and what became
of that.

A *session* is what resumption re-uses: the keys of a full handshake, and the server's certificate with them. The client
names it when it comes back, by the session id that it was issued (RFC 5246, section 7.4.1.2), by a ticket (RFC 5077),
or by an identity of a pre-shared key, which in TLS 1.3 is a ticket (RFC 8446, section 4.6.1). Java compares the
certificate of a new full handshake with that of the session which the client offered; so of each connection the ledger
must say which session that was, and what its certificate is.

The *issuer*, or origin, of a session is the connection whose full handshake made it. A session that was offered and
whose origin lies before the capture gets into the ledger by the first offer, without an issuer; its certificate is not
known. An *entry* is what the ledger knew at the moment of one offer: the session, and whether it had been resumed
before, for only then does Java compare certificates.

That is a matter of order. Connections must be entered in the order of their ClientHellos, and a session counts as
resumed from the ServerHello on that resumed it. Where the two moments are closer than a race of two connections, or
than coarse stamps tell, the order is not known; nor is it where an earlier connection of the same two was not captured
whole, which may have resumed any of their sessions (``cloud``).

There is one ledger for all services: keys are long and random, so equal ones are the same session, whatever the address
it is offered to. A session id in a ClientHello that also offers TLS 1.3 may be made up (RFC 8446, section 4.1.2,
legacy_session_id), and a TLS 1.3 server echoes it: neither is an offer.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector import bounds
from inspector.facts import C_KEY_EXCHANGE, HandshakeFacts, PackedEndpoint
from inspector.tls.extensions import AnswerShape
from inspector.tls.types import TLS13
from inspector.tracking.kinds import Kind
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.mapped_numbers import MappedNumbers
from inspector.tracking.spooled_sessions import LiveSessions, SpooledSessions

Peers = tuple[bytes, PackedEndpoint]
"""A client's address, and the server."""


class LedgerEntry(Struct, frozen=True, gc=False):
    """What the ledger knew of the offer in one connection. ``resumed_before``: None where it cannot be told;
    ``resumed_by``: by whom. ``clouded``: an earlier connection of the same client and server was not seen whole, and
    may have resumed the session, or have been issued what is offered. ``number``: of the session among the ledger's,
    -1 where there is none.
    """

    session: LedgerSession | None
    resumed_before: bool | None
    resumed_by: int | None
    clouded: bool = False
    number: int = -1

    @property
    def known(self) -> bool:
        """Whether the session's issuer was captured."""
        session = self.session
        return session is not None and session.issuer is not None


NOTHING = LedgerEntry(None, False, None)
CLOUDED = LedgerEntry(None, None, None, True)


class Ledger:
    """All sessions by id and by ticket. Their numbers are those of ``sessions``."""

    def __init__(self, tick_ns: int = 0, *, is_spooled: bool = False) -> None:
        """``tick_ns``: of how coarse stamps, 0 where they are fine. ``is_spooled``: they are kept out of core."""
        self.tick_ns = tick_ns
        self.is_spooled = is_spooled
        self._race_ns = bounds.RACE_NS + tick_ns
        self.sessions: LiveSessions | SpooledSessions = SpooledSessions() if is_spooled else LiveSessions()
        self._by_key: dict[bytes, int] | MappedNumbers = MappedNumbers() if is_spooled else {}
        self._doubtful: set[int] = set()
        """Sessions whose issuer's handshake may itself have resumed one: that cannot be told."""
        self._closed_ns: dict[int, int | None] = {}
        """Where stamps are coarse: when the client closed the connection that resumed a session first, which takes
        longer than any race.
        """
        self._clouds: dict[Peers, int] = {}
        self._leaves: dict[bytes, bytes] = {}

    def enter(
        self,
        index: int,
        handshake: HandshakeFacts,
        kind: Kind | None,
        peers: Peers | None = None,
        closed_ns: int | None = None,
    ) -> LedgerEntry:
        """Look up what the connection offers, note what became of it, and what it was issued. ``index``: of the
        connection. ``peers``: None for a handshake inside a connection, which no other stands beside. ``closed_ns``:
        when the client closed it, where stamps are coarse.
        """
        answer = handshake.answer
        if answer is None:
            return NOTHING
        self.sessions.put_away()
        if answer.version >= TLS13:
            return self._enter_tls13(index, handshake, kind) if kind is not None else NOTHING
        if kind is None:
            self._issue(index, handshake, answer, is_doubtful=True)
            return NOTHING
        clouded_ns = self._clouds.get(peers) if self._clouds and peers is not None else None
        entry = self._offer(index, handshake, kind, clouded_ns, closed_ns)
        if kind == "full":
            self._issue(index, handshake, answer)
        elif handshake.issued_ticket and entry.session is not None:
            self._by_key[handshake.issued_ticket] = entry.number
        return entry

    def close(self) -> None:
        """All has been entered."""
        self.sessions.close()
        self._by_key = {}

    def _leaf(self, handshake: HandshakeFacts) -> bytes | None:
        """The server's certificate, the same bytes for all sessions."""
        chain = handshake.chain
        return self._leaves.setdefault(chain[0], chain[0]) if chain else None

    def cloud(self, peers: Peers, ns: int) -> None:
        """A connection at this time was not seen whole: it may have resumed any session that these two had."""
        self._clouds[peers] = max(ns, self._clouds.get(peers, 0))

    def _add(self, session: LedgerSession) -> int:
        """Its number."""
        self.sessions.append(session)
        return len(self.sessions) - 1

    def _session(self, key: bytes, method: Literal["session_id", "ticket", "psk"]) -> int:
        """A session of which nothing else is known than what was offered."""
        number = self._by_key[key] = self._add(LedgerSession(key=key, method=method))
        return number

    def _offer(
        self, index: int, handshake: HandshakeFacts, kind: Kind, clouded_ns: int | None, closed_ns: int | None
    ) -> LedgerEntry:
        """The session that is offered, up to TLS 1.2. ``clouded_ns``: when an earlier connection of the same two may
        have resumed it.
        """
        ticket = handshake.offered_ticket
        offered = handshake.offered_id or (handshake.answered_id if kind == "resumed" else b"")
        by_key = self._by_key
        number = by_key.get(ticket or offered)
        if number is None and ticket and offered:
            number = by_key.get(offered)
        if number is None:
            if not self._is_offer(handshake, kind):
                return NOTHING if clouded_ns is None else CLOUDED
            number = self._session(ticket or offered, "ticket" if ticket else "session_id")
        if ticket:
            by_key.setdefault(ticket, number)
            if offered:
                by_key.setdefault(offered, number)
        session = self.sessions[number]
        entry = self._entry(number, session, handshake.hello_ns, clouded_ns)
        is_resumed = kind != "full"
        session.note_offer(index, is_resumed)
        if is_resumed and (session.resumed_ns is None or handshake.answer_ns < session.resumed_ns):
            session.resumed_ns, session.resumed_by = handshake.answer_ns, index
            if self.tick_ns:
                self._closed_ns[number] = closed_ns
        return entry

    def _entry(self, number: int, session: LedgerSession, hello_ns: int, clouded_ns: int | None) -> LedgerEntry:
        """What is known of a session when it is offered."""
        is_issued = session.issuer is not None
        is_clouded = False
        is_resumed_before: bool | None = True
        resumed_ns = session.resumed_ns
        if resumed_ns is None or resumed_ns >= hello_ns:
            is_clouded = number in self._doubtful or (clouded_ns is not None and clouded_ns >= (session.issued_ns or 0))
            is_resumed_before = False if is_issued and not is_clouded else None
        elif hello_ns - resumed_ns < self._race_ns:
            closed_ns = self._closed_ns.get(number)
            is_over = closed_ns is not None and closed_ns < hello_ns
            is_resumed_before = True if is_over else None
        return LedgerEntry(session, is_resumed_before, session.resumed_by, is_clouded, number)

    @staticmethod
    def _is_offer(handshake: HandshakeFacts, kind: Kind) -> bool:
        """Whether an id that no server in the capture issued may still be a session."""
        if kind == "resumed":
            return bool(handshake.offered_id or handshake.answered_id)
        if handshake.offered_ticket or kind != "full":
            return True
        offer = handshake.offer
        return bool(handshake.offered_id) and offer is not None and not offer.partial and TLS13 not in offer.versions

    def _issue(self, index: int, handshake: HandshakeFacts, answer: AnswerShape, *, is_doubtful: bool = False) -> None:
        """The session that the server issued. ``is_doubtful``: it may have resumed another one, whose id it echoed."""
        identifier, ticket = handshake.answered_id, handshake.issued_ticket
        if is_doubtful:
            identifier = identifier if self._is_new(identifier, handshake) else b""
            ticket = ticket if self._is_new(ticket, handshake) else None
        if not (identifier or ticket):
            return
        session = LedgerSession(
            key=identifier or ticket or b"",
            method="ticket" if handshake.issued_ticket else "session_id",
            issuer=index,
            leaf=self._leaf(handshake),
            ems=None if answer.partial else answer.extended_master_secret,
            issued_ns=handshake.answer_ns,
            usable=handshake.messages & C_KEY_EXCHANGE != 0,
        )
        number = self._add(session)
        if is_doubtful:
            self._doubtful.add(number)
        for key in (identifier, ticket):
            if key and (first := self._by_key.setdefault(key, number)) != number:
                self._issue_anew(key, self.sessions[first], session, number)

    def _is_new(self, key: bytes | None, handshake: HandshakeFacts) -> bool:
        """Whether nobody offered it, nor was issued it before."""
        return key not in self._by_key and key != handshake.offered_id

    def _issue_anew(self, key: bytes, first: LedgerSession, session: LedgerSession, number: int) -> None:
        """Of two sessions of one key the client keeps the later one, where that came about."""
        if first.issuer is None or (session.leaf is not None and session.usable):
            self._by_key[key] = number

    def _enter_tls13(self, index: int, handshake: HandshakeFacts, kind: Kind) -> LedgerEntry:
        """TLS 1.3: an identity is a ticket (RFC 8446, section 4.6.1), which secrets show being issued; without them
        equal identities are the same one.
        """
        entry = self._offer_identity(index, handshake, kind) if handshake.offered_psks else NOTHING
        leaf = self._leaf(handshake)
        if leaf is None and kind == "psk" and entry.session is not None:
            leaf = entry.session.leaf
        for ticket in handshake.issued_tickets:
            session = LedgerSession(key=ticket, method="psk", issuer=index, leaf=leaf, issued_ns=handshake.answer_ns)
            self._by_key[ticket] = self._add(session)
        return entry

    def _offer_identity(self, index: int, handshake: HandshakeFacts, kind: Kind) -> LedgerEntry:
        """The identity that was accepted, else the first that is known, else the first."""
        offered, answer = handshake.offered_psks, handshake.answer
        accepted = answer.accepted_psk if answer is not None else None
        key = (
            offered[accepted]
            if accepted is not None and accepted < len(offered)
            else next((psk for psk in offered if psk in self._by_key), offered[0])
        )
        number = self._by_key.get(key)
        if number is None:
            number = self._session(key, "psk")
        session = self.sessions[number]
        if key == offered[0]:
            session.name = handshake.identity_name
        entry = LedgerEntry(session, None, session.resumed_by, number=number)
        session.note_offer(index, kind == "psk")
        if kind == "psk" and session.resumed_ns is None:
            session.resumed_ns, session.resumed_by = handshake.answer_ns, index
        return entry
