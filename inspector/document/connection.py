"""One connection of the analysis document, with its legs, ends, alerts and what logs say of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.document.handshake import FrameRef, Handshake, Sender


class Endpoint(Struct, frozen=True):
    ip: str
    port: int


class Leg(Struct):
    client: Endpoint
    server: Endpoint


class Span(Struct):
    first: FrameRef
    last: FrameRef


class End(Struct):
    by: Sender | None
    how: Literal["fin", "rst"] | None


class Alert(Struct):
    sender: Sender
    level: int | None
    code: int | None
    name: str | None
    visibility: Literal["clear", "decrypted", "encrypted"]
    frame: FrameRef | None


class Sizes(Struct):
    client: int
    server: int


class Anomaly(Struct):
    """``other_frame``: that of the version that came first, where the same bytes came in two."""

    kind: str
    text: str
    sender: Sender
    offset: int
    path: str
    frame: FrameRef | None
    other_frame: FrameRef | None = None


class LogLine(Struct):
    """``at``: by the log's clock. ``offset``: nanoseconds from the connection's SYN (HAProxy) or its end. ``among``:
    connections that it may belong to.
    """

    file: str
    line: int
    at: str
    text: str
    offset: int
    form: str
    certain: bool
    among: list[str]


class Connection(Struct):
    """``secrets``: None where none were given; ``decrypted``; or why not all of it was. ``sightings``: where the same
    packets were captured once more.
    """

    id: str
    service: str
    client: str
    backend: str | None
    client_endpoint: Endpoint
    server_endpoint: Endpoint
    first_seen: str
    last_seen: str
    legs: list[Leg]
    frames: Span
    outcome: Literal["established", "aborted", "incomplete"]
    end: End
    alerts: list[Alert]
    bytes: Sizes
    gap_bytes: int
    rtt: int | None
    history: str
    preamble: str | None
    health_check: bool
    anomalies: list[Anomaly]
    logs: list[LogLine]
    handshakes: list[Handshake]
    secrets: str | None = None
    sightings: list[Span] = []
