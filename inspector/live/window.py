"""What a capture without an end keeps of the past.

A verdict on one connection rests on others: where the session comes from that it offers, who resumed it first, how its
client and its service behave, which certificates the pool shows. A capture that never ends cannot keep them all, and a
plain queue of the last ones would lose what matters: a session lives for a day, while its service takes a thousand
connections a minute. So this is a cache of connections by use (LRU), and *use* is defined by what verdicts need.

**What counts as used.** A new connection is, and so is each that it leads to by the session that it offers: the one in
which the session was issued, and the one that resumed it first. A session's origin stays as long as the session is
alive, however much goes by in between.

**What never falls out.** Of each certificate of a service a few *anchors*: its first full handshakes, the last one, and
the first of each client that accepted it. They name the back ends, tell a rotation from a pool, and show what clients
think of a certificate. They are bounded by themselves.

**What is forgotten,** oldest use first, together with where its session came from: an origin without the connection
that resumed it first would look as if nobody had. How many were forgotten is counted, which is a limit of every
verdict, and ``whole_from_ns`` says since when nothing was. Shapes of hellos, certificates and authorities that nothing
uses any more go now and then (``tidy``).

**What stays true.** A verdict on what ``around`` gives is the one that a capture of all that is remembered would give:
what Java's rule asks for is drawn in by relation, within bounds, and not by time. What fell out is recalled from the
journal, where one is kept; otherwise it is as if it had not been captured, and acquits nobody. Counts over everything,
of a pool or of clients, are those of what is remembered, and only ``whole`` is asked for them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Protocol

from inspector.facts import CaptureFacts, ConnectionFacts, Facts, OtherFlow
from inspector.live.window_entry import ServiceKey, WindowEntry, entry_of
from inspector.tracking.observed import connection_id

RECENT = 16
"""Of each service, so many of the last connections stand beside a new one when it is judged: they show how its client
behaves.
"""

ANCHORS = 8
"""Of each certificate of a service, so many of the first full handshakes are never forgotten, nor the last one, nor the
first of so many clients that accept it.
"""

ANCHORED_SHARE = 20
"""Certificates with anchors: the window's size divided by this."""

RELATIVES = 20
"""Connections that one new one may draw in by its session, on the average of those that are judged together."""

SHAPES = 2_048
LISTS = 100
"""Of authorities that servers accept, with whatever uses them or not."""

ISSUER, RESUMER = 0, 1


class Anchors:
    """The connections of one certificate of a service that stay."""

    def __init__(self) -> None:
        self._first: list[tuple[int, str]] = []
        self._last = (0, "")
        self._accepted: dict[bytes, str] = {}

    def note(self, name: str, hello_ns: int, accepted_by: bytes | None) -> None:
        """Another connection, or the same once more. ``accepted_by``: the client that went on to send data."""
        if (hello_ns, name) not in self._first:
            self._first = sorted([*self._first, (hello_ns, name)])[:ANCHORS]
        self._last = max(self._last, (hello_ns, name))
        if accepted_by is not None and len(self._accepted) < ANCHORS:
            self._accepted.setdefault(accepted_by, name)

    def names(self) -> set[str]:
        return {name for _, name in self._first} | {self._last[1]} | set(self._accepted.values())


class Archive(Protocol):
    """What remembers longer than the window: a journal."""

    def session(self, key: bytes) -> list[ConnectionFacts]:
        """The connections that were issued a session, and the first one that resumed it."""

    def certificate(self, digest: bytes) -> bytes | None:
        """A certificate by its SHA-256."""

    def authorities(self, digest: bytes) -> bytes | None:
        """A list of the authorities that a server accepts, by its SHA-256."""


