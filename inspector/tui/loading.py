"""Reading in the background. Knows no Textual: a thread works, the app asks how far it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspector.document import Limit
from inspector.errors import InspectorError
from inspector.extraction import extract
from inspector.findings.case import Options
from inspector.findings.judge import Analysis, judge

if TYPE_CHECKING:
    from inspector.capture.files import Story


class Stopped(Exception):
    """The person has left."""


class Loading:
    """``analysis`` or ``problem`` is set once ``is_done``; ``problem`` is None where all went well."""

    def __init__(self, paths: Sequence[str], options: Options, limits: Sequence[Limit]) -> None:
        self.paths = list(paths)
        self.total = 0
        self.read = 0
        self.stage = "opening"
        self.analysis: Analysis | None = None
        self.problem: InspectorError | None = None
        self._options = options
        self._limits = limits
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)

    @property
    def is_done(self) -> bool:
        """Nothing more will come."""
        return self.analysis is not None or self.problem is not None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next batch; does not wait."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            facts = extract(self.paths, self._advance, self._opened)
            self.stage = "judging"
            analysis = judge(facts, self._options, self._limits)
            if analysis.document:  # made here, not when the first screen asks
                self.analysis = analysis
        except Stopped:
            return
        except InspectorError as error:
            self.problem = error

    def _opened(self, story: Story) -> None:
        self.total = story.bytes
        self.stage = "reading"

    def _advance(self, count: int) -> None:
        self.read += count
        if self._stopped.is_set():
            raise Stopped
