"""Files without a name, for what one process hands to another."""

from __future__ import annotations

import os
from typing import BinaryIO


def anonymous_file() -> BinaryIO:
    """In memory where that can be. Raises OSError."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("inspector"), "w+b")
    from tempfile import TemporaryFile

    return TemporaryFile()
