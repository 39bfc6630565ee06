"""Forms of captures that are rarer: compression by bzip2 and xz, check sequences, AIX, old blocks; what is cut short;
formats of others, by name.
"""

from __future__ import annotations

import bz2
import lzma
import shlex
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from inspector import bounds
from inspector.capture.files import Story
from inspector.capture.foreign import STARTS, foreign
from inspector.errors import UnreadableError
from tests.build import document_of, facts_of, pcap
from tests.test_capture_files import block, frames, interface, option, packet, section
from tests.test_encapsulations import plain, told
from tests.waiting import COMMAND_SECONDS

Frames = list[tuple[int, bytes]]


def with_link_field(
    field: int, listed: Frames, *, order: str = "<", tail: bytes = b"", version: tuple[int, int] = (2, 4)
) -> bytes:
    data = bytearray(pcap([(ns, frame + tail) for ns, frame in listed], order=order, nano=version == (2, 4)))
    struct.pack_into(order + "HH", data, 4, *version)
    struct.pack_into(order + "I", data, 20, field)
    if version != (2, 4):  # AIX: nanoseconds under the magic number of microseconds
        at = 24
        for ns, frame in listed:
            struct.pack_into(order + "I", data, at + 4, ns % 10**9)
            at += 16 + len(frame) + len(tail)
    return bytes(data)


def old_blocks() -> bytes:
    """Packet Blocks of the first version, among blocks that are passed over: a name resolution, an entry of systemd's
    journal, a custom one.
    """
    others = block(4, struct.pack("<HH", 0, 0)) + block(9, b"__REALTIME_TIMESTAMP=0\n") + block(0x0BAD, b"\0\0\0\0data")
    pieces = [
        block(2, struct.pack("<HHIIII", 0, 0, ns >> 32, ns & 0xFFFFFFFF, len(f), len(f)) + f) for ns, f in frames()
    ]
    return section() + interface(1, option(9, b"\x09")) + others.join(pieces)


RARE_FORMS = {
    "bzip2": lambda: bz2.compress(pcap(frames())),
    "bzip2 members": lambda: bz2.compress(pcap(frames())[:500]) + bz2.compress(pcap(frames())[500:]),
    "xz": lambda: lzma.compress(pcap(frames())),
    "xz streams and padding": lambda: (
        lzma.compress(pcap(frames())[:500]) + bytes(8) + lzma.compress(pcap(frames())[500:]) + bytes(4)
    ),
    "xz of pcapng": lambda: lzma.compress(
        section() + interface(1, option(9, b"\x09")) + b"".join(packet(ns, f) for ns, f in frames())
    ),
    "four bytes of check sequence": lambda: with_link_field(0x24000001, frames(), tail=b"\xde\xad\xbe\xef"),
    "two bytes of check sequence": lambda: with_link_field(0x14000001, frames(), tail=b"\xde\xad"),
    "AIX": lambda: with_link_field(6, frames(), order=">", version=(2, 2)),
    "old packet blocks": old_blocks,
}


@pytest.mark.parametrize("form", RARE_FORMS)
def test_rare_forms(tmp_path: Path, form: str) -> None:
    usual, rare = tmp_path / "usual.pcap", tmp_path / "rare"
    usual.write_bytes(pcap(frames()))
    rare.write_bytes(RARE_FORMS[form]())
    assert told(document_of(rare)) == told(document_of(usual))


def test_check_sequences_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "fcs.pcap"
    path.write_bytes(with_link_field(0x24000001, frames(), tail=b"\xde\xad\xbe\xef"))
    (batch,) = Story([str(path)]).batches()
    assert batch.captured.tolist() == batch.original.tolist() == [len(frame) for _, frame in frames()]


@pytest.mark.parametrize("data", [bz2.compress(pcap(frames())), lzma.compress(pcap(frames()))], ids=["bzip2", "xz"])
def test_compression_that_is_cut_or_damaged(tmp_path: Path, data: bytes) -> None:
    """Never an exception: what comes out is read, the rest is named."""
    path = tmp_path / "capture"
    for length in range(1, len(data), 97):
        path.write_bytes(data[:length])
        with suppress(UnreadableError):
            assert facts_of(path).captures[0].damage
    for at in range(6, len(data), 97):
        changed = bytearray(data)
        changed[at] ^= 0x41
        path.write_bytes(bytes(changed))
        with suppress(UnreadableError):
            facts_of(path)


def test_a_few_bytes_that_stand_for_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "bomb.bz2"
    path.write_bytes(bz2.compress(pcap(frames()) + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31) + bytes(64 << 20)))
    capture = facts_of(path).captures[0]
    assert capture.damage
    assert capture.bytes < (32 << 20) + bounds.BATCH_BYTES


