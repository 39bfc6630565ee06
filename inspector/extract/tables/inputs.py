"""What parts are made from, told by content, so that nothing is extracted twice.

A file is known by the SHA-256 of its bytes; where it lay (``location``) only says of which one it may be a later state.
A capture that was still being written has grown where its beginning is the file as it was. A journal changes anywhere;
it is the same one where it lies in the same place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

import msgspec

from inspector.errors import UnreadableError
from inspector.extract.tables.manifest import SCHEMA, InputFile, PartManifest, Role
from inspector.system.plain_file import open_plain, sha256_of
from inspector.text.version import VERSION

CHUNK_BYTES = 1 << 20


class Origin(NamedTuple):
    """Where parts are made. ``is_named``: somebody said its name. ``redaction``: which key replaced what identifies;
    empty for none.
    """

    vantage: str
    is_named: bool
    redaction: str

    def holds(self, manifest: PartManifest) -> bool:
        """Whether a part was made there."""
        return manifest.vantage == self.vantage and manifest.redaction == self.redaction


class PartPlan(NamedTuple):
    """What a new part is made from, empty where nothing is new; and the parts that it replaces. ``continues``: as in
    ``PartManifest``; ``continued``: those of flows that were open at its end.
    """

    inputs: tuple[InputFile, ...]
    replaced: tuple[PartManifest, ...]
    continues: str = ""
    continued: tuple[PartManifest, ...] = ()


class InputFiles:
    """Files as they are. ``key``: of redaction; with it ``location`` tells nobody where they lie."""

    def __init__(self, parts: Iterable[PartManifest], key: bytes | None = None) -> None:
        """``parts``: those that may know a file's hash, where neither its size nor its time has changed."""
        self._key = (key or b"")[: hashlib.blake2b.MAX_KEY_SIZE]
        self._known = {
            (each.location, each.size, each.changed_ns): each.sha256 for part in parts for each in part.inputs
        }

    def file(self, path: str, role: Role) -> InputFile:
        """Raises UnreadableError where it is no plain file: what can be read once has no content to be named by."""
        location = hashlib.blake2b(os.fsencode(os.path.abspath(path)), digest_size=16, key=self._key).hexdigest()
        try:
            with open_plain(path) as file:
                state = os.fstat(file.fileno())
                known = self._known.get((location, state.st_size, state.st_mtime_ns)) if role == "capture" else None
                digest = known or _digest(file, _log_of(path) if role == "journal" else b"")
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror or error}") from None
        return InputFile(path, location, role, state.st_size, state.st_mtime_ns, digest)


def _digest(file: BinaryIO, more: bytes) -> str:
    digest = sha256_of(file)
    digest.update(more)
    return digest.hexdigest()


def _log_of(journal: str) -> bytes:
    """What was written to a journal last may stand in its log alone."""
    try:
        with open_plain(f"{journal}-wal") as file:
            return sha256_of(file).digest()
    except OSError:
        return b""


def part_name(origin: Origin, inputs: Sequence[InputFile], continues: str = "", open_of: str = "") -> str:
    """By content: whatever the inputs are called, and whenever they were changed. ``continues``, ``open_of``: as in
    ``PartManifest``.
    """
    named = SCHEMA, VERSION, origin, sorted((each.role, each.sha256) for each in inputs), continues, open_of
    return hashlib.sha256(msgspec.msgpack.encode(named)).hexdigest()[:32]


def planned(
    wanted: Sequence[InputFile],
    beside: Sequence[InputFile],
    parts: Sequence[PartManifest],
    origin: Origin,
    spoiled: Sequence[PartManifest] = (),
) -> PartPlan:
    """What of ``wanted`` is to be read. ``beside``: logs and secrets that are read with it. ``parts``: those that are
    whole; ``spoiled``: others.
    """
    here = [part for part in parts if origin.holds(part) and not part.open_of]
    needed = {each.sha256 for each in beside}
    read_before = {
        each.sha256
        for part in here
        if part.engine == VERSION and part.is_named == origin.is_named and needed <= _digests(part, beside=True)
        for each in part.inputs
        if each.role != "beside"
    }
    new = [each for each in wanted if each.sha256 not in read_before]
    if not new:
        return PartPlan((), ())
    outdated = {old.sha256 for part in here for old in part.inputs if any(_is_later(each, old) for each in new)}
    for part in here:  # with a file that has grown, those that were read with it
        if outdated & _digests(part):
            new += [each for each in wanted if each.sha256 in _digests(part) and each not in new]
    covered = outdated | {each.sha256 for each in new}
    inputs = (*dict.fromkeys(new), *beside)
    old_parts = [*here, *(part for part in spoiled if origin.holds(part) and not part.open_of)]
    replaced = [part for part in old_parts if _digests(part) <= covered and _digests(part, beside=True) <= needed]
    return PartPlan(inputs, (*replaced, *open_at_end((*parts, *spoiled), (part.name for part in replaced))))


def open_at_end(parts: Iterable[PartManifest], names: Iterable[str]) -> tuple[PartManifest, ...]:
    """The parts of flows that were open at the end of others. ``names``: of these."""
    ended = {*names}
    return tuple(part for part in parts if part.open_of in ended)


def _digests(part: PartManifest, *, beside: bool = False) -> set[str]:
    return {each.sha256 for each in part.inputs if (each.role == "beside") == beside}


def _is_later(new: InputFile, old: InputFile) -> bool:
    """Whether it is the same file at a later time."""
    if new.location != old.location or new.role != old.role or new.role == "beside" or new.sha256 == old.sha256:
        return False
    return new.role == "journal" or (new.size > old.size and _begins_with(new.path, old))


def _begins_with(path: str, old: InputFile) -> bool:
    digest = hashlib.sha256()
    left = old.size
    try:
        with open_plain(path) as file:
            while left and (octets := file.read(min(CHUNK_BYTES, left))):
                digest.update(octets)
                left -= len(octets)
    except OSError:
        return False
    return digest.hexdigest() == old.sha256
