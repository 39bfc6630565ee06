"""Extensions of the hellos (RFC 8446, section 4.2). Types are kept in wire order; a malformed body is noted and the
rest read on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from inspector.tls.anomalies import ParseMistake
from inspector.tls.reader import Malformed, Reader
from inspector.tls.types import ExtensionType, NameType


@dataclass(slots=True)
class Offered:
    """What the extensions of a ClientHello say."""

    types: list[int] = field(default_factory=list)
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signature_algorithms: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    server_name: bytes | None = None
    ticket: bytes | None = None
    psk_identities: tuple[bytes, ...] = ()
    extended_master_secret: bool = False
    renegotiation_info: bool = False
    early_data: bool = False
    problem: tuple[ParseMistake, int, str] | None = None
    partial: bool = False
    """The list of extensions breaks off."""


@dataclass(slots=True)
class Answered:
    """What the extensions of a ServerHello say."""

    types: list[int] = field(default_factory=list)
    version: int | None = None
    alpn: bytes | None = None
    accepted_psk: int | None = None
    extended_master_secret: bool = False
    renegotiation_info: bool = False
    problem: tuple[ParseMistake, int, str] | None = None
    partial: bool = False
    """The list of extensions breaks off."""


def _server_name(body: Reader, offered: Offered) -> None:
    if not body:
        return
    names = body.vector(2, "server_name_list")
    while names:
        kind = names.u8("name_type")
        name = names.opaque(2, "host_name")
        if kind == NameType.HOST_NAME and offered.server_name is None:
            offered.server_name = name


def _groups(body: Reader, offered: Offered) -> None:
    offered.groups = body.vector(2, "named_group_list").numbers()


def _point_formats(body: Reader, offered: Offered) -> None:
    offered.point_formats = tuple(body.opaque(1, "ec_point_format_list"))


def _signature_algorithms(body: Reader, offered: Offered) -> None:
    offered.signature_algorithms = body.vector(2, "supported_signature_algorithms").numbers()


def _alpn(body: Reader, offered: Offered) -> None:
    offered.alpn = _protocols(body)


def _protocols(body: Reader) -> tuple[bytes, ...]:
    names = body.vector(2, "protocol_name_list")
    protocols: list[bytes] = []
    while names:
        protocols.append(names.opaque(1, f"protocol_name_list[{len(protocols)}]"))
    return tuple(protocols)


def _ticket(body: Reader, offered: Offered) -> None:
    offered.ticket = body.take(body.left(), "ticket")


def _versions(body: Reader, offered: Offered) -> None:
    offered.versions = body.vector(1, "versions").numbers()


def _psk(body: Reader, offered: Offered) -> None:
    identities = body.vector(2, "identities")
    kept: list[bytes] = []
    while identities:
        kept.append(identities.opaque(2, f"identities[{len(kept)}]"))
        identities.u32("obfuscated_ticket_age")
    offered.psk_identities = tuple(kept)


def _ems(body: Reader, hello: Offered | Answered) -> None:
    hello.extended_master_secret = True


def _renegotiation(body: Reader, hello: Offered | Answered) -> None:
    hello.renegotiation_info = True


def _early_data(body: Reader, offered: Offered) -> None:
    offered.early_data = True


def _selected_version(body: Reader, answered: Answered) -> None:
    answered.version = body.u16("selected_version")


def _selected_psk(body: Reader, answered: Answered) -> None:
    answered.accepted_psk = body.u16("selected_identity")


def _selected_alpn(body: Reader, answered: Answered) -> None:
    answered.alpn = next(iter(_protocols(body)), None)


Side = TypeVar("Side", Offered, Answered)

OFFER: dict[int, tuple[str, Callable[[Reader, Offered], None]]] = {
    ExtensionType.SERVER_NAME: ("server_name", _server_name),
    ExtensionType.SUPPORTED_GROUPS: ("supported_groups", _groups),
    ExtensionType.EC_POINT_FORMATS: ("ec_point_formats", _point_formats),
    ExtensionType.SIGNATURE_ALGORITHMS: ("signature_algorithms", _signature_algorithms),
    ExtensionType.ALPN: ("alpn", _alpn),
    ExtensionType.EXTENDED_MASTER_SECRET: ("extended_master_secret", _ems),
    ExtensionType.SESSION_TICKET: ("session_ticket", _ticket),
    ExtensionType.PRE_SHARED_KEY: ("pre_shared_key", _psk),
    ExtensionType.EARLY_DATA: ("early_data", _early_data),
    ExtensionType.SUPPORTED_VERSIONS: ("supported_versions", _versions),
    ExtensionType.RENEGOTIATION_INFO: ("renegotiation_info", _renegotiation),
}

ANSWER: dict[int, tuple[str, Callable[[Reader, Answered], None]]] = {
    ExtensionType.ALPN: ("alpn", _selected_alpn),
    ExtensionType.EXTENDED_MASTER_SECRET: ("extended_master_secret", _ems),
    ExtensionType.PRE_SHARED_KEY: ("pre_shared_key", _selected_psk),
    ExtensionType.SUPPORTED_VERSIONS: ("supported_versions", _selected_version),
    ExtensionType.RENEGOTIATION_INFO: ("renegotiation_info", _renegotiation),
}


def read_offer(hello: Reader, offered: Offered) -> None:
    """The extensions of a ClientHello, into ``offered``; raises nothing."""
    _read(hello, offered, OFFER)


def read_cut_offer(hello: Reader, offered: Offered) -> None:
    """What is left of a ClientHello behind its cipher suites where its end is missing; raises nothing."""
    try:
        hello.opaque(1, "compression_methods")
        _read(hello, offered, OFFER)
    except Malformed as problem:
        offered.problem = (problem.mistake, problem.offset, problem.path)
    offered.partial = True


def read_answer(hello: Reader, answered: Answered) -> None:
    """The extensions of a ServerHello, into ``answered``; raises nothing."""
    _read(hello, answered, ANSWER)


def _read(hello: Reader, into: Side, table: dict[int, tuple[str, Callable[[Reader, Side], None]]]) -> None:
    try:
        listed = _listed(hello, into)
        while listed:
            kind = listed.u16("extension_type")
            body = listed.vector(2, "extension_data")
            into.types.append(kind)
            name, read = table.get(kind, ("", None))
            if read is not None:
                body.path = f"{hello.path}.extensions.{name}"
                try:
                    read(body, into)
                except Malformed as problem:
                    into.problem = into.problem or (problem.mistake, problem.offset, problem.path)
    except Malformed as problem:
        into.problem = into.problem or (problem.mistake, problem.offset, problem.path)
        into.partial = True


def _listed(hello: Reader, into: Side) -> Reader:
    """The list of extensions; where it says that it is longer than the message, what there is of it."""
    at = hello.at
    try:
        return hello.vector(2, "extensions")
    except Malformed as problem:
        into.problem = (problem.mistake, problem.offset, problem.path)
        into.partial = True
        return Reader(hello.data, f"{hello.path}.extensions", min(at + 2, hello.end), hello.end)
