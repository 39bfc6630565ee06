"""A soak test in compressed time: weeks of connections through the loop of ``watch`` with all that it keeps, and what
weeks bring: restarts and kills, logs that are rotated, clocks that are set, an interface that goes and comes, a disk
that is full and has room again. What may not grow is noted for each hour of packet time, and what was found is held
against what ``analyze`` finds in the same packets.

``python -m tests.soak --days 30 --rate 1000000``; ``--rate``: connections a day. ``--folder``: for its files.
``--table FILE`` and ``--picture FILE``: the hours as CSV, and drawn. It ends with 1 where something grew, or was found
otherwise.

The story's clock is that of its packets: a block of connections is handed over at once, and it is that much later.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inspector import analyze
from inspector.capture import pcap
from inspector.capture.frames import FrameBatch
from inspector.document import Document
from inspector.extract.journal import Journal
from inspector.findings.case import Options
from inspector.findings.change import ABORT
from inspector.live.keeping import Keeping
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.lines import LinePrinter
from inspector.live.outputs.metrics import Metrics
from inspector.live.outputs.recording import Recording, conditions
from inspector.live.outputs.trigger import Trigger
from inspector.live.sources.growing import GrowingLogs
from inspector.live.sources.source import Source
from inspector.text.times import SECOND_NS, rfc3339
from tests.build import START_NS
from tests.logged import today
from tests.soak_events import Events
from tests.soak_picture import drawn
from tests.soak_story import FAULTS, LEAST, REACH, Blocks

HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
BLOCKS_AN_HOUR = 2
"""At least: no more than so much time passes at once."""

MOST_CONNECTIONS = 1_000
"""Of a block."""

JOURNAL_MIB = 128
WINDOW = 60_000
"""Connections that are analysed in one piece."""

WARM_SHARE = 0.34
"""Of the time, after which nothing may grow."""

MORE_MEMORY = 1.15
"""So many times as much as after that, with what Python's allocator does not give back."""


class Sample(NamedTuple):
    """After an hour of packet time. ``rss``, ``journal`` and ``kept``: bytes of memory, of the journal with its log,
    and of all other files; ``files`` and ``threads``: of this process.
    """

    hour: int
    connections: int
    incidents: int
    rss: int
    journal: int
    kept: int
    files: int
    threads: int


class Killed(BaseException):
    """The capture ends where it stands."""


class StoryClock:
    """As the story goes. ``step_ns``: how far this machine's clock was set."""

    def __init__(self) -> None:
        self.passed_ns = 0
        self.step_ns = 0

    def monotonic(self) -> float:
        return self.passed_ns / SECOND_NS

    def monotonic_ns(self) -> int:
        return self.passed_ns

    def time_ns(self) -> int:
        return START_NS + self.passed_ns + self.step_ns


class StorySource(Source):
    """An interface on which the story is seen. It ends where the capture is to be started anew."""

    def __init__(self, soak: Soak) -> None:
        super().__init__("story0")
        self._soak = soak
        self._readable, writing = os.pipe()
        os.write(writing, b".")
        os.close(writing)
        self._records = pcap.Records(soak.blocks.header)
        self.state = "capturing"
        self.by = "a story"
        self.dropped = 0

    def descriptors(self) -> list[int]:
        return [self._readable] if self.state != "ended" else []

    def ready(self, descriptor: int) -> FrameBatch | None:
        data = self._soak.more(self)
        return self._records.batch(bytearray(data), len(data)) if data is not None else None

    def stop(self) -> None:
        if self.state != "ended":
            self.state = "ended"
            os.close(self._readable)


