"""The recorded connections of one service once more, with something changed: what Java's rule would have said.

Of a change the rule sees little: two certificates that count as one server, extended master secret (EMS) in an answer,
a version, another back end that answers. Each connection is decided by the same function as in the judgement
(``jsse.decide``). What it offers is what the client's cache holds under the change: a cache holds one session, that of
the last full handshake, and loses it when a server declines it; one of TLS 1.3 is no session for a server of TLS 1.2.

As long as everything went as recorded, the recording says what is offered and what becomes of it. From the first
connection on that goes otherwise, until the next full handshake of both, the cache is *diverged*: what it would hold is
played on, and a back end is assumed to resume what it issued itself. What then hangs on the cache is simulated, all
else judged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from msgspec import Struct, field

from inspector.findings.jsse import Offer, decide
from inspector.findings.likeness import Likeness
from inspector.findings.recorded import NO_ISSUER, UNKNOWN_ISSUER, Ending, Recorded, RecordedConnections


class Change(NamedTuple):
    """What is changed. ``likeness``: which of the pool's certificates are one server then. ``ems``, ``tls13``: back
    ends that get it; ``clients``: those that begin to offer it. ``is_pinned``: each client stays at the back end that
    it reached first.
    """

    likeness: Likeness
    ems: frozenset[int] = frozenset()
    tls13: frozenset[int] = frozenset()
    clients: frozenset[int] = frozenset()
    is_pinned: bool = False


class Member(NamedTuple):
    """A back end as others may meet it. ``ems``: whether it does that for all who offer it. ``leaves``: all that it
    showed, the current one last.
    """

    backend: int
    ems: bool
    leaves: tuple[bytes, ...]

    @property
    def leaf(self) -> bytes | None:
        """The current certificate."""
        return self.leaves[-1] if self.leaves else None


class Replay(Struct):
    """Connections by index. ``aborted``: by the rule; ``exposed``: they left a session in the cache with which another
    back end would have made the client abort; ``unjudged``: the rule cannot say.
    """

    aborted: set[int] = field(default_factory=set)
    exposed: set[int] = field(default_factory=set)
    unjudged: set[int] = field(default_factory=set)
    is_simulated: bool = False


class _Cached(Struct, gc=False):
    """A session in a client's cache. ``can_resume``: it has an id or a ticket, and is of TLS 1.2 or older."""

    issuer: int
    backend: int
    leaf: bytes | None
    ems: bool
    can_resume: bool
    is_marked: bool = False


class _Cache(Struct, gc=False):
    session: _Cached | None = None
    is_diverged: bool = False


class Replayer:
    """Plays the connections of one service. ``members``: its back ends."""

    def __init__(self, steps: RecordedConnections, members: Sequence[Member]) -> None:
        self._steps = steps
        self._members = members
        self._offers = {(step.client, step.traits.offers_ems, step.traits.offers_tls13) for step in steps}
        met = {(issuing, offer.backend, offer.ending == "resumed") for issuing, offer in steps.issued()}
        self._resuming = {(issuing, answering) for issuing, answering, is_resumed in met if is_resumed}
        self._forgetful = {
            answering for issuing, answering, is_resumed in met if issuing == answering and not is_resumed
        } - {answering for issuing, answering in self._resuming if issuing == answering}

    def play(self, change: Change, most: int | None = None) -> Replay:
        """What would have become of the connections, or of the first ones. Where the change leaves no answer that could
        end in an abort, nothing hangs on what caches hold.
        """
        if self._rules_out(change):
            return self._ruled_out(change)
        return self.play_through(change, most)

    def play_through(self, change: Change, most: int | None = None) -> Replay:
        """The same, connection by connection whatever the change."""
        return _Run(change, self._members, self.resumes).play(self._steps[:most])

    def _rules_out(self, change: Change) -> bool:
        """Whether no connection could abort whatever its client's cache holds."""
        if not self._members:
            return False
        has_ems = all(m.ems or m.backend in change.ems for m in self._members) and all(
            ems or (change.ems and client in change.clients) for client, ems, _ in self._offers
        )
        has_tls13 = all(m.backend in change.tls13 for m in self._members) and all(
            tls13 or client in change.clients for client, _, tls13 in self._offers
        )
        if has_ems or has_tls13:
            return True
        if change.is_pinned:
            return all(len(m.leaves) == 1 for m in self._members)
        return are_one_server(change, self._members)

    def _ruled_out(self, change: Change) -> Replay:
        """Only an abort on a session whose certificate is not known is not judged, where the certificate matters."""
        if change.ems or change.tls13:
            return Replay()
        unknown = {s.connection for s in self._steps if s.traits.ending == "aborted" and s.traits.cached_leaf is None}
        return Replay(aborted=set(unknown), unjudged=unknown)

    def resumes(self, issuer: int, backend: int) -> bool:
        """Whether a back end resumes what one issued: its own, unless it was seen never to."""
        return (issuer, backend) in self._resuming or (issuer == backend >= 0 and backend not in self._forgetful)


