"""Speaking to the terminal itself: copying (OSC 52), also where tmux stands between, and the title."""

from __future__ import annotations

import base64
import os

MOST = 74_000
"""Bytes of text: xterm takes no more than 100,000 of base64."""


def osc52(text: str) -> str:
    """The sequence that puts text on the clipboard. It holds base64 alone, whatever the text is. In tmux it is sent twice: for tmux itself
    (``set-clipboard on``) and, wrapped, for the terminal behind it (``allow-passthrough on``).
    """
    encoded = base64.b64encode(text.encode("utf-8", "backslashreplace")[:MOST]).decode("ascii")
    plain = f"\x1b]52;c;{encoded}\x07"
    if not os.environ.get("TMUX"):
        return plain
    inner = plain.replace("\x1b", "\x1b\x1b")
    return f"{plain}\x1bPtmux;{inner}\x1b\\"


def title_of(incidents: int) -> str:
    """The sequence that sets the terminal's title (OSC 0): a number and our own name, nothing else."""
    return f"\x1b]0;{incidents} incident{'' if incidents == 1 else 's'} - Inspector\x07"
