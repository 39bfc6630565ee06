"""The border behind which one thing from outside is taken in: a frame, a connection, a line, a judgement.

Whatever goes wrong behind it that nobody foresaw is a mistake of this program. It costs that one thing, is counted by
its kind and place, and named as a limit; the rest goes on. In tests such mistakes are loud.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, TypeVar

from inspector.errors.notice import ForeignText, Notice

PLACES = 32
"""Places that are told apart; what fails elsewhere is counted as one."""

ELSEWHERE = "other places"
PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep

Made = TypeVar("Made")


class InternalError(Notice, frozen=True, array_like=True):
    """A mistake of this program. ``where``: its exception and place; ``count``: how many things it cost."""

    where: ForeignText
    count: int


class Border:
    """A context that lets no exception out, and counts them. One of each process, used for one thing after the
    other.
    """

    is_loud: ClassVar[bool] = False
    """Set in tests: exceptions are not kept in."""

    def __init__(self, *foreseen: type[Exception]) -> None:
        """``foreseen``: what is no mistake, and is raised further."""
        self._foreseen = foreseen
        self._counts: Counter[str] = Counter()

    def __enter__(self) -> Border:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._foreseen) or self.is_loud:
            return False
        self.note(f"{type(error).__name__} at {_innermost(trace)}")
        return True

    def kept(self, work: Callable[[], Made]) -> Made | None:
        """What ``work`` makes; None where it goes wrong."""
        with self:
            return work()
        return None

    def note(self, where: str) -> None:
        """One thing was lost. ``where``: what went wrong, and in which place."""
        known = where in self._counts or len(self._counts) < PLACES
        self._counts[where if known else ELSEWHERE] += 1

    @property
    def count(self) -> int:
        """How many things were lost so."""
        return self._counts.total()

    def notices(self) -> list[InternalError]:
        """What went wrong, the most frequent first."""
        return [InternalError(ForeignText(where), count) for where, count in self._counts.most_common()]


def _innermost(trace: TracebackType | None) -> str:
    """The innermost line of this package that was running: ``tls/x509/der.py:175``."""
    innermost = "outside"
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path.startswith(PACKAGE):
            innermost = f"{path.removeprefix(PACKAGE)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return innermost
