"""Columns of integers whose length is known before they are filled: in memory, or out of core, in a file that has no
name and is mapped. What is mapped the system writes out and reads again as memory gets short, and forgets with the
process.

All the room is taken at once: a map over a disk that is full would end the process at whatever row it is. Where a file
system writes elsewhere what is written again, as those that copy on write may, that much is not promised.
"""

from __future__ import annotations

import errno
import mmap
import os
from array import array
from typing import Literal

from inspector.facts.spool import no_room, spool_file

Typecode = Literal["B", "I", "i", "q"]
"""Of ``array``: uint8, uint32, int32, int64."""

NOT_RESERVED = frozenset((errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS))
"""What systems say that cannot take room at once: not that there is none."""

ZEROS = bytes(1 << 20)

IntegerColumn = memoryview
"""Read and written by index, sliced, iterated over; of one length for ever."""


def column(typecode: Typecode, count: int, *, is_mapped: bool) -> IntegerColumn:
    """So many zeros. Raises UnwritableError where there is no room for them."""
    size = array(typecode).itemsize * count
    if not is_mapped or not size:
        return memoryview(array(typecode, bytes(size)))
    try:
        with spool_file() as file:
            _reserve(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise no_room(error) from None
    return memoryview(mapped).cast(typecode)


def _reserve(descriptor: int, size: int) -> None:
    """Take the room for an empty file of so many bytes. Raises OSError where there is none."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in NOT_RESERVED:
                raise
        else:
            return
    for start in range(0, size, len(ZEROS)):
        left = ZEROS[: size - start]
        while left:
            left = left[os.write(descriptor, left) :]
