"""Who ended a connection, how, and what it had read by then.

The order of frames is that of the place where they were captured: on a span port or with a tap for each direction a FIN
may be recorded before the one that it answers. TCP says it better (RFC 9293, section 3.6): a FIN that acknowledges the
other side's FIN came second, and whoever acknowledges a Certificate has it.

What a client sends at the end need not be a reason. JSSE answers an end of file during the handshake with alert 40,
OpenSSL with alert 50, and JDK 8 sends alert 10 when its read time-out fires; an alert about certificates is a verdict
whatever the other side did.
"""

from __future__ import annotations

from typing import Literal

from inspector import facts
from inspector.facts import AlertFact, Close, ConnectionFacts, FirstMoments, LaneFacts, Tail
from inspector.tls.extensions import AnswerShape
from inspector.tls.history import Letter
from inspector.tls.protection import MACS, protection_of
from inspector.tls.types import FATAL, AlertDescription
from inspector.tracking.clients import writer

Side = Literal["client", "server"]
How = Literal["fin", "rst"]
Closed = tuple[Side | None, How | None]
"""Who closed first, and how."""
CLIENT_FIN: Closed = ("client", "fin")
SERVER_FIN: Closed = ("server", "fin")

CERTIFICATE_ALERTS = frozenset(
    (
        AlertDescription.NO_CERTIFICATE,
        AlertDescription.BAD_CERTIFICATE,
        AlertDescription.UNSUPPORTED_CERTIFICATE,
        AlertDescription.CERTIFICATE_REVOKED,
        AlertDescription.CERTIFICATE_EXPIRED,
        AlertDescription.CERTIFICATE_UNKNOWN,
        AlertDescription.UNKNOWN_CA,
        AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE,
        AlertDescription.BAD_CERTIFICATE_HASH_VALUE,
        AlertDescription.CERTIFICATE_REQUIRED,
    )
)
"""Alerts that speak of a certificate (RFC 8446, section 6.2)."""

ALERT_BYTES, CONTENT_TYPE, TAG = 2, 1, 16
"""What an encrypted record of TLS 1.3 adds to its content is a byte for the content type, and the tag (RFC 8446,
section 5.2), of 16 bytes with all suites but those of CCM_8.
"""
LONGEST_ALERT_RECORD = ALERT_BYTES + CONTENT_TYPE + TAG

JSSE_PADDING = 16
"""Zero bytes in each encrypted record of TLS 1.3 that JSSE writes to a socket, not through an SSLEngine."""

SHORTEST_DIGEST = 32
"""Of the hashes of TLS 1.3: that of SHA-256."""

MESSAGE_HEADER = 4
"""Type and length of a handshake message (RFC 8446, section 4)."""

REFUSED_WITHIN_NS = 1_000_000_000
"""A server that refuses does so when it has read the client's flight; later it may as well have grown
tired of waiting.
"""

SHORTEST_QUIET_NS = 100_000_000
"""Below this a close is no time-out."""

QUICK_NS = 50_000_000
"""Java closes in silence as soon as it has read the flight: 35 ms later at most, in some two hundred recorded aborts.
Time-outs and watchdogs take longer.
"""

LONGEST_RTT_NS = 200_000_000
"""A SYN that was repeated makes a round trip look longer than it is."""


def overhead(answer: AnswerShape | None) -> int:
    """How many bytes an encrypted record of TLS 1.3 is longer than its content, unless it is padded."""
    protection = protection_of(answer.cipher_suite) if answer is not None else None
    return CONTENT_TYPE + (protection.tag if protection is not None and protection.tag else TAG)


def alert_record(answer: AnswerShape | None) -> int:
    """TLS 1.3: how long the fragment of an encrypted alert is: 19 bytes with most suites."""
    return ALERT_BYTES + overhead(answer)


def finished_record(answer: AnswerShape | None) -> int:
    """TLS 1.3: how long the fragment of an encrypted Finished is at least: 53 or 69 bytes with most suites."""
    protection = protection_of(answer.cipher_suite) if answer is not None else None
    digest = MACS.get(protection.prf, SHORTEST_DIGEST) if protection is not None else SHORTEST_DIGEST
    return MESSAGE_HEADER + digest + overhead(answer)


def first_close(lane: LaneFacts) -> tuple[Close, How] | None:
    """A side's FIN or RST, whichever came first."""
    fin, rst = lane.fin, lane.rst
    if fin is None:
        return (rst, "rst") if rst is not None else None
    return (fin, "fin") if rst is None or fin.ns <= rst.ns else (rst, "rst")


