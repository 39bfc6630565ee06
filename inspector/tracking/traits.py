"""What a connection says by itself, whatever the others are: how its handshake was made, what became of it, by whom.

Connections repeat. What these questions look at has a few dozen combinations in a whole capture, so the answers are
worked out for the first connection of each combination, its *traits*, and shared by the others; addresses, times and
certificates are a connection's own. Where an answer hangs on moments or on single events, on a fatal
alert or a renegotiation, a connection has no traits and is worked out by itself.
"""

from __future__ import annotations

from msgspec.structs import astuple

from inspector import bounds
from inspector.facts import (
    C_KEY_EXCHANGE,
    FRAME_BITS,
    FRAME_NUMBER,
    S_CERTIFICATE,
    ConnectionFacts,
    Facts,
    PackedEndpoint,
    client_at,
)
from inspector.tls.anomalies import TWO_READINGS
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.types import FATAL, TLS13
from inspector.tracking.clients import NOBODY, PROBE, UNKNOWN, Writer, writer
from inspector.tracking.closing import (
    Closed,
    closed_first,
    first_close,
    gave_up,
    is_cut_short,
    is_refused,
    quiet_before,
)
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.kinds import has_no_certificate, kind_of
from inspector.tracking.observed import NO_PARTICULARS, Observed, Particulars, connection_digest, observed_at
from inspector.tracking.outcomes import is_torn_down, outcome_of
from inspector.tracking.renegotiation import find_renegotiations, renegotiates
from inspector.tracking.shape import ConnectionShape, SharedTraits
from inspector.tracking.shown import ShownByServer, shown_by

Traits = tuple[object, ...]
"""Of two connections with equal ones whose hellos have one writer ``worked_out`` says the same."""


def traits_of(client_leg: ConnectionFacts, closed: Closed) -> Traits | None:
    """The traits of a connection, None where it has none."""
    handshake, client, server = client_leg.handshake, client_leg.from_client, client_leg.from_server
    messages, offer, answer = handshake.messages, handshake.offer, handshake.answer
    if renegotiates(client_leg.events):
        return None
    for alert in client_leg.alerts:
        if alert.level == FATAL:
            return None
    if (
        client.searched_bytes
        or server.searched_bytes
        or client.sequence_jump
        or server.sequence_jump
        or client.lost_encrypted
        or server.lost_encrypted
        or client.contradicted
        or server.contradicted
        or client_leg.anomalies
    ):
        return None  # too rare
    return (
        messages,
        handshake.missing,
        offer is None or offer.partial,
        answer and (answer.partial if answer.version < TLS13 else _of_tls13(client_leg, answer)),
        not handshake.offered_ticket,
        not handshake.offered_id,
        not handshake.answered_id,
        handshake.offered_id == handshake.answered_id,
        not handshake.chain and has_no_certificate(handshake),
        closed,
        messages & S_CERTIFICATE != 0 and not messages & C_KEY_EXCHANGE and gave_up(client_leg, closed[0]),
        not client.application_records,
        not server.application_records,
        client.has_packets,
        server.has_packets,
        client.lost,
        server.lost,
        client_leg.syn,
        client_leg.secrets,
        not client_leg.sightings,
    )


def _of_tls13(client_leg: ConnectionFacts, answer: AnswerShape) -> Traits:
    """What is looked at in TLS 1.3 alone."""
    handshake = client_leg.handshake
    return (
        answer.partial,
        answer.accepted_psk is None,
        handshake.retried and not handshake.server_random,
        not handshake.offered_psks,
        is_refused(client_leg),
        is_cut_short(client_leg),
    )


def worked_out(client_leg: ConnectionFacts, closed: Closed, written: Writer) -> tuple[SharedTraits, Particulars]:
    """What a connection has in common with others, and what is its own."""
    handshake, client, server = client_leg.handshake, client_leg.from_client, client_leg.from_server
    is_tls13 = handshake.is_tls13
    is_contradicted = client.contradicted or server.contradicted
    kind, reason = kind_of(handshake)
    renegotiations = find_renegotiations(client_leg)
    outcome = outcome_of(client_leg)
    is_completed = outcome == "established"
    if is_completed and any(attempt.broken_off_by or is_torn_down(client_leg, attempt) for attempt in renegotiations):
        outcome = "aborted"
    traits = SharedTraits(
        outcome=outcome,
        is_completed=is_completed,
        kind=kind,
        reason=reason,
        stack=UNKNOWN if _is_odd(client_leg) else written.stack,
        program=written.program,
        lost=client.lost or server.lost or is_contradicted,
        contradicted=is_contradicted,
        has_conflicts=any(anomaly.kind in TWO_READINGS for anomaly in client_leg.anomalies),
        one_sided=not (client.has_packets and server.has_packets),
        is_tls13=is_tls13,
        is_resumed=kind in ("session_id", "ticket", "resumed"),
        closed_by=closed[0],
        closed_how=closed[1],
        gave_up=gave_up(client_leg, closed[0]),
        shows_no_certificate=has_no_certificate(handshake),
        offers=bool(handshake.offered_psks) if is_tls13 else bool(handshake.offered_ticket),
        secrets=client_leg.secrets,
        long_preamble=bool(client.searched_bytes or server.searched_bytes),
        sequence_jump=client.sequence_jump or server.sequence_jump,
        lost_both_ways=client.lost_encrypted and server.lost_encrypted,
        is_repeated=bool(client_leg.sightings),
    )
    fatal_alert = next((alert for alert in client_leg.alerts if alert.level == FATAL), None)
    if fatal_alert is None and not renegotiations:
        return traits, NO_PARTICULARS
    return traits, Particulars(fatal_alert=fatal_alert, renegotiations=renegotiations)


