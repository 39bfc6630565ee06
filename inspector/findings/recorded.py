"""The connections of one service as Java's rule met them, in the order of their ClientHellos: what is played again.

Which connections share a cache, offers prove; one that offers nothing goes on with the program's cache that last had
nothing to offer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple, overload

from msgspec import Struct

from inspector import bounds
from inspector.findings.case import Case, Program
from inspector.findings.giving_up import AS_JAVA
from inspector.tls.types import TLS13
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

Ending = Literal["resumed", "full", "tls13", "aborted", "failed"]
"""What becomes of a handshake; *failed*: for another reason than Java's rule, after the server's flight."""


class RecordedTraits(NamedTuple):
    """What many connections have in common, as Java's rule met them: each combination is there once. ``backend``: -1
    where not known. ``ems``: of the answer. ``is_marked``: the offered session had been resumed before.
    ``is_parallel``: it had been declined in another connection already, so that this hello was written before.
    ``has_session``: it was issued one with an id or a ticket. ``is_patient``: its program goes on whatever the rule
    says.
    """

    backend: int
    ending: Ending
    leaf: bytes | None
    ems: bool
    offers_ems: bool
    offers_tls13: bool
    cached_leaf: bytes | None
    is_marked: bool
    is_parallel: bool
    has_session: bool
    is_patient: bool


class Recorded(Struct, frozen=True, gc=False):
    """One connection as Java's rule met it. ``connection``: by index. ``cache``: the first connection of its session
    cache. ``issuer``: of the offered session, NO_ISSUER where it offered none, UNKNOWN_ISSUER where that was not
    captured.
    """

    connection: int
    client: int
    cache: int
    issuer: int
    traits: RecordedTraits


NO_ISSUER, UNKNOWN_ISSUER = -1, -2

WIDTH = 4
"""Numbers of a row of ``RecordedConnections``."""


class RecordedConnections(Sequence[Recorded]):
    """Connections in their order. There may be millions, so their numbers stand in columns."""

    def __init__(self) -> None:
        self._connections = array("I")
        self._rows = array("i")
        """Of each client, cache, issuer, and the number of its traits."""
        self._numbers: dict[RecordedTraits, int] = {}
        self._traits: list[RecordedTraits] = []
        self._listed: list[Recorded] = []
        """All of them, where they are few, for each remedy is held against all."""

    def add(self, connection: int, client: int, cache: int, issuer: int, traits: RecordedTraits) -> None:
        """One more, as ``Recorded`` has it."""
        number = self._numbers.get(traits)
        if number is None:
            number = self._numbers[traits] = len(self._traits)
            self._traits.append(traits)
        self._connections.append(connection)
        self._rows.extend((client, cache, issuer, number))

    def __len__(self) -> int:
        return len(self._connections)

    @overload
    def __getitem__(self, index: int) -> Recorded: ...

    @overload
    def __getitem__(self, index: slice) -> list[Recorded]: ...

    def __getitem__(self, index: int | slice) -> Recorded | list[Recorded]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        client, cache, issuer, number = self._rows[index * WIDTH : (index + 1) * WIDTH]
        return Recorded(self._connections[index], client, cache, issuer, self._traits[number])

    def __iter__(self) -> Iterator[Recorded]:
        if len(self) > bounds.CORE_CONNECTIONS:
            return self._made()
        if len(self._listed) < len(self):
            self._listed = list(self._made())
        return iter(self._listed)

    def _made(self) -> Iterator[Recorded]:
        numbers, traits = iter(self._rows), self._traits
        for connection, client, cache, issuer, number in zip(self._connections, *(numbers,) * WIDTH, strict=True):
            yield Recorded(connection, client, cache, issuer, traits[number])

    def issued(self) -> Iterator[tuple[int, RecordedTraits]]:
        """Of each offer of a session that one of these was issued, the back end that answered that one, -1 where it is
        not known, and the traits of the offer.
        """
        connections, rows, traits = self._connections, self._rows, self._traits
        for issuer, number in zip(rows[2::WIDTH], rows[3::WIDTH], strict=True):
            if issuer >= 0:
                at = bisect_left(connections, issuer)
                if at < len(connections) and connections[at] == issuer:
                    yield traits[rows[(at + 1) * WIDTH - 1]].backend, traits[number]


def recorded(case: Case, service: ServiceGroup, aborted: Collection[int]) -> RecordedConnections:
    """The connections of clients that may be Java, in the order of their ClientHellos. ``aborted``: those that the
    client aborted because of the change.
    """
    programs = {case.program_of(case.observed[index]) for index in aborted}

    def members() -> Iterator[Observed]:
        for member in case.members(service):
            is_read = member.kind is not None and member.answer is not None
            if is_read and (member.stack.name in AS_JAVA or case.program_of(member) in programs):
                yield member

    patient_members = [s for s in members() if case.going_on[s.index]] if case.went_on else []
    patient = {case.program_of(s) for s in patient_members} - programs
    patient_caches = {case.caches[s.index] for s in patient_members}
    issuing, columns = case.issuing, case.columns
    caches = _Caches()
    recording = RecordedConnections()
    for observed in members():
        answer, offer, index = observed.answer, observed.offer, observed.index
        session = observed.session if not observed.is_tls13 else None
        assert answer is not None
        program = case.program_of(observed)
        has_session = bool(issuing[index])
        ending = _ending(observed, aborted, has_session=has_session)
        offers_ems = offer is not None and offer.extended_master_secret
        issued_in = observed.issuer if session is not None else None
        key = None if session is None else issued_in if issued_in is not None else session.key
        is_parallel = key in caches.declined
        cache = caches.cache(program, index, key)
        is_offerable = ending == "resumed" or (
            ending == "full" and has_session and (answer.extended_master_secret or not offers_ems)
        )
        if ending != "failed" or key is not None:
            caches.note(program, cache, is_offerable=is_offerable)
        if observed.kind == "full" and key is not None:
            caches.declined.add(key)
        traits = RecordedTraits(
            backend=observed.backend,
            ending=ending,
            leaf=observed.leaf,
            ems=answer.extended_master_secret,
            offers_ems=offers_ems,
            offers_tls13=offer is not None and TLS13 in offer.versions,
            cached_leaf=session.leaf if session is not None else None,
            is_marked=columns.resumed_before(index) is True or ending == "aborted",
            is_parallel=is_parallel,
            has_session=has_session,
            is_patient=bool(patient_caches) and (program in patient or case.caches[index] in patient_caches),
        )
        issuer = NO_ISSUER if session is None else UNKNOWN_ISSUER if issued_in is None else issued_in
        recording.add(index, program[0], cache, issuer, traits)
    return recording


def _ending(observed: Observed, aborted: Collection[int], *, has_session: bool) -> Ending:
    if observed.index in aborted:
        return "aborted"
    if observed.is_tls13:
        return "failed" if observed.outcome == "aborted" else "tls13"
    if observed.kind != "full":
        return "resumed"
    return "failed" if observed.outcome == "aborted" and not has_session else "full"


class _Caches:
    """Which connections share a cache. ``declined``: sessions, by issuer or key, that a server did not resume."""

    def __init__(self) -> None:
        self.declined: set[int | bytes] = set()
        self._of_session: dict[int | bytes, int] = {}
        self._empty: dict[Program, dict[int, None]] = {}
        """Of each program the caches that have nothing to offer, the latest last."""

    def cache(self, program: Program, index: int, key: int | bytes | None) -> int:
        """The cache of a connection that offers this session, or none."""
        empty = self._empty.setdefault(program, {})
        if key is not None:
            cache = self._of_session.setdefault(key, index)
        else:
            cache = next(reversed(empty)) if empty else index
        empty.pop(cache, None)
        self._of_session[index] = cache
        return cache

    def note(self, program: Program, cache: int, *, is_offerable: bool) -> None:
        """Whether the cache now holds a session that the client would offer."""
        if not is_offerable:
            self._empty[program][cache] = None