def closed_first(client_leg: ConnectionFacts) -> Closed:
    """Who closed first, and how."""
    client, server = client_leg.from_client, client_leg.from_server
    one, other = client.fin, server.fin
    if one is not None and other is not None and client.rst is None and server.rst is None:
        return CLIENT_FIN if _is_first(one, other) else SERVER_FIN
    ours, theirs = first_close(client), first_close(server)
    if ours is None or theirs is None:  # who answers a FIN that was not captured came second all the same
        if ours is not None:
            return ("server", "fin") if ours[0].is_answer else ("client", ours[1])
        return (None, None) if theirs is None else ("client", "fin") if theirs[0].is_answer else ("server", theirs[1])
    return ("client", ours[1]) if _is_first(ours[0], theirs[0]) else ("server", theirs[1])


def _is_first(one: Close, other: Close) -> bool:
    """Whether one side's close came before the other's."""
    return other.is_answer if one.is_answer != other.is_answer else one.ns <= other.ns


def gave_up(client_leg: ConnectionFacts, closed_by: str | None) -> bool:
    """Whether the client broke off after the server's certificate and before its own key exchange.

    With an alert in clear (blocking clients), or by closing in silence after ServerHelloDone (Puppet Server's HTTP
    client).
    """
    handshake = client_leg.handshake
    messages = handshake.messages
    if (
        not messages & facts.S_CERTIFICATE
        or messages & (facts.C_KEY_EXCHANGE | facts.C_CHANGE | facts.C_SEALED)
        or handshake.is_tls13
    ):
        return False
    if (
        client_leg.from_client.application_records
        or client_leg.from_server.application_records
        or messages & (facts.S_CHANGE | facts.S_SEALED)
    ):
        return False  # a server goes on only behind the client's Finished
    fatal = next((a for a in client_leg.alerts if a.level == FATAL), None)
    if fatal is not None and fatal.from_client:
        return not is_consequence(client_leg, fatal)
    if client_leg.from_client.lost or not client_leg.from_client.has_packets:
        return False
    return bool(
        closed_by == "client"
        and messages & facts.S_DONE
        and _has_read_certificate(client_leg)
        and (fatal is None or _closed_before(client_leg, fatal))
    )


def _end(lane: LaneFacts) -> int:
    """How long a side's stream is, as far as it is known."""
    return lane.bytes + lane.gap


def _has_read_certificate(client_leg: ConnectionFacts) -> bool:
    """Whether the client's close acknowledges the server's Certificate; True where it does not tell."""
    close = first_close(client_leg.from_client)
    return close is None or close[0].acked < 0 or close[0].acked >= client_leg.handshake.certificate_end


def _closed_before(client_leg: ConnectionFacts, alert: AlertFact) -> bool:
    """Whether the client closed without knowing of an alert of the server's."""
    close = first_close(client_leg.from_client)
    if close is None:
        return False
    return close[0].ns <= alert.ns or 0 <= close[0].acked < _end(client_leg.from_server)


def is_consequence(client_leg: ConnectionFacts, alert: AlertFact) -> bool:
    """Whether a client's fatal alert only says that the server was gone, or did not answer in time."""
    if not alert.from_client or alert.code in CERTIFICATE_ALERTS:
        return False
    return is_unanswered(client_leg, alert) or server_was_gone(client_leg, alert)


def is_unanswered(client_leg: ConnectionFacts, alert: AlertFact) -> bool:
    """Whether the client sent an alert before the server answered its hello; the answer may still have come."""
    handshake = client_leg.handshake
    if handshake.answer is not None:
        return alert.ns < handshake.answer_ns
    return client_leg.from_server.has_packets and not client_leg.from_server.bytes and not client_leg.from_server.gap


def server_was_gone(client_leg: ConnectionFacts, alert: AlertFact) -> bool:
    """Whether the server closed before it had the client's alert, and before that was sent."""
    server_close = first_close(client_leg.from_server)
    if server_close is None or server_close[0].is_answer:
        return False
    close = server_close[0]
    return close.ns <= alert.ns and not close.acked >= _end(client_leg.from_client) > 0


def delay_of_close(client_leg: ConnectionFacts) -> int | None:
    """Nanoseconds from the server's ServerHelloDone to the client's close, less a round trip; None where either is
    missing.
    """
    close = first_close(client_leg.from_client)
    done = FirstMoments(client_leg.events).of(Letter.SERVER_HELLO_DONE, False)
    if close is None or done is None:
        return None
    return max(0, close[0].ns - done - min(client_leg.rtt or 0, LONGEST_RTT_NS))


