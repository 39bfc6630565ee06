"""The process that captures: one interface in, pcap records into shared memory (``handover``), and JSON lines on its
state and on drops.

It does not look into packets. libpcap hands them on in C (``libpcap``); Scapy's socket does it where there is no
libpcap. Whoever parses them runs in another process, without rights. This one keeps the right to open captures, and
nothing else, whoever it was started by.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
import time
from ctypes.util import find_library
from functools import cache
from typing import Any, NoReturn, Protocol

from inspector.errors import InspectorError
from inspector.live.host.privileges import CAP_NET_RAW, become, keep_only, take_up
from inspector.live.host.sandbox import confine_capture
from inspector.live.sources.handover import REGION_BYTES, Handover
from inspector.live.sources.libpcap import PERMISSION_ERRORS, LivePcap, PcapError
from inspector.live.sources.pcap_library import pcap_library
from inspector.live.sources.sniff_messages import (
    CaptureBack,
    CaptureConfined,
    CaptureFailed,
    CaptureLost,
    CaptureMethod,
    CaptureOpened,
    Obstacle,
    PacketCounts,
    Reporter,
    SniffOptions,
    decode_options,
)
from inspector.live.sources.stdio_buffer import StdioBuffer
from inspector.system.parent import die_with_parent

RETIRE_SECONDS = 0.1
"""How long the kernel may gather packets before it hands them on."""

DRAIN_SECONDS = 0.05
"""How long frames are left to gather in the kernel's buffer: to wake seldom, and that a burst does not fill it."""

BUFFER_PARTS = 8
"""No longer than it takes, at the rate of before, to fill this part of the buffer."""

STATUS_SECONDS = 1.0
REOPEN_SECONDS = 1.0
SNAPLEN = 262_144
MIB = 1 << 20
MOST_FRAMES = 20_000
"""Handed on at once."""

RECORD_BYTES = 16
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, 1)
"""Nanoseconds, Ethernet."""

VERSION_AT = slice(4, 8)
ETHERNET = 1
SOL_PACKET, STATISTICS = 263, 6
"""PACKET_STATISTICS of packet(7): packets and drops since it was last asked."""


class Unavailable(InspectorError):
    """The capture cannot be opened."""

    def __init__(self, obstacle: Obstacle, text: str) -> None:
        super().__init__(text)
        self.obstacle: Obstacle = obstacle


class Handle(Protocol):
    """An open capture. ``by``: the library with its version."""

    by: str
    method: CaptureMethod

    def pump(self, seconds: float, also: list[int]) -> None:
        """Wait so long at most, or for another descriptor, then write what is there into the memory. Raises Unavailable
        where nothing more can come, behind what was written.
        """

    def drops(self) -> tuple[int, int]:
        """Packets received and dropped since this process began."""

    def reopen(self) -> None:
        """Open it again, behind the same stream. Raises Unavailable."""


