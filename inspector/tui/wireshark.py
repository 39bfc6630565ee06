"""Going on in Wireshark at a frame: at once where there is a display, else by a command that is copied."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import Protocol

from textual.binding import Binding

from inspector.facts import FRAME_BITS, CaptureFacts
from inspector.reports.wireshark import command
from inspector.text.safe import safe_text

WIRESHARK_KEY = Binding(
    "W",
    "wireshark",
    "Wireshark",
    show=False,
    tooltip="Open this frame in Wireshark, or copy the command that does",
    id="wireshark",
)
"""Of a page that shows frames."""

DISPLAYS = "DISPLAY", "WAYLAND_DISPLAY"
MOST_TEXT = 300


class Notified(Protocol):
    """What of the app is wanted: it tells and copies."""

    def notify(self, message: str, *, markup: bool = True) -> None:
        """Tell a person."""

    def copy_to_clipboard(self, text: str) -> None:
        """For another terminal."""


def go_on(app: Notified, captures: list[CaptureFacts], reference: int) -> None:
    """Open a frame of a capture file there. ``reference``: as in the facts."""
    number = reference >> FRAME_BITS
    path = captures[number].path if number < len(captures) else ""
    if not reference or not os.path.isfile(path):
        app.notify("There is no capture file of this frame to open; live traffic is kept by -w FILE.", markup=False)
        return
    words = command(os.path.abspath(path), reference)
    if any(map(os.environ.get, DISPLAYS)) and shutil.which(words[0]):
        null = subprocess.DEVNULL
        try:
            subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)
        except OSError as error:
            app.notify(safe_text(f"Wireshark does not start: {error.strerror}", MOST_TEXT), markup=False)
            return
        app.notify(f"Wireshark opens at frame {words[-1]}.", markup=False)
        return
    line = shlex.join(words)
    app.notify(f"Copied for where there is a display: {safe_text(line, MOST_TEXT)}", markup=False)
    app.copy_to_clipboard(line)
