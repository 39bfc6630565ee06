"""The service manager that started this process, told that it is ready, lives, and ends: the protocol of sd_notify(3),
datagrams of ``NAME=value`` lines to the socket in ``$NOTIFY_SOCKET``.

With ``WatchdogSec=`` in its unit, systemd ends a service that has not said for so long that it lives. The loop of the
capture says so itself, so that one that hangs is noticed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

SOCKET, WATCHDOG, WATCHED = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
MICROSECONDS = 1_000_000


class Supervisor:
    """Whoever started this process; nobody where the environment names no socket. Nothing here waits or raises."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """The socket is opened here, and not later, when this process may open no more. The variables are taken out of
        the environment: they are not meant for those that this process starts.
        """
        address = environment.pop(SOCKET, "")
        self.interval_seconds = _interval(environment.pop(WATCHDOG, ""), environment.pop(WATCHED, ""))
        """How often it wants to hear that this lives, at least; 0 where it does not ask."""
        self._due = 0.0
        self._socket = _connected(address) if address[:1] in ("/", "@") else None

    def ready(self, status: str) -> None:
        """What was to be opened is open."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def lives(self) -> None:
        """Called as often as one likes; said twice in each interval."""
        if self._socket is None or not self.interval_seconds:
            return
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self.interval_seconds / 2
            self._send("WATCHDOG=1")

    def status(self, status: str) -> None:
        """A line for people, which ``systemctl status`` shows."""
        self._send(f"STATUS={_line(status)}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # who does not listen is not waited for
                self._socket.send("\n".join(lines).encode("utf-8", "backslashreplace"), socket.MSG_NOSIGNAL)


def _interval(microseconds: str, process: str) -> float:
    """Seconds; 0 where this process is not asked."""
    if not microseconds.isdecimal() or (process and process != str(os.getpid())):
        return 0.0
    return int(microseconds) / MICROSECONDS


def _connected(address: str) -> socket.socket | None:
    """None where nobody listens. An address that begins with @ is an abstract one (unix(7))."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    opened.setblocking(False)
    try:
        opened.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError:
        opened.close()
        return None
    return opened


def _line(text: str) -> str:
    return text.replace("\n", " ")
