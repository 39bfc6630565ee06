"""HAProxy's lines in other orders and forms than its own: ``log-format`` lets everybody write a connection as they
like.

Three forms are told apart. *Named*: JSON, or ``key=value`` in any order; the names say what is what. *Common log
format* (``option httplog clf``), whose client's port stands far behind its address. *Positional*: the client is the
first address with a port (one of the captured clients, where those are known); ``backend/server`` stands together, or
the last two names side by side are backend and server, as in ``%b %s``. Time may stand anywhere, as HAProxy's, ISO
8601, Internet or Unix time; where the line has none, its envelope has, which then is the time of the line: that of the
connection's end.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container, Iterator
from typing import NamedTuple

import msgspec

from inspector.logs.entries import MILLISECOND_NS
from inspector.logs.opened import OpenedLog
from inspector.logs.records import stamp_of
from inspector.logs.stamps import (
    COMMON_ANYWHERE,
    INTERNET_ANYWHERE,
    ISO_ANYWHERE,
    SECOND_NS,
    UNIX_ANYWHERE,
    Stamp,
    stamp_in,
    zoned,
)

LOOKED_AT = 4096
TAG = re.compile(rb"haproxy(?:\[\d+\]:| \d+ \S+ (?:-|\[.*?\])| *:) ?", re.DOTALL)
PAIR = re.compile(r"([A-Za-z_@%][\w.%@-]{0,63})[=:](\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\]|[^\s,;|]+)")
ADDRESS = re.compile(rb"\d\.\d{1,3}\.\d{1,3}\.\d|::|(?:[0-9A-Fa-f]{1,4}:){4}")
"""What every line of a connection holds."""

ENDPOINT = re.compile(
    rb"(?<![\w.:/-])\[?((?:::ffff:)?\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}?)\]?(?::|[\s,;|\t\"]{1,4})(\d{1,5})(?![\w.:/-])"
)
"""An address and a port, perhaps in columns of their own."""

CLF = re.compile(
    rb"([0-9A-Fa-f.:]{2,45}) - - \[([^\]]{20,40})\] \"(?:[^\"\\]|\\.)*\" -?\d+ \+?\d+ \"[^\"]*\" \"[^\"]*\" (\d{1,5})"
    rb" (\d{1,3}) \"([^\"]*)\" \"([^\"]*)\" \"([^\"]*)\""
)
"""``%ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s``."""

CONNECT = re.compile(rb"Connect from (\S+):(\d{1,5}) to \S+ \((\S+)/(?:TCP|HTTP)\)")
"""Without any log option; it names no server, and is written when the connection is accepted."""

TROUBLE = re.compile(rb"\] [^\s/]+/[^\s/]+: ")
"""A connection that never was one: ``[time] frontend/bind: SSL handshake failure``."""

JOINED = re.compile(
    rb"(?<![\w./:<>-])([A-Za-z_][\w.:~-]{0,254})/(<[A-Z]+>|[A-Za-z_0-9][\w.:-]{0,254}?)(?![\w/:])(?=[\s,;|\"'\])]|$)"
)
NAME = re.compile(rb"(?<![\w./:<>=-])([A-Za-z_][\w.~-]{1,254}|<[A-Z]+>)(?![\w./:<>=-])")
FLAGS = re.compile(rb"[A-Z-]{2,4}|HTTP|TCP|GET|POST|PUT|HEAD|NOSRV|TLSv[\d.]+|TLS_\w+|true|false|null|stdout|stderr")
BETWEEN = re.compile(rb"[\s,;|\t\"']{1,4}")
SERVERLESS = ("<NOSRV>", "NOSRV", "-", "")
Clients = Container[tuple[str, int]]
"""Addresses and ports of clients."""

MOST_MEMBERS = 200

CLIENT_KEYS = frozenset(
    (
        "client",
        "clientaddr",
        "clientaddress",
        "clientip",
        "clientendpoint",
        "c",
        "ci",
        "src",
        "srcip",
        "srcaddr",
        "source",
        "sourceip",
        "sourceaddress",
    )
)
CLIENT_KEYS |= {"remote", "remoteaddr", "remoteaddress", "remoteip", "peer", "peeraddr", "from", "cip"}
PORT_KEYS = frozenset(("cp", "clientport", "srcport", "sourceport", "sport", "remoteport", "peerport", "cport"))
TIME_KEYS = frozenset(
    (
        "time",
        "timestamp",
        "date",
        "datetime",
        "t",
        "tr",
        "ts",
        "tl",
        "at",
        "when",
        "acceptdate",
        "accept",
        "accepted",
        "accepttime",
        "start",
        "starttime",
    )
)
TIME_KEYS |= {"timelocal", "eventstart"}
MILLISECOND_KEYS = frozenset(("ms", "msec", "millis", "milliseconds"))
BACKEND_KEYS = frozenset(("backend", "be", "b", "backendname", "bename", "bck", "pool"))
SERVER_KEYS = frozenset(
    ("server", "srv", "s", "servername", "srvname", "backendserver", "beserver", "besrv", "upstream", "route", "sv")
)
SERVER_ADDRESS_KEYS = frozenset(
    (
        "serverip",
        "serveraddr",
        "serveraddress",
        "si",
        "srvip",
        "srvaddr",
        "serverendpoint",
        "dst",
        "upstreamaddr",
        "sip",
        "destinationip",
    )
)
SERVER_PORT_KEYS = frozenset(("serverport", "sp", "srvport", "dstport", "upstreamport", "destinationport"))


class HaproxyFields(NamedTuple):
    """A connection as a line tells it. ``stamp``: None where its time cannot be read. ``is_end``: the time is that of
    the line.
    """

    client: str
    port: int
    stamp: Stamp | None
    backend: str
    server: str
    address: str
    text: str
    is_end: bool = False


def read_fields(opened: OpenedLog, clients: Clients | None, near_ns: int | None = None) -> HaproxyFields | None:
    """What a line of any form tells of a connection; None where it tells of none. ``clients``: as in ``HaproxyLog``;
    ``near_ns``: as in ``stamps.syslog``.
    """
    line = opened.text[:LOOKED_AT]
    if ADDRESS.search(line) is None:
        return None
    tag = TAG.search(line)
    if tag is not None and b'{"' in line[: tag.start()]:
        return None  # what stands in JSON is taken out of it first
    body = line[tag.end() :] if tag is not None else line
    body = body.strip(b" \t\"'") if body[:1] != b"{" else body
    if body[:1] == b"{":
        fields = _named(list(_members(body)), body)
    elif TROUBLE.search(body) is not None:
        return None
    elif (connect := CONNECT.search(body)) is not None:
        fields = _connected(connect, body)
        before = opened.at or (stamp_in(line[: tag.start()], near_ns) if tag is not None else None)
        return fields._replace(stamp=before) if fields is not None else None
    else:
        fields = (
            _common(body)
            or _named(list(_pairs(body)), body)
            or _positional(body, tag is not None or b"haproxy" in opened.source, clients)
        )
    if fields is None:
        return None
    if fields.stamp is not None:
        return fields
    at = opened.at or (stamp_in(line[: tag.start()], near_ns) if tag is not None else None)
    return (
        fields
        if at is None
        else fields._replace(stamp=at, is_end=True, text=f"{zoned(at).decode()} haproxy[0]: {fields.text}")
    )


def _members(body: bytes) -> Iterator[tuple[str, object]]:
    """The members of a JSON object, those of members behind their names."""
    try:
        decoded = msgspec.json.decode(body.rstrip(b", \t"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return
    open_: list[tuple[str, object]] = [("", decoded)]
    count = 0
    while open_ and count < MOST_MEMBERS:
        count += 1
        name, value = open_.pop(0)
        if isinstance(value, dict):
            open_ += [(f"{name} {key}", member) for key, member in value.items() if isinstance(key, str)]
        else:
            yield name, value


def _pairs(body: bytes) -> Iterator[tuple[str, object]]:
    for match in PAIR.finditer(body.decode("utf-8", "backslashreplace")):
        yield match[1], match[2].strip('"[]')


def _named(members: list[tuple[str, object]], body: bytes) -> HaproxyFields | None:
    """What names say: the client with its port, and a backend or server, or it is no such line."""

    def values(names: frozenset[str]) -> Iterator[object]:
        return (
            value
            for name, value in members
            if value not in (None, "", "-") and any(key in names for key in _keys(name))
        )

    port, server_port = next(values(PORT_KEYS), None), next(values(SERVER_PORT_KEYS), None)
    client = next((end for value in values(CLIENT_KEYS) if (end := _endpoint(value, port)) is not None), None)
    server, backend = (
        next((value for value in values(names) if isinstance(value, str) and not value.isdigit()), "")
        for names in (SERVER_KEYS, BACKEND_KEYS)
    )
    if client is None or not (server or backend):
        return None
    for joined in (server, backend):
        if joined.count("/") == 1:
            backend, _, server = joined.partition("/")
            break
    address = next(
        (end for value in values(SERVER_ADDRESS_KEYS) if (end := _endpoint(value, server_port)) is not None), None
    )
    stamp = next(
        (
            at
            for name, value in members
            if any(key in TIME_KEYS for key in _keys(name)) and (at := stamp_of(_number(value))) is not None
        ),
        None,
    )
    if stamp is None and body[:1] != b"{":
        stamp = stamp_in(body)
    rest = _number(next(values(MILLISECOND_KEYS), None))
    if stamp is not None and stamp.resolution_ns == SECOND_NS and isinstance(rest, int) and 0 <= rest < 1000:
        stamp = Stamp(stamp.ns + rest * MILLISECOND_NS, stamp.has_zone, MILLISECOND_NS)
    server_address = f"{address[0]}:{address[1]}" if address is not None else ""
    return HaproxyFields(*client, stamp, backend, "" if server in SERVERLESS else server, server_address, _text(body))


def _keys(name: str) -> list[str]:
    """What a member may be called: its name, with those of the members that it stands in, without marks."""
    parts = ["".join(c for c in part.lower() if c.isalnum()).removeprefix("haproxy") for part in name.split()]
    return ["".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]


def _number(value: object) -> object:
    """A text of digits as a number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19 else value


