"""What is said where a compiled module that this program needs cannot be loaded."""

from __future__ import annotations

import re

from inspector.errors import InspectorError

LOADERS_WORDS = re.compile(r"cannot open shared object file|version `.*' not found|failed to map segment")
"""By which glibc's loader says that a library is missing, too old, or may not be loaded from there."""

LIBRARIES = (
    "the system has what is needed as libstdc++6, libgcc-s1 and zlib1g (Debian), libstdc++, libgcc and zlib (RHEL)"
)


def unloadable(error: ImportError) -> InspectorError | None:
    """Why the system loads a module not; None where the loader has nothing to do with it."""
    reason = ""
    cause: BaseException | None = error
    while cause is not None:
        words = str(cause)
        if LOADERS_WORDS.search(words):
            reason = words
        cause = cause.__cause__
    return InspectorError(f"what it needs cannot be loaded: {reason}", LIBRARIES) if reason else None
