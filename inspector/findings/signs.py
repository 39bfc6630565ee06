"""Evidence for and against Java's rule, weighed once for each client and certificate: the same picture may have another
cause.

A certificate that is unacceptable to a client, a time-out that fires while it looks at the certificate, and a monitor
that closes behind the server's flight all draw what the rule draws. What tells them apart is how the same client fared
elsewhere: with the same certificate where the rule cannot have spoken, with others where it should have, and how long
it took to close. The first row that holds decides:

| row | holds where | the abort is |
|---|---|---|
| log | the client's own log says that the certificate changed | confirmed |
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

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from inspector.text.times import span

Weight = Literal["confirmed", "possible", "not"]


@dataclass(slots=True)
class Signs:
    """How one program of a client fared with one certificate in full handshakes. ``unmarked``: where Java's rule cannot
    have spoken.
    """

    accepted: int = 0
    gave_up_unmarked: int = 0
    unmarked_alerts: set[int | None] = field(default_factory=set)


@dataclass(slots=True)
class Manner:
    """How one program of a client behaves with all certificates. ``went_on``: times that it completed a handshake which
    Java's rule says to abort.
    ``slow_unmarked``: times that it closed in silence and late where the rule cannot have spoken.
    """

    went_on: int = 0
    slow_unmarked: int = 0


MENDED = frozenset(("clouded", "jump", "origin", "issuer", "unclear elsewhere"))
"""Rows that doubt for want of something that was not captured: another capture may show it."""


class Abort(NamedTuple):
    """What is weighed. ``code``: of the client's fatal alert. ``slow_ns``: how long after the server's flight it
    closed, where that is too late for Java's check.
    ``went_on_before``: the cache that the session came from had gone on where the rule says abort. ``cloud``: why the
    session's past cannot be told, "" where it can. ``itself``: why the certificate itself may be the cause, or "".
    ``jumped``: no SYN of it was captured, and only its sequence numbers tell that it is a connection of its own.
    ``unclear``: how often the client gave up where too little was captured.
    """

    is_logged: bool
    has_origin: bool
    is_issued: bool
    differs: bool
    is_java: bool
    code: int | None
    slow_ns: int | None
    went_on_before: bool
    cloud: str = ""
    jumped: bool = False
    itself: str = ""
    unclear: int = 0


class Weighed(NamedTuple):
    """``row`` of the table. ``reason``: why not certain, "" where it is."""

    row: str
    weight: Weight
    reason: str = ""


def _unclear(count: int) -> str:
    return f"gave up {'once' if count == 1 else f'{count} times'} where too little was captured to say on what"


def weigh(abort: Abort, signs: Signs, manner: Manner) -> Weighed:
    """What the evidence says of one connection that ended as Java ends it when the certificate changed."""
    is_slow = abort.slow_ns is not None
    late = f"the client closed {span(abort.slow_ns or 0)} after the server's flight, and Java's check takes some 10 ms"
    is_alike = signs.gave_up_unmarked > 0 and abort.code in signs.unmarked_alerts
    rows: tuple[tuple[bool, Weighed], ...] = (
        (abort.is_logged, Weighed("log", "confirmed")),
        (
            is_slow and manner.went_on > 0,
            Weighed(
                "slow and patient",
                "not",
                f"{late}; the same client went on {manner.went_on} times although the certificate changed",
            ),
        ),
        (
            is_slow and manner.slow_unmarked > 0,
            Weighed(
                "slow everywhere", "not", f"{late}; the same client also does so where Java's rule cannot have spoken"
            ),
        ),
        (bool(abort.cloud), Weighed("clouded", "possible", abort.cloud)),
        (
            abort.jumped,
            Weighed(
                "jump",
                "possible",
                "its SYN was not captured, and a jump of sequence numbers alone tells it from another connection of"
                " these ports",
            ),
        ),
        (not abort.has_origin, Weighed("origin", "possible", "the session's origin lies before the capture")),
        (
            not abort.is_issued,
            Weighed("issuer", "possible", "the offered session was issued by no server in the capture"),
        ),
        (
            not abort.differs,
            Weighed("certificates", "possible", "the certificates are equivalent or not both readable"),
        ),
        (bool(abort.itself), Weighed("itself", "possible", abort.itself)),
        (not abort.is_java, Weighed("stack", "possible", "the client's TLS stack is not known to be Java's")),
        (is_slow, Weighed("slow", "possible", late)),
        (
            abort.went_on_before,
            Weighed("one cache", "possible", "the same session cache went on before although the certificate changed"),
        ),
        (
            is_alike and not signs.accepted,
            Weighed(
                "never accepted",
                "possible",
                "this client never accepts this certificate, so the certificate itself may be the cause",
            ),
        ),
        (
            abort.unclear > 0 and not signs.accepted,
            Weighed(
                "unclear elsewhere",
                "possible",
                f"this client never accepts this certificate, and {_unclear(abort.unclear)}",
            ),
        ),
        (
            is_alike,
            Weighed(
                "gave up elsewhere",
                "possible",
                "this client also gave up on this certificate where Java's rule cannot have spoken",
            ),
        ),
    )
    return next((weighed for holds, weighed in rows if holds), Weighed("rule", "confirmed"))