class Observer:
    """Looks at connections one by one, and keeps what repeats once: traits, addresses, certificates, stacks."""

    def __init__(self, facts: Facts, columns: ConnectionColumns) -> None:
        """``columns``: where the numbers of those go that are observed."""
        self.columns = columns
        self._by_traits: dict[tuple[Traits, Writer], SharedTraits] = {}
        self._shared: dict[tuple[object, ...], SharedTraits] = {}
        """By what they say, those that were worked out for a connection by itself."""
        self._numbers: dict[tuple[int, ...], int] = {}
        """Of shapes, by the identities of what they hold."""
        self._writers: dict[bytes, Writer] = {}
        self._probes = {index: capture.known_turns for index, capture in enumerate(facts.captures) if capture.is_probe}
        self._address_numbers: dict[bytes, int] = {}
        servers: dict[PackedEndpoint, PackedEndpoint] = {}
        leaves: dict[bytes, bytes] = {}
        shown: dict[ShownByServer, ShownByServer] = {}
        self._server, self._leaf = servers.setdefault, leaves.setdefault
        self._shown = shown.setdefault

    def observed(self, index: int, number: int, client_leg: ConnectionFacts) -> Observed:
        """A connection without what the others say of it. ``index``: which one it is, one after the other;
        ``number``: of its leg.
        """
        closed = closed_first(client_leg)
        handshake, server, first_ns = client_leg.handshake, client_leg.server, client_leg.first_ns
        offer, chain = handshake.offer, handshake.chain
        written = NOBODY if offer is None else self._writers.get(offer.key) or self._writer(offer)
        if self._probes and (turns := self._probes.get(client_leg.first_frame >> FRAME_BITS)) is not None:
            written = _of_probe(written, client_at(turns, client_leg.first_frame & FRAME_NUMBER))
        key = traits_of(client_leg, closed)
        particulars = NO_PARTICULARS
        traits = self._by_traits.get((key, written)) if key is not None else None
        if traits is None:
            traits, particulars = worked_out(client_leg, closed, written)
            traits = self._shared.setdefault(astuple(traits), traits)
            if key is not None and len(self._by_traits) < bounds.CACHE:
                self._by_traits[key, written] = traits
        close = first_close(client_leg.from_server) if closed[0] == "server" else None
        self.columns.add(
            number,
            connection_digest(client_leg),
            first_ns,
            handshake.hello_ns or first_ns,
            quiet_before(client_leg, close[0].ns) if close is not None else 0,
        )
        self.columns.gap_bytes[index] = client_leg.from_client.gap + client_leg.from_server.gap
        server, shown = self._server(server, server), shown_by(client_leg)
        shown, leaf = self._shown(shown, shown), self._leaf(chain[0], chain[0]) if chain else None
        of_shape = traits, server, offer, handshake.answer, leaf, shown
        identity = tuple(map(id, of_shape))
        shape_number = self._numbers.get(identity)
        if shape_number is None:
            shape_number = self._numbers[identity] = len(self.columns.shapes)
            self.columns.shapes.append(ConnectionShape(*of_shape))
        self.columns.shape[index] = shape_number
        self.columns.address[index] = self._address(client_leg.client.address)
        return observed_at(self.columns, index, particulars)

    def _address(self, address: bytes) -> int:
        """The number of a client's address."""
        addresses = self.columns.addresses
        number = self._address_numbers.setdefault(address, len(addresses))
        if number == len(addresses):
            addresses.append(address)
        return number

    def _writer(self, offer: HelloShape) -> Writer:
        """Who writes such hellos, and keep it."""
        known = writer(offer)
        if len(self._writers) < bounds.CACHE:
            self._writers[offer.key] = known
        return known


def _of_probe(written: Writer, stands_for: str) -> Writer:
    """A probe's hellos are OpenSSL's, if there is one; whatever else a capture holds that says to be one's, is not.
    ``stands_for``: as what client it asked.
    """
    if written.stack.name not in ("openssl", "unknown"):
        return written
    return Writer(PROBE._replace(stands_for=stands_for), written.program + stands_for.encode("ascii"))


def _is_odd(client_leg: ConnectionFacts) -> bool:
    """Whether the client's first record is of a version that no TLS stack writes, although servers take it: it is
    nobody's that is known.
    """
    return any(a.kind == "record_version" and a.from_client for a in client_leg.anomalies)
