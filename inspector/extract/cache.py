"""Facts of captures that were read before: opening a large capture again takes as long as judging it.

Entries lie in a folder of the user, each a file that only the user may read, named by what it was made from: the files
(by path, size, time of change and samples of their content), and the program. They hold facts and no packets, and are
not made where secrets were used or found. An entry is trusted in nothing: what is not facts is no entry. Together they
take so much room; what was not used for the longest time goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from inspector import bounds
from inspector.capture.inputs import find, is_journal, is_pipe
from inspector.errors import InspectorError
from inspector.facts import Facts
from inspector.text.version import VERSION

if TYPE_CHECKING:
    from inspector.capture.files import Story

WORTHWHILE_BYTES = 32 << 20
"""Captures that are smaller are read in less than a second."""
SAMPLES, SAMPLE_BYTES = 64, 1 << 12
SUFFIX = ".facts"

Extraction = Callable[[Callable[["Story"], None]], Facts]
"""Reads captures; what it is given is called with the story once that is open."""


class FactsCache:
    """``folder``: made where it is missing. ``most_bytes``: of all entries together; none is larger than half of it.
    ``from_bytes``: captures that are smaller are not kept.
    """

    def __init__(
        self, folder: Path, most_bytes: int = bounds.FACTS_CACHE_BYTES, from_bytes: int = WORTHWHILE_BYTES
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._from_bytes = from_bytes

    def facts(self, paths: Sequence[str], extraction: Extraction) -> Facts:
        """Of some captures, from here or by reading them, and then kept. Raises what ``extraction`` raises."""
        entry = self._entry(paths)
        if entry is None:
            return extraction(lambda _: None)
        facts = self._read(entry)
        if facts is not None:
            return facts
        stories: list[Story] = []
        facts = extraction(stories.append)
        has_secrets = facts.secrets or any(file.info.secrets for story in stories for file in story.captures)
        if not facts.problems and not has_secrets and entry == self._entry(paths):  # else it changed while it was read
            self._write(entry, facts)
        return facts

    def _entry(self, paths: Sequence[str]) -> Path | None:
        """Where facts of these captures lie, or would; None where they cannot be told from others, or are few."""
        try:
            files = find(paths)
            if any(path == "-" or is_pipe(path) or is_journal(path) for path in files):
                return None
            states = [os.stat(path) for path in files]
            if sum(state.st_size for state in states) < self._from_bytes:
                return None
            digest = hashlib.sha256(_program())
            for path, state in zip(files, states, strict=True):
                digest.update(msgspec.msgpack.encode((path, state.st_size, state.st_mtime_ns)))
                _sample(path, state.st_size, digest.update)
        except (OSError, InspectorError):
            return None
        return self._folder / f"{digest.hexdigest()}{SUFFIX}"

    def _read(self, entry: Path) -> Facts | None:
        try:
            facts = msgspec.msgpack.decode(entry.read_bytes(), type=Facts)
            os.utime(entry)
        except (OSError, msgspec.DecodeError):
            return None
        return facts

    def _write(self, entry: Path, facts: Facts) -> None:
        """Keep an entry. Where that cannot be done, nothing is lost."""
        encoded = msgspec.msgpack.encode(facts)
        if len(encoded) > self._most_bytes // 2:
            return
        unfinished = entry.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(encoded)
            os.replace(unfinished, entry)
            self._bound()
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()

    def _bound(self) -> None:
        """Forget the entries that were not used for the longest time. Raises OSError."""
        entries = sorted(
            ((path, path.stat()) for path in self._folder.iterdir()),  # also what somebody left unfinished
            key=lambda entry: entry[1].st_mtime_ns,
            reverse=True,
        )
        total = 0
        for path, state in entries:
            total += state.st_size
            if total > self._most_bytes:
                path.unlink(missing_ok=True)


def _sample(path: str, size: int, update: Callable[[bytes], None]) -> None:
    """Pieces of a file, at equal distances from its start to its end. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        last = max(size - SAMPLE_BYTES, 0)
        for at in sorted({last * index // (SAMPLES - 1) for index in range(SAMPLES)}):
            file.seek(at)
            update(file.read(SAMPLE_BYTES))


def _program() -> bytes:
    """What the facts of this very program are told by: its version, and when its files were changed. Raises OSError."""
    files = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return msgspec.msgpack.encode((VERSION, [path.stat().st_mtime_ns for path in files]))
