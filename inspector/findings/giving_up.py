"""How a client gave up on a handshake, as far as the connection itself tells: with which alert, how late, and whether
enough of it was captured to say.
"""

from __future__ import annotations

from inspector.facts import C_CHANGE, C_KEY_EXCHANGE, C_SEALED
from inspector.tracking.clients import PROBE
from inspector.tracking.closing import QUICK_NS, delay_of_close
from inspector.tracking.observed import BAD_CERTIFICATE, Observed

NOT_JAVA = ("openssl", "go", "nss", "gnutls", "schannel", "boringssl")
AS_JAVA = ("jsse", PROBE.name)
"""Clients whose offers are Java's: it, and a probe, which asks as it does and never gives up as it does."""
HAS_NO_RULE = (*NOT_JAVA, PROBE.name)
"""Clients that do not abort because the certificate changed."""


def client_code(observed: Observed) -> int | None:
    """The client's fatal alert in clear; None where it gave up in silence."""
    alert = observed.fatal_alert
    return alert.code if alert is not None and alert.from_client else None


def slow_close(observed: Observed) -> int | None:
    """Nanoseconds between the server's flight and the client's silent close, where they are more than Java's check
    takes.
    """
    if not observed.gave_up or client_code(observed) is not None:
        return None
    delay = delay_of_close(observed.client_leg)
    return delay if delay is not None and delay > QUICK_NS else None


def may_be_abort(observed: Observed) -> bool:
    """Whether a connection of which something is missing may have been aborted because the certificate changed: the
    client ended it, with the alert or in silence, and nothing shows that it accepted what the server sent, in the first
    handshake or in a renegotiation.
    """
    if observed.is_tls13 or observed.stack.name in HAS_NO_RULE:
        return False
    if observed.outcome == "established":
        return is_unfinished_inside(observed) and observed.closed_by != "server"
    client_leg = observed.client_leg
    if (
        client_leg.handshake.messages & (C_KEY_EXCHANGE | C_CHANGE | C_SEALED)
        or client_leg.from_client.application_records
    ):
        return False
    alert = observed.fatal_alert
    if alert is not None:
        return alert.from_client and alert.code in (BAD_CERTIFICATE, None)
    return observed.closed_by == "client"


def is_unfinished_inside(observed: Observed) -> bool:
    """Whether a renegotiation was not captured to its end, and the client is not seen to go on behind it."""
    begun = [attempt.records[-1].ns for attempt in observed.renegotiations if attempt.state == "open"]
    if not begun:
        return False
    last = observed.client_leg.from_client.tail
    return last is None or last.ns <= max(begun)


def is_clear(observed: Observed) -> bool:
    """Whether enough was captured of a handshake to say what the client gave up on."""
    return not observed.lost and not observed.one_sided and observed.offer is not None and observed.kind is not None
