"""What runs of ``extract`` leave for the next ones, in files of this host and user: the flows that were open at the end
of a part, and what had come of them.

They hold bytes as they were captured, also of what is redacted in facts, and are never brought elsewhere: they lie in a
folder of the user beside no facts, one file for each part, which only the user may read. A file that others may have
written, or that another version of the program wrote, is not taken up; before what it holds stands its SHA-256.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct

from inspector import bounds
from inspector.system.own_files import OWN_FLAGS, OWN_MODE, is_own_folder, new_own, open_own, program_digest
from inspector.system.plain_file import make_own_folder

SUFFIX = ".flows"
NAME = re.compile(r"([0-9a-f]{32})\.(?:flows|[0-9]+)")
"""Of a file, or of one that was left unfinished by a process of that number."""

DIGEST_BYTES = hashlib.sha256().digest_size
LENGTH_BYTES = 4
MOST_HEAD_BYTES = 1 << 20

_program = cache(program_digest)

NotTakenUp = Literal["missing", "foreign", "other_program", "damaged", "later"]
"""Why what a part left cannot be gone on from: it is not here; others may have written it; another program wrote it;
it is not as it was written; it reaches beyond the beginning of what is to be read.
"""


class OpenFlows(Struct):
    """What is known of a file before it is read. ``last_ns``: when the last frame before was captured; ``sequences``:
    to which rotated sets the captures belong, by hashes of their names; ``flows``: how many are open.
    """

    last_ns: int
    sequences: tuple[str, ...]
    flows: int
    program: bytes = b""


class OpenFlowsFolder:
    """Those of one directory of facts."""

    def __init__(self, folder: Path, directory: str) -> None:
        """``folder``: of all. It is made when it is wanted."""
        path = os.fsencode(os.path.realpath(directory))
        self._folder = folder / hashlib.sha256(path).hexdigest()[:32]

    def lock(self, waiting: Callable[[], None]) -> BinaryIO:
        """What is held, until it is closed, while no other run extracts into that directory. ``waiting``: is told where
        the end of one is waited for: two at once would read the same captures, and follow the same flows. Raises
        OSError where nothing can be kept here.
        """
        make_own_folder(self._folder)
        if not is_own_folder(self._folder):
            raise PermissionError(f"{self._folder}: it is another's, or others may write to it")
        path = self._folder / "lock"
        with ExitStack() as opened:
            lock = opened.enter_context(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | OWN_FLAGS, OWN_MODE), "rb"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            opened.pop_all()
            return lock

    def open_flows(self, part: str) -> OpenFlows | NotTakenUp:
        """What a part left, or why it cannot be taken up."""
        try:
            with self._opened(part) as file:
                file.seek(DIGEST_BYTES)
                return _read_head(file)
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "foreign"
        except ValueError as error:
            return "other_program" if isinstance(error, _OtherProgramError) else "damaged"

    def read(self, part: str) -> bytes:
        """What a part left, put away. Raises OSError, and ValueError where it is damaged."""
        with self._opened(part) as file:
            digest, rest = file.read(DIGEST_BYTES), file.read(bounds.OPEN_FLOWS_BYTES + MOST_HEAD_BYTES)
        if hashlib.sha256(rest).digest() != digest:
            raise ValueError("it is not as it was written")
        size = int.from_bytes(rest[:LENGTH_BYTES], "little")
        return rest[LENGTH_BYTES + size :]

    def write(self, part: str, open_flows: OpenFlows, put_away: bytes) -> None:
        """Keep what a part leaves. Raises OSError."""
        head = msgspec.msgpack.encode(msgspec.structs.replace(open_flows, program=_program()))
        start = len(head).to_bytes(LENGTH_BYTES, "little") + head
        digest = hashlib.sha256(start)
        digest.update(put_away)
        unfinished = self._folder / f"{part}.{os.getpid()}"
        unfinished.unlink(missing_ok=True)
        try:
            with new_own(unfinished) as file:
                file.write(digest.digest())
                file.write(start)
                file.write(put_away)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._folder / f"{part}{SUFFIX}")
        finally:
            unfinished.unlink(missing_ok=True)

    def retain(self, parts: Collection[str]) -> None:
        """Forget what all others left. Raises OSError."""
        for name in os.listdir(self._folder):
            match = NAME.fullmatch(name)
            if match is not None and (match[1] not in parts or not name.endswith(SUFFIX)):
                (self._folder / name).unlink(missing_ok=True)

    def _opened(self, part: str) -> BinaryIO:
        if not is_own_folder(self._folder):
            raise FileNotFoundError
        return open_own(self._folder / f"{part}{SUFFIX}")


class _OtherProgramError(ValueError):
    """Another version wrote it."""


def _read_head(file: BinaryIO) -> OpenFlows:
    """Raises OSError, ValueError."""
    size = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size > MOST_HEAD_BYTES:
        raise ValueError("its head is longer than any")
    head = msgspec.msgpack.decode(file.read(size), type=OpenFlows)
    if head.program != _program():
        raise _OtherProgramError
    return head
