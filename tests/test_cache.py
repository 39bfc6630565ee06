"""Facts that are kept: the same as if the captures had been read, never of other captures, and never of secrets."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

import msgspec
import pytest

from inspector.capture.files import Story
from inspector.capture.writer import PcapngWriter
from inspector.errors import UnreadableError
from inspector.extract.cache import DIGEST_BYTES, FactsCache
from inspector.extract.processes import extract
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.findings.judge import Analysis
from inspector.query.arrays import Columns
from inspector.secrets.inputs import content_of
from inspector.settings import Settings
from inspector.tui.loading import Loading
from tests.waiting import until

CAPTURES = Path(__file__).parent.parent / "captures"
SESSIONS, ROTATED = CAPTURES / "puppet-session-ids.pcap.gz", CAPTURES / "rotated.pcap.gz"


class Reader:
    """Reads captures, and counts how often."""

    def __init__(self, folder: Path, most_bytes: int = 1 << 20) -> None:
        self.folder = folder
        self.cache = FactsCache(folder, most_bytes, 0)
        self.times = 0

    def read(self, *paths: Path) -> Facts:
        def extraction() -> Facts:
            self.times += 1
            return extract([os.fspath(path) for path in paths])

        return self.cache.facts([os.fspath(path) for path in paths], extraction)

    def entries(self) -> list[Path]:
        return sorted(self.folder.glob("*"))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "cache" / "facts")


def encoded(facts: Facts) -> bytes:
    facts._latest = None
    return msgspec.msgpack.encode(facts)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap*.gz")), ids=lambda path: path.name)
def test_what_is_kept_is_what_was_read(reader: Reader, path: Path) -> None:
    first = encoded(reader.read(path))
    assert encoded(reader.read(path)) == first == encoded(extract([str(path)]))
    assert reader.times == 1


def test_what_was_read_once_is_not_read_again(reader: Reader) -> None:
    for _ in range(3):
        reader.read(SESSIONS, ROTATED)
    assert reader.times == 1
    reader.read(ROTATED)
    assert reader.times == 2
    (entry, _) = reader.entries()
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert stat.S_IMODE(reader.folder.stat().st_mode) == 0o700


def test_another_content_is_read(reader: Reader, tmp_path: Path) -> None:
    """Whatever tells: size, time, or content under the same size and time; and the path, which the facts name."""
    path = tmp_path / "one.pcap.gz"
    shutil.copy(SESSIONS, path)
    reader.read(path)
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    reader.read(path)
    shutil.copy(SESSIONS, path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    reader.read(path)
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    reader.read(path)
    other = tmp_path / "two.pcap.gz"
    path.rename(other)
    assert reader.read(other).captures[0].path == str(other)
    assert reader.times == 5


def test_a_capture_that_grows_while_it_is_read_is_not_kept(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "grows.pcap.gz"
    shutil.copy(SESSIONS, path)

    def extraction() -> Facts:
        facts = extract([str(path)])
        with open(path, "ab") as file:
            file.write(b"\0")
        return facts

    reader.cache.facts([str(path)], extraction)
    assert not reader.entries()


def test_no_secrets_are_kept(reader: Reader, tmp_path: Path) -> None:
    """A capture that holds its own: what they opened is not kept either."""
    path = tmp_path / "own.pcapng"
    with path.open("wb") as out:
        writer = PcapngWriter(out)
        writer.key_log(content_of(str(CAPTURES / "tls13-inside.keylog")))
        for batch in Story([str(CAPTURES / "tls13-inside.pcap.gz")]).batches():
            writer.write(batch)
    for _ in range(2):
        facts = reader.read(path)
        assert any(facts.unpack(packed).handshake.chain for packed in facts.connections)
    assert reader.times == 2
    assert not reader.entries()


def proven(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest() + payload


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xc1", b"\x90", bytes(range(256))),
        *map(proven, (b"", b"\xc1", b"\x90", b"\x81\xa8captures\x91\xa1\xff")),
    ],
)
def test_what_is_no_entry_is_none(reader: Reader, content: bytes) -> None:
    first = encoded(reader.read(SESSIONS))
    (entry,) = reader.entries()
    entry.write_bytes(content)
    assert encoded(reader.read(SESSIONS)) == first
    assert reader.times == 2
    assert encoded(reader.read(SESSIONS)) == first
    assert reader.times == 2


def test_a_bit_that_fell_over_makes_no_entry(reader: Reader) -> None:
    """Wherever it is: no other analysis comes of it, and no error; the entry is made anew."""
    reader.read(SESSIONS)
    (entry,) = reader.entries()
    good = entry.read_bytes()
    for number in range(60):
        damaged = bytearray(good)
        damaged[len(good) * number // 60] ^= 1 << number % 8
        entry.write_bytes(damaged)
        reader.read(SESSIONS)
        assert reader.times == 2 + number
        assert entry.read_bytes() == good


def test_a_name_that_is_no_text(reader: Reader, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pcap.gz"))
    shutil.copy(SESSIONS, path)
    first = encoded(reader.read(path))
    assert encoded(reader.read(path)) == first
    assert reader.times == 1


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "writable"])
def test_an_entry_is_a_file_of_the_user(reader: Reader, tmp_path: Path, kind: str) -> None:
    """Nothing is waited for, nothing followed."""
    reader.read(SESSIONS)
    (entry,) = reader.entries()
    good = tmp_path / "good"
    entry.rename(good)
    if kind == "pipe":
        os.mkfifo(entry, 0o600)
    elif kind == "link":
        entry.symlink_to(good)
    elif kind == "folder":
        entry.mkdir()
    else:
        shutil.copy(good, entry)
        entry.chmod(0o620)
    reader.read(SESSIONS)
    assert reader.times == 2
    reader.read(SESSIONS)
    assert reader.times == (3 if kind == "folder" else 2)
    assert hashlib.sha256(good.read_bytes()[DIGEST_BYTES:]).digest() == good.read_bytes()[:DIGEST_BYTES]


def test_nothing_else_in_the_folder_is_touched(tmp_path: Path) -> None:
    """And what cannot be taken away keeps nothing else."""
    folder = tmp_path / "facts"
    folder.mkdir(mode=0o700)
    own = [f"{1:064x}.facts", f"{2:064x}.4711"]
    others = ["important", "x.facts", f"{3:064x}.facts.bak", f"{4:064X}F.facts", f"{5:063x}.facts", f"{6:064x}.txt"]
    for name in (*own, *others):
        (folder / name).write_bytes(bytes(1 << 20))
    kept = f"{7:064x}.facts"
    (folder / kept).mkdir()
    for seconds, name in enumerate((*others, own[0], kept, own[1])):
        os.utime(folder / name, (seconds, seconds))
    Reader(folder, 1 << 20).read(SESSIONS)
    left = {path.name for path in folder.iterdir()}
    assert left >= {*others, kept}
    assert not left & {*own}
    assert len(left) == len(others) + 2


@pytest.mark.parametrize("why", ["link", "writable", "of another"])
def test_a_folder_that_is_not_the_users_alone_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    folder = tmp_path / "facts"
    reader = Reader(folder, 1 << 20)
    reader.read(SESSIONS)
    (entry,) = reader.entries()
    if why == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif why == "writable":
        folder.chmod(0o770)
    else:
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    before = entry.read_bytes(), entry.stat().st_mtime_ns
    reader.read(SESSIONS)
    assert reader.times == 2
    reader.read(ROTATED)
    assert reader.entries() == [entry]
    assert (entry.read_bytes(), entry.stat().st_mtime_ns) == before


def test_folders_are_made_for_the_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Reader(tmp_path / "a" / "b" / "facts").read(SESSIONS)
    finally:
        os.umask(before)
    for folder in ("a", "a/b", "a/b/facts"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    captures = [ROTATED, CAPTURES / "ipv6.pcap.gz", CAPTURES / "tickets.pcap.gz"]
    sizes = [DIGEST_BYTES + len(encoded(extract([str(path)]))) for path in captures]
    reader = Reader(tmp_path, 2 * max(sizes))
    assert sum(sizes) > 2 * max(sizes)
    for n, path in enumerate(captures):
        reader.read(path)
        for entry in reader.entries():
            if entry.stat().st_mtime > 1_000:
                os.utime(entry, (n, n))
    reader.read(captures[0])
    assert reader.times == 4
    reader.read(captures[2])
    assert reader.times == 4
    assert sum(entry.stat().st_size for entry in reader.entries()) <= 2 * max(sizes)


def test_the_app_opens_a_capture_again_without_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FactsCache(tmp_path, from_bytes=0)

    def loaded(first: Loading | None = None) -> Loading:
        paths = [str(SESSIONS)]
        loading = first.again(paths) if first is not None else Loading(paths, Options(), Settings(), cache=cache)
        loading.start()
        assert until(lambda: loading.is_done)
        assert loading.analysis is not None
        return loading

    first = loaded()
    monkeypatch.setattr("inspector.tui.loading.extract", None)
    for again in (loaded(), loaded(first)):
        assert again.analysis is not None
        assert first.analysis is not None
        assert again.analysis.document == first.analysis.document


def test_where_nothing_can_be_kept_all_is_read(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    reader = Reader(blocked / "facts")
    assert encoded(reader.read(SESSIONS)) == encoded(reader.read(SESSIONS))
    assert reader.times == 2


def test_what_cannot_be_read_is_said_as_ever(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        reader.read(tmp_path / "missing.pcap")
    assert not reader.entries()


def test_of_many_connections_that_were_kept_the_first_are_shown_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what they are, a part; then all of them."""
    monkeypatch.setattr("inspector.tui.loading.FEW", 10)
    monkeypatch.setattr("inspector.tui.loading.FIRST_KEPT", 12)
    monkeypatch.setattr("inspector.tui.loading.PAINT_SECONDS", 0)
    cache = FactsCache(tmp_path, from_bytes=0)
    shown: list[tuple[int, bool, bool]] = []

    class Noting(Loading):
        def _publish(self, analysis: Analysis, columns: Columns | None, whole: bool) -> None:
            super()._publish(analysis, columns, whole)
            is_part = any(limit.kind == "reading" for limit in analysis.document.limits)
            shown.append((analysis.count, is_part, whole))

    for _ in range(2):
        loading = Noting([str(SESSIONS)], Options(), Settings(), cache=cache)
        shown.clear()
        loading.start()
        assert until(lambda: loading.is_done)  # noqa: B023
    assert loading.analysis is not None
    count = loading.analysis.count
    assert count > 12
    assert shown == [(12, True, False), (count, False, True), (count, False, True)]
