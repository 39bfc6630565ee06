"""One handshake of the analysis document, as types."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FrameRef = tuple[int, int]
Sender = Literal["client", "server"]


class Cipher(Struct, frozen=True):
    """``code``: IANA's."""

    code: int
    name: str


class SessionFields(Struct):
    """Ids in hex, tickets and identities as SHA-256. ``issued_tickets``: all of them; ``issued_ticket`` the first."""

    offered_id: str | None
    answered_id: str | None
    offered_ticket: str | None
    issued_ticket: str | None
    offered_psks: list[str] | None
    accepted_psk: int | None
    issued_tickets: list[str] = []


class Negotiated(Struct, frozen=True):
    """None where the hello was not seen."""

    offered: bool | None
    negotiated: bool | None


class Frames(Struct):
    """Where each message starts."""

    client_hello: FrameRef | None
    server_hello: FrameRef | None
    certificate: FrameRef | None
    client_key_exchange: FrameRef | None
    finished: FrameRef | None


class Jsse(Struct):
    """What a Java client without endpoint identification must do, by the row of the table."""

    verdict: Literal["accepts", "aborts", "possible", "not_applicable"]
    row: int | None
    reason: str
    cached_leaf: str | None
    identity: Literal["same_der", "shared_ip", "shared_dns", "same_subject_and_issuer", "none"] | None


class MessageLength(Struct):
    """Bytes of a message with its header. ``first``: in the connection's first flight; ``expected``: if the certificate
    is the same; both as [low, high].
    """

    name: str
    first: int | None
    expected: tuple[int, int] | None
    now: tuple[int, int] | None


class Inside(Struct):
    """A renegotiation. *declined*: asked for or offered, and not entered; *aborted*: broken off behind the server's
    flight; ``by``: who did.

    ``certificate``: whether certificate and chain are those that the connection began with. *changed*, *same*:
    decrypted, or changed as its length proves (``basis``); *consistent*: its length fits, which proves nothing;
    *unknown*: it cannot be told. ``text``: why, with the numbers.
    """

    began_by: Sender
    state: Literal["completed", "declined", "aborted", "open"]
    by: Sender | None
    shape: Literal["full", "abbreviated"] | None
    certificate: Literal["changed", "same", "consistent", "unknown"]
    basis: Literal["decrypted", "length"] | None
    text: str
    lengths: list[MessageLength]
    frames: list[FrameRef]


class Handshake(Struct, kw_only=True):
    """``inside``: of a renegotiation. ``kind``: "resumed" where a session was, and what was offered was not captured
    whole; null, with the reason, where the capture does not tell. ``authorities``: which list of the document's the
    CertificateRequest held; null where none was seen.
    """

    renegotiation: bool
    visibility: Literal["clear", "decrypted", "encrypted", "lost"]
    kind: Literal["full", "session_id", "ticket", "resumed", "psk"] | None
    reason: str
    declined: bool
    version: str | None
    cipher: Cipher | None
    server_name: str | None
    alpn: str | None
    alpn_offered: list[str]
    client_random: str | None
    server_random: str | None
    client_version: str | None
    versions_offered: list[str]
    session: SessionFields
    ems: Negotiated
    secure_renegotiation: Negotiated
    server_chain: list[str]
    client_chain: list[str]
    ja3: str | None
    ja3s: str | None
    ja4: str | None
    frames: Frames
    jsse: Jsse
    inside: Inside | None = None
    authorities: str | None = None
