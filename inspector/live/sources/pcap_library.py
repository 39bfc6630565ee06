"""libpcap's functions: of the library that the binding cypcap brings, or else of the system's own.

Both are called in the same way, without anything between them and us; the binding's own loop calls Python for each
packet, and copies it once more. Where there is no wheel of cypcap the system's library is as good. Names are those of
pcap(3PCAP).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import NamedTuple

SONAMES = ("libpcap.so.1", "libpcap.so.0.8")
"""The system's: as libpcap names it, and as Debian has named it ever since."""

Handle, Text, Number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int


class FilterProgram(ctypes.Structure):
    """``struct bpf_program``."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class Statistics(ctypes.Structure):
    """``struct pcap_stat``: packets since the capture began."""

    _fields_ = (("received", ctypes.c_uint), ("dropped", ctypes.c_uint), ("dropped_by_interface", ctypes.c_uint))


class DeviceAddress(ctypes.Structure):
    """``struct pcap_addr``; ``address``: a ``struct sockaddr``, of a family's own size."""


class Device(ctypes.Structure):
    """``struct pcap_if``."""


DeviceAddress._fields_ = (
    ("next", ctypes.POINTER(DeviceAddress)),
    ("address", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
    ("broadcast", ctypes.c_void_p),
    ("destination", ctypes.c_void_p),
)
Device._fields_ = (
    ("next", ctypes.POINTER(Device)),
    ("name", ctypes.c_char_p),
    ("description", ctypes.c_char_p),
    ("addresses", ctypes.POINTER(DeviceAddress)),
    ("flags", ctypes.c_uint),
)

PROTOTYPES = (
    ("pcap_lib_version", Text, ()),
    ("pcap_findalldevs", Number, (ctypes.POINTER(ctypes.POINTER(Device)), Text)),
    ("pcap_freealldevs", None, (ctypes.POINTER(Device),)),
    ("pcap_create", Handle, (Text, Text)),
    ("pcap_set_snaplen", Number, (Handle, Number)),
    ("pcap_set_buffer_size", Number, (Handle, Number)),
    ("pcap_set_timeout", Number, (Handle, Number)),
    ("pcap_set_promisc", Number, (Handle, Number)),
    ("pcap_set_tstamp_precision", Number, (Handle, Number)),
    ("pcap_activate", Number, (Handle,)),
    ("pcap_open_dead", Handle, (Number, Number)),
    ("pcap_compile", Number, (Handle, ctypes.POINTER(FilterProgram), Text, Number, ctypes.c_uint32)),
    ("pcap_setfilter", Number, (Handle, ctypes.POINTER(FilterProgram))),
    ("pcap_freecode", None, (ctypes.POINTER(FilterProgram),)),
    ("pcap_setnonblock", Number, (Handle, Number, Text)),
    ("pcap_get_selectable_fd", Number, (Handle,)),
    ("pcap_datalink", Number, (Handle,)),
    ("pcap_dump_open", Handle, (Handle, Text)),
    ("pcap_dispatch", Number, (Handle, Number, Handle, Handle)),
    ("pcap_stats", Number, (Handle, ctypes.POINTER(Statistics))),
    ("pcap_geterr", Text, (Handle,)),
    ("pcap_statustostr", Text, (Number,)),
    ("pcap_close", None, (Handle,)),
)


class PcapLibrary(NamedTuple):
    """``is_of_system``: not cypcap's. ``file``: where it was loaded from, the system's by its soname."""

    functions: ctypes.CDLL
    is_of_system: bool
    file: str

    @property
    def version(self) -> str:
        """Name and version, and whose it is where it is the system's."""
        version = decoded(self.functions.pcap_lib_version()).split(" (")[0]
        return f"{version} of the system" if self.is_of_system else version


@cache
def pcap_library(only_system: bool = False) -> PcapLibrary:
    """The one that cypcap brings; the system's where that is missing or hides its functions, or where nothing but the
    system's will do. Raises ImportError where there is none.
    """
    problems = []
    if not only_system:
        try:
            from cypcap import _cypcap

            return PcapLibrary(_declared(_cypcap.__file__), False, _cypcap.__file__)
        except ImportError as error:
            problems.append(str(error))
    for soname in SONAMES:
        try:
            return PcapLibrary(_declared(soname), True, soname)
        except ImportError as error:
            problems.append(str(error))
    raise ImportError("; ".join(problems))


def _declared(file: str) -> ctypes.CDLL:
    """Its functions, with the types of what they take and return. Raises ImportError."""
    try:
        functions = ctypes.CDLL(file)
        for name, result, arguments in PROTOTYPES:
            function = getattr(functions, name)
            function.restype, function.argtypes = result, arguments
        _ = functions.pcap_dump
    except (AttributeError, OSError) as error:
        raise ImportError(str(error)) from None
    return functions


def decoded(octets: bytes | None) -> str:
    """Of what libpcap says, or nothing where it says nothing."""
    return (octets or b"").decode("utf-8", "backslashreplace")