class Libpcap:
    """libpcap."""

    method: CaptureMethod = "libpcap"

    def __init__(self, options: SniffOptions, output: Handover) -> None:
        """Raises Unavailable; ImportError too where the C library does not write where it should."""
        self._library = pcap_library(only_system=options.by == "system-libpcap")
        self.by = self._library.version
        self._options = options
        self._pcap = self._opened()
        self._past = (0, 0)
        self._gather = DRAIN_SECONDS
        self._pumped = time.monotonic()
        self._output = output
        self._stream = StdioBuffer()
        self._memory = output.memory
        self._stream.use(self._memory, REGION_BYTES)
        self._pcap.dump_to_stdout()
        output.filled = self._stream.filled
        if output.memory[VERSION_AT] != PCAP_HEADER[VERSION_AT]:
            raise ImportError("stdout does not take a buffer")

    def _opened(self) -> LivePcap:
        options = self._options
        try:
            pcap = LivePcap(
                self._library,
                options.interface,
                snaplen=options.snaplen,
                buffer_bytes=options.buffer_mib * MIB,
                seconds=RETIRE_SECONDS,
                promiscuous=options.promiscuous,
            )
        except PcapError as error:
            obstacle: Obstacle = "permission" if error.code in PERMISSION_ERRORS else "device"
            raise Unavailable(obstacle, f"{options.interface}: {error}") from None
        try:
            pcap.set_filter(options.filter)
        except PcapError as error:
            pcap.close()
            raise Unavailable("filter", f"-f {options.filter}: {error}") from None
        return pcap

    def pump(self, seconds: float, also: list[int]) -> None:
        descriptor = self._pcap.descriptor
        if descriptor in select.select([descriptor, *also], [], [], seconds)[0]:
            time.sleep(self._gather)
        output = self._output
        if output.memory is not self._memory:
            self._memory = output.memory
            self._stream.use(self._memory, REGION_BYTES)
        before = output.filled
        try:
            self._dump()
        except PcapError as error:
            raise Unavailable("device", str(error)) from None
        finally:
            output.filled = self._stream.filled
        now = time.monotonic()
        rate = (output.filled - before) / (now - self._pumped)
        self._pumped = now
        self._gather = min(DRAIN_SECONDS, self._options.buffer_mib * MIB / BUFFER_PARTS / max(rate, 1))

    def _dump(self) -> None:
        """What the kernel has, while there is room for it."""
        output = self._output
        while most := output.room // (SNAPLEN + RECORD_BYTES):
            before = output.filled
            self._pcap.dispatch(most)
            output.filled = self._stream.filled
            if output.filled - before < most * RECORD_BYTES:  # fewer than it might have been
                return

    def drops(self) -> tuple[int, int]:
        try:
            statistics = self._pcap.statistics()
        except PcapError:
            return self._past
        return self._past[0] + statistics.received, self._past[1] + statistics.dropped

    def reopen(self) -> None:
        past = self.drops()
        pcap = self._opened()
        if pcap.link_type != self._pcap.link_type:
            pcap.close()
            raise Unavailable("device", f"{self._options.interface}: came back with another link type")
        pcap.continue_dump(self._pcap)
        self._pcap.close()
        self._pcap, self._past = pcap, past


@cache
def has_library() -> bool:
    """Whether the system has a libpcap: looked for once, while this process may still start what looks for it."""
    return find_library("pcap") is not None


class Scapy:
    """Scapy's packet sockets, one for each interface, at a fraction of libpcap's speed; that compiles the filter."""

    method: CaptureMethod = "scapy"

    def __init__(self, options: SniffOptions, output: Handover) -> None:
        from scapy.config import conf

        self.by = f"Scapy {conf.version}"
        self._options = options
        self._has_library = has_library()
        self._sockets = self._opened()
        self._received = self._dropped = 0
        self._output = output
        self._write(PCAP_HEADER)

    def _opened(self) -> dict[Any, Any]:
        import scapy.layers.l2  # tells link types
        from scapy.arch.linux import L2ListenSocket
        from scapy.config import conf
        from scapy.error import Scapy_Exception
        from scapy.interfaces import get_working_ifaces

        options = self._options
        interface = options.interface
        conf.ifaces.reload()  # it remembers those that there were
        names = [known.name for known in get_working_ifaces()] if interface == "any" else [interface]
        sockets: dict[Any, Any] = {}
        try:
            import scapy.libs.winpcapy  # noqa: F401 - compiles filters; loaded before rights are given up

            for name in names:
                listening = L2ListenSocket(iface=name, filter=options.filter, promisc=options.promiscuous)
                if conf.l2types.layer2num.get(listening.LL) == ETHERNET:
                    sockets[listening.ins] = listening
        except PermissionError as error:
            raise Unavailable("permission", f"{interface}: {error.strerror}") from None
        except (OSError, ValueError) as error:
            obstacle: Obstacle = "device" if self._has_library else "library"
            raise Unavailable(obstacle, f"{interface}: {error}") from None
        except Scapy_Exception as error:
            raise Unavailable("filter", f"-f {options.filter}: {error}") from None
        if not sockets:
            raise Unavailable("device", f"{interface}: not an Ethernet device; only libpcap reads others")
        return sockets

    def pump(self, seconds: float, also: list[int]) -> None:
        ready = [one for one in select.select([*self._sockets, *also], [], [], seconds)[0] if one in self._sockets]
        until = time.monotonic() + seconds
        count = 0
        try:
            while ready and time.monotonic() < until and count < MOST_FRAMES and self._output.room > MIB:
                count += len(ready)
                for one in ready:
                    _, data, moment = self._sockets[one].recv_raw(SNAPLEN)
                    if data is not None:
                        ns = int(moment * 1e9) if moment else time.time_ns()
                        captured = data[: self._options.snaplen]
                        self._write(
                            struct.pack("<IIII", *divmod(ns, 1_000_000_000), len(captured), len(data)) + captured
                        )
                ready = select.select(list(self._sockets), [], [], 0)[0]
        except OSError as error:
            raise Unavailable("device", error.strerror or str(error)) from None

    def _write(self, octets: bytes) -> None:
        at = self._output.filled
        self._output.filled = at + len(octets)
        self._output.memory[at : at + len(octets)] = octets

    def drops(self) -> tuple[int, int]:
        for one in self._sockets:
            packets, dropped = struct.unpack("II", one.getsockopt(SOL_PACKET, STATISTICS, 8))
            self._received += packets
            self._dropped += dropped
        return self._received, self._dropped

    def reopen(self) -> None:
        self._sockets = self._opened()


