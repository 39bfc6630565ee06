"""Facts of captures that were read before: opening a large capture again takes as long as judging it.

Entries lie in a folder of the user, each a file that only the user may read, named by what it was made from: the files
(by path, size, time of change and samples of their content), and the program. They hold facts and no packets, and are
not made where secrets were used or found. An entry is trusted in nothing: before the facts stands their SHA-256, and
what is damaged is no entry. A folder that others may have written to is left alone (``own_files``). Together entries
take so much room; what was not used for the longest time goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from inspector import bounds
from inspector.capture.inputs import find, holds_facts
from inspector.errors import InspectorError
from inspector.facts import Facts
from inspector.facts.spool import SpooledConnections
from inspector.system.own_files import is_own_folder, new_own, open_own, program_digest
from inspector.system.plain_file import make_own_folder

WORTHWHILE_BYTES = 32 << 20
"""Captures that are smaller are read in less than a second."""
SAMPLES, SAMPLE_BYTES = 64, 1 << 12
SUFFIX = ".facts"

DIGEST_BYTES = hashlib.sha256().digest_size
OWN_NAME = re.compile(r"[0-9a-f]{64}\.(?:facts|[0-9]+)")
"""Of an entry, or of one that was left unfinished by a process of that number."""


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

    def facts(self, paths: Sequence[str], extraction: Callable[[], Facts]) -> Facts:
        """Of some captures, from here or by reading them, and then kept. Raises what ``extraction`` raises."""
        entry = self._entry(paths)
        if entry is None:
            return extraction()
        facts = self._read(entry)
        if facts is not None:
            return facts
        facts = extraction()
        has_secrets = facts.secrets or any(capture.has_secrets for capture in facts.captures)
        is_large = isinstance(facts.connections, SpooledConnections)
        is_kept = not (facts.problems or has_secrets or is_large)
        if is_kept and entry == self._entry(paths):  # else it changed while it was read
            self._write(entry, facts)
        return facts

    def _entry(self, paths: Sequence[str]) -> Path | None:
        """Where facts of these captures lie, or would; None where they cannot be told from others, or are few."""
        try:
            if any(path == "-" or holds_facts(path) for path in paths):
                return None
            files = find(paths)
            states = [os.stat(path) for path in files]
            if sum(state.st_size for state in states) < self._from_bytes:
                return None
            digest = hashlib.sha256(program_digest())
            for path, state in zip(files, states, strict=True):
                digest.update(msgspec.msgpack.encode((os.fsencode(path), state.st_size, state.st_mtime_ns)))
                _sample(path, state.st_size, digest.update)
        except (OSError, InspectorError):
            return None
        return self._folder / f"{digest.hexdigest()}{SUFFIX}"

    def _read(self, entry: Path) -> Facts | None:
        if not is_own_folder(self._folder):
            return None
        try:
            with open_own(entry) as file:
                if os.fstat(file.fileno()).st_size > self._most_bytes:
                    return None
                digest, encoded = file.read(DIGEST_BYTES), file.read()
            if digest != hashlib.sha256(encoded).digest():
                return None
            facts = msgspec.msgpack.decode(encoded, type=Facts)
        except (OSError, ValueError, RecursionError):  # also msgspec.DecodeError
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)
        return facts

    def _write(self, entry: Path, facts: Facts) -> None:
        """Keep an entry. Where that cannot be done, nothing is lost."""
        encoded = msgspec.msgpack.encode(facts)
        if len(encoded) > self._most_bytes // 2:
            return
        unfinished = entry.with_suffix(f".{os.getpid()}")
        try:
            make_own_folder(self._folder)
            if not is_own_folder(self._folder):
                return
            with new_own(unfinished) as file:
                file.write(hashlib.sha256(encoded).digest())
                file.write(encoded)
            os.replace(unfinished, entry)
            self._bound()
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()

    def _bound(self) -> None:
        """Forget the entries that were not used for the longest time. What else lies there is not touched. Raises
        OSError.
        """
        with os.scandir(self._folder) as listed:
            entries = [
                (entry.path, entry.stat(follow_symlinks=False)) for entry in listed if OWN_NAME.fullmatch(entry.name)
            ]
        entries.sort(key=lambda entry: entry[1].st_mtime_ns, reverse=True)
        total = 0
        for path, state in entries:
            total += state.st_size
            if total > self._most_bytes:
                with contextlib.suppress(OSError):
                    os.unlink(path)


def _sample(path: str, size: int, update: Callable[[bytes], None]) -> None:
    """Pieces of a file, at equal distances from its start to its end. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        last = max(size - SAMPLE_BYTES, 0)
        for at in sorted({last * index // (SAMPLES - 1) for index in range(SAMPLES)}):
            file.seek(at)
            update(file.read(SAMPLE_BYTES))
