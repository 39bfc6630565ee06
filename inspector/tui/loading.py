"""Reading in the background. Knows no Textual: a thread works, the app asks some times a second how far it is.

While it reads, what is known so far is judged now and then, seldom enough that it costs little; in the end the whole,
and then its columns.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from inspector import settings
from inspector.document import Limit
from inspector.errors import InspectorError
from inspector.extract.processes import add_logs, extract
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.findings.judge import Analysis, judge
from inspector.query.arrays import Columns
from inspector.text.safe import path_text, safe_text
from inspector.tui.uncaptured import UnseenTimes

if TYPE_CHECKING:
    from inspector.capture.files import Story
    from inspector.extract.cache import FactsCache
    from inspector.extract.engine import Engine
    from inspector.secrets.inputs import SecretInputs

EARLY_SECONDS = 0.3
"""When what is known is judged first, and how often until there is a finding."""

LOOK_SECONDS = 2.0
"""How often at most from then on: each look is painted."""

FIRST_KEPT = 1_000
"""Of facts that were kept, so many connections are judged before all are: those that came first."""

SWITCH_SECONDS = 0.0005
"""How long this thread keeps the interpreter from the one that paints: Python's usual 5 ms, many times in each key,
would be felt.
"""

PAINT_SECONDS = 0.3
"""What was read is painted before its columns are made."""

PATIENCE = 10
"""So many times longer than judging what is known takes, the next such look waits."""

FEW = 5_000
"""With no more connections than this, columns are made before anything is shown."""


Unit = Literal["bytes", "connections", "files"]


class LoadingStage(NamedTuple):
    """What is done, and how far: ``done`` of ``total`` in its unit; ``total`` is 0 where it is not known. It is
    replaced as a whole: the app reads it from another thread.
    """

    name: str
    total: int = 0
    unit: Unit = "bytes"
    done: int = 0

    @property
    def share(self) -> str:
        """In percent; empty where it is not known."""
        return f"{min(self.done * 100 // self.total, 99)} %" if self.total else ""

    @property
    def amount(self) -> str:
        """How much is done; empty where there is nothing to say."""
        if self.unit == "bytes":
            return f"{self.done / 1e6:,.0f} MB read" if self.done else ""
        return f"{min(self.done, self.total):,} of {self.total:,} {self.unit}"


class Stopped(BaseException):
    """The person has left: no mistake, wherever it is raised (``errors.internal``)."""


class Loading:
    """``analysis`` grows with ``version``, until ``is_done``. ``problem``: why nothing can be shown, None where all
    went well.
    """

    is_repeatable = True
    """Whether the same can be read again, or something else instead."""

    looks_per_second = 10
    """How often the app asks."""

    def __init__(
        self,
        paths: Sequence[str],
        options: Options,
        chosen_settings: settings.Settings,
        secret_inputs: SecretInputs | None = None,
        cache: FactsCache | None = None,
        most_packets: int | None = None,
    ) -> None:
        """``cache``: where facts are kept, None for nowhere; secrets, and what they open, are never kept.
        ``most_packets``: as in ``extract``.
        """
        self.paths = list(paths)
        self.stage = LoadingStage("opening")
        self.version = 0
        self.analysis: Analysis | None = None
        self.columns: Columns | None = None
        self.problem: InspectorError | None = None
        self.is_done = False
        self.whole_from_ns = 0
        """Of connections before this time, some were forgotten."""
        self.forgotten = 0
        """How many were."""
        self.unseen = UnseenTimes()
        """When a live capture lost packets, or had no source."""
        self.is_whole = False
        """Everything was read; only the columns may be missing."""
        self._options = options
        self._asked_with = secret_inputs
        self._cache = cache
        self._most_packets = most_packets
        self._settings = chosen_settings
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self._next_look = 0.0

    def again(self, paths: Sequence[str]) -> Loading:
        """Read these in the same way."""
        return Loading(paths, self._options, self._settings, self._asked_with, self._cache)

    def start(self) -> None:
        """Begin to read, if that has not begun."""
        if not self._thread.ident:
            self._thread.start()

    def stop(self) -> None:
        """End at the next batch; does not wait."""
        self._stopped.set()

    def doing(self) -> list[str]:
        """What is being read, in lines for the person who waits."""
        return [f"reading {', '.join(safe_text(path_text(p), 60) for p in self.paths[:3])}"]

    def status(self) -> str:
        """How far it is, in a few words; empty where there is nothing to say."""
        if self.is_done:
            return ""
        stage = self.stage
        return f"{'' if self.is_whole else 'so far, '}{stage.name} {stage.share}".rstrip()

    def incident_count(self) -> int:
        """How many incidents were met live so far; none of what was read from files."""
        return 0

    def close(self) -> None:
        """Wait for the end of what was stopped."""

    def _run(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.disable()  # a collection over a million values would hold up every key for as long
        try:
            self._run_to_end()
        finally:
            gc.freeze()
            gc.enable()
            sys.setswitchinterval(usual)

    def _run_to_end(self) -> None:
        try:
            self._work()
        except Stopped:
            return
        except InspectorError as error:
            self.problem = error
        finally:
            self.is_done = True

    def _work(self) -> None:
        self._next_look = time.monotonic() + EARLY_SECONDS
        if self._cache is None or self._asked_with is not None:
            facts = self._extracted()
        else:
            facts = self._cache.facts(self.paths, self._extracted)
            if self.analysis is None and len(facts.connections) > FEW:
                self._publish_part(facts.first(FIRST_KEPT))
        if self._options.logs:
            self.stage = LoadingStage("reading logs")
            add_logs(facts, self._options.logs)
        self.stage = LoadingStage("judging", len(facts.connections), "connections")
        analysis = judge(facts, self._options, advance=self._set_done)
        self.stage = LoadingStage("assessing")
        self._name(analysis)
        columns = Columns(analysis, self._check) if analysis.count <= FEW else None
        self._publish(analysis, columns, whole=True)
        if columns is None:
            self.stage = LoadingStage("indexing", analysis.count, "connections")
            self._stopped.wait(PAINT_SECONDS)
            self._publish(analysis, Columns(analysis, self._set_done), whole=True)

    def _extracted(self) -> Facts:
        """By reading."""
        return extract(
            self.paths, self._advance, self._begun, self._look, self._asked_with, most_packets=self._most_packets
        )

    def _judged(self, facts: Facts, limits: Sequence[Limit] = ()) -> Analysis:
        analysis = judge(facts, self._options, limits)
        self._name(analysis)
        return analysis

    def _name(self, analysis: Analysis) -> None:
        """Make its document, with the names that the person chose."""
        settings.name(analysis.document, self._settings)

    def _publish(self, analysis: Analysis, columns: Columns | None, whole: bool) -> None:
        self._check(0)
        self.analysis, self.columns, self.is_whole = analysis, columns, whole
        self.version += 1

    def _begun(self, count: int) -> None:
        """So many bytes are to be read; once more, where they are read a second time."""
        self.stage = self.stage._replace(name="reading", total=self.stage.total + count)

    def _advance(self, count: int) -> None:
        self.stage = self.stage._replace(done=self.stage.done + count)
        self._check(0)

    def _set_done(self, done: int) -> None:
        self.stage = self.stage._replace(done=max(done, self.stage.done))
        self._check(done)

    def _check(self, done: int) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _look(self, engine: Engine, story: Story) -> None:
        """Judge what is known so far, if it is time to."""
        began = time.monotonic()
        if began < self._next_look:
            return
        from inspector.extract.shard import so_far

        facts = so_far(engine, story)
        if facts.connections:
            self._publish_part(facts)
        now = time.monotonic()
        has_findings = self.analysis is not None and bool(self.analysis.document.findings)
        self._next_look = now + max(LOOK_SECONDS if has_findings else EARLY_SECONDS, PATIENCE * (now - began))

    def _publish_part(self, part: Facts) -> None:
        """Judge a part, and say that it is one."""
        limit = Limit(
            "reading",
            "not all was looked at yet: sessions issued in what is still to come, or in another part, are not known",
            None,
            [],
        )
        self._publish(self._judged(part, [limit]), None, whole=False)
