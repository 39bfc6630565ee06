"""Where a balancer sent the connections of one client that asked a pool again and again: which members answered, in
what order, and what may have been missed.

``in_turn``: connection after connection the same members in the same order, which by chance would come about less than
once in a thousand. That no other place is in the rotation does not follow: behind two addresses each may show a half of
it. ``one``: all went to one member; that a pool has but one, that several show one certificate, and that a balancer
keeps this client at one, look the same from here, and nothing is said of what was missed. ``too_few``: in the same
order so far, but chance would do that too. ``mixed``: anything else. In these two alone two figures are given, and both
assume that the balancer places each connection independently of those before it, which round robin with others'
connections between does nearly and weights, warm-up and affinity do not:

* ``missed``: had there been one member more, with the same share as the others, the chance that none of n connections
  would have met it: (m / (m + 1)) ** n for m members that were met.
* ``unseen_share``: the share of all connections that any one member which was not met has at most, by 95 % confidence.
  A member with a share s is met by none of n with a chance of (1 - s) ** n, and no more than 1 / s of them have so
  much: it is the s at which (1 - s) ** n / s is 0.05. The rule of three (1 - 0.05 ** (1 / n)) would be for one member
  that was named before; which ones are not met shows only afterwards. What all of them have together nothing bounds:
  there may be any number, each with next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Order = Literal["one", "in_turn", "too_few", "mixed"]
CHANCE = 0.001
DOUBT = 0.05
HALVINGS = 40
"""By which a share is known to more digits than anybody reads."""
UNTOLD = -1
"""In place of a member: somebody answered, and nothing tells who."""
FAILED = -2
"""In place of a member: nobody answered."""


class Placement(NamedTuple):
    """Of the connections to one address. ``members``: those that answered, in the order of their first answers.
    ``fails_in_turn``: the rotation holds a place at which nobody answers.
    """

    members: tuple[int, ...]
    order: Order | None
    fails_in_turn: bool = False
    missed: float | None = None
    unseen_share: float | None = None


def placement(answered: Sequence[int]) -> Placement:
    """Of members by number, ``FAILED`` and ``UNTOLD`` among them, in the order of the connections."""
    places = tuple(dict.fromkeys(answered))
    members = tuple(member for member in places if member >= 0)
    if not members:
        return Placement((), None)
    if UNTOLD in places:
        return Placement(members, None)
    repeats = _repeats(answered, len(places))
    if repeats and not _is_by_chance(answered, len(places)):
        return Placement(members, "in_turn", FAILED in places)
    if len(members) == 1:
        return Placement(members, "one")
    count = sum(member >= 0 for member in answered)
    return Placement(
        members,
        "too_few" if repeats else "mixed",
        missed=chance_missed(len(members), count),
        unseen_share=_unseen_share(count),
    )


def chance_missed(members: int, count: int) -> float:
    """The chance that so many connections meet none of one member more, with the same share as those that were met."""
    return (members / (members + 1)) ** count


def _unseen_share(count: int) -> float:
    """What is more than it is not missed by so many connections, whichever member has it."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        share = (low + high) / 2
        if (1 - share) ** count > DOUBT * share:
            low = share
        else:
            high = share
    return high


def _is_by_chance(answered: Sequence[int], places: int) -> bool:
    """Whether chance may repeat them so often: after the first round each has one in ``places`` to be the right one."""
    return float(places) ** (places - len(answered)) >= CHANCE


def _repeats(answered: Sequence[int], places: int) -> bool:
    """Whether they repeat with a period of all that occur, several of them."""
    if places < 2:
        return False
    return len({*answered[:places]}) == places and all(
        later == earlier for earlier, later in zip(answered, answered[places:], strict=False)
    )
