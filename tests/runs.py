"""A host that extracts what it captured run by run, and a story that goes over the borders of its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from click.testing import Result

from inspector.extract.tables import PartManifest, read_tables, whole_parts
from inspector.settings import open_flows_folder
from tests.build import START_NS
from tests.fleet import RawFrame, crossing_story, document
from tests.test_tables import command

BRIEF = crossing_story()


def slower(frames: Sequence[RawFrame], factor: int) -> list[RawFrame]:
    """The same in so many times as long: flows end amid it, and what is idle for an hour is closed."""
    return [RawFrame(START_NS + (ns - START_NS) * factor, data) for ns, data in frames]


STORY = slower(BRIEF, 20)


class Host:
    """A host with a directory of facts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = folder / "facts"

    def extract(self, *words: str | Path) -> Result:
        return command("extract", *words, "-o", self.facts)

    def document(self) -> bytes:
        facts = read_tables(str(self.facts))
        assert not facts.problems
        return document(facts)

    def manifests(self) -> list[PartManifest]:
        return whole_parts(str(self.facts)).manifests

    def kept(self) -> list[Path]:
        """What runs left for the next ones."""
        return sorted(open_flows_folder().rglob("*.flows"), key=lambda path: path.stat().st_mtime_ns)


def connections(analysis: bytes) -> int:
    return len(json.loads(analysis)["connections"])
