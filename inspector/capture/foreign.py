"""Formats that others read and this program does not: known by how they begin, each with the one command that makes a
pcapng file of it.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
from typing import NamedTuple

EDITCAP = "editcap -F pcapng {path} {plain}.pcapng"
"""Of Wireshark; it reads two dozen formats."""

STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"snoop\0\0\0", "a capture of snoop (Solaris)", EDITCAP),
    (b"RTSS", "a capture of Microsoft Network Monitor 1", EDITCAP),
    (b"GMBU", "a capture of Microsoft Network Monitor 2", EDITCAP),
    (b"TRSNIFF data    \x1a", "a capture of Sniffer (DOS)", EDITCAP),
    (b"XCP\0", "a capture of Sniffer or NetXRay (Windows)", EDITCAP),
    (b"VL\0\0", "a capture of NetXRay 1", EDITCAP),
    (b"\xaa\xaa\xaa\xaa", "a capture of 5Views (Accellent)", EDITCAP),
    (b"iptrace 1.0", "a capture of iptrace (AIX)", EDITCAP),
    (b"iptrace 2.0", "a capture of iptrace (AIX)", EDITCAP),
    (b"btsnoop\0", "a capture of Bluetooth HCI (btsnoop)", EDITCAP),
    (b"\x54\x52\x00\x64\x00", "a capture of nettl (HP-UX)", EDITCAP),
    (b"\xac\x01\x00\x1c", "a capture of Ixia (lcap)", EDITCAP),
    (b"\xab\x01\x00\x1c", "a capture of Ixia (lcap)", EDITCAP),
    (b"\x1c\x00\x01\xac", "a capture of Ixia (lcap)", EDITCAP),
    (b"\x1c\x00\x01\xab", "a capture of Ixia (lcap)", EDITCAP),
    (b"\x05VNF", "a capture of Visual Networks", EDITCAP),
    (b"\x42\xd2\x00\x34\x12\x66\x22\x88", "a capture of RADCOM", EDITCAP),
    (b"\x7fver", "a capture of OmniPeek", EDITCAP),
    (b"ObserverPktBufferVersion=", "a capture of Network Instruments Observer", EDITCAP),
    (b"Session Transcript", "a capture of Catapult DCT2000", EDITCAP),
    (b"\x01\x10\x4c\x00", "a capture of LANalyzer", EDITCAP),
    (b"+---------+", "a capture of Tektronix K12", EDITCAP),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "lz4 -d {path} {plain}"),
    (b"\x02\x21\x4c\x18", "compressed by lz4", "lz4 -d {path} {plain}"),
    (b"LZIP", "compressed by lzip", "lzip -d -k {path}"),
    (b"\x89LZO", "compressed by lzop", "lzop -d {path}"),
    (b"\x1f\x9d", "compressed by compress", "gzip -d -k {path}"),
    (b"\x5d\x00\x00", "compressed by lzma", "xz -d -k --format=lzma {path}"),
    (b"\xff\x06\x00\x00sNaPpY", "compressed by snappy", "snzip -d {path}"),
    (b"PK\x03\x04", "a zip archive", "unzip {path}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {path}"),
    (b"Rar!\x1a\x07", "a rar archive", "unrar x {path}"),
)
HEXDUMP = re.compile(rb"\s*(?:[0-9a-fA-F]{4,8}:?\s+(?:[0-9a-fA-F]{2}\s?){2,}|0x[0-9a-fA-F]{4}:\s+[0-9a-fA-F]{4})")
TEXT_DUMP = re.compile(rb"^\s*0x[0-9a-fA-F]{4}:\s+[0-9a-fA-F]{4}", re.MULTILINE)
ERF_TYPES = range(1, 49)
TAR_AT = 257


class Foreign(NamedTuple):
    """``name``: what it is, with its article. ``command``: what makes something of it that is read."""

    name: str
    command: str


def foreign(head: bytes, path: str) -> Foreign | None:
    """What a file that is neither pcap nor pcapng is, by its first bytes; None where nobody knows."""
    for start, name, command in STARTS:
        if head.startswith(start):
            return _with(name, command, path)
    if head[TAR_AT : TAR_AT + 5] == b"ustar":
        return _with("a tar archive", "tar -xf {path}", path)
    if _is_erf(head):
        return _with("a capture of Endace (ERF)", EDITCAP, path)
    if HEXDUMP.match(head) or TEXT_DUMP.search(head[:4096]):
        return _with("a hex dump", "text2pcap {path} {plain}.pcapng", path)
    if path.lower().endswith(".etl"):
        return _with("a trace of Windows (ETW)", "etl2pcapng {path} {plain}.pcapng", path)
    return None


def _with(name: str, command: str, path: str) -> Foreign:
    if path == "-":
        return Foreign(name, command.format(path="IN", plain="OUT"))
    return Foreign(name, command.format(path=shlex.quote(path), plain=shlex.quote(os.path.splitext(path)[0])))


def _is_erf(head: bytes) -> bool:
    """Two records of ERF one behind the other: types that are known, lengths that fit, less than a day between their
    times.
    """
    if len(head) < 32:
        return False
    length = int.from_bytes(head[10:12], "big")
    following = head[length : length + 16]
    if length < 16 or len(following) < 16 or head[8] & 0x7F not in ERF_TYPES or following[8] & 0x7F not in ERF_TYPES:
        return False
    first, second = struct.unpack_from("<4xI", head)[0], struct.unpack_from("<4xI", following)[0]
    return bool(first > 0 and abs(second - first) < 86_400)
