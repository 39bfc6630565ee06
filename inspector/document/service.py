"""A service as the document has it: how it stands, what its pool answers, and what would have helped."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.document.finding import Grade
from inspector.document.probed import Probed

ServiceState = Literal["confirmed", "exposed", "protected", "not_this", "unknown"]
RemedyKind = Literal["ems", "shared_name", "tls13", "affinity"]


class Unseen(Struct, frozen=True):
    """Something that was not seen and may hold the contrary. ``kind``: as in ``limits``, or ``unfinished``,
    ``not_told``, ``certificate_not_read``, ``lost_records``, ``lost_flows``, ``lost_names``. ``count``: of ``what``.
    """

    kind: str
    what: Literal["captures", "connections"]
    count: int


NOTHING_TO_DO = "nothing"
"""``Assessment.do`` where all is well."""


class Assessment(Struct):
    """``do``: what to do now, in one line. ``unseen``: what weakens it."""

    state: ServiceState
    sentence: str
    because: list[str]
    breaks_if: list[str]
    grade: Grade
    do: str = ""
    unseen: list[Unseen] = []

    @property
    def is_actionable(self) -> bool:
        """There is something to do."""
        return self.do not in ("", NOTHING_TO_DO)


class MatrixCell(Struct):
    """Sessions issued by one back end and offered to another; ``issued_by`` None: before the capture, or not visible;
    ``offered_to`` None: not visible.
    """

    issued_by: str | None
    offered_to: str | None
    resumed: int
    declined: int
    aborted: int


class Impact(Struct):
    """What aborts cost by the client's log. ``aborts``: logged; ``catalogs``: agents that got an error instead;
    ``reports``: lost; ``nodes``: whose.
    """

    aborts: int
    catalogs: int
    reports: int
    nodes: list[str]


class Checker(Struct):
    """Who looks only whether a service is there. ``kind``: ``tls`` where it says hello and closes, ``tcp`` where it
    connects and closes without a byte.
    """

    ip: str
    kind: Literal["tls", "tcp"]
    connections: int


class Counterfactual(Struct, kw_only=True):
    """What a remedy would have done to the recorded connections. ``backends``: those that must change; ``clients``:
    those that must as well. ``prevented`` of the ``of`` connections that were aborted because of the certificate
    change; where none was, of those that left the client ``exposed`` to it. ``not_judged``: of them, those on which the
    rule cannot say. ``new_exposures``: connections that went on, and that the remedy would have made one of these.
    ``basis``: ``simulated`` where what a cache would have held, or who would have answered, had to be assumed.
    ``name``: the DNS name that certificates would share.
    """

    remedy: RemedyKind
    backends: list[str]
    clients: list[str]
    prevented: int
    of: int
    of_what: Literal["aborted", "exposed"]
    not_judged: int
    new_exposures: int
    basis: Literal["judged", "simulated"]
    name: str | None = None

    @property
    def is_sufficient(self) -> bool:
        """None would have been left, and none come."""
        return self.prevented == self.of and not self.new_exposures


class MemberValue(Struct, kw_only=True):
    """What members of a pool have in one attribute. ``backends``: whose it is; empty where that is not visible.
    ``unplaced``: connections that showed it and whose back end is not visible; they are among ``connections``. ``odd``:
    not what most have. ``since``: when it was first seen.
    """

    value: str
    backends: list[str]
    connections: int
    unplaced: int = 0
    odd: bool = False
    since: str | None = None


class ValueChange(Struct):
    """A back end that showed another value before. ``at``: the first connection with this one."""

    backend: str
    at: str
    value: str


class MemberAttribute(Struct, kw_only=True):
    """One attribute of a pool, and what its members have there. ``differs``: they answer equal questions differently,
    or failures go with one of them. ``values``: where it differs the odd ones first. ``finding``: which tells of it.
    """

    attribute: str
    differs: bool
    values: list[MemberValue]
    changes: list[ValueChange] = []
    finding: str | None = None


class Service(Struct, kw_only=True):
    """``health_checks`` and ``established`` are among ``connections``; ``offered_nothing`` counts connections without
    an offer,
    ``offer_unseen`` those whose offer, or what became of it, was not captured. ``named``: by settings.
    ``checkers``: the most frequent first; those of ``tcp`` are among ``other_flows``. ``what_if``: what would have
    helped against the certificate change, best first; empty where no client was hit, or could be. ``attributes``: what
    the members of the pool have in each, those that differ first; empty where there is nothing to hold against another.
    ``probed``: what a probe met, where one asked.
    """

    id: str
    name: str
    port: int
    addresses: list[str]
    connections: int
    other_flows: int
    clients: list[str]
    backends: list[str]
    assessment: Assessment
    health_checks: int
    full: int
    resumed: int
    aborted: int
    other: int
    offered_nothing: int
    matrix: list[MatrixCell]
    named: str | None = None
    impact: Impact | None = None
    offer_unseen: int = 0
    checkers: list[Checker] = []
    what_if: list[Counterfactual] = []
    attributes: list[MemberAttribute] = []
    probed: Probed | None = None
