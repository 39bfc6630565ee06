"""Output that two cores make: from the first piece on and from the last, until they meet, whatever happens to one."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.document import Document
from inspector.findings.judge import Analysis
from inspector.reports import json_stream
from inspector.reports.both_ends import MOST_PIECES, BothEnds, Piece
from inspector.reports.forked_job import ForkedJob
from inspector.reports.formats import write
from inspector.tracking.observed import Observed
from tests.conftest import bundled

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only")


class Marked:
    """Pieces that say who made them: this process, or its copy, in which ``in_copy`` comes first."""

    def __init__(self, in_copy: Callable[[int], object] = lambda number: None) -> None:
        self._here = os.getpid()
        self._in_copy = in_copy

    def pieces(self, count: int) -> list[Piece]:
        return [partial(self._piece, number) for number in range(count)]

    def _piece(self, number: int) -> bytes:
        if os.getpid() == self._here:
            return b"%d here\n" % number
        self._in_copy(number)
        return b"%d\n" % number


def result(shared: BothEnds) -> list[bytes]:
    out = io.BytesIO()
    shared.write_to(out)
    shared.drop()
    return out.getvalue().splitlines()


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("count", [0, 1, 7, MOST_PIECES])
def test_a_copy_that_is_alone_makes_all(count: int) -> None:
    shared = BothEnds(Marked().pieces(count))
    until(lambda: not shared._job.is_running())
    assert result(shared) == [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("count", [1, 7])
def test_nobody_waits_for_a_copy_that_is_slow(count: int, tmp_path: Path) -> None:
    """But for the piece that it is at."""
    begun = tmp_path / "begun"

    def slowly(number: int) -> None:
        begun.touch()
        time.sleep(0.5)

    shared = BothEnds(Marked(slowly).pieces(count))
    until(begun.exists)
    assert result(shared) == [*(b"%d here" % number for number in range(count - 1)), b"%d" % (count - 1)]


def test_each_piece_is_made_by_one_of_them(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        shared = BothEnds(Marked().pieces(2000))
        shared.write_to(out)
        shared.drop()
    made = [line.split() for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [int(words[0]) for words in made] == list(range(2000))
    here = [len(words) == 2 for words in made]
    assert here == sorted(here, reverse=True)


def fails_at(last: int, number: int) -> None:
    if number == last:
        raise RuntimeError


def dies_at(last: int, number: int) -> None:
    if number == last:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("ends", [fails_at, dies_at])
@pytest.mark.parametrize("last", [0, 4, 6])
def test_what_a_copy_does_not_make_is_made_here(ends: Callable[[int, int], None], last: int) -> None:
    shared = BothEnds(Marked(partial(ends, last)).pieces(7))
    until(lambda: not shared._job.is_running())
    assert result(shared) == [b"%d here" % number for number in range(7)]


def no_process() -> int:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/proc/self/fd"))
    result(BothEnds(Marked().pieces(3)))
    monkeypatch.setattr(os, "fork", no_process)
    with pytest.raises(OSError, match="unavailable"):
        BothEnds(Marked().pieces(3))
    assert set(os.listdir("/proc/self/fd")) == before


class Full(io.RawIOBase):
    """Takes nothing."""

    def write(self, octets: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_nobody_works_on_where_output_breaks(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[ForkedJob] = []
    begin = ForkedJob.__init__

    def noted(self: ForkedJob, *arguments: Any) -> None:
        begin(self, *arguments)
        begun.append(self)

    monkeypatch.setattr(json_stream, "SHARED_FROM", 1)
    monkeypatch.setattr(ForkedJob, "is_worthwhile", lambda: True)
    monkeypatch.setattr(ForkedJob, "__init__", noted)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Broken pipe"):
        write(bundled("silent-abort"), form, None, Full())  # type: ignore[arg-type]
    assert [job._status for job in begun] != [None]
    assert set(os.listdir("/proc/self/fd")) == before


def written(analysis: Analysis, form: str, wanted: Callable[[Observed], bool] | None = None) -> bytes:
    out = io.BytesIO()
    write(analysis, form, wanted, out)
    return out.getvalue()


def nobody(observed: Observed) -> bool:
    return False


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("name", ["silent-abort", "both-legs", "ipv6"])
def test_a_document_is_the_same_whoever_writes_it(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = bundled(name)
    last = analysis.case.observed[-1].id
    scopes: list[Callable[[Observed], bool] | None] = [None, nobody, lambda observed: observed.id == last]
    monkeypatch.setattr(json_stream, "CHUNK", 5)
    alone = [b"".join(written(analysis, form, wanted).split()) for wanted in scopes]
    monkeypatch.setattr(json_stream, "SHARED_FROM", 0)
    monkeypatch.setattr(ForkedJob, "is_worthwhile", lambda: True)
    shared = [written(analysis, form, wanted) for wanted in scopes]
    assert [b"".join(document.split()) for document in shared] == alone
    monkeypatch.setattr(os, "fork", no_process)
    assert [written(analysis, form, wanted) for wanted in scopes] == shared


def test_a_document_that_two_wrote_is_that_of_the_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = bundled("mixed-pool")
    monkeypatch.setattr(json_stream, "SHARED_FROM", 0)
    monkeypatch.setattr(ForkedJob, "is_worthwhile", lambda: True)
    monkeypatch.setattr(json_stream, "CHUNK", 7)
    assert msgspec.json.decode(written(analysis, "json"), type=Document) == analysis.complete()
    rows = [msgspec.json.decode(line) for line in written(analysis, "jsonl").splitlines()]
    ids = [row["id"] for row in rows if row["record"] == "connections"]
    assert ids == [observed.id for observed in analysis.case.observed]
