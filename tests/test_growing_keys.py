"""Key logs that grow beside a live capture: lines behind the packets that they open, cut lines, files that are made
anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from inspector.errors import UsageError
from inspector.live.sources.growing_keys import GrowingKeys
from inspector.live.sources.tail import AT_ONCE
from tests.conftest import CAPTURES, find
from tests.live import WATCH, bytes_of, of_kind, watched
from tests.waiting import COMMAND_SECONDS, has_read, until, waiting_bytes

M = "cd" * 48


def line(number: int) -> bytes:
    return f"CLIENT_RANDOM {number:064x} {M}\n".encode()


def knows(keys: GrowingKeys) -> list[int]:
    keys.poll()
    return [n for n in range(10) if keys.secrets.knows(n.to_bytes(32, "big"))]


def never(prompt: str) -> str:
    raise AssertionError(prompt)


def test_lines_come_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys = GrowingKeys([str(path)], [], never)
    assert knows(keys) == []  # not there yet
    with path.open("wb") as out:
        out.write(line(1) + line(2)[:70])
        out.flush()
        assert knows(keys) == [1]
        out.write(line(2)[70:] + b"nonsense\n" + line(3))
        out.flush()
        assert knows(keys) == [1, 2, 3]
    assert len(keys.problems()) == 1
    keys.close()


def test_lines_without_an_end_take_little_more_than_they_are_long(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys = GrowingKeys([str(path)], [], never)
    path.write_bytes(line(1) + b"\n" * AT_ONCE)
    tracemalloc.start()
    try:
        assert knows(keys) == [1]
        assert tracemalloc.get_traced_memory()[1] < 8 * AT_ONCE
    finally:
        tracemalloc.stop()
    keys.close()


def test_a_file_that_is_emptied_or_replaced_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(line(1) * 5)
    keys = GrowingKeys([str(path)], [], never)
    path.write_bytes(line(2))
    assert knows(keys) == [1]
    assert knows(keys) == [1, 2]
    other = tmp_path / "other"
    other.write_bytes(line(3))
    os.replace(other, path)
    assert knows(keys) == [1, 2]
    assert knows(keys) == [1, 2, 3]
    path.unlink()
    assert knows(keys) == [1, 2, 3]
    keys.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(line(1))
    path.chmod(0)
    with pytest.raises(UsageError, match="--keylog"):
        GrowingKeys([str(path)], [], never)


def test_a_directory_is_no_key_log(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keylog"):
        GrowingKeys([str(tmp_path)], [], never)


def test_watch_reads_what_is_encrypted() -> None:
    lines, process = watched(
        bytes_of(find("tls13-inside")), "--no-journal", "--keylog", str(CAPTURES / "tls13-inside.keylog")
    )
    assert process.returncode == 0, process.stderr
    found = of_kind(lines, "connection")
    assert len(found) == 11
    assert {c["secrets"] for c in found} == {"decrypted"}
    assert sum(len(c["handshakes"][0]["session"]["issued_tickets"]) for c in found) == 2 * 8 + 1 + 4
    identity = next(
        c["handshakes"][0]["session"]["offered_psks"][0] for c in found if c["handshakes"][0]["kind"] == "psk"
    )
    assert any(identity in c["handshakes"][0]["session"]["issued_tickets"] for c in found)


def test_secrets_behind_their_packets_open_them(tmp_path: Path) -> None:
    """The capture is there before the key log says anything: what waits is opened when its secrets come, and nothing of
    them is printed.
    """
    keys = tmp_path / "keys"
    keys.touch()
    data, secrets = bytes_of(find("tls13-inside")), (CAPTURES / "tls13-inside.keylog").read_bytes()
    half = data[: len(data) - 66]  # a frame less: the last connection stays open
    with subprocess.Popen(
        [*WATCH, "--no-journal", "--keylog", str(keys), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        pipe = process.stdin
        pipe.write(half[:2000])
        pipe.flush()
        assert until(lambda: not waiting_bytes(pipe))
        keys.write_bytes(secrets)
        assert until(lambda: has_read(process.pid, keys))
        pipe.write(half[2000:])
        out, errors = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 0, errors
    found = of_kind([json.loads(text) for text in out.splitlines()], "connection")
    assert {c["secrets"] for c in found} == {"decrypted"}
    assert not any(text.split()[-1] in out + errors for text in secrets.splitlines() if text.count(b" ") == 2)


def test_journals_keep_no_secret(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    watched(
        bytes_of(find("tls13-inside")), "--journal", str(journal), "--keylog", str(CAPTURES / "tls13-inside.keylog")
    )
    from tests.build import document_of

    kept = b"".join(path.read_bytes() for path in tmp_path.glob("journal*"))
    for text in (CAPTURES / "tls13-inside.keylog").read_text(encoding="ascii").splitlines():
        if text.count(" ") == 2:
            assert bytes.fromhex(text.split()[-1]) not in kept
            assert text.split()[-1].encode() not in kept
    from inspector.extract.processes import extract
    from inspector.findings.judge import judge

    document = judge(extract([str(journal)])).complete()
    assert {c.secrets for c in document.connections} == {"decrypted"}
    assert [c.id for c in document.connections] == [c.id for c in document_of(find("tls13-inside")).connections]
