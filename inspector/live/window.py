"""What a capture without an end keeps of the past.

A verdict on one connection rests on others: where the session comes from that it offers, who resumed it first, how its
client and its service behave, which certificates the pool shows. A capture that never ends cannot keep them all, and a
plain queue of the last ones would lose what matters: a session lives for a day, while its service takes a thousand
connections a minute. So this is a cache of connections by use (LRU), and *use* is defined by what verdicts need.

**What counts as used.** A new connection is, and so is each that it leads to by the session that it offers: the one in
which the session was issued, and the one that resumed it first. A session's origin stays as long as the session is
alive, however much goes by in between.

**What never falls out.** Of each certificate of a service a few *anchors*: its first full handshakes, the last one, and
the first of each client that accepted it; and who first resumed a session of theirs. They name the back ends, tell a
rotation from a pool, and show what clients think of a certificate. Where they are more than half of what is kept, those
that come later fall out as others do.

**What is forgotten,** oldest use first, where connections are more than so many, or take more bytes than there are for
them, together with where its session came from: an origin without the connection that resumed it first would look as
if nobody had. How many were forgotten is counted, which is a limit of every verdict, and ``whole_from_ns`` says since
when nothing was. Shapes of hellos, certificates and authorities that nothing uses any more go now and then (``tidy``).

**What stays true.** A verdict on what ``around`` gives is the one that a capture of all that is remembered would give:
what Java's rule asks for is drawn in by relation, within bounds, and not by time. What fell out is recalled from the
journal, where one is kept; otherwise it is as if it had not been captured, and acquits nobody. Counts over everything,
of a pool or of clients, are those of what is remembered, and only ``whole`` is asked for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from inspector import bounds
from inspector.extract.engine import Engine
from inspector.facts import CaptureFacts, ConnectionFacts, Facts, OtherFlow
from inspector.live.anchors import Anchors
from inspector.live.relations import Relations
from inspector.live.window_entry import ServiceKey, WindowEntry, entry_of
from inspector.tracking.observed import connection_id

SPARED_SHARE = 2
"""Connections that never fall out: the window's size divided by this, and its bytes."""

RELATIVES = 20
"""Connections that one new one may draw in by its session, on the average of those that are judged together."""

SHAPES = 2_048
CERTIFICATE_BYTES = 6 << 20
"""Of certificates, with whatever uses them or not."""

LISTS = 100
"""Of authorities that servers accept, with whatever uses them or not."""


