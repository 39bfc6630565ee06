"""What a part is: its name, its inputs, its files; and which parts a directory holds."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from inspector.errors import UnreadableError
from inspector.errors.captures import PartAltered, PartOfOtherSchema, PartUnfinished
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.tables.unfinished import PARTS, is_written_now, left_parts
from inspector.system.plain_file import read_whole
from inspector.text.safe import path_text

SCHEMA = 1
"""The form of the tables."""

TABLES = ("connections", "certificates", "shapes", "captures", "clock_offsets", "remainder")
NAME = re.compile(r"[0-9a-f]{32}")
DIGEST = re.compile(r"[0-9a-f]{64}")
SUFFIX = ".json"
LARGEST_MANIFEST = 64 << 20


Role = Literal["capture", "journal", "beside"]
"""What is read of a file: itself, or what it says of others, as logs and secrets do."""


class InputFile(Struct, frozen=True):
    """A file that a part was made from. ``location``: a hash of where it lay. ``changed_ns``: when it was last changed,
    nanoseconds since the epoch.
    """

    path: str
    location: str
    role: Role
    size: int
    changed_ns: int
    sha256: str


class TableFile(Struct, frozen=True):
    """``path``: below the directory. ``rows``: how many."""

    path: str
    rows: int
    sha256: str


class EarlierCapture(Struct, frozen=True):
    """A capture that runs before have read. ``packed``: its facts, as they are known by now."""

    sha256: str
    packed: bytes


class PartManifest(Struct, frozen=True):
    """One part. ``engine``: the version that extracted it. ``vantage``: where its captures were made; ``is_named``:
    somebody said so. ``redaction``: which key replaced what identifies, empty for none. ``captures``: the SHA-256 of
    each, in the order of its table; ``earlier``: others that its connections have frames in, numbered behind these.

    ``continues``: the part at whose end the flows were open that are followed in this one. What they had been by then
    is in a part of its own, ``still_open``, of which ``open_of`` says at whose end that was; it counts as long as no
    part continues. ``replaces``: parts in whose place this one is.
    """

    schema: int
    engine: str
    name: str
    vantage: str
    inputs: tuple[InputFile, ...]
    files: tuple[TableFile, ...]
    is_named: bool = False
    redaction: str = ""
    captures: tuple[str, ...] = ()
    earlier: tuple[EarlierCapture, ...] = ()
    continues: str = ""
    still_open: str = ""
    open_of: str = ""
    replaces: tuple[str, ...] = ()

    def of(self, table: str) -> list[TableFile]:
        """Its files of a table."""
        return [file for file in self.files if file.path.partition("/")[0] == table]


def counting(manifests: Iterable[PartManifest]) -> list[PartManifest]:
    """Without the parts of flows that were open at the end of a part that is not there, or that a later one of the same
    place has followed.
    """
    listed = [*manifests]
    by_name = {part.name: part for part in listed}
    is_continued = _continued(listed)

    def counts(part: PartManifest) -> bool:
        ended = by_name.get(part.open_of)
        return not part.open_of or (ended is not None and ended.still_open == part.name and not is_continued(ended))

    return [part for part in listed if counts(part)]


def without_end(manifests: Iterable[PartManifest]) -> list[PartManifest]:
    """The parts of which it is not there what their flows had been that were open at the end, and that no part of the
    same place has followed.
    """
    listed = [*manifests]
    names = {part.name for part in listed}
    is_continued = _continued(listed)
    return [part for part in listed if part.still_open and part.still_open not in names and not is_continued(part)]


def _continued(manifests: Iterable[PartManifest]) -> Callable[[PartManifest], bool]:
    """Whether some part has followed the flows that were open at the end of another."""
    followed = {(part.vantage, part.redaction, part.continues) for part in manifests if part.continues}

    def is_continued(part: PartManifest) -> bool:
        return any((part.vantage, part.redaction, name) in followed for name in (part.name, *part.replaces))

    return is_continued


PartProblem = PartAltered | PartOfOtherSchema | PartUnfinished


class PartsFound(Struct):
    """What a directory holds. ``problems``: what cannot be read."""

    manifests: list[PartManifest]
    problems: list[PartProblem]


CONTINUED = "continued"
"""Below it lie files of parts of open flows that a later part has followed."""


def located(root: Path, file: TableFile) -> Path:
    """Where a file lies in a directory of facts."""
    path, aside = root / file.path, root / CONTINUED / file.path
    return path if path.exists() or not aside.exists() else aside


def directory_of(table: str, vantage: str = "", day: str = "") -> str:
    """Where files of a table lie below the directory. Connections are parted by vantage point and day, as Hive does."""
    return f"{table}/vantage={quote(vantage, safe='')}/day={day}" if vantage else table


def parts_of(directory: str) -> PartsFound:
    """The parts of a directory in the order of their names, those that can be read. Raises UnreadableError."""
    root = Path(directory)
    listed = PartsFound([], [])
    try:
        names = sorted(os.listdir(root / PARTS))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise UnreadableError(f"{directory}: {error.strerror or error}") from None
    known: set[str] = set()
    for name in names:
        stem = name.removesuffix(SUFFIX)
        if not name.endswith(SUFFIX) or not NAME.fullmatch(stem):
            continue  # one that is being written
        problem = _checked(root, stem, listed.manifests)
        if problem is not None:
            listed.problems.append(problem)
        known.add(stem)
    for part in without_end(listed.manifests):
        if part.still_open not in known:
            why = ForeignText(f"what was open at its end, {part.still_open}, is missing")
            listed.problems.append(PartAltered(PathText(path_text(directory)), ForeignText(part.name), why))
    for stem in sorted({*_unlisted(root, known)}):
        listed.problems.append(PartUnfinished(PathText(path_text(directory)), ForeignText(stem)))
    return listed


def _checked(root: Path, stem: str, manifests: list[PartManifest]) -> PartAltered | PartOfOtherSchema | None:
    """Read a manifest into ``manifests``, or say why not."""
    directory = PathText(path_text(str(root)))
    try:
        octets = read_whole(root / PARTS / f"{stem}{SUFFIX}", LARGEST_MANIFEST)
        schema = msgspec.json.decode(octets, type=_Version).schema
        if schema != SCHEMA:
            return PartOfOtherSchema(directory, ForeignText(stem), schema, SCHEMA)
        manifest = msgspec.json.decode(octets, type=PartManifest)
        if manifest.name != stem:
            raise ValueError("it bears the name of another")
        _require_files(manifest)
        manifests.append(manifest)
    except (OSError, ValueError, RecursionError) as error:  # also msgspec's
        return PartAltered(directory, ForeignText(stem), ForeignText(f"its manifest: {error}"))
    return None


def _require_files(manifest: PartManifest) -> None:
    """Raises ValueError where its files are none of this part's: a manifest names each once, inside its directory, and
    one in every table but that of the connections, which is parted.
    """
    for file in manifest.files:
        table, *between, name = file.path.split("/")
        if table not in TABLES or {"", ".", ".."} & {*between} or name != f"{manifest.name}.parquet":
            raise ValueError(f"{file.path!r} is none of its files")
        if not DIGEST.fullmatch(file.sha256) or file.rows < 0:
            raise ValueError(f"{file.path!r} has no digest")
    if len({file.path for file in manifest.files}) != len(manifest.files):
        raise ValueError("it names a file twice")
    for table in TABLES:
        if table != "connections" and len(manifest.of(table)) != 1:
            raise ValueError(f"it has not one file of the table {table}")


class _Version(Struct):
    schema: int


def _unlisted(root: Path, listed: set[str]) -> Iterator[str]:
    """The names of parts of which files are there and no manifest, but for those that somebody writes just now."""
    for table in TABLES:
        for path in (root / table).rglob("*.parquet"):
            if NAME.fullmatch(path.stem) and path.stem not in listed:
                with contextlib.suppress(FileNotFoundError):
                    if not is_written_now(path):
                        yield path.stem
    yield from (name for name in left_parts(root) if name not in listed)
