"""The lines by which collectors are fed: what can be tried is tried as the page has it."""

from __future__ import annotations

import http.server
import json
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

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "collectors.md"
BULK = re.compile(r"```sh\n(bulk=.*?)```", re.DOTALL)


class Bulk(http.server.BaseHTTPRequestHandler):
    """Takes requests as Elasticsearch's bulk interface does: an action and a document by turns, a line each, the last
    one ended; and remembers them.
    """

    server: BulkServer

    def do_POST(self) -> None:
        *lines, end = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
        parsed = [json.loads(line) for line in lines]
        is_whole = not end and len(parsed) % 2 == 0 and self.headers["Content-Type"] == "application/x-ndjson"
        is_created = all(action == {"create": {}} for action in parsed[::2])
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
        ["sh", "-c", line], capture_output=True, text=True, timeout=300, check=True, cwd=CAPTURES.parent
    )
    assert done.stdout.splitlines() == ['"errors":false'] * len(elastic.requests)
    assert {path for path, _ in elastic.requests} == {"/logs-inspector-default/_bulk"}
    assert [count for _, count in elastic.requests[:-1]] == [100] * (len(elastic.requests) - 1)
    datasets = [re.findall(r"'dataset': '(\S+)'", str(document["event"]))[0] for document in elastic.documents]
    assert datasets.count("inspector.connection") == 177
    assert all("@timestamp" in document for document in elastic.documents)


def test_vectors_lines_are_toml() -> None:
    """An inline table may not be added to."""
    (lines,) = re.findall(
        r"(?:^    .*\n)*^    sources\..*\n(?:^    .*\n)*", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    parsed = tomllib.loads(lines)
    assert parsed["sinks"]["es"]["inputs"] == [*parsed["sources"]]
    assert parsed["log_schema"] == {"timestamp_key": "@timestamp"}
