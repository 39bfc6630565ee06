"""Who owns a segment near the border of two parts of a story, that two engines read without knowing of each other.

The engine behind the border begins with nothing, so it does what one engine over the whole would do as soon as that one
has nothing left of what came before: for each pair of ends apart, from a *moment* on at which the connection that was
open at the border has ended and no other is open in its place. So all segments of two ends up to that moment belong to
the engine before the border, which follows them on and says when it was (``followed``); from there on they belong to
the engine behind. A connection of that one which began before the moment is a piece of what the first has followed, and
is dropped. If such a piece goes on at the moment or later, the engine behind did not see the end, and has laid into one
connection what is of two: from its result they cannot be told apart. The same holds where what comes behind a piece
was told from it by a jump of the sequence numbers, for the first knew that it was over; where a piece comes behind what
is none, for frames did not come in the order of their times; where a segment went to a connection that a newer one had
replaced already, for the engine behind knew of the newer one alone; where a SYN was sent again so late that the engine
behind did not note which flow began with it; and where frames came out of order by more than a second, so that it
depends on when flows that are over are given up. There the parts say that they cannot be joined, and one process reads
the story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import astuple

from inspector.extract.assembly import BegunBefore
from inspector.facts import Facts, OtherFlow
from inspector.wire.addresses import Ends, FlowEnd
from inspector.wire.flow import FlowKey, Moment

NEVER: Moment = (-1, 0)


def add_followed(followed: dict[FlowKey, Moment], more: Mapping[FlowKey, Moment]) -> None:
    """Add what one more engine has followed: of each flow the latest moment."""
    for began, moment in more.items():
        followed[began] = max(moment, followed.get(began, moment))


def drop_pieces(
    facts: Facts, begun_before: Sequence[BegunBefore], early: Sequence[int], followed: Mapping[FlowKey, Moment]
) -> bool:
    """Remove what earlier parts have ``followed`` from the facts of a part; False where that cannot be told.
    ``begun_before``, ``early``: as in ``Engine``, of these facts.
    """
    dropped: set[int] = set()
    pieces: dict[Ends, bool] = {}
    is_told = True
    flows = facts.other_flows
    for began, first, last, flow in begun_before:
        until = followed.get(began, NEVER)
        is_piece, was_piece = first < until, pieces.get(began.ends)
        pieces[began.ends] = is_piece
        if not is_piece:
            is_told &= not was_piece or isinstance(flow, OtherFlow) or not _jumps(facts, flow)
        else:
            is_told &= last < until and was_piece is not False
            if isinstance(flow, int):
                dropped.add(flow)
            elif flow in flows:
                flows[flow] -= 1
    sequences = {began.initial_sequence for began in followed}
    for index in early:
        packed = facts.connections[index]
        if facts.head(packed).initial_sequence in sequences:
            connection = facts.unpack(packed)
            client, server = FlowEnd(*astuple(connection.client)), FlowEnd(*astuple(connection.server))
            began = FlowKey((min(client, server), max(client, server)), connection.initial_sequence)
            until = followed.get(began, NEVER)
            if (connection.first_ns, connection.first_frame) < until:
                is_told &= (connection.last_ns, connection.last_frame) < until
                dropped.add(index)
    if dropped:
        facts.connections = [packed for index, packed in enumerate(facts.connections) if index not in dropped]
    return is_told


def _jumps(facts: Facts, index: int) -> bool:
    connection = facts.unpack(facts.connections[index])
    return connection.from_client.sequence_jump or connection.from_server.sequence_jump
