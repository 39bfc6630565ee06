"""Stories of any length made of facts, without packets: a bundled recording of a Java client that meets three back ends
and aborts, replayed by many clients, each with its own address, randoms, sessions, frames and times.
"""

from __future__ import annotations

import hashlib
import random
import re
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from inspector.extract.processes import extract
from inspector.facts import (
    FRAME_BITS,
    CaptureFacts,
    Close,
    ConnectionFacts,
    Facts,
    HandshakeFacts,
    LaneFacts,
    PackedEndpoint,
)
from inspector.facts.spool import SpooledConnections
from inspector.tls.types import FATAL
from tests.conftest import find

CLIENTS_AT_ONCE = 20
TROUBLED_OF = 10
TWICE_OF = 10
"""Of several vantage points, one connection in so many is seen by two."""
BALANCER_NS = 200_000
"""How long a balancer keeps a hello."""

EVENT = np.dtype([("ns", "<i8"), ("frame", "<u8"), ("rest", "V6")])
SHOWN = re.compile(rb"puppetdb([123])\.example\.com")


class Wanted(NamedTuple):
    """How large a story is: ``connections`` as facts are extracted, so that two legs of a handshake are two.
    ``has_legs``: each goes on behind a balancer, where the second capture was taken. ``is_calm``: one client in
    ``TROUBLED_OF`` aborts, not every client. ``late_ns``: how much later the
    clock of each vantage point is than the one before. ``is_spooled``: they are kept out of core.
    """

    connections: int
    services: int = 1
    vantages: int = 1
    has_legs: bool = False
    late_ns: int = 0
    is_calm: bool = False
    is_spooled: bool = False


class Replay(NamedTuple):
    """What one replay puts in place of the recording's. ``mask``: over randoms and session ids; ``frames``: added to
    frame references.
    """

    client: bytes
    server: bytes
    mask: int
    ns: int
    frames: int
    leaves: dict[bytes, bytes]


def story(wanted: Wanted) -> Facts:
    """So many connections."""
    recorded = extract([str(find("jdk17-abort"))])
    seeds = [recorded.unpack(packed) for packed in recorded.connections]
    calm = [seed for seed in seeds if not any(alert.level == FATAL for alert in seed.alerts)]
    frames, length = recorded.captures[0].packets, max(c.last_ns for c in seeds) - min(c.first_ns for c in seeds)
    vantages = 2 if wanted.has_legs else wanted.vantages
    whole = Facts(
        captures=[_captured(recorded.captures[0], number) for number in range(vantages)],
        connections=SpooledConnections() if wanted.is_spooled else [],
    )
    leaves = [_certificates(recorded, whole, number) for number in range(wanted.services)]
    names = [b"s%07d.example.com" % number for number in range(wanted.services)]
    dice = random.Random(1)
    number = 0
    while len(whole.connections) < wanted.connections:
        service, vantage = number % wanted.services, 0 if wanted.has_legs else number % vantages
        replay = Replay(
            bytes([10]) + (number + 256).to_bytes(3, "big"),
            bytes([100, 0]) + service.to_bytes(2, "big"),
            dice.getrandbits(256),
            number * length // CLIENTS_AT_ONCE + vantage * wanted.late_ns,
            vantage << FRAME_BITS | number * frames,
            leaves[service],
        )
        for turn, seed in enumerate(seeds if not wanted.is_calm or not number % TROUBLED_OF else calm):
            connection = replayed(seed, replay)
            _ask(connection, names[service])
            whole.add(connection)
            if wanted.has_legs:
                whole.add(_behind(connection, 1 << FRAME_BITS, wanted.late_ns))
            elif vantages > 1 and not (number + turn) % TWICE_OF:
                other = (vantage + 1) % vantages
                apart = (other - vantage) * wanted.late_ns
                whole.add(moved(connection, apart, (other - vantage) << FRAME_BITS))
        number += 1
    del whole.connections[wanted.connections :]
    return whole


def _captured(recorded: CaptureFacts, number: int) -> CaptureFacts:
    return replace(recorded, path=f"vantage-{number}.pcap")


