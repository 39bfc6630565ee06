"""Some of the captures that ``python -m tests.fuzz.captures`` harms by the ten thousand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.build import START_NS, Flow, ethernet
from tests.fuzz.captures import RUNS, base, harmed, tried
from tests.fuzz.harms import HARMS
from tests.fuzz.segments import fragments, resent, tcp_frame
from tests.mutations import Frame

BLOCKS, RUNS_OF_A_BLOCK = range(8), 12


@pytest.mark.parametrize("block", BLOCKS)
def test_harm_neither_accuses_nor_acquits(block: int, tmp_path: Path) -> None:
    for number in range(RUNS_OF_A_BLOCK):
        how, said = tried(block * 7 * RUNS + number, tmp_path)
        assert not said, how


KNOWN = {
    2242: "a connection has gone with all its frames",
    7165: "what only secrets show, changed",
    7443: "what only secrets show, without them",
    11181: "the abort is seen at the balancer's leg alone",
    56718: "what only secrets show, behind a record that is missing",
    58225: "what another connection told against an abort, changed",
}
"""Seeds that taught what must be told apart."""

MENDED = {
    25680: "a handshake was completed, whatever became of a later one inside",
    38438: "a renegotiation of which records are missing",
    40128: "a connection whose server name was not captured",
}
"""Seeds in which a service was acquitted of what was not seen."""


@pytest.mark.parametrize("seed", MENDED, ids=lambda seed: MENDED[seed])
def test_seeds_that_failed(seed: int, tmp_path: Path) -> None:
    assert not tried(seed, tmp_path)[1]


@pytest.mark.parametrize("seed", KNOWN, ids=lambda seed: KNOWN[seed])
def test_what_cannot_be_known_is_no_failure(seed: int, tmp_path: Path) -> None:
    assert not tried(seed, tmp_path)[1]


def test_harms_are_repeated_by_their_seed() -> None:
    one, again = (harmed(random.Random("x"), base(3)) for _ in range(2))
    assert one == again


def test_there_are_aborts_to_lose() -> None:
    """Lest the comparison compares nothing."""
    states = [s.assessment.state for number in range(12) for s in base(number).whole.services]
    assert "confirmed" in states
    assert "protected" in states


def frame_of(client: str, server: str, payload: bytes) -> Frame:
    flow = Flow(40_000, START_NS, client, server).open().client_says(payload)
    data = ethernet(flow.segments[-1])
    return Frame(START_NS, data, len(data), 1)


@pytest.mark.parametrize("ends", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_segments_are_sent_otherwise(ends: tuple[str, str]) -> None:
    of = tcp_frame(frame_of(*ends, b"0123456789" * 10))
    assert of is not None
    later = tcp_frame(resent(of, 5, b"abc"))
    assert later is not None
    assert later.body == b"abc"
    assert later.ports == of.ports
    pieces = fragments(of, 24, 7)
    assert len(pieces) == -(-(20 + 100) // 24)
    assert all(piece.original == len(piece.data) for piece in pieces)


@pytest.mark.parametrize("kind", HARMS)
def test_every_harm_gives_frames(kind: str) -> None:
    frames = base(0).frames
    for seed in range(5):
        files = HARMS[kind](random.Random(seed), frames)
        assert files
        assert sum(map(len, files)) < 3 * len(frames) + 200 * (kind in ("fragment", "lose_fragment")) * len(frames)
