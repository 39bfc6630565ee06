"""Real runs of the command: exit codes, where output goes, formats, filters, signals and pipes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest

from inspector.reports.json_schema import schema
from tests.build import DATA, Pool, certificate, numbered, written
from tests.conftest import CAPTURES, find
from tests.waiting import COMMAND_SECONDS, until, waiting_bytes

INSPECTOR = [sys.executable, "-m", "inspector"]
ABORTS, PROTECTED = str(find("silent-abort")), str(find("shared-certificate"))


def run(*arguments: str, data: bytes | None = None, expect: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [*INSPECTOR, *arguments], input=data, capture_output=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == expect, (arguments, done.returncode, done.stderr[-500:])
    assert b"Traceback" not in done.stderr
    return done


def test_help_and_version() -> None:
    out = run("--help").stdout.decode()
    for command in ("analyze", "compare", "demo", "open"):
        assert command in out
        assert run(command, "--help").stdout
    assert run("--version").stdout.startswith(b"inspector ")
    assert run("-h").stdout.decode().splitlines()[2:] == out.splitlines()[2:]


def test_help_loads_nothing_heavy() -> None:
    heavy = ("numpy", "textual", "msgspec", "cryptography", "scapy", "dpkt")
    lines = [
        "import os, sys",
        "sys.argv = ['inspector', '--help']",
        "os._exit = lambda status: None",
        "from inspector import cli",
        "cli.run()",
        f"print([m for m in {heavy} if m in sys.modules])",
    ]
    code = "\n".join(lines)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=COMMAND_SECONDS
    )
    assert done.stdout.strip().endswith("[]")


LATE = (
    *("difflib", "zstandard", "lzma", "bz2", "pathlib", "subprocess", "statistics", "shutil", "cryptography"),
    *("ssl", "asyncio", "inspector.probe"),
)
"""What an analysis of a plain file need not load; difflib is click's, for options that it does not know."""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")
def test_an_analysis_starts_no_thread_and_loads_only_what_it_needs(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(certificate("puppetdb1", ("puppetdb1.example.com",)), numbered(1))
    lines = [
        "import os, sys",
        f"sys.argv = ['inspector', 'analyze', '--format', 'json', {str(written(tmp_path, pool.flows))!r}]",
        "os._exit = lambda status: None",
        "from inspector import cli",
        "cli.run()",
        "assert 'numpy' in sys.modules",
        f"print([m for m in {LATE} if m in sys.modules], os.environ.get('OPENBLAS_NUM_THREADS'), end=' ')",
        "print(len(os.listdir('/proc/self/task')))",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS", "COVERAGE"))}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
        env=environment,
    )
    assert done.stdout.endswith("[] None 1\n")


def test_json_validates_and_is_the_library_s(tmp_path: Path) -> None:
    from inspector import analyze

    document = json.loads(run("analyze", ABORTS, "-T", "json", expect=1).stdout)
    jsonschema.validate(document, json.loads(schema()))
    assert document["schema"] == "inspector.analysis/1"
    typed = analyze(ABORTS)
    assert [c["id"] for c in document["connections"]] == [c.id for c in typed.connections]
    assert [f["id"] for f in document["findings"]] == [f.id for f in typed.findings]


def test_published_schema_is_that_of_the_types() -> None:
    published = Path(__file__).parent.parent / "docs" / "analysis.schema.json"
    assert json.loads(published.read_bytes()) == json.loads(schema())


def test_jsonl_has_the_same_objects() -> None:
    document = json.loads(run("analyze", ABORTS, "-T", "json", expect=1).stdout)
    rows = [json.loads(line) for line in run("analyze", ABORTS, "-T", "jsonl", expect=1).stdout.splitlines()]
    assert rows[0]["record"] == "analysis"
    for name in ("captures", "services", "connections", "sessions", "findings", "limits"):
        assert [{k: v for k, v in row.items() if k != "record"} for row in rows if row["record"] == name] == document[
            name
        ]


def test_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(run("analyze", ABORTS, "-T", "csv", expect=1).stdout.decode())))
    assert len(rows) == 40
    assert sum(row["outcome"] == "aborted" for row in rows) == 10


def test_filter() -> None:
    rows = json.loads(run("analyze", ABORTS, "-T", "json", "-Y", "outcome:aborted backend:B", expect=1).stdout)[
        "connections"
    ]
    assert rows
    assert {c["outcome"] for c in rows} == {"aborted"}
    done = run("analyze", ABORTS, "-Y", "outcome:aborted nosuch:1", expect=2)
    assert b"no field nosuch" in done.stderr
    assert b"column 17" in done.stderr


