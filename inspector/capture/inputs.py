"""Which files the arguments of a command mean, without reading them. Imports nothing heavy: it runs before anything
else is loaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from inspector.capture.opening import is_url
from inspector.errors import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
BZIP2 = b"BZh"
XZ = b"\xfd7zX"
SQLITE = b"SQLite format 3\0"
HANDSHAKE_RECORD = re.compile(rb"\x16\x03[\x00-\x04][\x00-\x40].[\x01\x02\x0b\x10]", re.DOTALL)
SAMPLES, SAMPLE_BYTES = 16, 1 << 16
SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".trc", ".ntar")


def find(paths: Sequence[str]) -> list[str]:
    """The files that the arguments mean: directories are searched, a file given twice counts once. Raises
    UnreadableError.
    """
    inputs: list[str] = []
    known_files: set[tuple[int, int]] = set()
    for argument in paths:
        if argument == "-":
            inputs.append("-")
            continue
        for candidate in _candidates(argument):
            try:
                status = os.stat(candidate)
            except OSError:
                inputs.append(candidate)
                continue
            if stat.S_ISFIFO(status.st_mode):
                raise UnreadableError(
                    f"{candidate}: a pipe, which can be read only once",
                    "write it to a file first; alone, it is read as standard input",
                )
            if (status.st_dev, status.st_ino) not in known_files:
                known_files.add((status.st_dev, status.st_ino))
                inputs.append(candidate)
    return inputs


def _captures_below(folder: Path) -> Iterator[Path]:
    """The captures in a directory and below it, by their names. Links that lead nowhere are among them, and directories
    that cannot be listed: whoever opens them says why not.
    """
    from pathlib import Path  # most arguments are files

    unlisted: list[OSError] = []
    for parent, _, names in os.walk(folder, onerror=unlisted.append):
        for path in (Path(parent, name) for name in names if any(suffix in name.lower() for suffix in SUFFIXES)):
            if os.path.isfile(path) or not os.path.exists(path):
                yield path
    yield from (Path(error.filename) for error in unlisted)


def _candidates(argument: str) -> list[str]:
    """A file, or the captures in a directory and below it. Raises UnreadableError."""
    if is_url(argument) or (_is_plain(argument) and os.path.isfile(argument)):
        return [argument]
    from pathlib import Path  # most arguments are files

    path = Path(argument)
    try:
        if not path.is_dir():
            return [str(path)]
        if not os.access(path, os.R_OK | os.X_OK):
            raise UnreadableError(f"{argument}: Permission denied")
        captures = sorted(_captures_below(path))
    except OSError as error:
        raise UnreadableError(f"{argument}: {error.strerror or error}") from None
    if not captures:
        raise UnreadableError(
            f"{argument}: no capture in this directory",
            "capture files end in .pcap, .pcapng or .cap, perhaps with .gz, .zst, .xz or .bz2 behind",
        )
    return [str(capture) for capture in captures]


def _is_plain(path: str) -> bool:
    """Whether pathlib would write it as it is, without a step that leads nowhere."""
    first, *others = path.split("/")
    return first != "." and not {"", "."} & {*others}


def is_pipe(path: str) -> bool:
    """Whether a path names a pipe."""
    try:
        return path != "-" and stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def is_journal(path: str) -> bool:
    """Whether a file is a database, as journals are."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


FACTS = "inspector-facts"
"""A file that says of a directory that it holds facts as tables."""


def is_facts(path: str) -> bool:
    """Whether a path is a directory of facts."""
    return os.path.isfile(os.path.join(path, FACTS))


def holds_facts(path: str) -> bool:
    """Whether what a path holds was extracted before: a journal, or a directory of facts."""
    return is_journal(path) or is_facts(path)


def files_of(argument: str) -> list[str]:
    """The files that an argument means, those of facts among them; none where it cannot be read."""
    if is_facts(argument):
        return [os.path.join(folder, name) for folder, _, names in os.walk(argument) for name in names]
    try:
        return find([argument])
    except UnreadableError:
        return []


def facts_bytes(path: str) -> int:
    """Bytes of what ``holds_facts``: of a directory the tables of connections, next to which the others are small. What
    goes meanwhile has none.
    """
    if not is_facts(path):
        return _size(path)
    tables = os.path.join(path, "connections")
    return sum(_size(os.path.join(folder, name)) for folder, _, names in os.walk(tables) for name in names)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def identity(path: str) -> object:
    """Equal for two copies of one file: its size and the hash of its first and last bytes."""
    if path == "-":
        return path
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(file.read(1 << 20))
            if size > 1 << 20:
                file.seek(-min(size, 1 << 20), os.SEEK_END)
                digest.update(file.read())
            return size, digest.digest()
    except OSError:
        return path


class Workload(NamedTuple):
    """``bytes`` of captures that are neither compressed nor a stream, 0 where any is; ``handshakes``: about how many
    records with a hello, certificate or key exchange they hold.
    """

    bytes: int
    handshakes: int


def workload(paths: Sequence[str]) -> Workload:
    """How much work it is to read some captures, as far as a glance tells. Raises nothing."""
    total = handshakes = 0
    try:
        for path in find(paths):
            if not os.path.isfile(path):
                return Workload(0, 0)
            with open(path, "rb") as file:
                if file.read(4).startswith((GZIP, ZSTD, BZIP2, XZ)):
                    return Workload(0, 0)
                size = os.fstat(file.fileno()).st_size
                handshakes += _handshakes(file, size)
                total += size
    except (OSError, UnreadableError):
        return Workload(0, 0)
    return Workload(total, handshakes)


def _handshakes(file: BinaryIO, size: int) -> int:
    """Handshake records in a file, estimated from a few places."""
    count = 0
    for sample in range(SAMPLES):
        file.seek(size * (2 * sample + 1) // (2 * SAMPLES))
        count += len(HANDSHAKE_RECORD.findall(file.read(SAMPLE_BYTES)))
    return count * size // (SAMPLES * SAMPLE_BYTES)