def is_goodbye(client_leg: ConnectionFacts, tail: Tail, from_client: bool) -> bool:
    """TLS 1.3: whether a side's last record is as long as an alert; a padded one of clients that are Java."""
    handshake = client_leg.handshake
    if not handshake.is_tls13:
        return False
    alert = alert_record(handshake.answer)
    may_pad = not from_client or (handshake.offer is not None and writer(handshake.offer).stack.name == "jsse")
    return tail.size <= alert or (may_pad and tail.size == alert + JSSE_PADDING)


def quiet_before(client_leg: ConnectionFacts, close_ns: int) -> int:
    """How long, in ns, nobody had sent application data by then; 0 where it is not known, or so short that the close
    is the end of what was said. A side's goodbye does not count.
    """
    latest_ns, is_tls13 = 0, client_leg.handshake.is_tls13
    for lane, from_client in ((client_leg.from_client, True), (client_leg.from_server, False)):
        tail = lane.tail
        if tail is None:
            continue
        if tail.ns < close_ns and not (is_tls13 and is_goodbye(client_leg, tail, from_client)):
            ns = tail.ns
        elif 0 < tail.previous_ns < close_ns:
            ns = tail.previous_ns
        elif 0 < tail.earlier_ns < close_ns:
            ns = tail.earlier_ns
        elif lane.application_records > 1 + bool(tail.previous_ns) + bool(tail.earlier_ns):
            return 0  # it said more since than is known
        else:
            continue
        latest_ns = max(latest_ns, ns)
    return quiet_ns if latest_ns and (quiet_ns := close_ns - latest_ns) >= SHORTEST_QUIET_NS else 0


def is_refused(client_leg: ConnectionFacts) -> bool:
    """TLS 1.3 without secrets: whether the server answered the client's flight with nothing but one record of an
    alert's size.

    So it refuses a client's certificate, which it reads after its own flight (RFC 8446, section 4.4.2.4), and closes. A
    client that said goodbye first was not refused, nor one that got an answer.
    """
    client, server, handshake = client_leg.from_client, client_leg.from_server, client_leg.handshake
    if (
        not handshake.is_tls13
        or client_leg.secrets == ""
        or server.tail is None
        or client.tail is None
        or not _is_alert(server.tail, handshake.answer)
        or not (client.fin or client.rst or server.fin or server.rst)
    ):
        return False
    tail = server.tail
    flight = FirstMoments(client_leg.events).of(Letter.APPLICATION_DATA, True)
    if flight is None or not tail.previous_ns <= flight <= tail.ns < flight + REFUSED_WITHIN_NS or not tail.previous_ns:
        return False
    said_goodbye = is_goodbye(client_leg, client.tail, from_client=True) and client.tail.ns <= tail.ns
    close = first_close(client)
    return not said_goodbye and not (close is not None and close[0].ns <= tail.ns)


def _is_alert(tail: Tail, answer: AnswerShape | None) -> bool:
    """Whether a server's last record is as long as an alert; a padded one counts only right behind a Finished that is
    padded as well.
    """
    if tail.size == alert_record(answer):
        return tail.size <= LONGEST_ALERT_RECORD
    return (tail.size, tail.previous_size) == (
        alert_record(answer) + JSSE_PADDING,
        finished_record(answer) + JSSE_PADDING,
    )


def is_cut_short(client_leg: ConnectionFacts) -> bool:
    """TLS 1.3: whether the client's only encrypted record is too short for a Finished, and so can only be an alert.

    What a client encrypts first is its flight, which ends with Finished (RFC 8446, section 4.4.4), unless it gives up.
    JSSE pads what it writes to a socket by 16 bytes: an alert need not be as long as an alert. Where records may be
    missing before it, or early data was offered, it may be anything.
    """
    client, offer = client_leg.from_client, client_leg.handshake.offer
    return (
        client.application_records == 1
        and client.application_bytes < finished_record(client_leg.handshake.answer)
        and not (client.lost or client.lost_encrypted)
        and not (offer is not None and offer.early_data)
    )


def is_rejected(client_leg: ConnectionFacts) -> bool:
    """TLS 1.3 without secrets: whether the client answered the server's flight with an alert, and nothing else."""
    client, handshake = client_leg.from_client, client_leg.handshake
    return (
        handshake.is_tls13
        and client_leg.secrets != ""
        and is_cut_short(client_leg)
        and client.application_bytes >= alert_record(handshake.answer)
        and client_leg.from_server.application_records > 0
    )
