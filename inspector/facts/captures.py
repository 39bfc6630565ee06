"""A capture file or stream, and what of it could not be read."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from inspector.capture.probe_marks import PROBED_AS, ProbeTurn, client_at
from inspector.capture.rotation import sequence_names
from inspector.errors.captures import CaptureDamage


class Unopened(NamedTuple):
    """Frames that were not opened, by the layer where the way ended: ``space`` (of ``wire.encapsulations``) says whose
    ``number`` it is, ``name`` what it is
    called. ``why``: as ``wire.tunnels.Stop``. ``ends``: the addresses between which an encrypted or compressed tunnel
    runs.
    """

    space: str
    number: int
    name: str
    why: str
    frames: int
    ends: tuple[bytes, ...] = ()


class ClockOffset(NamedTuple):
    """How much later a clock is than another, with what may be wrong in it, and from how many connections that is
    known. ``other``: whose clock that is, an index in the captures; where it is the capture's own, the clock is that of
    the frames that servers sent, beside that of the clients' frames.
    """

    ns: int
    uncertainty_ns: int
    connections: int
    other: int


class CaptureFacts(Struct):
    """One capture file or stream. ``damage``: what was wrong
    with it, a text in a journal of an earlier version. ``snapped``: frames of which not all bytes were
    kept. ``snap_length``: how many of each were, where it is one number; 0 where none were cut, or somebody kept of
    each what mattered. ``payload``: bytes of TCP on the wire, ``clipped``: those of them that the frames do not hold.
    ``tick_ns``: of how coarse stamps, 0 where they are fine. ``steps``: first frames behind a clock that was set back,
    and by how much. ``clocks``: what was taken out of the times of its connections. ``has_secrets``: it brings
    some of its own. ``host``: the name of where it was made, empty where nobody said; ``extracted_on``: there, the
    vantage point of the part that holds it, which stands for the host where captures of several are told apart.
    ``is_unaligned``: by how much its clock differs from those of other hosts, nothing tells. ``is_probe``: a probe made
    all its connections, and says so; ``probe_turns``: as what clients it asked, by frames.
    """

    path: str
    packets: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    link_types: tuple[int, ...]
    truncated: bool
    undecoded: int
    snapped: int
    drops: int | None
    damage: CaptureDamage | str | None
    unopened: tuple[Unopened, ...] = ()
    snap_length: int = 0
    payload: int = 0
    clipped: int = 0
    tick_ns: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    clocks: tuple[ClockOffset, ...] = ()
    has_secrets: bool = False
    host: str = ""
    extracted_on: str = ""
    is_unaligned: bool = False
    is_probe: bool = False
    probe_turns: tuple[ProbeTurn, ...] = ()

    @property
    def is_host_known(self) -> bool:
        """Whether somebody said of which host it is."""
        return bool(self.host) and self.host != self.extracted_on

    @property
    def known_turns(self) -> tuple[ProbeTurn, ...]:
        """As what clients a probe asked; "" where it says what no probe asks as."""
        return tuple(
            turn if PROBED_AS.fullmatch(turn.client) else ProbeTurn(turn.frame, "") for turn in self.probe_turns
        )

    def probed_as(self, number: int) -> str:
        """As what client a probe made a frame; "" where nothing says it."""
        return client_at(self.known_turns, number)

    @property
    def clock_names(self) -> list[tuple[str, ...]]:
        """What it may have in common with others that go by its clock, the shortest name first: where its facts were
        extracted, and what its file is called.
        """
        where = [(self.extracted_on,)] if self.extracted_on else []
        return [*where, *((self.extracted_on, *name) for name in sequence_names(self.path))]
