"""Facts that are kept: the same as if the captures had been read, never of other captures, and never of secrets."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from inspector.capture.files import Story
from inspector.capture.writer import PcapngWriter
from inspector.errors import UnreadableError
from inspector.extract.cache import FactsCache
from inspector.extract.processes import extract
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.secrets.inputs import content_of
from inspector.settings import Settings
from inspector.tui.loading import Loading

CAPTURES = Path(__file__).parent.parent / "captures"
SESSIONS, ROTATED = CAPTURES / "puppet-session-ids.pcap.gz", CAPTURES / "rotated.pcap.gz"


class Reader:
    """Reads captures, and counts how often."""

    def __init__(self, folder: Path, most_bytes: int = 1 << 20) -> None:
        self.folder = folder
        self.cache = FactsCache(folder, most_bytes, 0)
        self.times = 0

    def read(self, *paths: Path) -> Facts:
        def extraction(opened: Callable[[Story], None]) -> Facts:
            self.times += 1
            return extract([str(path) for path in paths], opened=opened)

        return self.cache.facts([str(path) for path in paths], extraction)

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

    def extraction(opened: Callable[[Story], None]) -> Facts:
        facts = extract([str(path)], opened=opened)
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


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x90", bytes(range(256))])
def test_what_is_no_entry_is_none(reader: Reader, content: bytes) -> None:
    first = encoded(reader.read(SESSIONS))
    (entry,) = reader.entries()
    entry.write_bytes(content)
    assert encoded(reader.read(SESSIONS)) == first
    assert reader.times == 2
    assert encoded(reader.read(SESSIONS)) == first
    assert reader.times == 2


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    captures = [ROTATED, CAPTURES / "ipv6.pcap.gz", CAPTURES / "tickets.pcap.gz"]
    sizes = [len(encoded(extract([str(path)]))) for path in captures]
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
        while not loading.is_done:
            time.sleep(0.01)
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
