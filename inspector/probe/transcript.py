"""What was said on one TCP connection of a probe, byte by byte, with times; nothing is looked into."""

from __future__ import annotations

import time
from enum import Enum, auto
from typing import NamedTuple

from inspector.probe.destination import Destination


class TcpEvent(Enum):
    """What happened at one moment."""

    SYN = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    DATA = auto()
    FIN = auto()
    RESET = auto()


class Utterance(NamedTuple):
    """One of them. ``ns``: nanoseconds since the epoch. ``data``: of ``DATA`` alone."""

    ns: int
    event: TcpEvent
    from_client: bool
    data: bytes = b""


class ProbeEnd(Enum):
    """How a connection of a probe ended."""

    STOPPED = auto()
    """The probe was told to stop before it did."""
    FINISHED = auto()
    REFUSED = auto()
    """A RST answered the SYN."""
    UNREACHABLE = auto()
    """The system knows no way, or a router said so."""
    NO_ANSWER = auto()
    """Nothing answered the SYN in time."""
    HUNG = auto()
    """The server accepted, and did not go on in time."""
    RESET = auto()
    CLOSED = auto()
    """The server closed before the handshake was done."""
    FLOODED = auto()
    """The server sent more than is taken of one connection."""
    NO_STARTTLS = auto()
    """The server declined TLS, or did not speak the protocol."""
    TLS_ERROR = auto()
    """OpenSSL gave up, or was sent an alert: ``Transcript.reason`` says on what."""


class ProbeClock:
    """Time as captures have it, which is never set back while a probe runs."""

    def __init__(self) -> None:
        self._ahead = time.time_ns() - time.monotonic_ns()

    def ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.monotonic_ns() + self._ahead


class Transcript:
    """One connection. ``client``: its own address and port. ``stands_for``: as which JVM it asks. ``reason``: OpenSSL's
    name of an error.
    """

    def __init__(
        self, clock: ProbeClock, client: tuple[str, int], destination: Destination, stands_for: str = ""
    ) -> None:
        self.client = client
        self.stands_for = stands_for
        self.destination = destination
        self.utterances: list[Utterance] = []
        self.end = ProbeEnd.STOPPED
        self.reason = ""
        self.received = 0
        self._clock = clock

    def note(self, event: TcpEvent, data: bytes = b"", *, from_client: bool = True) -> None:
        """Something happened now; an end is noted once."""
        if event in (TcpEvent.FIN, TcpEvent.RESET) and self.has(event, from_client=from_client):
            return
        self.utterances.append(Utterance(self._clock.ns(), event, from_client, data))
        if not from_client:
            self.received += len(data)

    def has(self, event: TcpEvent, *, from_client: bool) -> bool:
        """Whether that has happened."""
        return any(was.event is event and was.from_client == from_client for was in self.utterances)
