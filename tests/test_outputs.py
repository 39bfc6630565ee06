"""Whatever cannot be written is told by each command in the same way: readers that leave, full disks, streams that are
closed. Real runs.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.reports.formats import FORMATS
from tests.build import capture
from tests.conftest import CAPTURES, find
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS

CAPTURE = str(find("silent-abort"))
FULL = Path("/dev/full")
READER_LEFT = 141

PRINTING = [
    *(("analyze", CAPTURE, "-T", form) for form in FORMATS),
    *(("diff", CAPTURE, CAPTURE, "-T", form) for form in ("text", "json")),
    *(("compare", CAPTURE, "-T", form) for form in ("text", "json")),
    ("doctor",),
    ("doctor", "--recipe"),
    ("live", "-D"),
    ("demo",),
    ("report", CAPTURE, "-o", "{new}"),
    ("--help",),
    ("--version",),
    ("analyze", "--help"),
    ("watch", "-Z", "root", "--no-journal", "-"),
]
"""Commands that print. ``{new}``: a place for a file."""


def shell(line: str, *arguments: str, folder: Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """``line``: redirections around ``"$@"``, which is the command with these arguments."""
    command = [sys.executable, "-m", "inspector", *(a.format(new=folder / "new") for a in arguments)]
    done = subprocess.run(
        ["sh", "-c", line, "sh", *command], input=data, capture_output=True, timeout=COMMAND_SECONDS, check=False
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    return done


def stream_of(arguments: tuple[str, ...]) -> bytes:
    return capture(fault().flows) if "-" in arguments else b""


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
@pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_standard_output_that_takes_nothing_is_named_once(
    arguments: tuple[str, ...], redirection: str, tmp_path: Path
) -> None:
    done = shell(f'"$@" {redirection}', *arguments, folder=tmp_path, data=stream_of(arguments))
    assert done.returncode == 2
    assert done.stderr.count(b"inspector: standard output: ") == 1


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_leaves_ends_a_command_quietly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    left, right = os.pipe()
    os.close(left)
    child = subprocess.Popen(
        [sys.executable, "-m", "inspector", *(a.format(new=tmp_path / "new") for a in arguments)],
        stdin=subprocess.PIPE,
        stdout=right,
        stderr=subprocess.PIPE,
    )
    os.close(right)
    _, said = child.communicate(stream_of(arguments), timeout=COMMAND_SECONDS)
    assert child.returncode == READER_LEFT
    assert b"standard output" not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&1 >/dev/null | true", "<&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("analyze", CAPTURE), 1),
        (("analyze", "/no/such/file"), 2),
        (("watch", "-Z", "root", "--no-journal", "-"), 0),
        (("report", CAPTURE, "-o", "{new}"), 0),
    ],
)
def test_what_standard_error_does_not_take_is_lost(
    redirection: str, arguments: tuple[str, ...], status: int, tmp_path: Path
) -> None:
    """The command does what it does."""
    line = f'{{ "$@"; echo $? >{tmp_path}/status; }} {redirection}'
    done = shell(line, *arguments, folder=tmp_path, data=stream_of(arguments))
    assert done.stderr == b""
    assert int((tmp_path / "status").read_text()) == status


def test_no_file_stands_in_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    written = tmp_path / "written.json"
    done = shell('"$@" <&- >&- 2>&-', "analyze", CAPTURE, "-T", "json", "-o", str(written), folder=tmp_path)
    assert done.returncode == 1
    assert written.read_bytes() == shell('"$@"', "analyze", CAPTURE, "-T", "json", folder=tmp_path).stdout


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
def test_an_output_file_that_takes_nothing_is_named(form: str, tmp_path: Path) -> None:
    done = shell('"$@"', "analyze", CAPTURE, "-T", form, "-o", str(FULL), folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, b"inspector: /dev/full: No space left on device\n")


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    """Under whatever name, and in a directory that is read."""
    folder = tmp_path / "captures"
    folder.mkdir()
    kept, log, link = folder / "kept.pcap.gz", tmp_path / "ssl.log", tmp_path / "link"
    kept.write_bytes(Path(CAPTURE).read_bytes())
    log.write_bytes(b"a line\n")
    link.symlink_to(kept)
    (tmp_path / "hard").hardlink_to(kept)
    reading = ("analyze", "--log", str(log))
    listening = ("watch", "--via", "true", "--log", str(log), "--keylog", str(kept))
    for words, option in (
        ((*reading, str(kept), "-o", str(link)), "a capture"),
        ((*reading, str(folder), "-T", "json", "-o", str(kept)), "a capture"),
        ((*reading, str(kept), "-o", str(tmp_path / "hard")), "a capture"),
        ((*reading, str(kept), "-o", str(log)), "--log"),
        ((*reading, str(kept), "-T", "zeek", "-o", str(tmp_path)), "--log"),
        ((*listening, "-w", str(link)), "--keylog"),
        ((*listening, "--metrics", str(log)), "--log"),
        ((*listening, "--journal", str(log)), "--log"),
    ):
        done = shell('"$@"', *words, folder=tmp_path)
        assert done.returncode == 2
        assert f": that is the file of {option}\n".encode() in done.stderr
    for command, writing in (("analyze", "-o"), ("watch", "-w")):
        done = shell(f'"$@" <{kept}', command, "-", writing, str(link), folder=tmp_path)
        assert done.returncode == 2
        assert b": that is the file of standard input\n" in done.stderr
    assert (kept.read_bytes(), log.read_bytes()) == (Path(CAPTURE).read_bytes(), b"a line\n")


def test_a_report_does_not_take_the_place_of_the_evidence_that_it_is_made_of(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    assert shell('"$@"', "report", CAPTURE, "-o", str(folder), folder=tmp_path).returncode == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for source in (folder, folder / "evidence.pcapng"):
        done = shell('"$@"', "report", str(source), "-o", str(folder), "--force", folder=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"inspector: -o {folder}/evidence.pcapng: that is the file of".encode())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert shell('"$@"', "report", CAPTURE, "-o", str(folder), "--force", folder=tmp_path).returncode == 0


def test_whatever_is_read_another_file_is_written(tmp_path: Path) -> None:
    """Facts and a pipe are no files that could be written over, a device keeps nothing; what cannot be read beside is
    named, and the rest is analysed.
    """
    facts, empty, written = tmp_path / "facts", tmp_path / "empty", tmp_path / "written"
    empty.mkdir()
    assert shell('"$@"', "extract", CAPTURE, "-o", str(facts), folder=tmp_path).returncode == 0
    reading = ("analyze", "--fail-on", "never", "-T", "csv")
    for line, words, problem in (
        ('"$@"', (str(facts),), b""),
        ('"$@"', (str(empty), CAPTURE), f"inspector: {empty}: no capture in this directory\n".encode()),
        (f'cat {CAPTURE} | "$@"', ("-",), b""),
        (f'"$@" <{CAPTURE}', ("-",), b""),
    ):
        printed = shell(line, *reading, *words, folder=tmp_path)
        done = shell(line, *reading, *words, "-o", str(written), folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, problem)
        assert written.read_bytes() == printed.stdout
        written.unlink()
    done = shell('"$@"', *reading, CAPTURE, "--log", os.devnull, "-o", os.devnull, folder=tmp_path)
    assert done.returncode == 0
    table = next((facts / "connections").rglob("*.parquet"))
    done = shell('"$@"', *reading, str(facts), "-o", str(table), folder=tmp_path)
    assert done.returncode == 2
    assert b": that is the file of a capture\n" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("analyze", CAPTURE, "-T", "json", "-o", "{new}"), ("report", CAPTURE, "-o", "{new}")], ids=" ".join
)
def test_a_disk_that_fills_up_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    command = [sys.executable, "-m", "inspector", *(a.format(new=tmp_path / "new") for a in arguments)]
    done = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False, preexec_fn=few_bytes)
    assert (done.returncode, done.stderr) == (2, f"inspector: {tmp_path}/new: File too large\n".encode())
    assert not (tmp_path / "new.partial").exists()


def test_a_terminal_that_does_not_wait_is_waited_for(tmp_path: Path) -> None:
    """A stream that somebody else has made a non-blocking one, as ssh does."""
    left, right = os.pipe()
    os.set_blocking(right, False)
    command = [sys.executable, "-m", "inspector", "analyze", str(CAPTURES / "puppet-session-ids.pcap.gz"), "-T", "json"]
    child = subprocess.Popen(command, stdout=right, stderr=subprocess.PIPE)
    os.close(right)
    with open(left, "rb") as out:
        whole = out.read()
    _, said = child.communicate(timeout=COMMAND_SECONDS)
    assert (child.returncode, said) == (1, b"")
    assert len(whole) > 1 << 17
    assert whole.endswith(b"]}\n")


@pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
def test_what_else_a_capture_writes_is_finished_without_its_lines(tmp_path: Path) -> None:
    data = capture(fault().flows)
    options = ("-Z", "root", "--no-journal", "-w", f"{tmp_path}/all.pcapng", "--incidents", f"{tmp_path}/incidents")
    done = shell('"$@" >/dev/full', "watch", *options, "-", folder=tmp_path, data=data)
    assert done.returncode == 2
    assert list((tmp_path / "incidents").glob("incident-*.pcapng"))
    analysed = [
        shell('"$@"', "analyze", "-T", "csv", path, folder=tmp_path, data=data).stdout.splitlines()
        for path in (f"{tmp_path}/all.pcapng", "-")
    ]
    assert len(analysed[0]) == len(analysed[1]) > 2


def test_metrics_replace_no_device(tmp_path: Path) -> None:
    pipe = tmp_path / "m.prom"
    os.mkfifo(pipe)
    options = ("-Z", "root", "--no-journal", "--metrics", str(pipe), "-")
    done = shell('"$@"', "watch", *options, folder=tmp_path, data=capture(fault().flows))
    assert pipe.is_fifo()
    assert done.stdout.count(b"not a regular file") == 1
