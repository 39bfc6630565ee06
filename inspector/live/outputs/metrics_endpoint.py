"""Metrics over HTTP for Prometheus to scrape.

Whoever can reach the socket may be anybody. One thread answers all and waits for no single one; so many may be
connected at once, and each for a moment. What the loop counts is of the loop's own thread: it makes samples when
somebody has asked, once a second at most, and each form is written out once for all who ask until then. Where that
takes long, for names of services come from the wire and may be many, it is done less often.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from inspector.errors import UsageError
from inspector.errors.internal import Border
from inspector.live.outputs.handshake_counts import HandshakeCounts
from inspector.live.outputs.metric_families import families
from inspector.live.outputs.metrics_exchange import PATH, MetricsExchange
from inspector.live.outputs.metrics_snapshot import MetricsSnapshot
from inspector.text.hostport import joined

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture

CONNECTIONS = 32
"""At once. Beyond these the oldest makes room that has asked for nothing yet, or has its answer and does not close;
where there is none the oldest.
"""

BACKLOG = 128
"""Connections that the kernel keeps until they are looked at; whoever comes beyond these tries again a second later."""

EXCHANGE_SECONDS = 5.0
"""For all of a request and its answer."""

FRESH_SECONDS = 1.0
"""How old samples may be that are served, at least."""

SHARE = 0.05
"""Of the time, what may go into making samples and writing them out, however often somebody asks."""

LOOP_SECONDS = 4.0
"""How long the loop may take to make them: it goes round several times a second. Where it hangs, whoever asks later
waits no longer than who asked first.
"""

RETRY_SECONDS = 1.0
MISTAKES = 32
"""Of this program, that the loop has not counted yet."""


class _AnsweringBorder(Border):
    """Where mistakes of the thread that answers end, for the loop to count."""

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
        self._socket.setblocking(False)
        self._changed = threading.Condition(threading.Lock())
        self._is_wanted = False
        self._wanted_since = float("-inf")
        self._snapshot: MetricsSnapshot | None = None
        self._made = float("-inf")
        self._border = _AnsweringBorder()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._selector = selectors.DefaultSelector()
        self._exchanges: dict[MetricsExchange, None] = {}
        """The oldest first."""

    def start(self) -> None:
        """Answer, by a thread that is confined as the one that calls this."""
        self._thread.start()

    def close(self) -> None:
        """Nobody is answered any more."""
        self._is_closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which wakes the thread; it closes what it has open
        if self._thread.ident is None:
            self._selector.close()
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
            now = time.monotonic()
            if now - self._made > fresh:
                if not self._is_wanted:
                    self._is_wanted, self._wanted_since = True, now
                if not self._changed.wait_for(
                    lambda: not self._is_wanted, max(self._wanted_since + LOOP_SECONDS - now, 0.0)
                ):
                    return None
            return self._snapshot

    def _run(self) -> None:
        with self._socket, self._selector:
            self._selector.register(self._socket, selectors.EVENT_READ)
            while not self._is_closed.is_set():
                ready = [key.data for key, _ in self._selector.select(self._patience())]
                for exchange in ready:
                    if exchange is not None:  # what was asked is looked at before anybody has to make room
                        self._go_on(exchange)
                if None in ready:
                    self._accept()
                now = time.monotonic()
                for exchange in [exchange for exchange in self._exchanges if exchange.until <= now]:
                    self._end(exchange, is_late=True)
            for exchange in [*self._exchanges]:
                self._end(exchange)

    def _patience(self) -> float | None:
        """How long nothing needs to be done; None for until somebody comes."""
        oldest = next(iter(self._exchanges), None)
        return max(oldest.until - time.monotonic(), 0.0) if oldest is not None else None

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):  # whoever came has gone
            return
        except OSError:  # it was closed, or there are too many open files
            self._is_closed.wait(RETRY_SECONDS)
            return
        if len(self._exchanges) >= CONNECTIONS:
            silent = (one for one in self._exchanges if one.is_sent or not one.is_asked)
            self._end(next(silent, next(iter(self._exchanges))), is_late=True)
        try:
            exchange = MetricsExchange(connection, time.monotonic() + EXCHANGE_SECONDS)
            self._selector.register(connection, selectors.EVENT_READ, exchange)
        except OSError:  # whoever came has gone, or the system has no room to wait for them
            connection.close()
            return
        self._exchanges[exchange] = None

    def _go_on(self, exchange: MetricsExchange) -> None:
        with self._border, contextlib.suppress(OSError):  # whoever asked has gone, or asked in no way
            if exchange.goes_on(self.latest):
                is_writing = exchange.is_asked and not exchange.is_sent
                events = selectors.EVENT_WRITE if is_writing else selectors.EVENT_READ
                self._selector.modify(exchange.connection, events, exchange)
                return
        self._end(exchange)

    def _end(self, exchange: MetricsExchange, *, is_late: bool = False) -> None:
        del self._exchanges[exchange]
        self._selector.unregister(exchange.connection)
        exchange.close(is_late=is_late)
