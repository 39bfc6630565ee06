"""A directory of facts as facts again. Its parts may come from anywhere: each is what was written, or is named and left
out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from inspector.capture.files import Progress
from inspector.errors import UnreadableError
from inspector.errors.captures import PartAltered
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.merging import merge
from inspector.extract.tables.manifest import SUFFIX, PartManifest, PartProblem, counting, parts_of, without_end
from inspector.extract.tables.parquet import pyarrow
from inspector.extract.tables.part import PartTables
from inspector.extract.tables.part_connections import PartConnections, UnreadPart, attempt, read_connections
from inspector.extract.tables.shared_captures import numbered_captures
from inspector.extract.tables.unfinished import PARTS
from inspector.facts import Facts
from inspector.text.safe import path_text

LOOKS = 3
"""So often is a directory listed in which parts go meanwhile, for others that replace them."""

Read = TypeVar("Read")


class WholeParts(NamedTuple):
    """The parts of which every file is as it was written, also those that do not count, and what is wrong with the
    others.
    """

    manifests: list[PartManifest]
    problems: list[PartProblem]


class NumberedPart(NamedTuple):
    """The facts of a part, and what its connections call its captures."""

    facts: Facts
    numbers: Sequence[int]


def whole_parts(directory: str) -> WholeParts:
    """Raises UnreadableError, UsageError without PyArrow."""
    pyarrow()

    def checked(manifest: PartManifest) -> PartManifest:
        PartTables(Path(directory), manifest).check()
        return manifest

    return WholeParts(*_each_part(directory, lambda listed: [attempt(checked, manifest) for manifest in listed]))


class ListedParts(NamedTuple):
    """The parts that need not be made again, for it is also there what was open at their end where that counts, and
    all others that can be told.
    """

    complete: list[PartManifest]
    spoiled: list[PartManifest]


def listed_parts(directory: str) -> ListedParts:
    """Raises as ``whole_parts``."""
    whole = whole_parts(directory).manifests
    incomplete = without_end(whole)
    complete = [part for part in whole if part not in incomplete]
    return ListedParts(complete, [part for part in parts_of(directory).manifests if part not in complete])


def read_tables(directory: str, processes: int | None = None, *, progress: Progress | None = None) -> Facts:
    """All that a directory holds. What cannot be read is among the facts' problems. ``processes``: how many read, this
    one included; as many as are worth it by default. ``progress``: as in ``read_connections``. Raises UnreadableError
    where it holds no part at all, UsageError without PyArrow, UnwritableError where there is no room for connections
    that do not fit into memory.
    """
    pyarrow()
    root = Path(directory)
    parts, problems = _each_part(directory, lambda listed: _facts(root, listed, processes, progress), counting)
    if not parts and not problems:
        raise UnreadableError(f"{directory}: holds no facts yet", "inspector extract FILE… -o DIRECTORY writes some")
    facts = merge([part.facts for part in parts], [part.numbers for part in parts])
    facts.problems += problems
    return facts


def _each_part(
    directory: str,
    read: Callable[[Sequence[PartManifest]], Sequence[Read | UnreadPart]],
    chosen: Callable[[Sequence[PartManifest]], list[PartManifest]] = list,
) -> tuple[list[Read], list[PartProblem]]:
    """What is made of each part, and what is wrong with those of which nothing is. ``read``: all that are ``chosen`` of
    those that are there, in order. A part that goes meanwhile was replaced or continued by another: the directory is
    looked at once more.
    """
    for _ in range(LOOKS):
        listed = parts_of(directory)
        made, problems = list[Read](), list(listed.problems)
        has_gone = False
        manifests = chosen(listed.manifests)
        for manifest, result in zip(manifests, read(manifests), strict=True):
            if isinstance(result, UnreadPart):
                problems.append(
                    PartAltered(PathText(path_text(directory)), ForeignText(manifest.name), ForeignText(result.why))
                )
                manifest_path = Path(directory) / PARTS / f"{manifest.name}{SUFFIX}"
                has_gone |= result.has_no_file and (bool(manifest.open_of) or not manifest_path.exists())
            else:
                made.append(result)
        if not has_gone:
            break
    return made, problems


def _facts(
    directory: Path, manifests: Sequence[PartManifest], processes: int | None, progress: Progress | None
) -> Sequence[NumberedPart | UnreadPart]:
    """What does not grow with connections first, of all parts: then it is known what connections are to call captures,
    and each part's can be read by itself.
    """
    tables = [PartTables(directory, manifest) for manifest in manifests]
    others = [attempt(PartTables.facts, part) for part in tables]
    whole = {index: facts for index, facts in enumerate(others) if isinstance(facts, Facts)}
    numbers = numbered_captures([manifests[index] for index in whole], [*whole.values()])
    parts = [
        PartConnections(tables[index], facts, of_part.every)
        for (index, facts), of_part in zip(whole.items(), numbers, strict=True)
    ]
    rows = sum(file.rows for manifest in manifests for file in manifest.of("connections"))
    connections = [*read_connections(parts, rows, processes, progress)]
    read: dict[int, NumberedPart | UnreadPart] = {
        index: facts for index, facts in enumerate(others) if isinstance(facts, UnreadPart)
    }
    for index, of_part, theirs in zip(whole, numbers, connections, strict=True):
        if isinstance(theirs, UnreadPart):
            read[index] = theirs
        else:
            whole[index].connections = theirs
            read[index] = NumberedPart(whole[index], of_part.kept)
    unread = {index: result for index, result in read.items() if isinstance(result, UnreadPart)}
    if len(unread) > len(others) - len(whole) and any(manifest.earlier for manifest in manifests):
        # its captures may be numbered in others: once more without it
        left = [manifest for index, manifest in enumerate(manifests) if index not in unread]
        rest = iter(_facts(directory, left, processes, progress))
        return [unread[index] if index in unread else next(rest) for index in range(len(manifests))]
    return [read[index] for index in range(len(manifests))]
