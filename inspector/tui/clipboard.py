"""Copying through the terminal (OSC 52), also where tmux stands between."""

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
