"""Which file a path means."""

from __future__ import annotations

import os
import stat


def file_identity(path: str) -> object:
    """By which one file is known under all of its names; None of a device such as ``/dev/null``, which keeps nothing
    that could be written over.
    """
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return None if stat.S_ISCHR(status.st_mode) else (status.st_dev, status.st_ino)
