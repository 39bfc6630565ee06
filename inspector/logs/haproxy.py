"""HAProxy's logs: who connected, when, and to which server it was sent.

The TCP and HTTP formats, ``haproxy[374]: 127.0.0.1:34798 [23/Nov/2026:17:28:10.259] frontend backend/server …``, are
read in one go; whatever stands before the client's address (syslog's header) is not looked at, nor is what stands
behind the server, but for ``-> ADDRESS`` where a format writes it. HAProxy writes local time without a zone. Lines in
any other order or form go to ``haproxy_formats``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar, Literal

from inspector.errors.logs import TooManyConnections
from inspector.logs.entries import UNKNOWN, LogFacts, Proxied
from inspector.logs.haproxy_formats import Clients, HaproxyFields, read_fields
from inspector.logs.opened import OpenedLog
from inspector.logs.stamps import COMMON, Stamp, common

WHO = rb"(?:^|[\s:\"])(?:::ffff:)?\[?([0-9A-Fa-f.:]{2,45}?)\]?:(\d{1,5})\s+\["
CLIENT = re.compile(WHO)
LINE = re.compile(
    WHO + COMMON + rb"\]\s+([^\s/]+)(?:\s+[^\s/]+:\d+)?\s+([^\s/]+)/(<?[^\s>]+>?)(?:\s+\S+\s+->\s+(\S+:\d+))?"
)
SECOND = len("23/Nov/2026:17:28:10")
ADDRESSES = 100_000
LOOKED_AT = 1024
"""So much of a line is looked at: what names client and server stands at its head."""

MOST_CONNECTIONS = 1_000_000
TEXT = 400
NONE = b"<NOSRV>"


class HaproxyLog:
    """Lines in, connections out."""

    FORM: ClassVar[str] = "haproxy"
    GIVES: ClassVar[Literal["failures", "connections"]] = "connections"
    IS_BY_SOURCE: ClassVar[bool] = False

    def __init__(self, facts: LogFacts, clients: Clients | None = None, near_ns: int | None = None) -> None:
        """``clients``: addresses and ports that alone are kept; None for all. ``near_ns``: as in ``stamps.syslog``."""
        self.facts = facts
        self._clients = clients
        self._near_ns = near_ns
        self._address_texts: dict[bytes, str] = {}
        self._second = b""
        """The time of the last line to the second: others of that second whose clients are not looked for need no
        closer look.
        """

    @staticmethod
    def is_ours(opened: OpenedLog, clients: Clients | None = None) -> bool:
        """Whether a line is one that HAProxy writes for a connection."""
        match = LINE.search(opened.text[:LOOKED_AT])
        if match is not None:
            return b'{"' not in opened.text[: match.start()]  # what stands in JSON is taken out of it first
        return read_fields(opened, clients) is not None

    def _is_other(self, address: bytes, port: bytes) -> bool:
        """Whether this client is none of those that are looked for."""
        if self._clients is None:
            return False
        text = self._address_texts.get(address)
        if text is None:
            if len(self._address_texts) >= ADDRESSES:
                self._address_texts.clear()
            try:
                text = str(ipaddress.ip_address(address.decode("ascii")))
            except ValueError:
                text = ""
            self._address_texts[address] = text
        return (text, int(port)) not in self._clients

    def line(self, number: int, line: bytes, at: Stamp | None = None, source: bytes = b"") -> bool:
        """The next line, without its end; False where it tells of no connection. ``at``, ``source``: by
        its envelope.
        """
        if self.facts.form not in (self.FORM, UNKNOWN) and not self._may_be_ours(line, source):
            return False
        head = line[:LOOKED_AT]
        begun = CLIENT.search(head)
        if begun is not None and line[:1] != b"{":
            second = head[begun.end() : begun.end() + SECOND]
            if second == self._second and self._is_other(begun[1], begun[2]):
                self.facts.others += 1
                self.facts.note_form(self.FORM)
                return True
            match = LINE.search(head)
            if match is not None:
                self._second = second
                self.facts.note_form(self.FORM)
                return self._plain(number, head, match)
        fields = read_fields(OpenedLog(line, at, source), self._clients, self._near_ns)
        if fields is not None:
            self.facts.note_form(self.FORM)
            self._entry(number, fields)
        return fields is not None

    def _may_be_ours(self, line: bytes, source: bytes) -> bool:
        """In a log of another format: a look that is cheaper than reading the line."""
        return b"haproxy" in source or b"haproxy" in line[:256] or CLIENT.search(line, 0, 256) is not None

    def continued(self, line: bytes) -> None:
        """Entries are lines."""

    def _plain(self, number: int, line: bytes, match: re.Match[bytes]) -> bool:
        groups = match.groups()
        try:
            stamp = common(groups[2:10])
            client = str(ipaddress.ip_address(groups[0].decode("ascii")))
        except ValueError:
            self.facts.untimed += 1
            return True
        ns, has_zone, resolution_ns = stamp
        port = int(groups[1])
        facts = self.facts
        facts.note_time(ns, has_zone)
        if self._is_kept(client, port):
            server = b"" if groups[12] == NONE else groups[12]
            detail_text = _text(line[match.start(1) :], TEXT)
            facts.proxied.append(
                Proxied(
                    line=number,
                    ns=ns,
                    client=client,
                    port=port,
                    backend=_text(groups[11]),
                    server=_text(server),
                    address=_text(groups[13] or b""),
                    text=detail_text,
                    has_zone=has_zone,
                    resolution_ns=resolution_ns,
                    form=self.FORM,
                )
            )
        return True

    def _entry(self, number: int, fields: HaproxyFields) -> None:
        stamp = fields.stamp
        if stamp is None:
            self.facts.untimed += 1
            return
        facts = self.facts
        facts.note_time(stamp.ns, stamp.has_zone)
        if self._is_kept(fields.client, fields.port):
            facts.proxied.append(
                Proxied(
                    line=number,
                    ns=stamp.ns,
                    client=fields.client,
                    port=fields.port,
                    backend=fields.backend[:255],
                    server=fields.server[:255],
                    address=fields.address[:255],
                    text=fields.text[:TEXT],
                    has_zone=stamp.has_zone,
                    resolution_ns=stamp.resolution_ns,
                    is_end=fields.is_end,
                    form=self.FORM,
                )
            )

    def _is_kept(self, client: str, port: int) -> bool:
        """Whether a connection of this client is wanted, and there is room for it."""
        facts = self.facts
        if self._clients is not None and (client, port) not in self._clients:
            facts.others += 1
            return False
        if len(facts.proxied) >= MOST_CONNECTIONS:
            facts.problem = TooManyConnections(MOST_CONNECTIONS)
            return False
        return True


def _text(name: bytes, most: int = 255) -> str:
    return name[:most].decode("utf-8", "backslashreplace")
