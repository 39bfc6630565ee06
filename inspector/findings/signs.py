"""Evidence for and against Java's rule, weighed once for each client and certificate: the same picture may have another
cause.

A certificate that is unacceptable to a client, a time-out that fires while it looks at the certificate, and a monitor
that closes behind the server's flight all draw what the rule draws. What tells them apart is how the same client fared
elsewhere: with the same certificate where the rule cannot have spoken, with others where it should have, and how long
it took to close. The first row that holds decides:

| row | holds where | the abort is |
|---|---|---|
| log | the client's own log says that the certificate changed | confirmed |
| contradicted | bytes of it, or of what issued or resumed the session before, came in two versions | possible |
| clouded | an earlier connection that may have used the session, or the offer itself, was not seen whole | possible |
| jump | only a jump of sequence numbers tells it from another connection of the same ports | possible |
| slow and patient | closed in silence, too late for Java's check, by a client that went on elsewhere though the rule
says abort | not Java's |
| slow everywhere | closed in silence, too late, by a client that does so where the rule cannot have spoken | not Java's
|
| origin | the session was issued before the capture | possible |
| issuer | no server in the capture issued the session | possible |
| certificates | they are equivalent, or not both readable | possible |
| itself | some versions of Java cannot parse the certificate | possible |
| stack | the client is not known to be Java | possible |
| slow | closed in silence, too late | possible |
| one cache | the same session cache went on before though the rule says abort | possible |
| never accepted | this client gives up in the same way elsewhere, and never accepts this certificate | possible |
| unclear elsewhere | this client never accepts this certificate, and gave up elsewhere where too little was captured |
possible |
| gave up elsewhere | this client gave up on this certificate in the same way where the rule cannot have spoken |
possible |
| rule | otherwise | confirmed |

"Too late" is more than 50 ms (``closing.QUICK_NS``) behind the server's flight. An alert is a verdict at any time.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal, NamedTuple

from msgspec import Struct

from inspector.findings.jsse import RuleReason
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.kinds import KindReason

Weight = Literal["confirmed", "possible", "not"]


class Sign(Enum):
    """The rows of the table."""

    LOG = auto()
    CONTRADICTED = auto()
    SLOW_AND_PATIENT = auto()
    SLOW_EVERYWHERE = auto()
    CLOUDED = auto()
    JUMP = auto()
    ORIGIN = auto()
    ISSUER = auto()
    CERTIFICATES = auto()
    ITSELF = auto()
    STACK = auto()
    SLOW = auto()
    ONE_CACHE = auto()
    NEVER_ACCEPTED = auto()
    UNCLEAR_ELSEWHERE = auto()
    GAVE_UP_ELSEWHERE = auto()
    RULE = auto()


ROWS = tuple(Sign)
"""In the order in which they are asked: the first that holds decides."""


class Signs(Struct, gc=False):
    """How one program of a client fared with one certificate in full handshakes. ``unmarked``: where Java's rule cannot
    have spoken.
    """

    accepted: int = 0
    gave_up_unmarked: int = 0
    unmarked_alerts: frozenset[int | None] = frozenset()


class Manner(Struct, gc=False):
    """How one program of a client behaves with all certificates. ``went_on``: times that it completed a handshake which
    Java's rule says to abort.
    ``slow_unmarked``: times that it closed in silence and late where the rule cannot have spoken.
    """

    went_on: int = 0
    slow_unmarked: int = 0


MENDED = frozenset((Sign.CONTRADICTED, Sign.CLOUDED, Sign.JUMP, Sign.ORIGIN, Sign.ISSUER, Sign.UNCLEAR_ELSEWHERE))
"""Rows that doubt for want of something that was not captured: another capture may show it."""

CONFIRMED = frozenset((Sign.LOG, Sign.RULE))
NOT_JAVAS = frozenset((Sign.SLOW_AND_PATIENT, Sign.SLOW_EVERYWHERE))


class Abort(NamedTuple):
    """What is weighed. ``code``: of the client's fatal alert. ``slow_ns``: how long after the server's flight it
    closed, where that is too late for Java's check.
    ``went_on_before``: the cache that the session came from had gone on where the rule says abort. ``cloud``: why the
    session's past cannot be told, None where it can. ``itself``: the certificate that may itself be the cause.
    ``sequence_jump``: no SYN of it was captured, and only its sequence numbers tell that it is a connection of its own.
    ``unclear``: how often the client gave up where too little was captured. ``is_contradicted``: bytes that this rests
    on came in two versions, and which one the receiver took cannot be told.
    """

    is_logged: bool
    has_origin: bool
    is_issued: bool
    differs: bool
    is_java: bool
    code: int | None
    slow_ns: int | None
    went_on_before: bool
    cloud: RuleReason | KindReason | None = None
    sequence_jump: bool = False
    itself: ParsedCertificate | None = None
    unclear: int = 0
    is_contradicted: bool = False


class Weighed(NamedTuple):
    """``row``: the one that decides, of what was weighed. ``went_on``: as in ``Manner``."""

    row: Sign
    abort: Abort
    went_on: int

    @property
    def weight(self) -> Weight:
        """What the row says of the abort."""
        return "confirmed" if self.row in CONFIRMED else "not" if self.row in NOT_JAVAS else "possible"


def weigh(abort: Abort, signs: Signs, manner: Manner) -> Weighed:
    """What the evidence says of one connection that ended as Java ends it when the certificate changed."""
    is_slow = abort.slow_ns is not None
    is_alike = signs.gave_up_unmarked > 0 and abort.code in signs.unmarked_alerts
    holds = (
        abort.is_logged,
        abort.is_contradicted,
        is_slow and manner.went_on > 0,
        is_slow and manner.slow_unmarked > 0,
        abort.cloud is not None,
        abort.sequence_jump,
        not abort.has_origin,
        not abort.is_issued,
        not abort.differs,
        abort.itself is not None,
        not abort.is_java,
        is_slow,
        abort.went_on_before,
        is_alike and not signs.accepted,
        abort.unclear > 0 and not signs.accepted,
        is_alike,
        True,
    )
    return Weighed(ROWS[holds.index(True)], abort, manner.went_on)
