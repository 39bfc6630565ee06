"""Metrics over HTTP for Prometheus to scrape, by its own library, which also chooses between its text format and
OpenMetrics as the scraper asks.

Whoever can reach the socket may be anybody. A fixed number of threads answers; each has a moment for a request and its
answer, and reads so many bytes of it at most. What the loop counts is of the loop's own thread: it makes samples when
somebody has asked, once a second at most, and each form is written out once for all who ask until then. Where that
takes long, for names of services come from the wire and may be many, it is done less often.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from inspector.errors import UsageError
from inspector.errors.internal import Border
from inspector.live.outputs.handshake_counts import HandshakeCounts
from inspector.live.outputs.metric_families import MetricFamily, families
from inspector.text.hostport import joined

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture

THREADS = 4
BACKLOG = 16
"""Connections that wait for one of them."""

EXCHANGE_SECONDS = 5.0
"""For all of a request and its answer."""

HEAD_BYTES = 8_192
FRESH_SECONDS = 1.0
"""How old samples may be that are served, at least."""

SHARE = 0.05
"""Of the time, what may go into making samples and writing them out, however often somebody asks."""

LOOP_SECONDS = 4.0
"""How long the loop may take to make them: it goes round several times a second."""

RETRY_SECONDS = 1.0
OPENMETRICS = "application/openmetrics-text"
FORMS = {False: choose_encoder(""), True: choose_encoder(f"{OPENMETRICS};version=1.0.0")}
"""In which samples are written out, with the media type of each: as text, and (True) as OpenMetrics. Versions and
escaping that a scraper names make no difference to names in ASCII, and are not taken from it: whoever asks for ever
new ones must not crowd out the others.
"""

MISTAKES = 32
"""Of this program, that the loop has not counted yet."""

PATH = "/metrics"


class SamplesCollector(Collector):
    """Families that are known already, as the library has them."""

    def __init__(self, known: Sequence[MetricFamily]) -> None:
        self._known = known

    def collect(self) -> Iterator[Metric]:
        """What is written out."""
        for family in self._known:
            name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
            metric = Metric(name, family.what, family.kind)
            for value, labels, suffix in family.samples:
                metric.add_sample(f"{family.name}{suffix}", dict(labels), value)
            yield metric


class WrittenForm(NamedTuple):
    """``media_type``: with its parameters."""

    media_type: str
    body: bytes


class MetricsSnapshot:
    """All samples of one moment, and the forms that they were written out in. ``seconds``: what all that took."""

    def __init__(self, make: Callable[[], Iterable[MetricFamily]]) -> None:
        began = time.monotonic()
        self._collector = SamplesCollector([*make()])
        self.seconds = time.monotonic() - began
        self._forms: dict[bool, bytes] = {}
        self._lock = threading.Lock()

    def written(self, accept: str) -> WrittenForm:
        """As the library chooses by the header ``Accept``; as text where that asks for what it does not know."""
        try:
            is_openmetrics = choose_encoder(accept)[1].startswith(OPENMETRICS)
        except (TypeError, ValueError):  # a version that is none
            is_openmetrics = False
        encoder, media_type = FORMS[is_openmetrics]
        with self._lock:
            body = self._forms.get(is_openmetrics)
            if body is None:
                began = time.monotonic()
                body = self._forms[is_openmetrics] = encoder(self._collector)
                self.seconds += time.monotonic() - began
        return WrittenForm(media_type, body)


class _ThreadsBorder(Border):
    """Where mistakes of threads end, for the loop to count."""

    def __init__(self) -> None:
        super().__init__()
        self.mistakes: deque[str] = deque(maxlen=MISTAKES)

    def note(self, where: str) -> None:
        self.mistakes.append(where)


class MetricsEndpoint:
    """A socket that listens from the first on; it is answered once ``start`` was called."""

    def __init__(self, host: str, port: int) -> None:
        """``port``: 0 for any that is free. Raises UsageError where it cannot be had."""
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            everywhere = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
            self._socket = socket.create_server(
                address,
                family=family,
                backlog=BACKLOG,
                dualstack_ipv6=everywhere,  # [::] is IPv4's too
            )
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"--metrics-listen {joined(host, port)}: {reason}") from None
        self.url = f"http://{joined(host, self._socket.getsockname()[1])}{PATH}"
        self._changed = threading.Condition(threading.Lock())
        self._is_wanted = False
        self._snapshot: MetricsSnapshot | None = None
        self._made = float("-inf")
        self._border = _ThreadsBorder()
        self._is_closed = threading.Event()

    def start(self) -> None:
        """Answer, by threads that are confined as the one that calls this."""
        for _ in range(THREADS):
            threading.Thread(target=self._answer, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Nobody is answered any more."""
        self._is_closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which wakes those that wait for a connection
        self._socket.close()

    def write(self, capture: LiveCapture, counts: HandshakeCounts, now: float) -> str:
        """As ``MetricsOutput`` has it: new samples, where somebody has asked for them."""
        while self._border.mistakes:
            capture.border.note(self._border.mistakes.popleft())
        if self._is_wanted:
            snapshot = MetricsSnapshot(lambda: families(capture, counts))
            with self._changed:
                self._snapshot, self._made, self._is_wanted = snapshot, time.monotonic(), False
                self._changed.notify_all()
        return ""

    def latest(self) -> MetricsSnapshot | None:
        """Samples of now, or nearly; None where the loop makes none."""
        with self._changed:
            fresh = max(FRESH_SECONDS, self._snapshot.seconds / SHARE) if self._snapshot is not None else 0.0
            if time.monotonic() - self._made > fresh:
                self._is_wanted = True
                if not self._changed.wait_for(lambda: not self._is_wanted, LOOP_SECONDS):
                    return None
            return self._snapshot

    def _answer(self) -> None:
        while not self._is_closed.is_set():
            try:
                connection, peer = self._socket.accept()
            except OSError:  # it was closed, or there are too many open files
                self._is_closed.wait(RETRY_SECONDS)
                continue
            with self._border, connection, contextlib.suppress(OSError):  # whoever asked was too slow, or has gone
                _Exchange(connection, peer, self.latest)
                connection.shutdown(socket.SHUT_RDWR)  # a copy of this process may have it open too


class _Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    request: socket.socket

    def __init__(
        self, connection: socket.socket, peer: tuple[str, int], latest: Callable[[], MetricsSnapshot | None]
    ) -> None:
        """All of it. Raises OSError."""
        self._latest = latest
        super().__init__(connection, peer, None)  # type: ignore[arg-type]  # nothing here asks a server

    def setup(self) -> None:
        """Read all of the request that there will be."""
        self._until = time.monotonic() + EXCHANGE_SECONDS
        self.rfile = io.BytesIO(self._head())
        self._answer = self.wfile = io.BytesIO()

    def _head(self) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < HEAD_BYTES:
            more = self._within_time().recv(HEAD_BYTES - len(head))
            if not more:
                break
            head += more
        else:
            if len(head) < HEAD_BYTES:
                return head
        raise ConnectionError  # that is no request

    def _within_time(self) -> socket.socket:
        """The socket; waiting on it ends with the exchange. Raises TimeoutError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.request.settimeout(left)
        return self.request

    def finish(self) -> None:
        """Send what was answered."""
        self._within_time().sendall(self._answer.getvalue())

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
            self.wfile.write(form.body)

    do_HEAD = do_GET  # noqa: N815 - as the class that this is made of calls it

    def version_string(self) -> str:
        """Which program and Python answers is nobody's business here."""
        return "inspector"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Requests are not logged: whoever can ask could fill the log."""