class Window:
    """Connections by id, at most ``most``. ``facts``: the engine's, for hello shapes, certificates and authorities."""

    def __init__(self, facts: Facts, most: int, past: Archive | None = None) -> None:
        self.facts = facts
        self.forgotten = 0
        """Connections that fell out."""
        self.whole_from_ns = 0
        """All connections that began later are here; of those before, some fell out."""
        self._most = most
        self._past = past
        self._entries: OrderedDict[str, WindowEntry] = OrderedDict()
        self._sessions: dict[bytes, list[str | None]] = {}
        """Who was issued a session, and who resumed it first."""
        self._recent: dict[ServiceKey, deque[str]] = {}
        self._named: dict[ServiceKey, list[ServiceKey]] = {}
        """The names under which an address answers, two at most: who gives no name there belongs to the only one."""
        self._legs: dict[bytes, list[str]] = {}
        """Connections by client random: one handshake may be seen on several legs."""
        self._anchors: dict[tuple[ServiceKey, bytes], Anchors] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, connection: ConnectionFacts, is_final: bool) -> tuple[str, WindowEntry, bool]:
        """Keep a connection; one with the same id is replaced. Its id, and whether it was not known before."""
        name = connection_id(connection)
        entry = entry_of(connection, self.facts, is_final)
        is_new = name not in self._entries
        self._entries[name] = entry
        self._entries.move_to_end(name)
        self._index(name, entry)
        if is_new:
            if len(self._recent) > self._most:  # as many services as connections: names are made up
                self._forget_services()
            self._recent.setdefault(entry.service, deque(maxlen=RECENT)).append(name)
        self._name((connection.server.address, connection.server.port), entry.service)
        self._anchor(name, entry, connection)
        self._bound()
        return name, entry, is_new

    def _name(self, address: ServiceKey, service: ServiceKey) -> None:
        if service == address or (address not in self._named and len(self._named) >= self._most):
            return
        names = self._named.setdefault(address, [])
        if service not in names and len(names) < 2:
            names.append(service)

    def _index(self, name: str, entry: WindowEntry) -> None:
        if entry.random and name not in (legs := self._legs.setdefault(entry.random, [])):
            legs.append(name)
        for key in entry.issued:
            self._sessions.setdefault(key, [None, None])[ISSUER] = name
        if entry.is_resumed:
            for key in entry.offered:
                role = self._sessions.setdefault(key, [None, None])
                before = self._entries.get(role[RESUMER] or "")
                if before is None or entry.answer_ns < before.answer_ns:
                    role[RESUMER] = name

    def _anchor(self, name: str, entry: WindowEntry, connection: ConnectionFacts) -> None:
        if entry.leaf is None:
            return
        key = (entry.service, entry.leaf)
        anchors = self._anchors.get(key)
        if anchors is None:
            if len(self._anchors) >= self._most // ANCHORED_SHARE:
                return
            anchors = self._anchors[key] = Anchors()
        anchors.note(name, entry.hello_ns, entry.client if connection.from_client.application_records else None)

    def _bound(self) -> None:
        while len(self._entries) > self._most:
            name, entry = next(iter(self._entries.items()))
            if self._is_anchor(name, entry):
                self._entries.move_to_end(name)
                continue
            issuers = self._issuers(name, entry)
            if any(self._is_anchor(*issuer) for issuer in issuers):
                self._entries.move_to_end(name)
                continue
            for known, forgotten in ((name, entry), *issuers):
                self._forget(known, forgotten)

    def _is_anchor(self, name: str, entry: WindowEntry) -> bool:
        anchors = self._anchors.get((entry.service, entry.leaf)) if entry.leaf is not None else None
        return anchors is not None and name in anchors.names()

    def _issuers(self, name: str, entry: WindowEntry) -> list[tuple[str, WindowEntry]]:
        """Where the sessions come from that this connection resumed first: without it, it would seem that nobody had
        resumed them.
        """
        issuers: dict[str, WindowEntry] = {}
        for key in entry.offered if entry.is_resumed else ():
            role = self._sessions.get(key)
            issuer = role[ISSUER] if role is not None and role[RESUMER] == name else None
            if issuer is not None and issuer in self._entries:
                issuers[issuer] = self._entries[issuer]
        return list(issuers.items())

    def _forget(self, name: str, entry: WindowEntry) -> None:
        del self._entries[name]
        self.forgotten += 1
        self.whole_from_ns = max(self.whole_from_ns, entry.hello_ns)
        self._legs.pop(entry.random, None)
        for key in (*entry.issued, *entry.offered):
            role = self._sessions.get(key)
            if role is not None:
                role[:] = [None if who == name else who for who in role]
                if role == [None, None]:
                    del self._sessions[key]

    def _forget_services(self) -> None:
        """Those of which no connection is known any more."""
        self._recent = {
            service: kept
            for service, names in self._recent.items()
            if (kept := deque((n for n in names if n in self._entries), RECENT))
        }
        self._named = {
            address: known
            for address, names in self._named.items()
            if (known := [s for s in names if s in self._recent])
        }

    @property
    def is_untidy(self) -> bool:
        """Whether ``tidy`` should not wait for its time."""
        facts = self.facts
        return len(facts.offers) > 4 * SHAPES or len(facts.answers) > 4 * SHAPES or len(facts.certificates) > self._most

    def tidy(self) -> set[bytes] | None:
        """Forget hello shapes and authorities that nothing uses; the certificates that are used, or None where there
        are few of either.
        """
        facts = self.facts
        if len(facts.offers) > SHAPES or len(facts.answers) > SHAPES:
            keep = Facts(offers={}, answers={})
            for entry in self._entries.values():
                handshake = facts.unpack(entry.packed).handshake
                if handshake.offer is not None:
                    keep.offers[handshake.offer.key] = handshake.offer
                if handshake.answer is not None:
                    keep.answers[handshake.answer.key] = handshake.answer
            facts.offers, facts.answers = keep.offers, keep.answers
        if len(facts.authorities) > LISTS:
            used = {digest for entry in self._entries.values() for digest in entry.authorities}
            facts.authorities = {digest: names for digest, names in facts.authorities.items() if digest in used}
        self._forget_services()
        if len(facts.certificates) > self._most // 10:
            return {digest for entry in self._entries.values() for digest in entry.chains}
        return None

    def around(self, names: Iterable[str], captures: list[CaptureFacts]) -> Facts:
        """Some connections with all that it takes to judge them: where their sessions came from, the last ones of their
        services, the first of each certificate.
        """
        chosen: dict[str, WindowEntry] = {}
        services: set[ServiceKey] = set()
        for name in names:
            entry = self._entries.get(name)
            if entry is not None:
                chosen[name] = entry
                services.update((entry.service, *self._named.get(entry.service, ())))
        for key, anchors in self._anchors.items():
            if key[0] in services:
                for name in anchors.names():
                    if name in self._entries:
                        chosen.setdefault(name, self._entries[name])
        for service in services:
            for name in self._recent.get(service, ()):
                if name in self._entries:
                    chosen.setdefault(name, self._entries[name])
        self._relatives(chosen)
        for entry in list(chosen.values()):
            for name in self._legs.get(entry.random, ()):
                if name in self._entries:
                    chosen.setdefault(name, self._entries[name])
        return self._facts(chosen.values(), captures, {})

    def _relatives(self, chosen: dict[str, WindowEntry]) -> None:
        """Add the origins of the sessions that are offered, and who resumed them first, and where those came from."""
        todo = list(chosen.values())
        most = RELATIVES * len(chosen)
        while todo and len(chosen) < most:
            for key in todo.pop().offered:
                for name in self._of_session(key):
                    if name not in chosen and name in self._entries:
                        chosen[name] = self._entries[name]
                        self._entries.move_to_end(name)
                        todo.append(chosen[name])

    def _of_session(self, key: bytes) -> list[str]:
        role = self._sessions.get(key)
        if (role is None or role[ISSUER] is None) and self._past is not None:
            for connection in self._past.session(key):
                self._recall(connection)
            role = self._sessions.get(key)
        return [name for name in role if name is not None] if role else []

    def _recall(self, connection: ConnectionFacts) -> None:
        name = connection_id(connection)
        if name not in self._entries:
            entry = self._entries[name] = entry_of(connection, self.facts, True)
            self._index(name, entry)

    def whole(self, captures: list[CaptureFacts], others: dict[OtherFlow, int]) -> Facts:
        """All that is known."""
        return self._facts(self._entries.values(), captures, others)

    def forget_past(self) -> None:
        """Look into the journal no more."""
        self._past = None

    def connections(self, names: Iterable[str]) -> list[ConnectionFacts]:
        """Connections by id, those that are still known."""
        return [self.facts.unpack(self._entries[name].packed) for name in names if name in self._entries]

    def _facts(
        self, entries: Iterable[WindowEntry], captures: list[CaptureFacts], others: dict[OtherFlow, int]
    ) -> Facts:
        chosen = list(entries)
        past = self._past
        return Facts(
            captures=captures,
            connections=[entry.packed for entry in chosen],
            offers=self.facts.offers,
            answers=self.facts.answers,
            certificates=_known(
                (d for entry in chosen for d in entry.chains),
                self.facts.certificates,
                past.certificate if past is not None else None,
            ),
            other_flows=others,
            authorities=_known(
                (d for entry in chosen for d in entry.authorities),
                self.facts.authorities,
                past.authorities if past is not None else None,
            ),
        )


def _known(
    digests: Iterable[bytes], known: dict[bytes, bytes], remembered: Callable[[bytes], bytes | None] | None
) -> dict[bytes, bytes]:
    """What digests stand for; what is not ``known`` is looked up in a place that remembers longer, where there is one,
    and known then.
    """
    values: dict[bytes, bytes] = {}
    for digest in dict.fromkeys(digests):
        value = known.get(digest)
        if value is None and remembered is not None:
            value = remembered(digest)
            if value is not None:
                known[digest] = value
        if value is not None:
            values[digest] = value
    return values