class Archive(Protocol):
    """What remembers longer than the window: a journal."""

    def session(self, key: bytes) -> list[ConnectionFacts]:
        """The connections that were issued a session, and the first one that resumed it."""

    def certificates(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of some certificates that it remembers, by SHA-256."""

    def authorities(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The same of lists of the authorities that servers accept."""


class Window:
    """Connections by id, at most ``most``. ``engine``: what keeps hello shapes, certificates and authorities."""

    def __init__(self, engine: Engine, most: int, past: Archive | None = None) -> None:
        self.facts = engine.facts
        self.forgotten = 0
        """Connections that fell out."""
        self.whole_from_ns = 0
        """All connections that began later are here; of those before, some fell out."""
        self._engine = engine
        self._most = most
        self._past = past
        self._entries: OrderedDict[str, WindowEntry] = OrderedDict()
        """The one that was used last stands last."""
        self._relations = Relations(most)
        self._anchors = Anchors(most)
        self._bytes = 0
        """What the entries take."""
        self._spared: dict[str, int] = {}
        """Connections that did not fall out when it was their turn, and what they take."""
        self._spared_bytes = 0
        self._waiting: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def put(
        self, connection: ConnectionFacts, is_final: bool, packed: bytes = b"", *, is_waiting: bool = False
    ) -> tuple[str, WindowEntry, bool]:
        """Keep a connection; one with the same id is replaced. Its id, and whether it was not known before.
        ``packed``: as in ``entry_of``. ``is_waiting``: it is kept beside the others until ``release``.
        """
        name = connection_id(connection)
        entry = entry_of(connection, self.facts, is_final, packed)
        before = self._entries.get(name)
        self._enter(name, entry)
        (self._waiting.add if is_waiting else self._waiting.discard)(name)
        if before is None or before.service != entry.service:
            if before is not None:
                self._relations.remove_recent(name, before)
            self._relations.add_recent(name, entry, (connection.server.address, connection.server.port))
        self._anchors.note(name, entry, bool(connection.from_client.application_records))
        self._bound()
        return name, entry, before is None

    def offered(self, name: str) -> tuple[bytes, ...]:
        """The sessions that a connection offered."""
        entry = self._entries.get(name)
        return entry.offered if entry is not None else ()

    def release(self, name: str) -> bool:
        """A connection is one of many from now on; False where it was forgotten."""
        is_known = name in self._waiting
        if is_known:
            self._waiting.discard(name)
            self._entries.move_to_end(name)
            self._bound()
        return is_known

    def _enter(self, name: str, entry: WindowEntry) -> None:
        before = self._entries.get(name)
        if before is not None:
            self._relations.remove(name, before)
            self._bytes -= before.memory
            self._spared_bytes -= self._spared.pop(name, 0)
        self._bytes += entry.memory
        self._entries[name] = entry
        self._entries.move_to_end(name)
        self._relations.add(name, entry)

    def _bound(self) -> None:
        """Each turn forgets a connection, or spares one. It ends, and soon, since no more are spared than a part of
        all, and of all bytes, so that between two turns of the same one as many others are forgotten. Where bytes are
        short, those that wait are no exception.
        """
        while self._is_large or len(self._entries) > self._most + len(self._waiting):
            name, entry = next(iter(self._entries.items()))
            if name in self._waiting and not self._is_large:
                self._entries.move_to_end(name)
                continue
            issuers = self._relations.resumed_first(name, entry)
            is_wanted = self._anchors.holds(name, entry) or any(
                self._anchors.holds(issuer, self._entries[issuer]) for issuer in issuers
            )
            if is_wanted and self._may_spare(name, entry):
                self._entries.move_to_end(name)
                continue
            for forgotten in {name, *issuers}:  # without this one it would seem that nobody had resumed them
                self._forget(forgotten)

    @property
    def _is_large(self) -> bool:
        return self._bytes > bounds.LIVE_CONNECTION_BYTES

    def _may_spare(self, name: str, entry: WindowEntry) -> bool:
        """Spare a connection, where it is one of those or there is room for it among them."""
        if name in self._spared:
            return True
        size = entry.memory
        if (
            len(self._spared) >= self._most // SPARED_SHARE
            or self._spared_bytes + size > bounds.LIVE_CONNECTION_BYTES // SPARED_SHARE
        ):
            return False
        self._spared[name] = size
        self._spared_bytes += size
        return True

    def _forget(self, name: str) -> None:
        entry = self._entries.pop(name)
        self._bytes -= entry.memory
        self._spared_bytes -= self._spared.pop(name, 0)
        self._waiting.discard(name)
        self._relations.remove(name, entry)
        self._relations.remove_recent(name, entry)
        self.forgotten += 1
        self.whole_from_ns = max(self.whole_from_ns, entry.hello_ns)

    @property
    def is_untidy(self) -> bool:
        """Whether ``tidy`` should not wait for its time."""
        facts = self.facts
        return (
            len(facts.offers) > 4 * SHAPES
            or len(facts.answers) > 4 * SHAPES
            or len(facts.certificates) > self._most
            or self._engine.certificates.bytes > 2 * CERTIFICATE_BYTES
        )

    def tidy(self) -> Iterator[bytes] | None:
        """Forget hello shapes and authorities that nothing uses; the certificates that are used, some of them several
        times, or None where there are few of either.
        """
        facts = self.facts
        if len(facts.offers) > SHAPES or len(facts.answers) > SHAPES:
            used = {key for entry in self._entries.values() for key in Facts.shape_keys(entry.packed)}
            self._engine.offers.retain(used)
            self._engine.answers.retain(used)
        if len(facts.authorities) > LISTS:
            used = {digest for entry in self._entries.values() for digest in entry.authorities}
            self._engine.authority_lists.retain(used)
        self._relations.tidy()
        self._anchors.tidy(self._entries)
        if len(facts.certificates) > self._most // 10 or self._engine.certificates.bytes > CERTIFICATE_BYTES:
            return (digest for entry in self._entries.values() for digest in entry.chains)
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
                services.update((entry.service, *self._relations.named(entry.service)))
        self._choose(chosen, self._anchors.of(services))
        for service in services:
            self._choose(chosen, self._relations.recent(service))
        self._relatives(chosen)
        for entry in list(chosen.values()):
            self._choose(chosen, self._relations.legs(entry.random))
        self._bound()  # what was recalled may be more than there is room for
        return self._facts(chosen.values(), captures, {})

    def _choose(self, chosen: dict[str, WindowEntry], names: Iterable[str]) -> None:
        for name in names:
            entry = self._entries.get(name)
            if entry is not None:
                chosen.setdefault(name, entry)

    def _relatives(self, chosen: dict[str, WindowEntry]) -> None:
        """Add the origins of the sessions that are offered, and of those the same, where one was resumed by another.

        Where a session was declined, Java's rule asks whether it had been resumed before: then also who did so first.
        Of connections that were given up both once more of the origin, where the client may have put up with what it
        does not put up with here.
        """
        most = RELATIVES * len(chosen)
        declined = [entry for entry in chosen.values() if not entry.is_resumed]
        origins = self._draw(chosen, [entry for entry in declined if entry.gave_up], most, with_resumer=True)
        self._draw(chosen, [*declined, *origins], most, with_resumer=True)
        todo = list(chosen.values())
        while todo:
            before = len(chosen)
            self._draw(chosen, todo, most)
            todo = [entry for entry in islice(chosen.values(), before, None) if entry.is_resumed]

    def _draw(
        self, chosen: dict[str, WindowEntry], entries: list[WindowEntry], most: int, *, with_resumer: bool = False
    ) -> list[WindowEntry]:
        """Add where the sessions come from that some offered, and who resumed them first where that is asked for or the
        origin is not known, while they are not more than ``most``; gives all of them. Both were used.
        """
        drawn = []
        for key in dict.fromkeys(key for entry in entries for key in entry.offered):
            issuer, resumer = self._of_session(key)
            for name in (issuer, resumer):
                if name is None:
                    continue
                self._entries.move_to_end(name)
                if name is resumer and not with_resumer and issuer is not None:
                    continue
                if name in chosen or len(chosen) < most:
                    drawn.append(chosen.setdefault(name, self._entries[name]))
        return drawn

    def _of_session(self, key: bytes) -> tuple[str | None, str | None]:
        """Who was issued a session, and who resumed it first."""
        use = self._relations.of_session(key)
        if use.issuer is None and self._past is not None:
            for connection in self._past.session(key):
                name = connection_id(connection)
                if name not in self._entries:
                    self._enter(name, entry_of(connection, self.facts, True))
            use = self._relations.of_session(key)
        return use.issuer, use.resumer

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
            certificates=self._engine.certificates.find(
                (d for entry in chosen for d in entry.chains),
                past.certificates if past is not None else None,
            ),
            other_flows=others,
            authorities=self._engine.authority_lists.find(
                (d for entry in chosen for d in entry.authorities),
                past.authorities if past is not None else None,
            ),
        )