def test_vip() -> None:
    def count(*vips: str) -> int:
        document = json.loads(
            run("analyze", ABORTS, "-T", "json", "--fail-on", "never", *(o for v in vips for o in ("--vip", v))).stdout
        )
        return len(document["connections"])

    assert count("puppetdb.example.com:8081") == 40
    assert count("10.99.0.100:8081") == 40
    assert count("10.99.0.100:443") == 0
    assert count("other.example.com:8081", "PUPPETDB.example.com:8081") == 40
    assert count("[fd99::1]:8081") == 0
    run("analyze", ABORTS, "--vip", "nonsense", expect=2)
    run("analyze", ABORTS, "--vip", "host:99999", expect=2)


def test_first_generation() -> None:
    document = json.loads(
        run("analyze", ABORTS, "--jdk-generation", "first", "-T", "json", "--fail-on", "never").stdout
    )
    assert any("before 8u60" in f["explanation"] for f in document["findings"])


def test_output_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert run("analyze", ABORTS, "-T", "json", "-o", str(path), expect=1).stdout == b""
    assert json.loads(path.read_bytes())["connections"]
    run("analyze", ABORTS, "-o", str(tmp_path / "no" / "such"), expect=2)


@pytest.mark.parametrize("data", [b"", b"text", b"\xd4\xc3\xb2\xa1"])
def test_no_capture_gives_2_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.pcap"
    path.write_bytes(data)
    done = run("analyze", str(path), expect=2)
    assert done.stdout == b""
    assert done.stderr.startswith(b"inspector: ")
    run("analyze", "-", data=data, expect=2)


def test_missing_and_usage(tmp_path: Path) -> None:
    run("analyze", str(tmp_path / "missing.pcap"), expect=2)
    run("analyze", str(tmp_path), expect=2)
    run("analyze", expect=2)
    run("analyze", ABORTS, "--no-such-option", expect=2)
    run("nosuchcommand", expect=2)


def test_standard_input() -> None:
    assert b"aborted 10 of 40" in run("analyze", "-", data=Path(ABORTS).read_bytes(), expect=1).stdout


def test_one_bad_among_good(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"text")
    done = run("analyze", str(bad), PROTECTED)
    assert b"bad.pcap" in done.stderr
    assert b"bad.pcap" in done.stdout
    run("analyze", str(bad), PROTECTED, "--strict", expect=3)
    run("analyze", PROTECTED, "--strict")