def are_one_server(change: Change, members: Iterable[Member]) -> bool:
    """Whether all certificates of the members are each other's like."""
    leaves = {leaf for member in members for leaf in member.leaves}
    of_groups = {change.likeness.group(leaf): leaf for leaf in leaves}
    alike = {id(same): same for same in map(change.likeness.alike, of_groups.values())}
    return all(leaves <= same for same in alike.values())


class _Run:
    """One change, connection by connection."""

    def __init__(self, change: Change, members: Sequence[Member], resumes: Callable[[int, int], bool]) -> None:
        self._change = change
        self._members = members
        self._resumes = resumes
        self._is_one_server = are_one_server(change, members)
        """Then none of them makes a client abort with another's session."""
        self._replay = Replay()
        self._caches: dict[int, _Cache] = {}
        self._sessions: dict[int, _Cached] = {}
        """By the connection that issued them."""
        self._homes: dict[int, int] = {}
        """Of each client the back end that it reached first."""
        self._shown: dict[tuple[int, bool], tuple[bytes | None, bool]] = {}
        """Leaf and EMS of the last full handshake of each back end, with those that offer EMS and with others."""
        self._unlike: dict[tuple[Hashable, bool, bool], list[int]] = {}
        """Of the certificates of a group two back ends, as far as there are, that are another server."""
        self._others: dict[Hashable, bool] = {}
        """Of the certificates of a group whether any member's is not one of them."""

    def play(self, steps: Iterable[Recorded]) -> Replay:
        for step in steps:
            if step.traits.leaf is not None:
                self._shown[step.traits.backend, step.traits.offers_ems] = step.traits.leaf, step.traits.ems
            cache = self._caches.get(step.cache)
            if cache is None:
                cache = self._caches[step.cache] = _Cache()
            ending = self._ended(step, cache)
            if ending == "aborted":
                self._replay.aborted.add(step.connection)
            if ending != step.traits.ending:
                cache.is_diverged = True
            elif ending != "resumed":  # the same session in both, or none
                cache.is_diverged = False
        return self._replay

    def _ended(self, step: Recorded, cache: _Cache) -> Ending:
        """What becomes of one connection; the cache is as it leaves it."""
        change = self._change
        offers_tls13 = step.traits.offers_tls13 or (bool(change.tls13) and step.client in change.clients)
        offers_ems = step.traits.offers_ems or (bool(change.ems) and step.client in change.clients)
        session, is_as_recorded = self._offered(step, cache)
        backend, leaf, ems = self._answer(step, session)
        if step.traits.ending == "tls13" or (backend in change.tls13 and offers_tls13):
            cache.session = self._issued(_Cached(step.connection, backend, None, ems=False, can_resume=False))
            return "failed" if step.traits.ending == "failed" else "tls13"
        ems = offers_ems and (ems or backend in change.ems)
        is_legacy = is_as_recorded and offers_ems == step.traits.offers_ems  # without EMS, and was offered all the same
        is_offered = session is not None and session.can_resume and (session.ems or not offers_ems or is_legacy)
        is_resumed = is_offered and self._is_resumed(step, session, backend, is_as_recorded)
        if is_resumed and session is not None:
            session.is_marked = True
            cache.session = session
            if self._is_exposed(session, offers_ems, offers_tls13) and not step.traits.is_patient:
                self._replay.exposed.add(step.connection)
            return "resumed"
        if step.traits.ending == "failed":
            cache.session = None if is_offered and leaf is not None else cache.session
            return "failed"
        is_aborted = self._is_aborted(step, session if is_offered else None, (leaf, ems), cache, is_as_recorded)
        if is_aborted and not (step.traits.is_patient and step.traits.ending != "aborted"):
            cache.session = None
            return "aborted"
        can_resume = step.traits.has_session or step.traits.ending != "full"
        cache.session = self._issued(_Cached(step.connection, backend, leaf, ems, can_resume))
        return "full"

    def _issued(self, session: _Cached) -> _Cached:
        self._sessions[session.issuer] = session
        return session

    def _offered(self, step: Recorded, cache: _Cache) -> tuple[_Cached | None, bool]:
        """What the cache holds when the ClientHello is written, and whether that is what was recorded."""
        if step.issuer == NO_ISSUER or (cache.is_diverged and not step.traits.is_parallel):
            return cache.session, False
        session = self._sessions.get(step.issuer)
        if session is None and cache.is_diverged:
            return cache.session, False
        if session is None:
            is_known = step.issuer >= 0
            if is_known or cache.session is None or cache.session.issuer != UNKNOWN_ISSUER:
                session = _Cached(
                    UNKNOWN_ISSUER,
                    -1,
                    step.traits.cached_leaf,
                    ems=step.traits.ending == "resumed" and step.traits.ems,
                    can_resume=True,
                )
            else:
                session = cache.session
        if session.can_resume:
            session.is_marked = step.traits.is_marked
        return session, True

    def _answer(self, step: Recorded, session: _Cached | None) -> tuple[int, bytes | None, bool]:
        """Which back end answers, with which certificate, and whether with EMS. The certificate of a session that was
        resumed is the session's.
        """
        backend = step.traits.backend
        if self._change.is_pinned and backend >= 0:
            backend = self._homes.setdefault(step.client, backend)
        if backend == step.traits.backend and step.traits.leaf is not None:
            return backend, step.traits.leaf, step.traits.ems
        shown = self._shown.get((backend, step.traits.offers_ems))
        if shown is not None:
            return backend, *shown
        if session is not None and session.backend == backend:
            return backend, session.leaf, session.ems
        return backend, (step.traits.cached_leaf if backend == step.traits.backend else None), step.traits.ems

    def _is_resumed(self, step: Recorded, session: _Cached | None, backend: int, is_as_recorded: bool) -> bool:
        if is_as_recorded and backend == step.traits.backend:
            return step.traits.ending == "resumed"
        return session is not None and self._resumes(session.backend, backend)

    def _is_aborted(
        self,
        step: Recorded,
        session: _Cached | None,
        answer: tuple[bytes | None, bool],
        cache: _Cache,
        is_as_recorded: bool,
    ) -> bool:
        """What the rule says of a full handshake. Where it cannot say, all is as recorded."""
        leaf, ems = answer
        if session is None:
            is_possible = (
                step.traits.ending == "aborted" and step.issuer == NO_ISSUER and not ems
            )  # what it offered was not captured
            is_abort = is_possible
        else:
            offer = Offer(
                offered=True,
                extended_master_secret=ems,
                issued=True,
                resumed_before=session.is_marked,
                equivalent=self._change.likeness.equal(session.leaf, leaf),
            )
            verdict = decide(offer).verdict
            is_possible = verdict == "possible"
            is_abort = verdict == "aborts" or (is_possible and step.traits.ending == "aborted")
        if is_possible:
            self._replay.unjudged.add(step.connection)
        if not is_as_recorded and cache.is_diverged and self._may_abort(leaf, ems):
            self._replay.is_simulated = True
        return is_abort

    def _may_abort(self, leaf: bytes | None, ems: bool) -> bool:
        """Whether this answer could end in an abort, whatever the cache holds."""
        if ems or leaf is None:
            return not ems and bool(self._members)
        group = self._change.likeness.group(leaf)
        if group not in self._others:
            alike = self._change.likeness.alike(leaf)
            self._others[group] = any(member.leaf not in alike for member in self._members)
        return self._others[group]

    def _is_exposed(self, session: _Cached, offers_ems: bool, offers_tls13: bool) -> bool:
        """Whether another back end than that which issued it would make the client abort with this session: one with
        neither EMS nor TLS 1.3 whose certificate is known to be another server's (``jsse.decide``).
        """
        likeness = self._change.likeness
        if self._change.is_pinned or self._is_one_server or session.leaf is None or not likeness.is_known(session.leaf):
            return False
        key = likeness.group(session.leaf), offers_ems, offers_tls13
        unlike = self._unlike.get(key)
        if unlike is None:
            unlike = self._unlike[key] = [*islice(self._backends_unlike(session.leaf, offers_ems, offers_tls13), 2)]
        return any(backend != session.backend for backend in unlike)

    def _backends_unlike(self, leaf: bytes, offers_ems: bool, offers_tls13: bool) -> Iterator[int]:
        """Each once, as there is one member of a back end."""
        alike = self._change.likeness.alike(leaf)
        for member in self._members:
            has_ems = offers_ems and (member.ems or member.backend in self._change.ems)
            has_tls13 = offers_tls13 and member.backend in self._change.tls13
            is_known = member.leaf is not None and self._change.likeness.is_known(member.leaf)
            if is_known and not (has_ems or has_tls13) and member.leaf not in alike:
                yield member.backend
