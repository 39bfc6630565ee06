"""What may happen to the frames of a capture before anybody reads them: ``tests/mutations.py`` and, beside it, segments
that overlap, datagrams in fragments, captures of other places merged.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fuzz.segments import TcpFrame, fragments, resent, tcp_frame
from tests.mutations import ALTERING, LOSSLESS, MUTATIONS, Frame, Frames, Mutation


def _picked(dice: random.Random, frames: Frames, least: int) -> dict[int, TcpFrame]:
    """Some of the frames that carry so many bytes, by their index: one, a few, or all."""
    share = dice.choice((0.02, 0.2, 1.0))
    found = {n: of for n, frame in enumerate(frames) if (of := tcp_frame(frame)) is not None and len(of.body) >= least}
    some = {n: of for n, of in found.items() if dice.random() < share}
    return some or dict(list(found.items())[:1])


def _replaced(frames: Frames, chosen: dict[int, TcpFrame], by: Callable[[Frame, TcpFrame], Frames]) -> list[Frames]:
    """A capture with others in place of the frames that were chosen."""
    out: Frames = []
    for number, frame in enumerate(frames):
        of = chosen.get(number)
        out += [frame] if of is None else by(frame, of)
    return [out]


def overlap(dice: random.Random, frames: Frames) -> list[Frames]:
    """Segments sent in two pieces of which the second repeats some of the first; perhaps the later one first."""

    def pieces(frame: Frame, of: TcpFrame) -> Frames:
        end = dice.randrange(1, len(of.body) + 1)
        start = dice.randrange(end)
        return [resent(of, 0, of.body[:end]), resent(of, start, of.body[start:])][:: dice.choice((1, 1, -1))]

    return _replaced(frames, _picked(dice, frames, 2), pieces)


def rewrite(dice: random.Random, frames: Frames) -> list[Frames]:
    """Segments sent again with other bytes, before or behind what they contradict."""

    def versions(frame: Frame, of: TcpFrame) -> Frames:
        body = bytearray(of.body)
        start = dice.randrange(len(body))
        for _ in range(dice.choice((1, 4, 40))):
            body[dice.randrange(start, len(body))] ^= dice.randrange(1, 256)
        return [frame, resent(of, start, bytes(body[start:]))][:: dice.choice((1, -1))]

    return _replaced(frames, _picked(dice, frames, 6), versions)


def fragment(dice: random.Random, frames: Frames) -> list[Frames]:
    """Datagrams in fragments, in order or not, once or twice."""
    chosen = _picked(dice, frames, 1)
    size = dice.choice((8, 64, 264, 576, 1240))
    out: Frames = []
    for number, frame in enumerate(frames):
        of = chosen.get(number)
        pieces = fragments(of, size, number + 1) if of is not None else [frame]
        match dice.randrange(6):
            case 0:
                pieces.reverse()
            case 1:
                pieces += pieces[:1]
            case 2:
                dice.shuffle(pieces)
        out += pieces
    return [out]


def lose_fragment(dice: random.Random, frames: Frames) -> list[Frames]:
    """The same, and some fragments are missing."""
    [pieces] = fragment(dice, frames)
    whole = set(frames)
    lost = [n for n, frame in enumerate(pieces) if frame not in whole]
    gone = set(dice.sample(lost, min(len(lost), dice.choice((1, 2, 10)))))
    return [[frame for n, frame in enumerate(pieces) if n not in gone]]


def unknown_frames(dice: random.Random, frames: Frames) -> list[Frames]:
    """Frames of nothing that is read stand between the others."""
    out: Frames = []
    for frame in frames:
        if dice.random() < 0.1:
            data = frame.data[:20] + dice.randbytes(dice.choice((0, 1, 20, 60)))
            out.append(frame._replace(data=data, original=len(data)))
        out.append(frame)
    return [out]


HARMS: dict[str, Mutation] = {
    **MUTATIONS,
    **{m.__name__: m for m in (overlap, rewrite, fragment, lose_fragment, unknown_frames)},
}
HARMLESS = (*LOSSLESS, "overlap", "fragment")
"""What takes nothing away and changes nothing."""

CHANGING = (*ALTERING, "rewrite", "unknown_frames")
"""What changes what the frames say."""
