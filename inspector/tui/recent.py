"""The last filters, kept from one day to the next."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_state_path

from inspector.system.plain_file import read_whole

MOST = 20
MOST_BYTES = 1 << 20


def recent_path() -> Path:
    """Where they are kept."""
    return user_state_path("inspector") / "filters"


def load() -> list[str]:
    """The last one first; nothing where there are none."""
    try:
        lines = read_whole(recent_path(), MOST_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if line.strip() and line.isprintable()][:MOST]


def save(expressions: list[str]) -> None:
    """Keep them; where the file cannot be written they last as long as the program."""
    try:
        recent_path().parent.mkdir(parents=True, exist_ok=True)
        recent_path().write_text("".join(f"{e}\n" for e in expressions[:MOST]), encoding="utf-8")
    except OSError:
        return
