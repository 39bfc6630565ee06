"""libpcap itself, called without anything between it and C's stdio: each packet goes from the kernel's ring into the
stream by ``pcap_dump``, and no Python runs for it. Names are those of pcap(3PCAP).
"""

from __future__ import annotations

import ctypes
import os

from inspector.live.sources.pcap_library import FilterProgram, PcapLibrary, Statistics, decoded

PCAP_ERROR, PCAP_ERROR_BREAK = -1, -2
PERMISSION_ERRORS = (-8, -11)
"""``PCAP_ERROR_PERM_DENIED``, ``PCAP_ERROR_PROMISC_PERM_DENIED``."""

ERRBUF_BYTES = 256
NANO = 1
"""``PCAP_TSTAMP_PRECISION_NANO``."""

ETHERNET, MOST_BYTES = 1, 262_144
NETMASK_UNKNOWN = 0xFFFFFFFF
STDOUT = b"-"


class PcapError(Exception):
    """What libpcap says. ``code``: as it returns it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def filter_problem(library: PcapLibrary, expression: str) -> str:
    """What is wrong with a filter on Ethernet, empty where nothing is."""
    lib, program = library.functions, FilterProgram()
    handle = ctypes.c_void_p(lib.pcap_open_dead(ETHERNET, MOST_BYTES))
    try:
        if lib.pcap_compile(handle, ctypes.byref(program), os.fsencode(expression), 1, NETMASK_UNKNOWN) < 0:
            return decoded(lib.pcap_geterr(handle))
        lib.pcap_freecode(ctypes.byref(program))
        return ""
    finally:
        lib.pcap_close(handle)


class LivePcap:
    """An open capture of an interface, which never waits. All raise PcapError."""

    def __init__(
        self,
        library: PcapLibrary,
        interface: str,
        *,
        snaplen: int,
        buffer_bytes: int,
        seconds: float,
        promiscuous: bool,
    ) -> None:
        """``seconds``: how long the kernel may gather packets."""
        self._lib = lib = library.functions
        self._problem = ctypes.create_string_buffer(ERRBUF_BYTES)
        handle = lib.pcap_create(os.fsencode(interface), self._problem)
        if not handle:
            raise PcapError(PCAP_ERROR, decoded(self._problem.value))
        self._handle = ctypes.c_void_p(handle)
        try:
            self._check(lib.pcap_set_snaplen(self._handle, snaplen))
            self._check(lib.pcap_set_buffer_size(self._handle, buffer_bytes))
            self._check(lib.pcap_set_timeout(self._handle, round(seconds * 1000)))
            self._check(lib.pcap_set_promisc(self._handle, int(promiscuous)))
            self._check(lib.pcap_set_tstamp_precision(self._handle, NANO))
            self._check(lib.pcap_activate(self._handle))
            self._check(lib.pcap_setnonblock(self._handle, 1, self._problem))
            if self.descriptor < 0:
                raise PcapError(PCAP_ERROR, "a capture of it cannot be waited for")
        except PcapError:
            self.close()
            raise

    def set_filter(self, expression: str) -> None:
        """Packets that pcap-filter(7) matches, from now on."""
        program = FilterProgram()
        self._check(
            self._lib.pcap_compile(self._handle, ctypes.byref(program), os.fsencode(expression), 1, NETMASK_UNKNOWN)
        )
        try:
            self._check(self._lib.pcap_setfilter(self._handle, ctypes.byref(program)))
        finally:
            self._lib.pcap_freecode(ctypes.byref(program))

    def dump_to_stdout(self) -> None:
        """Write the header of a pcap stream to C's standard output; ``dispatch`` writes behind it."""
        stream = self._lib.pcap_dump_open(self._handle, STDOUT)
        if not stream:
            self._check(PCAP_ERROR)
        self._stream = ctypes.c_void_p(stream)

    def continue_dump(self, other: LivePcap) -> None:
        """Write behind what another capture has written."""
        self._stream = other._stream

    def dispatch(self, most: int) -> None:
        """Write the packets that are there, so many at most."""
        self._check(self._lib.pcap_dispatch(self._handle, most, self._lib.pcap_dump, self._stream))

    @property
    def descriptor(self) -> int:
        """It is readable where there are packets."""
        descriptor: int = self._lib.pcap_get_selectable_fd(self._handle)
        return descriptor

    @property
    def link_type(self) -> int:
        """Of its packets, as pcap files name it."""
        link_type: int = self._lib.pcap_datalink(self._handle)
        return link_type

    def statistics(self) -> Statistics:
        """Since it was opened."""
        statistics = Statistics()
        self._check(self._lib.pcap_stats(self._handle, ctypes.byref(statistics)))
        return statistics

    def close(self) -> None:
        """It must not be used afterwards."""
        self._lib.pcap_close(self._handle)

    def _check(self, status: int) -> None:
        if status < 0 and status != PCAP_ERROR_BREAK:
            message = self._lib.pcap_geterr(self._handle)
            raise PcapError(status, decoded(message) or decoded(self._lib.pcap_statustostr(status)))