def _endpoint(address: object, port: object) -> tuple[str, int] | None:
    """Address and port: together, or apart."""
    if not isinstance(address, str):
        return None
    number = _number(port)
    host, colon, behind = address.rpartition(":")
    for text, end in ((address, number), (host, _number(behind) if colon else None)):
        try:
            if isinstance(end, int) and 0 < end < 65536:
                return _address(text.strip("[]")), end
        except ValueError:
            continue
    return None


def _address(text: str) -> str:
    """As the wire's are written. Raises ValueError."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _connected(match: re.Match[bytes], body: bytes) -> HaproxyFields | None:
    try:
        return HaproxyFields(
            client=_address(match[1].decode("ascii", "replace").strip("[]")),
            port=int(match[2]),
            stamp=None,
            backend="",
            server="",
            address="",
            text=_text(body),
        )
    except ValueError:
        return None


def _common(body: bytes) -> HaproxyFields | None:
    match = CLF.search(body)
    if match is None:
        return None
    try:
        client = _address(match[1].decode("ascii"))
    except ValueError:
        return None
    stamp = stamp_in(match[2])
    if stamp is not None and stamp.resolution_ns == SECOND_NS and len(match[4]) == 3:
        stamp = Stamp(stamp.ns + int(match[4]) * MILLISECOND_NS, stamp.has_zone, MILLISECOND_NS)
    server = _text(match[7])
    return HaproxyFields(
        client=client,
        port=int(match[3]),
        stamp=stamp,
        backend=_text(match[6]),
        server="" if server in SERVERLESS else server,
        address="",
        text=_text(body[match.start() :]),
    )


def _positional(body: bytes, is_tagged: bool, clients: Clients | None) -> HaproxyFields | None:
    ends = list(_endpoints(_without_times(body)))
    if not ends:
        return None
    ours = [end for end in ends if clients is not None and end in clients]
    client = (ours or ends)[0]
    joined = next((match for match in JOINED.finditer(body) if match[1] != b"HTTP"), None)
    stamp = stamp_in(body)
    if joined is not None:
        backend, server = _text(joined[1]), _text(joined[2])
    elif is_tagged or (ours and stamp is not None):
        pair = _side_by_side(body)
        if pair is None:
            return None
        backend, server = pair
    else:
        return None
    if joined is not None and not is_tagged and stamp is None:
        return None
    address = (
        next((f"{host}:{port}" for host, port in reversed(ends) if (host, port) != client), "") if len(ends) > 1 else ""
    )
    return HaproxyFields(*client, stamp, backend, "" if server in SERVERLESS else server, address, _text(body))


def _without_times(body: bytes) -> bytes:
    """Times look like addresses in version 6."""
    for form in (COMMON_ANYWHERE, ISO_ANYWHERE, INTERNET_ANYWHERE, UNIX_ANYWHERE):
        body = form.sub(b" - ", body, count=1)
    return body


def _endpoints(body: bytes) -> Iterator[tuple[str, int]]:
    for match in ENDPOINT.finditer(body):
        try:
            yield _address(match[1].decode("ascii")), int(match[2])
        except ValueError:
            continue


def _side_by_side(body: bytes) -> tuple[str, str] | None:
    """The last two names with nothing but a separator between them."""
    names = [match for match in NAME.finditer(body) if not FLAGS.fullmatch(match[1])]
    for first, second in zip(reversed(names[:-1]), reversed(names[1:]), strict=True):
        if BETWEEN.fullmatch(body, first.end(), second.start()):
            return _text(first[1]), _text(second[1])
    return None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
