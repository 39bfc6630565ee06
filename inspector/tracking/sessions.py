"""The session ledger: who issued an id or a ticket, with which certificate and EMS; every later offer and what became of it.

One ledger for all services, keyed by what was offered. Connections must be entered in the order of their ClientHellos. A session id in a
ClientHello that also offers TLS 1.3 may be random (RFC 8446, section 4.1.2, legacy_session_id), and a TLS 1.3 server echoes it: neither is an offer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from inspector import bounds, facts
from inspector.facts import HandshakeFacts

Kind = Literal["full", "session_id", "ticket", "psk"]


class Session(Struct):
    """What resumption re-uses. ``issuer``: index of the connection, or None where it lies before the capture. ``usable``: its handshake was completed.
    ``name``: what a TLS 1.3 identity begins with.
    """

    key: bytes
    method: Literal["session_id", "ticket", "psk"]
    issuer: int | None
    leaf: bytes | None
    ems: bool | None
    issued_ns: int | None
    usable: bool
    resumed_ns: int | None
    resumed_by: int | None
    uses: list[int]
    """For each offer, the connection's index * 2, plus 1 where it was resumed."""
    dropped: int = 0
    name: bytes = b""
    over_ns: int | None = None
    """Where stamps are coarse: when the client closed the connection that resumed it first, which takes longer than any race."""


class Entry(NamedTuple):
    """What the ledger knew of the offer in one connection. ``resumed_before``: None where it cannot be told."""

    session: Session | None
    known: bool
    resumed_before: bool | None
    resumed_by: int | None


NOTHING = Entry(None, False, False, None)
MAX_USES = 10_000


def is_modern(handshake: HandshakeFacts) -> bool:
    """Whether TLS 1.3 was chosen."""
    answer = handshake.answer
    return answer is not None and (answer.version >= 0x0304)


def kind_of(handshake: HandshakeFacts) -> tuple[Kind | None, str]:
    """How the handshake was made, and why one can say so."""
    answer = handshake.answer
    if answer is None:
        return None, "no ServerHello was captured"
    if is_modern(handshake):
        if handshake.retried and answer.version == 0x0304 and handshake.server_random == b"":
            return None, "only a HelloRetryRequest was captured"
        if answer.accepted_psk is not None:
            return "psk", f"the server accepted pre-shared key {answer.accepted_psk}"
        return "full", "the server accepted no pre-shared key" if handshake.offered_psks else "no pre-shared key was offered"
    seen = handshake.seen
    flight = seen & (facts.S_CERTIFICATE | facts.S_KEY_EXCHANGE | facts.S_DONE)
    echoed = bool(handshake.offered_id) and handshake.offered_id == handshake.answered_id
    if echoed and not flight:
        return ("ticket" if handshake.offered_ticket else "session_id"), "the server echoed the offered session id"
    if handshake.offered_ticket and not flight and seen & facts.S_CHANGE:
        return "ticket", "the server went on to ChangeCipherSpec without a certificate"
    if not handshake.offered_id and not handshake.offered_ticket:
        return "full", "no session was offered"
    return "full", "the server answered with a session id of its own" if handshake.answered_id else "the server answered with an empty session id"


class Ledger:
    """All sessions by id and by ticket. ``tick_ns``: of how coarse stamps, 0 where they are fine."""

    def __init__(self, tick_ns: int = 0) -> None:
        self.tick_ns = tick_ns
        self._race_ns = bounds.RACE_NS + tick_ns
        self.sessions: list[Session] = []
        self._by_key: dict[bytes, Session] = {}

    def enter(self, index: int, handshake: HandshakeFacts, kind: Kind | None, over_ns: int | None = None) -> Entry:
        """Look up what the connection offers, note what became of it, and what it was given. ``over_ns``: as in ``Session``."""
        if handshake.answer is None or kind is None:
            return NOTHING
        if is_modern(handshake):
            return self._modern(index, handshake, kind)
        entry = self._offer(index, handshake, kind, over_ns)
        if kind == "full":
            self._issue(index, handshake)
        elif handshake.issued_ticket and entry.session is not None:
            self._by_key[handshake.issued_ticket] = entry.session
        return entry

    def _offer(self, index: int, handshake: HandshakeFacts, kind: Kind, over_ns: int | None) -> Entry:
        offered = handshake.offered_id
        session = (handshake.offered_ticket and self._by_key.get(handshake.offered_ticket)) or (offered and self._by_key.get(offered)) or None
        known = session is not None and session.issuer is not None
        if session is None and not self._is_offer(handshake, kind):
            return NOTHING
        if session is None:
            method: Literal["session_id", "ticket"] = "ticket" if handshake.offered_ticket else "session_id"
            key = handshake.offered_ticket if handshake.offered_ticket else offered
            session = Session(key, method, None, None, None, None, True, None, None, [])
            self.sessions.append(session)
            self._by_key[key] = session
        if handshake.offered_ticket:
            self._by_key.setdefault(handshake.offered_ticket, session)
        if offered:
            self._by_key.setdefault(offered, session)
        marked, by = session.resumed_ns, session.resumed_by
        before: bool | None
        if marked is None or marked >= handshake.hello_ns:
            before = False if known else None
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
        return Entry(session, known, before, by)

    @staticmethod
    def _is_offer(handshake: HandshakeFacts, kind: Kind) -> bool:
        """Whether an id that no server in the capture issued may still be a session."""
        if handshake.offered_ticket or kind != "full":
            return True
        offer = handshake.offer
        return bool(handshake.offered_id) and offer is not None and 0x0304 not in offer.versions

    def _issue(self, index: int, handshake: HandshakeFacts) -> None:
        answer = handshake.answer
        assert answer is not None
        if not handshake.answered_id and not handshake.issued_ticket:
            return
        leaf = handshake.chain[0] if handshake.chain else None
        key = handshake.answered_id or handshake.issued_ticket or b""
        session = Session(
            key,
            "ticket" if handshake.issued_ticket else "session_id",
            index,
            leaf,
            answer.extended_master_secret,
            handshake.answer_ns,
            bool(handshake.seen & facts.C_KEY_EXCHANGE),
            None,
            None,
            [],
        )
        self.sessions.append(session)
        if handshake.answered_id:
            self._by_key[handshake.answered_id] = session
        if handshake.issued_ticket:
            self._by_key[handshake.issued_ticket] = session

    def _modern(self, index: int, handshake: HandshakeFacts, kind: Kind) -> Entry:
        """TLS 1.3: an identity is a ticket (RFC 8446, section 4.6.1), which secrets show being issued; without them equal identities are the same one."""
        entry = self._identity(index, handshake, kind) if handshake.offered_psks else NOTHING
        leaf = handshake.chain[0] if handshake.chain else entry.session.leaf if entry.session is not None and kind == "psk" else None
        for ticket in handshake.issued_tickets:
            session = Session(ticket, "psk", index, leaf, None, handshake.answer_ns, True, None, None, [])
            self.sessions.append(session)
            self._by_key[ticket] = session
        return entry

    def _identity(self, index: int, handshake: HandshakeFacts, kind: Kind) -> Entry:
        offered, answer = handshake.offered_psks, handshake.answer
        accepted = answer.accepted_psk if answer is not None else None
        key = offered[accepted] if accepted is not None and accepted < len(offered) else next((psk for psk in offered if psk in self._by_key), offered[0])
        session = self._by_key.get(key)
        if session is None:
            session = Session(key, "psk", None, None, None, None, True, None, None, [])
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
        return Entry(session, session.issuer is not None, None, by)
