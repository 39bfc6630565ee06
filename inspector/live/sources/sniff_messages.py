"""What the capturing process (``sniff``) is told when it starts, and what it reports: JSON, a line each."""

from __future__ import annotations

import json
import os
from typing import Literal

import msgspec

from inspector.live.host.privileges import Account

CaptureMethod = Literal["any", "libpcap", "system-libpcap", "scapy"]
"""``libpcap``: the one that comes with this program, else the system's."""

Obstacle = Literal["permission", "library", "device", "filter"]
"""Why a capture cannot be opened."""


class SniffOptions(msgspec.Struct, frozen=True):
    """``filter``: as in pcap-filter(7). ``account``: whom the process becomes once the capture is open, None where it
    stays who it is. ``snaplen``: bytes of a packet. ``waits``: for an interface that is not there yet. ``status``: the
    descriptor that reports go to; ``other``: of the second region of memory (see ``handover``).
    """

    interface: str
    filter: str
    account: Account | None
    snaplen: int
    buffer_mib: int
    promiscuous: bool
    by: CaptureMethod
    waits: bool = False
    status: int = -1
    other: int = -1


class CaptureOpened(msgspec.Struct, tag="opened"):
    """``by``: the library that captures, with its version; ``method``: which one that is."""

    by: str
    method: CaptureMethod


class CaptureConfined(msgspec.Struct, tag="confined"):
    """Once, before it is open or waited for. ``landlock``, ``is_filtered``: see ``Confinement``; ``problem``: why it is
    not confined, as the system says, empty where it is.
    """

    landlock: int = 0
    is_filtered: bool = False
    problem: str = ""


class CaptureFailed(msgspec.Struct, tag="failed"):
    """It cannot be opened."""

    obstacle: Obstacle
    text: str


class CaptureLost(msgspec.Struct, tag="lost"):
    """The interface has gone, and ``CaptureBack`` follows when it comes again; or it is not there yet, and
    ``CaptureOpened`` follows when it comes.
    """

    text: str


class CaptureBack(msgspec.Struct, tag="back"):
    """Packets come again."""


class PacketCounts(msgspec.Struct, tag="counts"):
    """Since the process began."""

    received: int
    dropped: int


class FramesReady(msgspec.Struct, tag="frames"):
    """``region`` holds so many bytes of pcap records."""

    region: int
    filled: int


SniffReport = CaptureConfined | CaptureOpened | CaptureFailed | CaptureLost | CaptureBack | PacketCounts | FramesReady


def encoded(message: SniffOptions | SniffReport) -> str:
    """One line, in ASCII: what is no UTF-8 in names of devices comes through as well."""
    return json.dumps(msgspec.to_builtins(message))


def decode_report(line: bytes) -> SniffReport:
    """What ``encoded`` made of it."""
    report: SniffReport = msgspec.convert(json.loads(line), SniffReport)
    return report


def decode_options(text: str) -> SniffOptions:
    """What ``encoded`` made of it."""
    return msgspec.convert(json.loads(text), SniffOptions)


class Reporter:
    """The capturing process' line to its parent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, report: SniffReport) -> None:
        os.write(self._descriptor, f"{encoded(report)}\n".encode())
