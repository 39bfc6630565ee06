"""Metrics over HTTP: what the file says, served to whoever asks, by a process that is confined; and whoever asks in bad
faith gets nowhere.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_fd_to_metric_families as openmetrics
from prometheus_client.parser import text_fd_to_metric_families as classic

from inspector.errors import UsageError
from inspector.errors.internal import Border
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs import metrics_endpoint
from inspector.live.outputs.handshake_counts import (
    AnswerTimes,
    CountedMember,
    FailureRow,
    HandshakeCounts,
    MetricRow,
)
from inspector.live.outputs.metric_families import MetricFamily, families
from inspector.live.outputs.metrics import text
from inspector.live.outputs.metrics_endpoint import FORMS, HEAD_BYTES, THREADS, MetricsEndpoint, MetricsSnapshot
from inspector.text.hostport import listening
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import WATCH_AS_USUAL, listened
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
MEMBER = CountedMember('a"b\\c\n\x1b[0m', 8081, "B")
"""With all that must be escaped."""


@pytest.fixture(scope="module")
def live() -> LiveCapture:
    return listened(capture(fault(3).flows))[0]


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


def series(parsed: Iterable[Metric]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for metric in parsed for sample in metric.samples
    }


def test_the_file_and_both_forms_say_the_same(live: LiveCapture) -> None:
    counts = counted()
    file = text(live, counts)
    snapshot = MetricsSnapshot(lambda: families(live, counts))
    served, asked = snapshot.written(""), snapshot.written(OPENMETRICS)
    assert served is not None
    assert asked is not None
    said = series(classic(io.StringIO(file)))
    assert said == series(classic(io.StringIO(served.body.decode())))
    parsed = openmetrics(io.StringIO(asked.body.decode()))  # type: ignore[no-untyped-call]
    assert said == series(parsed)
    assert ("inspector_incidents_total", frozenset()) in said
    assert sum(name == "inspector_answer_seconds_bucket" for name, _ in said) == 14
    kinds = [re.findall(r"^# (?:TYPE|HELP) .*", form, re.MULTILINE) for form in (file, served.body.decode())]
    assert kinds[0] == kinds[1]


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


@pytest.fixture
def served(live: LiveCapture) -> Iterator[Served]:
    server = Served(live, counted())
    yield server
    server.close()


def test_the_library_chooses_the_form(served: Served) -> None:
    status, media_type, body = served.get()
    assert (status, media_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"inspector_incidents_total 3.0\n" in body
    assert not body.endswith(b"# EOF\n")
    status, media_type, body = served.get(accept=OPENMETRICS)
    assert (status, media_type.partition(";")[0]) == (200, "application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_what_is_not_there(served: Served) -> None:
    assert served.get("/")[0] == 404
    assert served.get("/metrics?name[]=x")[0] == 200
    assert served.get(method="POST")[0] == 501
    status, media_type, body = served.get(method="HEAD")
    assert (status, media_type[:10], body) == (200, "text/plain", b"")
    assert served.get(accept="application/openmetrics-text;version=x")[1].startswith("text/plain")


def test_prometheus_own_tool_takes_it(served: Served) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=served.get()[2], capture_output=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_prometheus_scrapes_it(served: Served, tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("there is no prometheus")
    target = {"job_name": "inspector", "static_configs": [{"targets": [f"127.0.0.1:{served.port}"]}]}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [target]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # YAML is JSON's superset
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]

    def answered(query: str) -> list[tuple[dict[str, str], str]]:
        try:
            status, _, body = get(port, f"/api/v1/query?query={query}")
        except OSError:  # it has not begun to listen
            return []
        if status != 200:  # it is not ready
            return []
        return [(result["metric"], result["value"][1]) for result in json.loads(body)["data"]["result"]]

    with subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as scraper:
        try:
            assert until(lambda: [value for _, value in answered("up")] == ["1"])
            assert [value for _, value in answered("inspector_incidents_total")] == ["3"]
            ((labels, value),) = answered("inspector_answer_seconds_count")
            assert (labels["service"], value) == ('a"b\\\\c\\x0a\\x1b[0m:8081', "2")
        finally:
            scraper.terminate()


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


def test_slow_clients_are_left(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than there are threads: those that say nothing, and those that never come to an end."""
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", 0.3)
    before = threading.active_count()
    with ExitStack() as open_ones:
        for number in range(3 * THREADS):
            client = open_ones.enter_context(served.connected())
            if number % 2:
                client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert served.get()[0] == 200
        assert threading.active_count() <= before


