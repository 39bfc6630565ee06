"""The lines by which collectors are fed: what can be tried is tried as the page has it."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CAPTURES, find
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "collectors.md"
BULK = re.compile(r"```sh\n(bulk=.*?)```", re.DOTALL)


JSON_LINES = "application/x-ndjson", "application/json"
"""What the bulk interface takes."""


class Bulk(http.server.BaseHTTPRequestHandler):
    """Takes requests as Elasticsearch's bulk interface does: an action and a document by turns, a line each, the last
    one ended; and remembers them.
    """

    server: BulkServer

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        *lines, end = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
        parsed = [json.loads(line) for line in lines]
        is_whole = not end and len(parsed) % 2 == 0 and self.headers["Content-Type"].split(";")[0] in JSON_LINES
        is_created = all([*action] == ["create"] for action in parsed[::2])
        self.server.actions += parsed[::2]
        self.server.requests.append((self.path, len(parsed)))
        self.server.documents += parsed[1::2]
        self.send_response(200 if is_whole and is_created else 400)
        self.end_headers()
        self.wfile.write(b'{"took":1,"errors":false,"items":[]}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


class BulkServer(http.server.HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Bulk)
        self.requests: list[tuple[str, int]] = []
        self.actions: list[dict[str, dict[str, str]]] = []
        self.documents: list[dict[str, object]] = []


@pytest.fixture
def elastic() -> Iterator[BulkServer]:
    server = BulkServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_capture_is_sent_as_the_page_says(elastic: BulkServer) -> None:
    if not all(map(shutil.which, ("curl", "sed", "split"))):
        pytest.skip("there is no curl, sed or split")
    (line,) = BULK.findall(PAGE.read_text(encoding="utf-8"))
    for written, here in {
        "http://es:9200": f"http://127.0.0.1:{elastic.server_address[1]}",
        "inspector analyze": f"{sys.executable} -m inspector analyze",
        "vip.pcap": str(find("puppet-session-ids")),
        "split -l 10000": "split -l 100",
    }.items():
        assert line.count(written) == 1
        line = line.replace(written, here)
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True, cwd=CAPTURES.parent
    )
    assert done.stdout.splitlines() == ['"errors":false'] * len(elastic.requests)
    assert {path for path, _ in elastic.requests} == {"/logs-inspector-default/_bulk"}
    assert [count for _, count in elastic.requests[:-1]] == [100] * (len(elastic.requests) - 1)
    assert all(action == {"create": {}} for action in elastic.actions)
    datasets = [re.findall(r"'dataset': '(\S+)'", str(document["event"]))[0] for document in elastic.documents]
    assert datasets.count("inspector.connection") == 177
    assert all("@timestamp" in document for document in elastic.documents)


def test_rsyslog_sends_each_line_as_it_is(elastic: BulkServer, tmp_path: Path) -> None:
    daemon = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    if daemon is None or not [*Path("/usr").glob("lib*/**/rsyslog/omelasticsearch.so")]:
        pytest.skip("there is no rsyslog with omelasticsearch")
    (settings,) = re.findall(r'```\n(module\(load="imfile"\)\n.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = tmp_path / "inspector.jsonl"
    for written, here in {
        "/var/log/inspector.jsonl": str(lines),
        'server="es" serverport="9200"': f'server="127.0.0.1" serverport="{elastic.server_address[1]}"',
    }.items():
        assert settings.count(written) == 1
        settings = settings.replace(written, here)
    path = tmp_path / "rsyslog.conf"
    path.write_text(f'global(workDirectory="{tmp_path}")\n{settings}')
    words = "analyze", str(find("silent-abort")), "-T", "ecs", "--fail-on", "never"
    printed = subprocess.run([sys.executable, "-m", "inspector", *words], capture_output=True, check=True).stdout
    lines.write_bytes(printed)
    process = subprocess.Popen([daemon, "-n", "-f", str(path), "-i", str(tmp_path / "pid")])
    try:
        until(lambda: len(elastic.documents) >= printed.count(b"\n"))
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    assert elastic.documents == [json.loads(line) for line in printed.splitlines()]
    assert {action["create"]["_index"] for action in elastic.actions} == {"logs-inspector-default"}
    assert len({action["create"]["_id"] for action in elastic.actions}) == len(elastic.actions)


def test_vectors_lines_are_toml() -> None:
    """An inline table may not be added to."""
    (lines,) = re.findall(
        r"(?:^    .*\n)*^    sources\..*\n(?:^    .*\n)*", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    parsed = tomllib.loads(lines)
    assert parsed["sinks"]["es"]["inputs"] == [*parsed["sources"]]
    assert parsed["log_schema"] == {"timestamp_key": "@timestamp"}
