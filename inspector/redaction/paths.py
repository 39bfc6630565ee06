"""Names of files in a redacted report."""

from __future__ import annotations

import os
import re

from inspector.redaction.disguise import Disguise

SUFFIX = re.compile(r"((?:\.(?:pcapng|pcap|cap|log|gz|zst|db|sqlite|journal))+)$", re.IGNORECASE)


def path_name(path: str, disguise: Disguise) -> str:
    """A file name of the same kind, without its directories."""
    name = os.path.basename(path)
    match = SUFFIX.search(name)
    suffix = match[1] if match else ""
    return disguise.text(name[: len(name) - len(suffix)]) + suffix
