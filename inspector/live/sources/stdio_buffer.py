"""C's standard output as a way into memory of ours.

libpcap writes packets to a stream of C (``pcap_dump``), and a stream gathers what it gets in its buffer. Here that
buffer is the memory that is wanted: what is written stands in it at once, copied once, and goes nowhere else, for the
stream leads to ``/dev/null``. Whoever writes must see to it that the buffer never becomes full.
"""

from __future__ import annotations

import ctypes
import mmap

FULLY_BUFFERED = 0
"""``_IOFBF`` of stdio.h."""


class StdioBuffer:
    """The stream ``stdout``."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(libc, "stdout")
        self._flush, self._put, self._set, self._position = libc.fflush, libc.fputc, libc.setvbuf, libc.ftell
        self._flush.argtypes, self._put.argtypes = [ctypes.c_void_p], [ctypes.c_int, ctypes.c_void_p]
        self._set.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
        self._position.argtypes, self._position.restype = [ctypes.c_void_p], ctypes.c_long
        self._stream = stream
        self._began = 0

    def use(self, memory: mmap.mmap, size: int) -> None:
        """From now on what is written goes into this memory, up to ``size`` bytes, from its beginning."""
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._flush(self._stream)
        self._set(self._stream, address, FULLY_BUFFERED, size)
        self._put(0, self._stream)  # the stream takes up its new buffer with the first byte that leaves it
        self._flush(self._stream)
        self._began = self._position(self._stream)

    @property
    def filled(self) -> int:
        """Bytes that were written since."""
        count: int = self._position(self._stream) - self._began
        return count
