"""What repeats in hellos: what a client offers and a server chooses, without what is new each time."""

from __future__ import annotations

from typing import NamedTuple

from inspector.tls.anomalies import ParseMistake


class HelloShape(NamedTuple):
    """What a ClientHello says of the client. ``problem``: the first malformed extension, as (mistake, offset, path);
    the mistake is a text in a journal of an earlier version.
    ``partial``: what stands behind it was cut off or could not be told apart, so that more may have been offered; such
    a shape has no fingerprints.
    """

    legacy_version: int
    cipher_suites: tuple[int, ...] = ()
    extensions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signature_algorithms: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    server_name: bytes | None = None
    extended_master_secret: bool = False
    secure_renegotiation: bool = False
    early_data: bool = False
    problem: tuple[ParseMistake | str, int, str] | None = None
    ja3: str = ""
    ja4: str = ""
    key: bytes = b""
    """Eight bytes that name the shape, the same in every process."""
    partial: bool = False


class AnswerShape(NamedTuple):
    """What a ServerHello chooses. ``version``: the negotiated one, from supported_versions where that is there.
    ``partial``: as in ``HelloShape``.
    """

    legacy_version: int
    version: int
    cipher_suite: int
    extensions: tuple[int, ...]
    alpn: bytes | None
    extended_master_secret: bool
    secure_renegotiation: bool
    accepted_psk: int | None
    problem: tuple[ParseMistake | str, int, str] | None
    ja3s: str
    key: bytes = b""
    """Eight bytes that name the shape, the same in every process."""
    partial: bool = False
