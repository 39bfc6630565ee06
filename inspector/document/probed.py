"""What a probe of a service met, as the document has it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class ProbedAddress(Struct, kw_only=True):
    """What answered a probe at one address. ``failed``: connections that were not established; ``unanswered``: those to
    which no ServerHello came. ``backends``: who answered the others. ``order``: ``in_turn``, by strict rotation, of
    which one place does not answer where ``fails_in_turn``; ``one``, always the same; ``mixed``; None where nobody
    answered, or nothing tells who. ``missed``: the chance that one more back end with
    an equal share would not have been met; ``unseen_share``: the share of connections that back ends which were not met
    have at most, by 95 % confidence. Both assume that connections are placed independently; None where they are not,
    or that cannot be told.
    """

    ip: str
    port: int
    connections: int
    failed: int
    unanswered: int
    backends: list[str]
    order: Literal["one", "in_turn", "mixed"] | None
    fails_in_turn: bool
    missed: float | None
    unseen_share: float | None


class Probed(Struct, kw_only=True):
    """What a probe of the service met. ``model``: as which Java client it asked, None where captures do not say, or not
    the same. ``declined``: sessions that it offered in vain; ``would_abort``: of them, those
    after which a Java client that asks as the probe did gives up.
    """

    model: str | None = None
    addresses: list[ProbedAddress]
    declined: int
    would_abort: int