def test_truncated(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(certificate("a"), numbered(1))
    path = written(tmp_path, pool.flows)
    path.write_bytes(path.read_bytes()[:-5])
    assert b"ends inside frame" in run("analyze", str(path)).stderr
    run("analyze", str(path), "--strict", expect=3)


def test_secrets_and_logs_that_say_nothing_are_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("")
    document = json.loads(run("analyze", PROTECTED, "-T", "json", "--keylog", str(file), "--log", str(file)).stdout)
    kinds = [limit["kind"] for limit in document["limits"]]
    assert kinds.count("not_decrypted") == 1
    assert kinds.count("log_unreadable") == 1
    assert {c["secrets"] for c in document["connections"]} == {"no secret for this connection"}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals(number: signal.Signals, status: int) -> None:
    child = subprocess.Popen(
        [*INSPECTOR, "analyze", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin is not None
    pipe = child.stdin
    pipe.write(b"\xd4\xc3\xb2\xa1" + bytes(20))
    pipe.flush()
    assert until(lambda: not waiting_bytes(pipe)), "it is at work"

    def ends() -> bool:  # one that comes between the last look at signals and a read is heard with the next
        child.send_signal(number)
        return child.poll() is not None

    assert until(ends)
    _, err = child.communicate()
    assert child.returncode == status
    assert b"Traceback" not in err


def test_app_needs_a_terminal() -> None:
    for arguments in ((ABORTS,), ("open", ABORTS)):
        assert b"inspector analyze" in run(*arguments, expect=2).stderr


def test_demo_without_a_terminal() -> None:
    done = run("demo")
    assert b"The client aborted 23 of 177 connections" in done.stdout


def test_text_analysis_stays_inside_ascii_terminals() -> None:
    done = subprocess.run(
        [*INSPECTOR, "analyze", ABORTS],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LANG": "C"},
        check=False,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_compare(tmp_path: Path) -> None:
    assert b"The smallest fix, 2 additions" in run("compare", str(find("puppet-session-ids")), expect=1).stdout
    run("compare", str(find("puppet-session-ids")), "--fail-on", "never")
    run("compare", str(find("puppet-shared-name")))
    told = json.loads(run("compare", str(find("puppet-shared-name")), "-T", "json").stdout)
    assert told["equivalent"]["current"] is True
    run("compare", str(find("puppet-shared-name")), "--jdk-generation", "first", expect=1)
    run("compare", str(tmp_path / "none.pem"), expect=2)
    text = tmp_path / "text.pem"
    text.write_text("nothing")
    run("compare", str(text), expect=2)
    done = run("compare", str(text), str(find("puppet-shared-name")), expect=1)
    assert b"no certificate" in done.stderr


def test_progress_is_said_on_standard_error(tmp_path: Path) -> None:
    from inspector.cli.progress import Progress

    out = io.StringIO()
    progress = Progress(out)
    progress.begin(1000)
    progress._started -= 30
    progress._shown -= 30
    progress.advance(500)
    assert out.getvalue() == "inspector: read 50 % of 0 MB\n"


def test_a_dumb_terminal_has_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.cli.progress import Progress

    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    progress = Progress(out)
    progress._started -= 30
    progress._shown -= 30
    progress.files(1, 2)
    progress.done()
    assert out.getvalue() == "inspector: read 1 of 2 files\n"


def test_a_service_that_is_not_there_among_others_that_are() -> None:
    printed = run("analyze", ABORTS, "--vip", "10.9.9.9:443", "--vip", "[2001:db8::1]:8081").stdout.decode()
    told = "No TLS of 10.9.9.9:443 or [2001:db8::1]:8081 was found in 612 frames, but 40 connections to others."
    assert told in " ".join(printed.split())


def test_several_files_are_one_story() -> None:
    document = json.loads(run("analyze", ABORTS, PROTECTED, ABORTS, "-T", "json", expect=1).stdout)
    assert len(document["captures"]) == 2
    assert len(document["connections"]) == 80
    assert CAPTURES.name in document["captures"][0]["path"]


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "csv"])
def test_file_names_that_are_no_text(tmp_path: Path, form: str) -> None:
    """Bytes that are no UTF-8, controls and quotes in a name: escaped everywhere, a problem nowhere."""
    name = os.fsdecode(b'\xff\x1b[31m"=x.pcap.gz')
    (tmp_path / name).write_bytes(Path(ABORTS).read_bytes())
    (tmp_path / ("bad" + name)).write_bytes(b"text")
    done = run("analyze", str(tmp_path), "-T", form, "--fail-on", "never")
    assert b"\x1b" not in done.stdout
    assert done.stdout.decode("utf-8")


@pytest.mark.parametrize("name", ["fifo", "/dev/stdin"])
def test_a_pipe_by_its_name_is_standard_input(tmp_path: Path, name: str) -> None:
    """As a shell's <(command): what was read of it to see what it is cannot be read again."""
    data = gzip.decompress((CAPTURES / "silent-abort.pcap.gz").read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(CAPTURES.parent)}
    command = [sys.executable, "-m", "inspector", "analyze", "-T", "json", name]
    if name == "fifo":
        os.mkfifo(tmp_path / name)
        threading.Thread(target=(tmp_path / name).write_bytes, args=(data,), daemon=True).start()
    done = subprocess.run(
        command,
        input=None if name == "fifo" else data,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert len(json.loads(done.stdout)["incidents"]) == 10


def test_pipes_that_cannot_be_read_are_named_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    os.mkfifo(tmp_path / "b")
    environment = {**os.environ, "PYTHONPATH": str(CAPTURES.parent)}
    for words in (("analyze", "a", "b"), ("analyze", "a", "-"), ("diff", "a", str(CAPTURES / "silent-abort.pcap.gz"))):
        done = subprocess.run(
            [sys.executable, "-m", "inspector", *words],
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 2
        assert b"pipe" in done.stderr
        assert b"Traceback" not in done.stderr


def test_strict_sees_what_is_missing_inside_connections(tmp_path: Path) -> None:
    """Bytes lost behind the handshake, where no verdict needs them, and a direction; a connection that began before the
    capture lacks nothing.
    """
    pool = Pool()
    flow = pool.full(certificate("a"), numbered(1))
    segments = list(flow.segments)
    said = next(i for i, s in enumerate(segments) if s.payload.startswith(DATA))
    kept = {
        "whole": segments,
        "gap": segments[:said] + segments[said + 1 :],
        "one direction": [s for s in segments if s.from_client],
        "from the middle": segments[said:],
    }
    for name, left in kept.items():
        flow.segments = left
        expect = 3 if name in ("gap", "one direction") else 0
        document = json.loads(
            run("analyze", str(written(tmp_path, pool.flows)), "--strict", "-T", "json", expect=expect).stdout
        )
        assert ("gaps" in {limit["kind"] for limit in document["limits"]}) == (name == "gap"), name
