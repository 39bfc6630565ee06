"""The mark by which a capture says that a probe made its frames, and as what client it asked: names of interfaces."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from inspector import bounds

if TYPE_CHECKING:  # facts know these marks, and are read by commands that need no columns
    import numpy as np
    import numpy.typing as npt

    I64 = npt.NDArray[np.int64]

PROBE_INTERFACE = "inspector-probe"
"""The name of an interface whose frames a probe made of its own connections; behind it, as what client it asked."""
PROBED_AS = re.compile("java[0-9]{1,2}(?:-no-ems)?")
"""No other client is asked as, so that this says nothing of anybody."""
PROBE_NAME = re.compile(f"{PROBE_INTERFACE}(?: ({PROBED_AS.pattern}))?".encode())


def interface_of(client: str) -> str:
    """The name of a probe's interface; of one that does not say as what client it asked where that is ""."""
    return f"{PROBE_INTERFACE} {client}".rstrip()


def client_of(name: bytes) -> str | None:
    """The reverse; None for the name of an interface that is no probe's."""
    matched = PROBE_NAME.fullmatch(name)
    return (matched[1] or b"").decode("ascii") if matched else None


class ProbeTurn(NamedTuple):
    """From that frame on, the frames of a capture are of a probe that asked as such a client; "" where nothing says as
    what.
    """

    frame: int
    client: str


def client_at(turns: Sequence[ProbeTurn], number: int) -> str:
    """As what client a probe made a frame; "" where nothing says it."""
    turn = bisect_right(turns, number, key=itemgetter(0)) - 1
    return turns[turn].client if turn >= 0 else ""


class ProbeMarks(Struct):
    """What the interfaces of one capture say; the reader fills it in while it reads. ``is_probe``: whether all of them
    say that a probe made it, None where there is none yet. ``clients``: as what clients, "" for one that does not say.
    ``turns``: where the frames of each begin; behind more of them than anybody writes nothing is said.
    """

    is_probe: bool | None = None
    clients: list[str] = field(default_factory=list)
    turns: list[ProbeTurn] = field(default_factory=list)

    def add_interface(self, client: str | None) -> int:
        """One was described; None: by no probe. Whoever merges the frames of a probe with others leaves nothing that
        tells them apart. Which of the clients it is, or -1.
        """
        self.is_probe = client is not None and self.is_probe is not False
        if client is None:
            return -1
        if client not in self.clients:
            self.clients.append(client)
        return self.clients.index(client)

    def add_frames(self, numbers: I64, clients: I64) -> None:
        """Frames came. ``clients``: which of the clients, for each, or -1."""
        later = (clients[1:] != clients[:-1]).nonzero()[0] + 1
        for row in [0, *later[: bounds.PROBE_TURNS].tolist()][: len(clients)]:
            is_told = clients[row] >= 0 and len(self.turns) < bounds.PROBE_TURNS
            client = self.clients[clients[row]] if is_told else ""
            if not self.turns or self.turns[-1].client != client:
                self.turns.append(ProbeTurn(int(numbers[row]), client))