@pytest.mark.parametrize(
    ("start", "name", "command"), STARTS, ids=[f"{name} {start[:4]!r}" for start, name, _ in STARTS]
)
def test_formats_of_others_are_refused_by_name(tmp_path: Path, start: bytes, name: str, command: str) -> None:
    path = tmp_path / "a capture.dat"
    path.write_bytes(start + bytes(200))
    with pytest.raises(UnreadableError) as error:
        Story([str(path)])
    assert name in str(error.value)
    assert error.value.hint is not None
    words = shlex.split(error.value.hint)
    assert words[0] == command.split()[0]
    assert str(path) in words
    assert all(word != str(path) for word in words[words.index(str(path)) + 1 :])


ERF_RECORD = struct.pack(
    "<IIBBHHH", 0, 1_700_000_000, 2, 4, int.from_bytes((90).to_bytes(2, "big"), "little"), 0, 0
) + bytes(74)
LEANINGS = {
    "erf": (ERF_RECORD * 2, "Endace", "editcap"),
    "tar": (b"capture.pcap".ljust(257, b"\0") + b"ustar\x0000" + bytes(200), "tar archive", "tar"),
    "tshark -x": (
        b"0000  02 00 00 00 00 01 02 00 00 00 00 02 08 00 45 00   ..............E.\n",
        "hex dump",
        "text2pcap",
    ),
    "tcpdump -x": (
        b"22:13:20.000000 IP 10.0.0.1.4 > 10.0.0.2.5: Flags [S]\n\t0x0000:  4500 0028 0001 0000\n",
        "hex dump",
        "text2pcap",
    ),
}


@pytest.mark.parametrize("kind", LEANINGS)
def test_formats_without_a_magic_number(kind: str) -> None:
    head, name, command = LEANINGS[kind]
    found = foreign(head, "x.dat")
    assert found is not None
    assert name in found.name
    assert found.command.startswith(command)


def test_what_nobody_knows_is_not_named() -> None:
    assert foreign(b"hello, I am text\n", "x.txt") is None
    assert foreign(bytes(400), "x") is None
    trace = foreign(bytes(400), "trace.etl")
    assert trace is not None
    assert trace.command == "etl2pcapng trace.etl trace.pcapng"


def cut(length: int, snap_length: int = 0) -> bytes:
    """As tcpdump -s writes it."""
    data = bytearray(pcap([]))
    struct.pack_into("<I", data, 16, snap_length or length)
    for ns, frame in plain():
        data += struct.pack("<IIII", ns // 10**9, ns % 10**9, min(len(frame), length), len(frame)) + frame[:length]
    return bytes(data)


def texts(path: Path, kind: str) -> list[str]:
    return [limit.text for limit in document_of(path).limits if limit.kind == kind]


def test_headers_only(tmp_path: Path) -> None:
    path = tmp_path / "s54.pcap"
    path.write_bytes(cut(54))
    (text,) = texts(path, "clipped")
    assert "all payload" in text
    assert "54 bytes" in text
    assert "-s 0" in text
    assert texts(path, "undecoded") == []


@pytest.mark.parametrize(("length", "header"), [(40, "TCP"), (30, "IPv4"), (12, "ETHERNET")])
def test_headers_that_are_cut(tmp_path: Path, length: int, header: str) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(cut(length))
    (text,) = texts(path, "undecoded")
    assert header in text
    assert "cut inside a header" in text


def test_some_payload_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "s200.pcap"
    path.write_bytes(cut(200))
    (text,) = texts(path, "clipped")
    assert "200 bytes" in text
    assert "all payload" not in text


def remedies(path: Path) -> str:
    document = document_of(path)
    found = [r.text + r.check for f in document.findings for r in f.remedies] + [
        s.assessment.do for s in document.services
    ]
    return " ".join([*found, *(limit.text for limit in document.limits)])


def test_only_cut_captures_are_told_to_capture_whole_frames(tmp_path: Path) -> None:
    whole, short = tmp_path / "whole.pcap", tmp_path / "short.pcap"
    whole.write_bytes(
        pcap([(ns, frame) for ns, frame in plain() if len(frame) < 400])
    )  # the servers' flights are missing
    short.write_bytes(cut(200))
    assert "tcpdump" in remedies(whole)
    assert "-s 0" not in remedies(whole)
    assert "-s 0" in remedies(short)


def test_the_first_word_is_what_could_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "strange.pcap"
    path.write_bytes(pcap(frames(), link_type=230))
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "analyze", "--strict", str(path)],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 3
    assert "link type 230 (IEEE802_15_4_NOFCS)" in done.stdout.split("No TLS was found", maxsplit=1)[0]
    assert "No TLS was found in what could be read." in " ".join(done.stdout.split())


def test_what_capturing_again_would_not_mend_has_another_remedy_or_none(tmp_path: Path) -> None:
    """Frames that are not opened, beside a service that was seen whole: another place is named, and no
    larger buffer.
    """
    path = tmp_path / "beside.pcap"
    path.write_bytes(pcap([*plain(), (plain()[-1][0], bytes(12) + b"\x43\x21" + bytes(40))]))
    (finding,) = [f for f in document_of(path).findings if f.rule == "capture-incomplete"]
    (remedy,) = finding.remedies
    assert "where these frames carry no tunnel" in remedy.text