def opened(options: SniffOptions, output: Handover) -> Handle:
    """A capture by the best means that there is. Raises Unavailable."""
    if options.by != "scapy":
        try:
            return Libpcap(options, output)
        except ImportError as error:
            if options.by != "any":
                raise Unavailable("library", f"libpcap cannot be called: {error}") from None
    return Scapy(options, output)


def capture() -> NoReturn:
    """Capture until the parent ends this."""
    options = decode_options(sys.argv[1])
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nothing else, whoever prints it, comes between the frames
    die_with_parent()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    report = Reporter(options.status)
    handle: Handle | None = None
    try:
        handover = Handover(options.other, report)
        take_up(CAP_NET_RAW)
        try:
            handle = opened(options, handover)
        except Unavailable as problem:
            if not options.waits or problem.obstacle != "device":
                raise
            report(CaptureLost(str(problem)))
        _give_up_rights(options)
        die_with_parent()  # forgotten by the kernel when the user or the rights changed
        report(_confined())
        while handle is None:
            time.sleep(REOPEN_SECONDS)
            try:
                handle = opened(options, handover)
            except Unavailable as problem:
                if problem.obstacle != "device":
                    raise
    except Unavailable as problem:
        report(CaptureFailed(problem.obstacle, str(problem)))
        raise SystemExit(1) from None
    except OSError as problem:
        report(CaptureFailed("device", f"{options.interface}: {problem}"))
        raise SystemExit(1) from None
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    report(CaptureOpened(handle.by, handle.method))
    handover.hand_on()
    _pump(handle, handover, report, stopping)


def _give_up_rights(options: SniffOptions) -> None:
    """All but the one to capture. Raises Unavailable."""
    try:
        if options.account is not None and os.geteuid() == 0:
            become(options.account, keep=(CAP_NET_RAW,))
        else:
            keep_only((CAP_NET_RAW,))
    except OSError as problem:
        raise Unavailable("permission", f"rights could not be given up: {problem}") from None


def _confined() -> CaptureConfined:
    """Not to be confined is no reason not to capture: a person is told."""
    try:
        return CaptureConfined(*confine_capture())
    except OSError as problem:
        return CaptureConfined(problem=problem.strerror or str(problem))


def _pump(handle: Handle, handover: Handover, report: Reporter, stopping: list[int]) -> NoReturn:
    """``stopping``: not empty once this is to end; what the kernel holds by then is still handed on. Where the
    interface has gone, one of its name is waited for.
    """
    reported = 0.0
    is_lost = False
    while True:
        is_last = bool(stopping)
        try:
            if is_lost and not is_last:
                select.select(handover.awaits, [], [], REOPEN_SECONDS)
                handle.reopen()
                is_lost = False
                report(CaptureBack())
            if not is_lost:
                handle.pump(0 if is_last else min(STATUS_SECONDS / 2, handover.seconds), handover.awaits)
        except Unavailable as problem:
            if not is_lost:
                is_lost = True  # what came before is still handed on
                report(CaptureLost(str(problem)))
        now = time.monotonic()
        if not is_lost and (now - reported >= STATUS_SECONDS or is_last):
            reported = now
            report(PacketCounts(*handle.drops()))
        handover.hand_on(is_last)
        if is_last:
            raise SystemExit(0)


if __name__ == "__main__":
    capture()
