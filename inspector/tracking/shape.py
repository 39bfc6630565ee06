"""What repeats of connections. A story of millions in which a few stacks meet a few servers has hundreds of shapes; one
in which no two connections are alike has as many shapes as connections.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.errors.decryption import NotDecrypted
from inspector.facts import PackedEndpoint
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tracking.clients import UNKNOWN, Stack
from inspector.tracking.kinds import Kind, KindReason
from inspector.tracking.outcomes import Outcome
from inspector.tracking.shown import ShownByServer


class SharedTraits(Struct, gc=False, kw_only=True):
    """What many connections of a story have in common: they hold it, and each combination is there once. ``secrets``:
    as in the facts. ``program``: as in ``clients.Writer``.
    """

    outcome: Outcome
    is_completed: bool
    """Both sides finished its first handshake, whatever became of a later one inside."""
    kind: Kind | None
    reason: KindReason
    stack: Stack = UNKNOWN
    program: bytes = b""
    lost: bool
    one_sided: bool
    is_tls13: bool
    is_resumed: bool
    closed_by: Literal["client", "server"] | None
    closed_how: Literal["fin", "rst"] | None
    gave_up: bool
    shows_no_certificate: bool
    offers: bool
    secrets: NotDecrypted | str | None
    long_preamble: bool = False
    contradicted: bool = False
    has_conflicts: bool = False
    sequence_jump: bool = False
    lost_both_ways: bool = False
    is_repeated: bool = False

    @property
    def resumes(self) -> bool:
        """Whether a session was resumed, in TLS 1.3 by a pre-shared key."""
        return self.is_resumed or self.kind == "psk"


class ConnectionShape(Struct, frozen=True, gc=False):
    """What repeats of connections: all but who made them, their moments, and what few have. A story holds each once, so
    that what is asked of it alone is answered once for all connections of that shape. ``server``: the endpoint that the
    client connected to.
    """

    traits: SharedTraits
    server: PackedEndpoint
    offer: HelloShape | None
    answer: AnswerShape | None
    leaf: bytes | None
    shown: ShownByServer
