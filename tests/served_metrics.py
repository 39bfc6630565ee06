"""An endpoint that serves metrics, with samples of every kind."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

from inspector.live.live_capture import LiveCapture
from inspector.live.outputs import metrics_endpoint
from inspector.live.outputs.handshake_counts import (
    AnswerTimes,
    CountedMember,
    FailureRow,
    HandshakeCounts,
    MetricRow,
)
from inspector.live.outputs.metrics_endpoint import MetricsEndpoint
from tests.waiting import NEVER_SECONDS, PATIENCE_SECONDS

MEMBER = CountedMember('a"b\\c\n\x1b[0m', 8081, "B")
"""With all that must be escaped."""


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left, and nothing is given up, for coming late: where tests run, all may stand still for a while."""
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(metrics_endpoint, "LOOP_SECONDS", NEVER_SECONDS)


def counted() -> HandshakeCounts:
    """Some of everything."""
    counts = HandshakeCounts(has_members=True)
    counts.results[MetricRow(*MEMBER, "aborted", False)] = 3
    counts.failures[FailureRow(MEMBER, "aborted", "bad_certificate")] = 3
    counts.declined[MEMBER] = 2
    counts.answers[MEMBER] = AnswerTimes()
    counts.answers[MEMBER].add(3_000_000)
    counts.answers[MEMBER].add(70_000_000_000)
    counts.expiries[MEMBER] = 1_800_000_000_000_000_000
    return counts


class Served:
    """An endpoint whose loop goes round."""

    def __init__(self, live: LiveCapture, counts: HandshakeCounts) -> None:
        self.endpoint = MetricsEndpoint("127.0.0.1", 0)
        self.port = int(self.endpoint.url.partition("://127.0.0.1:")[2].partition("/")[0])
        self._is_over = False
        self._live, self._counts = live, counts
        self.endpoint.start()
        self._loop = threading.Thread(target=self._run)
        self._loop.start()

    def _run(self) -> None:
        while not self._is_over:
            self.endpoint.write(self._live, self._counts, 0.0)
            time.sleep(0.005)

    def close(self) -> None:
        self._is_over = True
        self._loop.join()
        self.endpoint.close()

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def told(self, request: bytes) -> bytes:
        """All that is answered until the connection is closed."""
        with self.connected() as client:
            client.sendall(request)
            answer = b""
            while more := client.recv(1 << 16):
                answer += more
            return answer

    def get(self, path: str = "/metrics", accept: str | None = None, method: str = "GET") -> tuple[int, str, bytes]:
        return get(self.port, path, accept, method)


def get(port: int, path: str = "/metrics", accept: str | None = None, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, media type, content."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    client.request(method, path, headers={"Accept": accept} if accept is not None else {})
    answer = client.getresponse()
    body = answer.read()
    client.close()
    return answer.status, answer.headers["Content-Type"] or "", body
