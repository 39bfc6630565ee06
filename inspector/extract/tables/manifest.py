"""What a part is: its name, its inputs, its files; and which parts a directory holds."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from inspector.errors import UnreadableError
from inspector.errors.captures import PartAltered, PartOfOtherSchema, PartUnfinished
from inspector.errors.notice import ForeignText, PathText
from inspector.text.plain_file import read_whole
from inspector.text.safe import path_text
from inspector.text.version import VERSION

SCHEMA = 1
"""The form of the tables."""

PARTS = "parts"
TABLES = ("connections", "certificates", "shapes", "captures", "clock_offsets", "remainder")
NAME = re.compile(r"[0-9a-f]{32}")
DIGEST = re.compile(r"[0-9a-f]{64}")
SUFFIX = ".json"
LARGEST_MANIFEST = 64 << 20
CHUNK_BYTES = 1 << 20


class InputFile(Struct, frozen=True):
    """A file that a part was made from. ``changed_ns``: when it was last changed, nanoseconds since the epoch."""

    path: str
    size: int
    changed_ns: int
    sha256: str


class TableFile(Struct, frozen=True):
    """``path``: below the directory. ``rows``: how many."""

    path: str
    rows: int
    sha256: str


class PartManifest(Struct, frozen=True):
    """One part. ``engine``: the version that extracted it. ``vantage``: where its captures were made."""

    schema: int
    engine: str
    name: str
    vantage: str
    inputs: tuple[InputFile, ...]
    files: tuple[TableFile, ...]

    def of(self, table: str) -> list[TableFile]:
        """Its files of a table."""
        return [file for file in self.files if file.path.partition("/")[0] == table]


class PartsFound(Struct):
    """What a directory holds. ``problems``: what cannot be read."""

    manifests: list[PartManifest]
    problems: list[PartAltered | PartOfOtherSchema | PartUnfinished]


def part_name(vantage: str, inputs: Sequence[InputFile], redaction_key: bytes | None = None) -> str:
    """By content: whatever the inputs are called, and whenever they were changed."""
    digests = sorted(each.sha256 for each in inputs)
    return hashlib.sha256(msgspec.msgpack.encode((SCHEMA, VERSION, vantage, digests, redaction_key))).hexdigest()[:32]


def input_file(path: str, known: Iterable[PartManifest] = ()) -> InputFile:
    """A file as it is. ``known``: parts that may know its hash, where neither its size nor its time has changed. Raises
    UnreadableError.
    """
    try:
        state = os.stat(path)
        for each in (each for manifest in known for each in manifest.inputs):
            if (each.path, each.size, each.changed_ns) == (path, state.st_size, state.st_mtime_ns):
                return each
        return InputFile(path, state.st_size, state.st_mtime_ns, file_digest(path))
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a whole file, hexadecimal. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    for stem in sorted(set(_written(root)) - known):
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
        for file in manifest.files:
            _require_own(file, stem)
        manifests.append(manifest)
    except (OSError, ValueError, RecursionError) as error:  # also msgspec's
        return PartAltered(directory, ForeignText(stem), ForeignText(f"its manifest: {error}"))
    return None


def _require_own(file: TableFile, stem: str) -> None:
    """Raises ValueError where a file is none of this part's: a manifest names files inside its directory only."""
    table, *between, name = file.path.split("/")
    if table not in TABLES or ".." in between or "." in between or "" in between or name != f"{stem}.parquet":
        raise ValueError(f"{file.path!r} is none of its files")
    if not DIGEST.fullmatch(file.sha256) or file.rows < 0:
        raise ValueError(f"{file.path!r} has no digest")


class _Version(Struct):
    schema: int


def _written(root: Path) -> Iterator[str]:
    """The names of parts of which files are there."""
    for table in TABLES:
        for path in (root / table).rglob("*.parquet"):
            if NAME.fullmatch(path.stem):
                yield path.stem
