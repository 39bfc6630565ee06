"""The files of ``inspector probe``: what it leaves alone, and who can read what it writes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.cli.kept_capture import KeptCapture
from inspector.cli.probe import _unfinished
from tests.pools import HOST, Issued, LoopbackPool, issued, server_context, tls
from tests.waiting import COMMAND_SECONDS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issued(tmp_path_factory.mktemp("certificates"), "db.example.com")


def inspector(*words: str, within: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector", *words],
        cwd=within,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def counted_server(pool: LoopbackPool, certificate: Issued) -> tuple[int, list[bool]]:
    """A server's port, and an entry for each connection that it was asked for."""
    accepted: list[bool] = []
    return pool.server(tls(server_context(certificate), lambda connection: accepted.append(True))), accepted


@pytest.mark.parametrize("option", ["--cert", "--key", "--cacert", "-o"])
@pytest.mark.parametrize("how", ["same", "hard link", "by another way"])
def test_no_file_that_it_reads_is_written_over(
    tmp_path: Path, pool: LoopbackPool, certificate: Issued, option: str, how: str
) -> None:
    port, accepted = counted_server(pool, certificate)
    pem = tmp_path / "k.pem"
    before = certificate.path.read_bytes()
    pem.write_bytes(before)
    written = {
        "same": pem,
        "hard link": tmp_path / "other.pem",
        "by another way": Path(f"{tmp_path}/../{tmp_path.name}/k.pem"),
    }[how]
    if how == "hard link":
        os.link(pem, written)
    cert = [] if option == "--cert" else ["--cert", str(certificate.path)]
    done = inspector("probe", f"{HOST}:{port}", *cert, option, str(pem), "-w", str(written))
    assert done.returncode == 2, done.stderr
    assert "that is the file of" in done.stderr
    assert (pem.read_bytes(), accepted) == (before, [])


def test_output_is_not_the_key_either(tmp_path: Path, certificate: Issued) -> None:
    pem = tmp_path / "k.pem"
    pem.write_bytes(certificate.path.read_bytes())
    done = inspector("probe", f"{HOST}:1", "--cert", str(pem), "-o", str(pem))
    assert (done.returncode, pem.read_bytes()) == (2, certificate.path.read_bytes())


def test_a_good_capture_stays_where_nobody_answers(tmp_path: Path, pool: LoopbackPool) -> None:
    before = tmp_path / "before.pcapng"
    before.write_bytes(b"good")
    done = inspector("probe", f"{HOST}:{pool.down()}", "-n", "2", "--rate", "50", "-w", str(before))
    assert done.returncode == 2
    assert "before.pcapng: not written" in done.stderr
    assert (os.listdir(tmp_path), before.read_bytes()) == (["before.pcapng"], b"good")


def test_a_capture_is_its_owners_alone_and_says_what_it_holds(
    tmp_path: Path, pool: LoopbackPool, certificate: Issued
) -> None:
    port, _ = counted_server(pool, certificate)
    kept = tmp_path / "kept.pcapng"
    kept.write_bytes(b"old")
    kept.chmod(0o644)
    done = inspector("probe", f"{HOST}:{port}", "-n", "2", "--rate", "50", "-w", str(kept))
    assert "kept.pcapng: holds the secrets of these connections" in done.stderr
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["kept.pcapng"]
    assert kept.read_bytes()[:4] == bytes.fromhex("0a0d0d0a")


def test_a_name_as_long_as_names_may_be(tmp_path: Path, pool: LoopbackPool, certificate: Issued) -> None:
    port, _ = counted_server(pool, certificate)
    name = "ä" * 124 + ".pcapng"  # 255 bytes
    done = inspector("probe", f"{HOST}:{port}", "-n", "1", "-w", str(tmp_path / name))
    assert (done.returncode, os.listdir(tmp_path)) == (0, [name]), done.stderr


@pytest.mark.parametrize("place", ["", "link", "dangling", "fifo", "-", "none/x.pcapng"])
def test_where_no_capture_can_be(tmp_path: Path, pool: LoopbackPool, certificate: Issued, place: str) -> None:
    port, accepted = counted_server(pool, certificate)
    target = tmp_path / "target"
    target.write_bytes(b"good")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "fifo")
    names = sorted(os.listdir(tmp_path))
    done = inspector("probe", f"{HOST}:{port}", "-w", place, within=tmp_path)
    assert done.returncode == 2, done.stderr
    assert (sorted(os.listdir(tmp_path)), target.read_bytes(), accepted) == (names, b"good", [])


def test_what_is_said_where_it_is_ended_before_its_analysis(tmp_path: Path) -> None:
    place = str(tmp_path / "kept.pcapng")
    kept = KeptCapture(place)
    kept.out.close()
    assert list(_unfinished(None, kept)) == ["the analysis"]
    assert list(_unfinished(place, kept)) == [f"the capture {place}", "the analysis"]
    kept.keep()
    [whole] = _unfinished(place, kept)
    assert f"{place} is whole" in whole
    kept.remove()
    assert os.listdir(tmp_path) == ["kept.pcapng"]


def test_output_that_cannot_be_written_is_found_before_anything_is_asked(
    tmp_path: Path, pool: LoopbackPool, certificate: Issued
) -> None:
    port, accepted = counted_server(pool, certificate)
    done = inspector("probe", f"{HOST}:{port}", "-o", str(tmp_path / "none" / "x"))
    assert (done.returncode, accepted) == (2, [])
    assert "No such file or directory" in done.stderr
