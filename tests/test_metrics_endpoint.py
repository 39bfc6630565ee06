"""Metrics over HTTP: what the file says, served to whoever asks, by a process that is confined; and whoever asks in bad
faith gets nowhere.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_fd_to_metric_families as openmetrics
from prometheus_client.parser import text_fd_to_metric_families as classic

from inspector.errors import UsageError
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs import metrics_endpoint
from inspector.live.outputs.handshake_counts import (
    HandshakeCounts,
)
from inspector.live.outputs.metric_families import MetricFamily, families
from inspector.live.outputs.metrics import text
from inspector.live.outputs.metrics_endpoint import MetricsEndpoint
from inspector.live.outputs.metrics_snapshot import FORMS, MetricsSnapshot
from inspector.text.hostport import listening
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import WATCH_AS_USUAL, listened
from tests.served_metrics import Served, counted, get, patiently  # noqa: F401 - a fixture
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


pytestmark = pytest.mark.usefixtures("patiently")


@pytest.fixture(scope="module")
def live() -> LiveCapture:
    return listened(capture(fault(3).flows))[0]


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
        [promtool, "check", "metrics"], input=served.get()[2], capture_output=True, timeout=COMMAND_SECONDS, check=False
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
            status, _, body = get(port, f"/api/v1/query?query={quote(query)}")
        except OSError:  # it has not begun to listen
            return []
        if status != 200:  # it is not ready
            return []
        return [(result["metric"], result["value"][1]) for result in json.loads(body)["data"]["result"]]

    def scraped(name: str) -> list[tuple[dict[str, str], str]]:
        """The last that came, though it comes too late the next time."""
        return answered(f"last_over_time({name}[1h])")

    with subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as scraper:
        try:
            assert until(lambda: [value for _, value in answered("up")] == ["1"])
            assert [value for _, value in scraped("inspector_incidents_total")] == ["3"]
            ((labels, value),) = scraped("inspector_answer_seconds_count")
            assert (labels["service"], value) == ('a"b\\\\c\\x0a\\x1b[0m:8081', "2")
        finally:
            scraper.terminate()


def test_whoever_asks_for_ever_new_forms_does_not_crowd_out_the_others(live: LiveCapture) -> None:
    snapshot = MetricsSnapshot(lambda: families(live, counted()))
    texts = [snapshot.written(f"text/plain;version={number}.0.0;escaping=dots") for number in range(1, 9)]
    more = [snapshot.written(f"application/openmetrics-text;version={number}.0.0") for number in range(1, 9)]
    assert len({id(form.body) for form in texts}) == len({id(form.body) for form in more}) == 1
    assert {form.media_type for form in texts} == {snapshot.written("").media_type}
    assert {form.media_type.partition(";")[0] for form in more} == {"application/openmetrics-text"}
    assert len({id(form.body) for form in (*texts, *more)}) == len(FORMS)


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
        assert until(lambda: b"inspector_incidents_total 0.0\n" in get(int(port))[2])
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
