"""What a probe of a service met, as the document has it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.document.finding import Grade


class ProbedAddress(Struct, kw_only=True):
    """What answered a probe at one address. ``failed``: connections that were not established; ``unanswered``: those to
    which no ServerHello came. ``backends``: who answered the others. ``order``: ``in_turn``, by strict rotation, of
    which one place does not answer where ``fails_in_turn``; ``one``, always the same; ``too_few``, so far in turn, as
    by chance; ``mixed``; None where nobody answered, or nothing tells who. Connections that were open when the probe
    was stopped are left out of it. ``missed``: the chance that one more back end with an equal share would not have
    been met; ``unseen_share``: the share of connections that any one back end which was not met has at most, by 95 %
    confidence. Both assume that connections are placed independently; None where they are not, or that cannot be told.
    """

    ip: str
    port: int
    connections: int
    failed: int
    unanswered: int
    backends: list[str]
    order: Literal["one", "in_turn", "too_few", "mixed"] | None
    fails_in_turn: bool
    missed: float | None
    unseen_share: float | None


class ProbedAs(Struct, kw_only=True):
    """What a Java client meets that a probe stood for. ``model``: which one, None where captures do not say. All counts
    are of its connections alone: ``established``, ``resumed``, ``declined`` (sessions that it offered in vain),
    ``would_abort`` (of them, those after which it gives up). ``state`` and ``grade``: as of an assessment, by Java's
    rule alone, and ``rule``: which row of its table says so. Back ends that answered it: ``tls13`` with TLS 1.3;
    ``ems`` and ``without_ems``, up to TLS 1.2, with or without extended master secret, each at least once.
    """

    model: str | None
    connections: int
    established: int
    resumed: int
    declined: int
    would_abort: int
    state: Literal["exposed", "protected", "unknown"]
    rule: str
    grade: Grade
    tls13: list[str]
    ems: list[str]
    without_ems: list[str]


class Probed(Struct, kw_only=True):
    """What a probe of the service met: at each address, whoever it stood for; and for each JVM that it stood for."""

    addresses: list[ProbedAddress]
    models: list[ProbedAs]
