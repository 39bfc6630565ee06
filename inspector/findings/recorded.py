"""The connections of one service as Java's rule met them, in the order of their ClientHellos: what is played again.

Which connections share a cache, offers prove; one that offers nothing goes on with the program's cache that last had
nothing to offer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from inspector.findings.case import Case, Program
from inspector.findings.judgement import goes_on
from inspector.tls.types import TLS13
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

Ending = Literal["resumed", "full", "tls13", "aborted", "failed"]
"""What becomes of a handshake; *failed*: for another reason than Java's rule, after the server's flight."""


class Recorded(Struct, frozen=True, gc=False):
    """One connection as Java's rule met it. ``connection``: by index. ``cache``: the first connection of its session
    cache. ``backend``: -1 where not known. ``ems``: of the answer. ``issuer``: of the offered session, -1 where it
    offered none, -2 where that was not captured. ``is_marked``: that had been resumed before. ``is_parallel``: it had
    been declined in another connection already, so that this hello was written before. ``has_session``: it was issued
    one with an id or a ticket. ``is_patient``: its program goes on whatever the rule says.
    """

    connection: int
    client: int
    cache: int
    backend: int
    ending: Ending
    leaf: bytes | None
    ems: bool
    offers_ems: bool
    offers_tls13: bool
    issuer: int
    cached_leaf: bytes | None
    is_marked: bool
    is_parallel: bool
    has_session: bool
    is_patient: bool


def recorded(case: Case, service: ServiceGroup, aborted: Collection[int]) -> list[Recorded]:
    """The connections of clients that may be Java, in the order of their ClientHellos. ``aborted``: those that the
    client aborted because of the change.
    """
    programs = {case.program_of(case.observed[index]) for index in aborted}
    members = [
        s
        for s in case.members(service)
        if s.kind is not None and s.answer is not None and (s.stack.name == "jsse" or case.program_of(s) in programs)
    ]
    patient_members = [s for s in members if goes_on(s, case.judgements[s.index])] if case.went_on else []
    patient = {case.program_of(s) for s in patient_members} - programs
    patient_caches = {case.caches[s.index] for s in patient_members}
    issuing = {s.issuer for s in case.sessions if s.method != "psk" and s.usable}
    caches = _Caches()
    listed: list[Recorded] = []
    for observed in members:
        answer, offer, session = observed.answer, observed.offer, observed.entry.session
        assert answer is not None
        if observed.is_tls13:
            session = None
        program = case.program_of(observed)
        ending = _ending(observed, aborted, issuing)
        has_session = observed.index in issuing
        offers_ems = offer is not None and offer.extended_master_secret
        key = None if session is None else session.issuer if session.issuer is not None else session.key
        is_parallel = key in caches.declined
        cache = caches.cache(program, observed.index, key)
        is_offerable = ending == "resumed" or (
            ending == "full" and has_session and (answer.extended_master_secret or not offers_ems)
        )
        if ending != "failed" or key is not None:
            caches.note(program, cache, is_offerable=is_offerable)
        if observed.kind == "full" and key is not None:
            caches.declined.add(key)
        listed.append(
            Recorded(
                connection=observed.index,
                client=observed.client,
                cache=cache,
                backend=observed.backend,
                ending=ending,
                leaf=observed.leaf,
                ems=answer.extended_master_secret,
                offers_ems=offers_ems,
                offers_tls13=offer is not None and TLS13 in offer.versions,
                issuer=-1 if session is None else -2 if session.issuer is None else session.issuer,
                cached_leaf=session.leaf if session is not None else None,
                is_marked=observed.entry.resumed_before is True or ending == "aborted",
                is_parallel=is_parallel,
                has_session=has_session,
                is_patient=bool(patient_caches)
                and (program in patient or case.caches[observed.index] in patient_caches),
            )
        )
    return listed


def _ending(observed: Observed, aborted: Collection[int], issuing: Collection[int | None]) -> Ending:
    if observed.index in aborted:
        return "aborted"
    if observed.is_tls13:
        return "failed" if observed.outcome == "aborted" else "tls13"
    if observed.kind != "full":
        return "resumed"
    return "failed" if observed.outcome == "aborted" and observed.index not in issuing else "full"


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
