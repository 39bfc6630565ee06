"""One request for metrics and its answer, as far as either goes without waiting for who asks."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from inspector.live.outputs.metrics_snapshot import MetricsSnapshot

PATH = "/metrics"
HEAD_BYTES = 8_192
SEND_BYTES = 64 << 10
"""Of an answer, that the system holds for whoever takes their time."""

UNTAKEN_MS = 5_000
"""For which the system keeps of an answer what nobody takes, once this program has closed the connection."""

AT_ONCE = struct.pack("ii", 1, 0)
"""A ``linger`` (socket(7)) that waits for nothing."""


class MetricsExchange:
    """``until``: on the monotonic clock, when it must be over."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        """The connection is closed with it. Raises OSError where it went wrong."""
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)
        self.connection = connection
        self.until = until
        self._head = b""
        self._answer: deque[memoryview] = deque()
        self.is_sent = False
        """All of the answer is; whoever asked has not closed yet."""

    @property
    def is_asked(self) -> bool:
        """All of the request is there."""
        return bool(self._answer) or self.is_sent

    def goes_on(self, latest: Callable[[], MetricsSnapshot | None]) -> bool:
        """Go on as far as that goes; whether more is to come, or whoever asked is to close. ``latest``: samples, or
        None where there are none. Raises OSError where it went wrong.
        """
        try:
            if self.is_sent:
                return bool(self.connection.recv(HEAD_BYTES))
            if not self._answer:
                self._head += self._more()
                if b"\r\n\r\n" not in self._head and b"\n\n" not in self._head:
                    return True
                self._answer += [memoryview(part) for part in _Reply(self._head, latest).parts() if part]
            while self._answer:
                sent = self.connection.send(self._answer[0])
                self._answer[0] = self._answer[0][sent:]
                if not self._answer[0]:
                    self._answer.popleft()
            self.connection.shutdown(socket.SHUT_WR)
            self.is_sent = True
        except BlockingIOError:
            pass
        return True

    def _more(self) -> bytes:
        more = self.connection.recv(HEAD_BYTES - len(self._head)) if len(self._head) < HEAD_BYTES else b""
        if not more:
            raise ConnectionError  # that is no request
        return more

    def close(self, *, is_late: bool = False) -> None:
        """For good, also where a copy of this process has the connection open. ``is_late``: what was not taken is
        thrown away.
        """
        with self.connection, contextlib.suppress(OSError):
            if is_late and self.is_asked:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self.connection.shutdown(socket.SHUT_RDWR)


class _Reply(BaseHTTPRequestHandler):
    """What is answered to all of a request."""

    def __init__(self, head: bytes, latest: Callable[[], MetricsSnapshot | None]) -> None:
        self._head, self._latest, self._body = head, latest, b""
        super().__init__(None, ("", 0), None)  # type: ignore[arg-type]  # nothing here asks a socket or a server

    def setup(self) -> None:
        """Nothing waits for who asks."""
        self.rfile = io.BytesIO(self._head)
        self._written = self.wfile = io.BytesIO()

    def finish(self) -> None:
        """All is there."""

    def parts(self) -> tuple[bytes, bytes]:
        """The answer, in two parts: the second is one for all who ask."""
        return self._written.getvalue(), self._body

    def do_GET(self) -> None:
        """The metrics."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"The metrics are at {PATH}")
            return
        snapshot = self._latest()
        if snapshot is None:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain="The capture does not answer")
            return
        form = snapshot.written(" ".join(",".join(self.headers.get_all("Accept", ())).split()))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", form.media_type)
        self.send_header("Content-Length", str(len(form.body)))
        self.end_headers()
        if self.command != "HEAD":
            self._body = form.body

    do_HEAD = do_GET  # noqa: N815 - as the class that this is made of calls it

    def version_string(self) -> str:
        """Which program and Python answers is nobody's business here."""
        return "inspector"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Requests are not logged: whoever can ask could fill the log."""
