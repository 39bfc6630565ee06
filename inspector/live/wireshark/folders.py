"""Where this user's Wireshark looks for profiles and for capture sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ASK_SECONDS = 20.0
CONFIGURATION, EXTCAPS, ALL_EXTCAPS = "Personal configuration", "Personal Extcap path", "Extcap path"
"""As ``tshark -G folders`` names them; the last where there is none for one person (Wireshark 4.0)."""


class WiresharkFolders(NamedTuple):
    """``extcaps``: of this user's capture sources. ``elsewhere``: the one directory that this Wireshark looks for them
    in, where it is another one; else None.
    """

    configuration: Path
    extcaps: Path
    elsewhere: Path | None = None


def wireshark_folders() -> WiresharkFolders:
    """As tshark says; without it as the variables of Wireshark and of the XDG base directories say."""
    names = _by_tshark()
    extcaps = _extcaps()
    alone = Path(names[ALL_EXTCAPS]) if ALL_EXTCAPS in names and EXTCAPS not in names else None
    return WiresharkFolders(
        Path(names[CONFIGURATION]) if CONFIGURATION in names else _configuration(),
        Path(names[EXTCAPS]) if EXTCAPS in names else extcaps,
        alone if alone != extcaps else None,
    )


def _by_tshark() -> dict[str, str]:
    tshark = shutil.which("tshark")
    if tshark is None:
        return {}
    try:
        done = subprocess.run(
            [tshark, "-G", "folders"], capture_output=True, timeout=ASK_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = os.fsdecode(done.stdout).splitlines()
    named = (line.partition(":") for line in lines)
    return {name.strip(): path.strip() for name, _, path in named if os.path.isabs(path.strip())}


def _configuration() -> Path:
    named = os.environ.get("WIRESHARK_CONFIG_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "wireshark"


def _extcaps() -> Path:
    named = os.environ.get("WIRESHARK_EXTCAP_DIR")
    return Path(named) if named else Path.home() / ".local/lib/wireshark/extcap"
