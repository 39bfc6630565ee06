"""The commands ``report`` and ``verify`` as people run them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import Pool, certificate, numbered, written
from tests.conftest import CAPTURES, find
from tests.live import bytes_of, watched
from tests.waiting import COMMAND_SECONDS


def run(*arguments: str, folder: Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(CAPTURES.parent)}
    return subprocess.run(
        [sys.executable, "-m", "inspector", *arguments],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=folder,
        env=environment,
        input=data,
    )


def test_a_report_and_its_check(tmp_path: Path) -> None:
    logs = [part for p in sorted(CAPTURES.glob("puppet-session-ids.*.log.gz")) for part in ("--log", str(p))]
    done = run("report", str(find("puppet-session-ids")), *logs, "-o", "incident", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"23 incidents" in done.stdout
    files = {p.name for p in (tmp_path / "incident").iterdir()}
    assert files == {
        *("MANIFEST.json", "report.html", "report.md", "analysis.json", "connections.csv", "evidence.pcapng"),
        *("evidence.haproxy.1.log", "evidence.puppetserver.2.log"),
    }
    done = run("verify", "incident", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(
        b"incident holds: 7 files have their hashes; judging evidence.pcapng again gives its 25 findings"
    )
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "incident", moved)
    assert run("verify", str(moved), folder=tmp_path).returncode == 0
    (moved / "report.html").write_text("other")
    done = run("verify", str(moved), folder=tmp_path)
    assert done.returncode == 1
    assert b"report.html was changed" in done.stderr
    manifest = json.loads((moved / "MANIFEST.json").read_bytes())
    assert manifest["command"][:2] == ["inspector", "report"]
    assert manifest["inputs"][0]["sha256"]
    assert manifest["inputs"][0]["packets"] == 3221
    assert manifest["host"]


def test_several_files_and_directories(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in ("silent-abort", "tls13"):
        shutil.copy(find(name), folder)
    done = run("report", str(folder), "-o", "both", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run("verify", "both", folder=tmp_path).returncode == 0
    manifest = json.loads((tmp_path / "both" / "MANIFEST.json").read_bytes())
    assert [i["kind"] for i in manifest["inputs"]] == ["capture", "capture"]


def test_a_journal_and_standard_input_have_no_packets(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    _, process = watched(bytes_of(find("silent-abort")), "--journal", str(journal))
    assert process.returncode == 0
    done = run("report", str(journal), "-o", "of-journal", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"10 incidents" in done.stdout
    assert b"what was read are facts, which hold none" in done.stderr
    assert run("verify", "of-journal", folder=tmp_path).returncode == 0
    done = run("report", str(journal), "--redact", "-o", "of-journal-redacted", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "of-journal-redacted" / "report.md").read_text(encoding="utf-8")
    assert "The client aborted 10 of" in text
    assert "example.com" not in text
    assert "10.99.0" not in text
    done = run("report", "-", "-o", "of-input", folder=tmp_path, data=bytes_of(find("silent-abort")))
    assert done.returncode == 0, done.stderr
    assert b"standard input cannot be read a second time" in done.stderr


def test_the_redaction_key_is_made_and_told(tmp_path: Path) -> None:
    for number in (1, 2):
        done = run("report", str(find("silent-abort")), "--redact", "-o", f"r{number}", folder=tmp_path)
        assert done.returncode == 0
        assert (b"a new redaction key" in done.stderr) is (number == 1)
    first, second = (json.loads((tmp_path / f"r{n}" / "analysis.json").read_bytes()) for n in (1, 2))
    assert first == second
    done = run("report", str(find("silent-abort")), "--redact-key", "mine", "-o", "r3", folder=tmp_path)
    assert done.returncode == 0
    third = json.loads((tmp_path / "r3" / "analysis.json").read_bytes())
    assert third["services"][0]["name"] != first["services"][0]["name"]
    assert third["services"][0]["aborted"] == first["services"][0]["aborted"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "nothing.pcap"], b"nothing.pcap"),
        (["report", "CAPTURE", "-o", "full"], b"is not empty"),
        (["report", "CAPTURE", "--incident", "ffff"], b"no incident begins with ffff"),
        (["report", "CAPTURE", "--incident", "ffff"], b" and 5 more"),
        (["report", "CAPTURE", "--incident", "1"], b"there are 1827f205d0, 198f6d329d\n"),
        (["report", "CAPTURE", "--from", "noon"], b"no time such as"),
        (["report", "CAPTURE", "-o", "/proc/none/x"], b"/proc/none/x"),
        (["verify", "full"], b"no bundle"),
        (["verify", "nowhere"], b"nowhere"),
        (["report", "CAPTURE", "--redact-key", "short"], b"no key"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: list[str], said: bytes) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    (tmp_path / "short").write_text("short")
    done = run(*[str(find("silent-abort")) if a == "CAPTURE" else a for a in arguments], folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "inspector-report").exists()


def test_logs_that_cannot_be_used_lose_nothing_of_the_rest(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("")
    (tmp_path / "binary.log").write_bytes(b"\x7fELF\0" * 100)
    (tmp_path / "other.log").write_text("Nov 23 some other program said this\n" * 30_000)
    done = run(
        "report",
        str(find("silent-abort")),
        *(p for n in ("empty", "binary", "other", "none") for p in ("--log", f"{n}.log")),
        "-o",
        "r",
        folder=tmp_path,
    )
    assert done.returncode == 0
    for text in (
        b"empty.log: is empty",
        b"binary.log: is no text",
        b"other.log: is of no known format",
        b"none.log: cannot be read: No such file",
    ):
        assert text in done.stderr
    document = json.loads((tmp_path / "r" / "analysis.json").read_bytes())
    assert [limit["kind"] for limit in document["limits"]].count("log_unreadable") == 4
    assert len(document["incidents"]) == 10
    assert run("verify", "r", folder=tmp_path).returncode == 0


def test_references_are_of_what_has_remedies(tmp_path: Path) -> None:
    """A client that goes on though Java's rule says abort is told, with no word on how to cure what did not happen; the
    failure has another reason.
    """
    a, b = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
    pool = Pool()
    pool.full(a, numbered(1))
    pool.resumed(numbered(1))
    pool.full(b, numbered(2), numbered(1))
    pool.server_alert(40)
    assert run("report", str(written(tmp_path, pool.flows)), "-o", "other", folder=tmp_path).returncode == 0
    text = (tmp_path / "other" / "report.md").read_text(encoding="utf-8")
    assert "A Java client went on once" in text
    assert "handshake_failure" in text
    assert not any(word in text for word in ("SERVER-207", "7627", "## References"))
