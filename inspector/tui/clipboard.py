"""Speaking to the terminal itself: copying (OSC 52), also where tmux stands between, and the title.

tmux takes an application's OSC 52 into its buffer only with ``set-clipboard on``, which is not its default, and nothing
comes back that would say so. Its own
``load-buffer`` always does, and answers (tmux(1)).
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable

MOST = 74_000
"""Bytes of text: xterm takes no more than 100,000 of base64."""

TMUX_SECONDS = 2.0
BEHIND = ("tmux", "screen")
"""What TERM begins with inside tmux and GNU screen."""


def osc52(text: str) -> str:
    """The sequence that puts text on the clipboard. It holds base64 alone, whatever the text is."""
    encoded = base64.b64encode(_bytes(text)[:MOST]).decode("ascii")
    return f"\x1b]52;c;{encoded}\x07"


def passed_through(sequence: str) -> str:
    """A sequence for the terminal behind tmux (``allow-passthrough on``)."""
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def copy(text: str, write: Callable[[str], object]) -> str:
    """Put text on the clipboard, and in tmux's buffer. ``write`` sends a sequence to the terminal. What a person must
    know of it; ``""`` where it arrived as far as that can be known.
    """
    sequence = osc52(text)
    is_cut = len(_bytes(text)) > MOST
    if os.environ.get("TMUX"):
        problem = _to_tmux(text)
        if not problem:
            write(passed_through(sequence))
            return ""
        write(sequence + passed_through(sequence))
        return f"tmux did not take it into its buffer: {problem}"
    write(sequence)
    if os.environ.get("TERM", "").startswith(BEHIND):
        return (
            "tmux or screen takes it only if told to (set-clipboard on): TMUX is not set here, so that it could not be"
            " asked"
        )
    return f"only the first {MOST:,} bytes: terminals take no more" if is_cut else ""


def _to_tmux(text: str) -> str:
    """Into tmux's buffer, and from there to the terminal's clipboard where tmux does that (``-w``, since 3.2); why not,
    where it was not.
    """
    problem = ""
    for options in (["-w"], []):
        try:
            done = subprocess.run(
                ["tmux", "load-buffer", *options, "-"],
                input=_bytes(text),
                capture_output=True,
                timeout=TMUX_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {TMUX_SECONDS:.0f} s"
        except OSError as error:
            return f"tmux: {error.strerror}"
        if done.returncode == 0:
            return ""
        problem = (
            problem or done.stderr.decode("utf-8", "backslashreplace").strip()[:200] or f"status {done.returncode}"
        )
    return problem


def title_of(incidents: int) -> str:
    """The sequence that sets the terminal's title (OSC 0): a number and our own name, nothing else."""
    return f"\x1b]0;{incidents} incident{'' if incidents == 1 else 's'} - Inspector\x07"