def _certificates(recorded: Facts, whole: Facts, service: int) -> dict[bytes, bytes]:
    """The service's own certificates, added to the story, by the recorded ones' digests."""
    of_service = {}
    for digest, der in recorded.certificates.items():
        own = SHOWN.sub(rb"p%06d\1.example.com" % service, der)[: len(der)]
        own = own if len(own) == len(der) else der
        of_service[digest] = hashlib.sha256(own).digest()
        whole.certificates[of_service[digest]] = own
    return of_service


def _ask(connection: ConnectionFacts, name: bytes) -> None:
    """Ask for a name."""
    offer = connection.handshake.offer
    if offer is not None:
        key = hashlib.blake2s(offer.key + name, digest_size=8).digest()
        connection.handshake.offer = offer._replace(server_name=name, key=key)


def _behind(front: ConnectionFacts, frames: int, late_ns: int) -> ConnectionFacts:
    """The leg behind a balancer, by the certificate that its back end shows or the session that it resumes."""
    end = (front.handshake.chain or (front.handshake.answered_id or b"\1",))[0][0] % 3 + 1
    leg = moved(front, late_ns + BALANCER_NS, frames)
    client, server = front.server.address, bytes([101, 0, 0, end])
    return replace(leg, client=PackedEndpoint(client, front.client.port), server=PackedEndpoint(server, 8081))


def replayed(seed: ConnectionFacts, replay: Replay) -> ConnectionFacts:
    """A connection of the recording as another client has it."""
    made = moved(seed, replay.ns, replay.frames)
    handshake = made.handshake
    for name in ("client_random", "server_random", "offered_id", "answered_id"):
        value = getattr(handshake, name)
        masked = int.from_bytes(value, "big") ^ replay.mask & (1 << 8 * len(value)) - 1
        setattr(handshake, name, masked.to_bytes(len(value), "big"))
    handshake.chain = tuple(replay.leaves[digest] for digest in handshake.chain)
    made.client = PackedEndpoint(replay.client, seed.client.port)
    made.server = PackedEndpoint(replay.server, seed.server.port)
    return made


def moved(c: ConnectionFacts, ns: int, frames: int) -> ConnectionFacts:
    """At another time, in other frames."""
    events = np.frombuffer(c.events, EVENT).copy()
    events["ns"] += ns
    events["frame"] += np.uint64(frames) if frames >= 0 else np.uint64(frames + (1 << 64))
    return replace(
        c,
        first_ns=c.first_ns + ns,
        last_ns=c.last_ns + ns,
        first_frame=c.first_frame + frames,
        last_frame=c.last_frame + frames,
        handshake=_handshake(c.handshake, ns, frames),
        from_client=_lane(c.from_client, ns, frames),
        from_server=_lane(c.from_server, ns, frames),
        alerts=tuple(replace(a, ns=a.ns + ns, frame=a.frame + frames) for a in c.alerts),
        events=events.tobytes(),
    )


def _handshake(h: HandshakeFacts, ns: int, frames: int) -> HandshakeFacts:
    return replace(
        h,
        hello_ns=h.hello_ns and h.hello_ns + ns,
        answer_ns=h.answer_ns and h.answer_ns + ns,
        hello_frame=h.hello_frame and h.hello_frame + frames,
        answer_frame=h.answer_frame and h.answer_frame + frames,
        certificate_frame=h.certificate_frame and h.certificate_frame + frames,
        key_exchange_frame=h.key_exchange_frame and h.key_exchange_frame + frames,
    )


def _lane(lane: LaneFacts, ns: int, frames: int) -> LaneFacts:
    def close(what: Close | None) -> Close | None:
        return what and replace(what, ns=what.ns + ns, frame=what.frame + frames)

    tail = lane.tail
    if tail is not None:
        tail = replace(
            tail,
            ns=tail.ns + ns,
            frame=tail.frame + frames,
            previous_ns=tail.previous_ns and tail.previous_ns + ns,
            previous_frame=tail.previous_frame and tail.previous_frame + frames,
            earlier_ns=tail.earlier_ns and tail.earlier_ns + ns,
        )
    return replace(lane, fin=close(lane.fin), rst=close(lane.rst), tail=tail)
