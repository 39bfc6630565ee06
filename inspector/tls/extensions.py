"""Extensions of the hellos (RFC 8446, section 4.2), and the shapes of hellos that they make: what repeats, without what
is new each time. Types are kept in wire order; a malformed body is noted and the rest read on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from inspector import bounds
from inspector.tls.anomalies import NameTooLong, ParseMistake, TooMany
from inspector.tls.extension_types import ExtensionType
from inspector.tls.reader import Malformed, Reader
from inspector.tls.registry import SCSV
from inspector.tls.types import NameType

SHAPE_BYTES = 1_000
"""What the shape of a hello takes in memory beside its lists and texts."""

NUMBER_BYTES = 36
"""What a number in a list takes."""


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

    def memory(self) -> int:
        """Bytes that it takes, about."""
        lists = (self.cipher_suites, self.extensions, self.groups, self.point_formats, self.signature_algorithms)
        numbers = sum(map(len, lists)) + len(self.versions) + len(self.alpn)
        texts = sum(map(len, self.alpn)) + len(self.server_name or b"") + len(self.ja3)
        return SHAPE_BYTES + NUMBER_BYTES * numbers + texts


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

    def memory(self) -> int:
        """Bytes that it takes, about."""
        return SHAPE_BYTES + NUMBER_BYTES * len(self.extensions) + len(self.alpn or b"") + len(self.ja3s)


class Offered:
    """What the extensions of a ClientHello say."""

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

    def __init__(self) -> None:
        self.types: list[int] = []

    def shape(self, version: int, suites: tuple[int, ...]) -> HelloShape:
        """Of a hello with these extensions, without fingerprints and key."""
        return HelloShape(
            legacy_version=version,
            cipher_suites=suites,
            extensions=tuple(self.types),
            groups=self.groups,
            point_formats=self.point_formats,
            signature_algorithms=self.signature_algorithms,
            versions=self.versions,
            alpn=self.alpn,
            server_name=self.server_name,
            extended_master_secret=self.extended_master_secret,
            secure_renegotiation=self.renegotiation_info or SCSV in suites,
            early_data=self.early_data,
            problem=self.problem,
            partial=self.partial,
        )


class Answered:
    """What the extensions of a ServerHello say."""

    version: int | None = None
    alpn: bytes | None = None
    accepted_psk: int | None = None
    group: int = 0
    """Of the key share: of each hello, not of the shape."""
    extended_master_secret: bool = False
    renegotiation_info: bool = False
    problem: tuple[ParseMistake, int, str] | None = None
    partial: bool = False
    """The list of extensions breaks off."""

    def __init__(self) -> None:
        self.types: list[int] = []

    def shape(self, version: int, suite: int) -> AnswerShape:
        """Of a hello with these extensions, without fingerprint and key."""
        return AnswerShape(
            legacy_version=version,
            version=self.version or version,
            cipher_suite=suite,
            extensions=tuple(self.types),
            alpn=self.alpn,
            extended_master_secret=self.extended_master_secret,
            secure_renegotiation=self.renegotiation_info,
            accepted_psk=self.accepted_psk,
            problem=self.problem,
            ja3s="",
            partial=self.partial,
        )


def _server_name(body: Reader, offered: Offered) -> None:
    if not body:
        return
    names = body.vector(2, "server_name_list")
    while names:
        kind = names.u8("name_type")
        name = names.opaque(2, "host_name")
        if len(name) > bounds.HOST_NAME:
            raise Malformed(NameTooLong(len(name)), names.at - len(name), names.path)
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
        names.bound(protocols, bounds.OFFERED)
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
        identities.bound(kept, bounds.OFFERED)
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


def _selected_group(body: Reader, answered: Answered) -> None:
    if body.left() >= 2:
        answered.group = body.u16("group")


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
    ExtensionType.KEY_SHARE: ("key_share", _selected_group),
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
            listed.bound(into.types, bounds.LISTED)
            kind, start, end = listed.typed("extension_type", "extension_data")
            into.types.append(kind)
            known = table.get(kind)
            if known is not None:
                name, read = known
                body = Reader(listed.data, f"{hello.path}.extensions.{name}", start, end)
                try:
                    read(body, into)
                except Malformed as problem:
                    into.problem = into.problem or (problem.mistake, problem.offset, problem.path)
                    into.partial = into.partial or isinstance(problem.mistake, TooMany)  # more than is known
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
