"""Where a capture keeps its journal when nobody says where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAME = "journal.sqlite"


def journal_path(environment: Mapping[str, str]) -> str:
    """In the state directory that systemd gives a service, else in the user's own."""
    given = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return str(Path(given) / NAME)
    state = environment.get("XDG_STATE_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    return str(Path(state) / "inspector" / NAME)