class Found(io.BytesIO):
    """Takes the lines of ``watch``: the last word on each abort and on each service, and how many of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.aborts: dict[str, str] = {}
        self.others: dict[str, str] = {}
        self.assessments: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.news: Counter[str] = Counter()

    def write(self, line: object, /) -> int:
        assert isinstance(line, bytes)
        for piece in line.splitlines():
            record = piece[11 : piece.index(b'"', 11)].decode()
            self.counts[record] += 1
            if record == "finding":
                value = json.loads(piece)
                (self.aborts if value["rule"] == ABORT else self.others)[value["id"]] = value["verdict"]
            elif record == "assessment":
                value = json.loads(piece)
                self.assessments[value["service"]] = value["state"]
            elif record == "news":
                self.news[json.loads(piece)["kind"]] += 1
        return len(line)


class Soak:
    """The story, what is kept of it, and what happens meanwhile."""

    def __init__(self, days: float, rate: int, folder: Path, table: Path | None = None) -> None:
        """``table``: gets a row for each hour as it passes."""
        self.folder = folder
        self._table = table
        if table is not None:
            table.write_text(",".join(Sample._fields) + "\n")
        connections = max(min(MOST_CONNECTIONS, rate // (24 * BLOCKS_AN_HOUR)), LEAST)
        self.blocks = Blocks(connections, DAY_NS * connections // rate)
        self.count = round(days * DAY_NS / self.blocks.span_ns)
        self.clock = StoryClock()
        self.found = Found()
        self.samples: list[Sample] = []
        self.seen: list[tuple[int, int]] = []
        """The blocks that were on the wire while it was captured, with their beginnings by the capturing clock."""
        self.unkept = 0
        """Blocks of these that came while the disk was full."""
        self.events = Events(folder)
        self.restarts = self.kills = 0
        """Runs of the capture that ended, and of these those that were killed."""
        self.capture: LiveCapture | None = None
        self.connections = self.incidents = 0
        """Of the runs before this one."""
        self._number = 0
        self._pieces: list[memoryview] = []
        self._hour = 0
        self._random = np.random.default_rng(1)

    def run(self) -> None:
        """From the first block to the last."""
        while self._number < self.count:
            self._run_once()
        self.events.close()

    def _run_once(self) -> None:
        folder = self.folder
        keeping = Keeping(
            journal=Journal(str(folder / "journal.sqlite"), JOURNAL_MIB << 20, "story0"),
            recording=Recording(
                str(folder / "w.pcapng"),
                conditions("-b", ("files:3", "filesize:20000")),
                ["story0"],
                is_full=False,
                least_mib=0,
            ),
            trigger=Trigger(str(folder / "incidents"), ["story0"], least_mib=0),
            logs=GrowingLogs([str(self.events.log)]),
        )
        capture = LiveCapture([StorySource(self)], Options(), keeping, "story0", clock=self.clock)
        self.capture = capture
        lines = LinePrinter(
            capture, self.found, (Metrics(str(folder / "m.prom")),), None, not self.samples, clock=self.clock
        )
        self.restarts += 1
        try:
            capture.run(lines)
            lines.finish()
        except Killed:
            self.kills += 1
            for source in capture.sources:
                source.stop()
        finally:
            capture.close()
        self.connections += capture.connections
        self.incidents += capture.incidents
        self.capture = None

    def more(self, source: StorySource) -> memoryview | None:
        """The next piece of the story; None where nothing comes for a while, or never again."""
        if not self._pieces and not self._begin_block(source):
            return None
        piece = self._pieces.pop(0)
        if not self._pieces:
            self.clock.passed_ns = self._number * self.blocks.span_ns
            self._log_failures()
        return piece

    def _begin_block(self, source: StorySource) -> bool:
        """Whether it is seen."""
        if self._number >= self.count:
            source.stop()
            return False
        hour = self._number * self.blocks.span_ns // HOUR_NS
        if hour > self._hour:
            self._sample(hour)
            self._hour = hour
            event = self.events.at(hour, self.clock, source)
            if event == "kill":
                raise Killed
            if event == "restart":
                source.stop()
                return False
        self.clock.passed_ns = self._number * self.blocks.span_ns
        self._number += 1
        if source.state == "lost":
            self.clock.passed_ns = self._number * self.blocks.span_ns
            return False
        began = self.clock.time_ns()
        self.seen.append((self._number - 1, began))
        self.unkept += self.events.is_full
        data = self.blocks.block(self._number - 1, began)
        self._pieces = [data[a:b] for a, b in self._cuts()]
        return True

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """Most blocks come in one piece, some in several, cut between any two frames."""
        ends = self.blocks.ends
        last = 0
        if self._random.random() < 0.2:
            for place in sorted(self._random.choice(len(ends) - 1, 6, replace=False)):
                yield last, int(ends[place])
                last = int(ends[place])
        yield last, int(ends[-1])

    def _log_failures(self) -> None:
        """The client logs its aborts, as they happened."""
        self.events.logs(self._failures(self.seen[-1][1]))

    def _failures(self, began: int) -> str:
        return "".join(today(began + ns, n) for n, ns in enumerate(self.blocks.failed_ns))

    def _sample(self, hour: int) -> None:
        journal = sum(path.stat().st_size for path in self.folder.glob("journal.sqlite*"))
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        capture = self.capture
        assert capture is not None
        sample = Sample(
            hour,
            self.connections + capture.connections,
            self.incidents + capture.incidents,
            int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(),
            journal,
            sum(path.stat().st_size for path in files) - journal,
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
        )
        self.samples.append(sample)
        if self._table is not None:
            self.events.unlimited()
            with open(self._table, "a", encoding="utf-8") as out:
                out.write(",".join(map(str, sample)) + "\n")
            self.events.limited()

    def grown(self) -> list[str]:
        """What is not flat."""
        samples = self.samples
        warm = samples[int(len(samples) * WARM_SHARE) :]
        troubles = []
        for name, most in (
            ("rss", max(MORE_MEMORY * warm[0].rss, warm[0].rss + (16 << 20))),
            ("journal", (JOURNAL_MIB << 20) * 1.3),
            ("kept", max(2 * warm[0].kept, 120 << 20)),
            ("files", samples[0].files + 8),
            ("threads", samples[0].threads),
        ):
            worst = max(warm, key=lambda sample: getattr(sample, name))
            if getattr(worst, name) > most:
                troubles.append(f"{name}: {getattr(worst, name):,} after {worst.hour} hours, and not {most:,.0f}")
        return troubles

    def differences(self) -> list[str]:
        """Where what was told is not what ``analyze`` finds in the packets that were seen."""
        troubles = []
        if len(self.found.aborts) != FAULTS * len(self.seen):
            troubles.append(f"{len(self.found.aborts):,} aborts were told of {FAULTS * len(self.seen):,}")
        for first, last, begin in self._windows():
            document = self._analysed(first, last)
            wanted = {
                finding.id: finding.verdict
                for finding in document.findings
                if finding.rule == ABORT and (finding.last or "") >= begin
            }
            wrong = [name for name, verdict in wanted.items() if self.found.aborts.get(name) != verdict]
            weaker = [name for name in wrong if self.found.aborts.get(name) == "possible"]
            print(
                f"blocks {first:,} to {last:,}: {len(wanted):,} aborts, {len(wrong)} told otherwise, {len(weaker)} of"
                " them as possible",
                flush=True,
            )
            if len(weaker) < len(wrong) or len(weaker) > self.unkept or not wanted:
                troubles.append(f"blocks {first} to {last}: {wrong[:5]} of {len(wanted)}")
            if last == len(self.seen):
                others = {f.rule for f in document.findings if f.rule != ABORT}
                print(f"other findings: {sorted(others)}; assessments: {self.found.assessments}")
        return troubles

    def _windows(self) -> Iterator[tuple[int, int, str]]:
        """From which to which of the blocks that were seen, with those before in which their sessions were issued; and
        since when findings count. All blocks are in one.
        """
        size = max(WINDOW // self.blocks.connections, 2 * REACH)
        for begin in range(0, len(self.seen), size):
            first = max(begin - REACH - 2, 0)
            yield first, min(begin + size, len(self.seen)), rfc3339(self.seen[begin][1]) if first else ""

    def _analysed(self, first: int, last: int) -> Document:
        path, log = self.folder / "window.pcap", self.folder / "window.log"
        with open(path, "wb") as out, open(log, "w", encoding="utf-8") as lines:
            out.write(self.blocks.header)
            for number, began in self.seen[first:last]:
                out.write(self.blocks.block(number, began))
                lines.write(self._failures(began))
        return analyze(path, logs=[log])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--picture", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        soak = Soak(words.days, words.rate, Path(folder), words.table)
        began = time.monotonic()
        soak.run()
        seconds = time.monotonic() - began
        print(
            f"{words.days:g} days, {soak.connections:,} connections, {soak.incidents:,} incidents in {seconds:,.0f} s;"
            f" {soak.restarts} runs, {soak.kills} of them killed; {dict(soak.events.counts)};"
            f" news {dict(soak.found.news)}; lines {dict(soak.found.counts)}",
            flush=True,
        )
        if words.picture:
            title = f"{words.days:g} days of packet time, {soak.connections:,} connections, {soak.restarts} runs"
            words.picture.write_text(drawn(soak.samples, title))
        troubles = [*soak.grown(), *soak.differences()]
    print("\n".join(troubles) or "flat, and the same as offline")
    sys.exit(bool(troubles))


if __name__ == "__main__":
    main()
