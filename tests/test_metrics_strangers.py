"""Whoever reaches the socket of metrics in bad faith delays nobody who asks in good; nor does a mistake of ours."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inspector.errors.internal import Border
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs import metrics_endpoint
from inspector.live.outputs.handshake_counts import MetricRow
from inspector.live.outputs.metrics_endpoint import CONNECTIONS, MetricsEndpoint
from inspector.live.outputs.metrics_exchange import HEAD_BYTES
from inspector.live.outputs.metrics_snapshot import MetricsSnapshot
from tests.build import capture
from tests.live import listened
from tests.served_metrics import Served, counted, get, patiently  # noqa: F401 - a fixture
from tests.test_watch import fault
from tests.waiting import NEVER_SECONDS, PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("patiently")


@pytest.fixture(scope="module")
def live() -> LiveCapture:
    return listened(capture(fault(3).flows))[0]


@pytest.fixture
def served(live: LiveCapture) -> Iterator[Served]:
    server = Served(live, counted())
    yield server
    server.close()


GARBAGE = {
    "nothing": b"",
    "no HTTP": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
    "no version": b"GET /metrics\r\n\r\n",
    "another version": b"GET /metrics HTTP/9.9\r\n\r\n",
    "no end": b"GET /metrics HTTP/1.1\r\nHost: x\r\n",
    "no end of names": b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * HEAD_BYTES,
    "one long line": b"G" * (HEAD_BYTES + 1),
    "many names": b"GET /metrics HTTP/1.1\r\n" + b"a:b\r\n" * 200 + b"\r\n",
    "a folded header": b"GET /metrics HTTP/1.1\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0\r\n\tSet-Cookie: a=b\r\n\r\n",
    "a header that is no ASCII": b"GET /metrics HTTP/1.1\r\nAccept: text/plain;version=1.\xe9\x85\r\n\r\n",
    "an address of another": b"GET http://[/metrics HTTP/1.1\r\n\r\n",
    "a control character": b"GET /\x1b]0;x\x07 HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_costs_its_own_connection(name: str, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with served.connected() as client:
        client.sendall(GARBAGE[name])
        if len(GARBAGE[name]) < HEAD_BYTES:  # else it is closed as soon as that is read
            client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while more := client.recv(1 << 16):
                answer += more
        except ConnectionResetError:  # there was more than is read
            pass
    assert b"\nSet-Cookie" not in answer
    assert served.get()[0] == 200
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("beginning", [b"", b"GET /metrics HTTP/1.1\r\n"], ids=["nothing", "no end"])
def test_whoever_never_asks_delays_nobody(beginning: bytes, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are: the oldest of them makes room."""
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", NEVER_SECONDS)
    before = threading.active_count()
    with ExitStack() as open_ones:
        clients = []
        for _ in range(3 * CONNECTIONS):
            clients.append(open_ones.enter_context(served.connected()))
            clients[-1].sendall(beginning)
        assert served.get()[0] == 200
        assert threading.active_count() == before
        assert [client.recv(1) for client in clients[: 2 * CONNECTIONS]] == [b""] * 2 * CONNECTIONS
        for client in clients[2 * CONNECTIONS + 1 :]:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        clients[-1].setblocking(True)
        clients[-1].sendall(b"\r\n" if beginning else b"GET /metrics HTTP/1.1\r\n\r\n")
        assert clients[-1].recv(12) == b"HTTP/1.0 200"


def test_whoever_never_asks_is_left_after_a_moment(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", 0.1)
    with served.connected() as silent:
        assert silent.recv(1) == b""


@pytest.fixture
def much(live: LiveCapture) -> Iterator[Served]:
    """An answer that no buffer of the kernel takes."""
    counts = counted()
    for port in range(60_000):
        counts.results[MetricRow("a-service-of-a-longer-name.example.com", port, "B", "full", False)] = port
    served = Served(live, counts)
    yield served
    served.close()


REQUEST = b"GET /metrics HTTP/1.1\r\n\r\n"


def test_whoever_does_not_read_delays_nobody(much: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """They make room only where nobody is there who has not asked yet."""
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(metrics_endpoint, "FRESH_SECONDS", NEVER_SECONDS)
    with ExitStack() as open_ones:

        def unread() -> socket.socket:
            client = open_ones.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(PATIENCE_SECONDS)
            client.connect(("127.0.0.1", much.port))
            client.sendall(REQUEST)
            assert client.recv(12) == b"HTTP/1.0 200"
            return client

        first = unread()
        silent = [open_ones.enter_context(much.connected()) for _ in range(2 * CONNECTIONS)]
        assert silent[0].recv(1) == b""
        whole = len(much.told(REQUEST))
        assert whole > 5_000_000
        size = 12
        while more := first.recv(1 << 16):
            size += len(more)
        assert size == whole
        for _ in range(2 * CONNECTIONS):
            unread()
        assert len(much.told(REQUEST)) == whole


def waiting_sockets(port: int) -> int:
    """Those of a port that the system keeps for somebody to take what was sent (FIN_WAIT1, tcp(7))."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].partition(":")[2], 16) == port and row[3] == "04" for row in rows)


def test_what_nobody_takes_is_not_left_to_the_system(much: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep it for as long as whoever asked likes."""
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", 1.0)
    left_alone = select.poll()
    with ExitStack() as open_ones:
        for _ in range(CONNECTIONS):
            client = open_ones.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", much.port))
            client.sendall(REQUEST)
            left_alone.register(client, 0)
        assert until(lambda: len(left_alone.poll(0)) == CONNECTIONS), "each is told that it was left"
        assert waiting_sockets(much.port) == 0


def test_whoever_has_the_answer_and_does_not_close_delays_nobody(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", NEVER_SECONDS)
    with ExitStack() as open_ones:
        for _ in range(2 * CONNECTIONS):
            client = open_ones.enter_context(served.connected())
            client.sendall(REQUEST)
            while client.recv(1 << 16):
                pass
        assert served.get()[0] == 200


def test_where_the_loop_hangs_that_is_the_answer(live: LiveCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all who ask, after what the first has to wait; until it goes on."""
    monkeypatch.setattr(metrics_endpoint, "LOOP_SECONDS", 0.1)
    monkeypatch.setattr(metrics_endpoint, "FRESH_SECONDS", NEVER_SECONDS)
    endpoint = MetricsEndpoint("127.0.0.1", 0)
    endpoint.start()
    port = int(endpoint.url.rpartition(":")[2].partition("/")[0])
    try:
        assert get(port)[0] == 503
        monkeypatch.setattr(metrics_endpoint, "LOOP_SECONDS", 0.0)
        assert {get(port)[0] for _ in range(8)} == {503}
        endpoint.write(live, counted(), 0.0)
        assert get(port)[0] == 200
    finally:
        endpoint.close()


def test_closed_it_answers_nobody(served: Served) -> None:
    with served.connected() as client:
        assert served.get()[0] == 200
        served.endpoint.close()
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            served.get()


def test_a_mistake_of_ours_costs_one_answer(live: LiveCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Border, "is_loud", False)

    def mistaken(snapshot: MetricsSnapshot, accept: str) -> None:
        raise RuntimeError

    served = Served(live, counted())
    before = live.border.count
    number = 8
    try:
        with monkeypatch.context() as patched:
            patched.setattr(MetricsSnapshot, "written", mistaken)
            assert {served.told(b"GET /metrics HTTP/1.1\r\n\r\n") for _ in range(number)} == {b""}
        assert served.get()[0] == 200
        assert until(lambda: live.border.count == before + number)
    finally:
        served.close()