def test_whoever_does_not_read_is_left(live: LiveCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that no buffer of the kernel takes."""
    monkeypatch.setattr(metrics_endpoint, "EXCHANGE_SECONDS", 1.0)
    counts = counted()
    for port in range(60_000):
        counts.results[MetricRow("a-service-of-a-longer-name.example.com", port, "B", "full", False)] = port
    served = Served(live, counts)
    try:
        with ExitStack() as open_ones:
            for _ in range(2 * THREADS):
                client = open_ones.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", served.port))
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert until(lambda: len(served.told(b"GET /metrics HTTP/1.1\r\n\r\n")) > 5_000_000)
    finally:
        served.close()


def test_whoever_asks_for_ever_new_forms_does_not_crowd_out_the_others(live: LiveCapture) -> None:
    snapshot = MetricsSnapshot(lambda: families(live, counted()))
    texts = [snapshot.written(f"text/plain;version={number}.0.0;escaping=dots") for number in range(1, 9)]
    more = [snapshot.written(f"application/openmetrics-text;version={number}.0.0") for number in range(1, 9)]
    assert len({id(form.body) for form in texts}) == len({id(form.body) for form in more}) == 1
    assert {form.media_type for form in texts} == {snapshot.written("").media_type}
    assert {form.media_type.partition(";")[0] for form in more} == {"application/openmetrics-text"}
    assert len({id(form.body) for form in (*texts, *more)}) == len(FORMS)


def test_where_the_loop_hangs_that_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoint, "LOOP_SECONDS", 0.1)
    endpoint = MetricsEndpoint("127.0.0.1", 0)
    endpoint.start()
    try:
        assert get(int(endpoint.url.rpartition(":")[2].partition("/")[0]))[0] == 503
    finally:
        endpoint.close()


def test_samples_are_made_where_somebody_asks_and_once_for_all_who_do(
    live: LiveCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "FRESH_SECONDS", 2 * PATIENCE_SECONDS)
    made: list[LiveCapture] = []

    def noted(capture: LiveCapture, counts: HandshakeCounts) -> Iterator[MetricFamily]:
        made.append(capture)
        return families(capture, counts)

    monkeypatch.setattr(metrics_endpoint, "families", noted)
    served = Served(live, counted())
    try:
        time.sleep(0.1)  # the loop goes round some times
        assert not made
        assert {served.get()[0] for _ in range(20)} == {200}
        assert len(made) == 1
    finally:
        served.close()


def test_what_takes_long_is_done_less_often(live: LiveCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoint, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(metrics_endpoint, "SHARE", 0.1 / PATIENCE_SECONDS)
    made: list[LiveCapture] = []

    def slow(capture: LiveCapture, counts: HandshakeCounts) -> Iterator[MetricFamily]:
        made.append(capture)
        time.sleep(0.1)
        return families(capture, counts)

    monkeypatch.setattr(metrics_endpoint, "families", slow)
    served = Served(live, counted())
    try:
        assert {served.get()[0] for _ in range(20)} == {200}
        assert len(made) == 1
    finally:
        served.close()


def test_everywhere_is_both_protocols() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    endpoint = MetricsEndpoint("::", 0)
    port = int(endpoint.url.rpartition(":")[2].partition("/")[0])
    try:
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=PATIENCE_SECONDS).close()
    finally:
        endpoint.close()


def test_a_mistake_of_ours_costs_one_answer(live: LiveCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Border, "is_loud", False)

    def mistaken(snapshot: MetricsSnapshot, accept: str) -> None:
        raise RuntimeError

    served = Served(live, counted())
    before = live.border.count
    try:
        with monkeypatch.context() as patched:
            patched.setattr(MetricsSnapshot, "written", mistaken)
            assert {served.told(b"GET /metrics HTTP/1.1\r\n\r\n") for _ in range(2 * THREADS)} == {b""}
        assert served.get()[0] == 200
        assert until(lambda: live.border.count == before + 2 * THREADS)
    finally:
        served.close()


@pytest.mark.parametrize("options", [(), ("-Z", "nobody"), ("--no-sandbox",)], ids=" ".join)
def test_a_confined_watch_is_scraped(options: tuple[str, ...]) -> None:
    if options[:1] == ("-Z",) and os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    watching = subprocess.Popen(
        [*WATCH_AS_USUAL, "--no-journal", "--metrics-listen", "0", *options, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=CAPTURES.parent,
    )
    assert watching.stdin is not None
    assert watching.stderr is not None
    with watching:
        said = b""
        while b"/metrics" not in said:
            line = watching.stderr.readline()
            assert line, said
            said += line
        (port,) = re.findall(rb"http://127\.0\.0\.1:(\d+)/metrics", said)
        assert (b"not confined" in said) == (options == ("--no-sandbox",))
        assert b"inspector_incidents_total 0.0\n" in get(int(port))[2]
        watching.stdin.write(capture(fault(3).flows))
        watching.stdin.flush()
        assert until(lambda: b"inspector_incidents_total 3.0\n" in get(int(port))[2])
        watching.stdin.close()
        assert watching.wait(COMMAND_SECONDS) == 0
        with pytest.raises(ConnectionRefusedError):
            get(int(port))


LISTENING = {
    "9481": ("127.0.0.1", 9481),
    "0": ("127.0.0.1", 0),
    "0.0.0.0:9481": ("0.0.0.0", 9481),
    "[::1]:9481": ("::1", 9481),
    "monitor.example.com:0": ("monitor.example.com", 0),
}


@pytest.mark.parametrize("written", LISTENING)
def test_where_to_listen(written: str) -> None:
    assert listening(written) == LISTENING[written]


@pytest.mark.parametrize(
    "written", ["", ":9481", "65536", "x", "127.0.0.1:", "127.0.0.1:65536", "[::1:9481", "-1", "\u0661"]
)
def test_what_is_no_place_to_listen(written: str) -> None:
    with pytest.raises(UsageError, match=r"not \[HOST:\]PORT"):
        listening(written)


@pytest.mark.parametrize("host", ["256.256.256.256", "a" * 70, "192.0.2.1"])
def test_a_host_that_is_none_of_ours(host: str) -> None:
    with pytest.raises(UsageError, match=f"^--metrics-listen {host}:9481: "):
        MetricsEndpoint(host, 9481)


def test_a_port_that_somebody_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        with pytest.raises(UsageError, match=f"^--metrics-listen 127.0.0.1:{port}: Address already in use"):
            MetricsEndpoint("127.0.0.1", port)
