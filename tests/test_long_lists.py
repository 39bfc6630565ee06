"""Lists whose length strangers decide: sentences name some members and count the rest, and what is looked up, kept or
followed for them is bounded.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import read_pcap
from inspector.extract.kept_values import KeptValues
from inspector.extract.live_engine import LiveEngine
from inspector.findings.case import Case
from inspector.findings.differing import MOST_NAMES
from inspector.findings.pool import MOST_NAMED
from inspector.live.outputs import line_queue
from inspector.live.outputs.line_queue import LineQueue
from inspector.live.outputs.lines import LinePrinter
from inspector.text.listing import MOST, listed
from inspector.tracking.certificate_reader import REFUSED_BYTES, REFUSED_SHARE, CertificateReader
from inspector.wire.flows import FlowTable
from tests.attacks.attack import A
from tests.attacks.certificates import crumbs, of_many
from tests.attacks.floods import HALF_OPEN, flood
from tests.build import Pool, capture, numbered
from tests.live import listened
from tests.test_attack_kinds import read


def test_some_are_named_and_the_rest_is_counted() -> None:
    assert listed([]) == ""
    assert listed(["A", "B"], 2) == "A, B"
    assert listed(["A", "B", "C"], 2) == "A, B and 1 more"
    assert listed(dict.fromkeys(map(str, range(2_000))), 1, "; ") == "0 and 1,999 more"


@pytest.mark.parametrize("count", [MOST_NAMED // 2, MOST_NAMED + 20])
def test_a_pool_of_strangers_is_told_in_a_few_sentences(count: int, tmp_path: Path) -> None:
    """However many back ends have a chain of their own, of however many certificates; each is still counted."""
    document = read(of_many(crumbs, count, is_used=True), tmp_path)
    (drift,) = [f for f in document.findings if f.rule == "pool-drift" and f.matter == "chain"]
    assert drift.count >= count
    assert len(drift.backends) >= count
    assert len(drift.evidence) <= MOST
    assert f" and {drift.count - MOST} more" in drift.explanation
    assert drift.about is not None
    assert " more" in drift.about.others
    texts = [text for f in document.findings for text in (f.title, f.explanation, *(e.text for e in f.evidence))]
    assert max(map(len, texts)) < 10_000


def test_names_in_chains_are_read_of_a_pool_that_people_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many back ends another one costs none of the names in its chain."""
    named: list[bytes] = []
    name = Case.certificate_name

    def counted(case: Case, digest: bytes) -> str:
        named.append(digest)
        return name(case, digest)

    monkeypatch.setattr(Case, "certificate_name", counted)
    work = []
    for count in (MOST_NAMED + 20, MOST_NAMED + 60):
        named.clear()
        read(of_many(crumbs, count, is_used=True), tmp_path)
        work.append(len(named))
    assert work[0] > MOST
    assert work[1] - work[0] <= 40 * 2 * MOST_NAMES


def test_what_is_not_known_is_looked_for_as_far_as_it_could_be_kept() -> None:
    asked: list[bytes] = []

    def remembered(keys: Sequence[bytes]) -> dict[bytes, bytes]:
        asked.extend(keys)
        return {}

    kept: KeptValues[bytes] = KeptValues(1_000, 1 << 30, len)
    kept[b"here"] = b"value"
    keys = [n.to_bytes(4, "big") for n in range(3 * bounds.CACHE)]
    assert kept.find([*keys, b"here", b"here"], remembered) == {b"here": b"value"}
    assert asked == keys[: bounds.CACHE]
    assert kept.retain(iter([b"here", b"here"])) == set()
    assert kept.retain(iter(())) == {b"here"}


def test_answers_of_certificates_take_a_part_of_the_room() -> None:
    room = 100 * REFUSED_SHARE * REFUSED_BYTES
    reader = CertificateReader(room)
    for n in range(1_000):
        assert reader.is_refused(n.to_bytes(2, "big"), n.to_bytes(5, "big"))
        assert len(reader._refused) * REFUSED_BYTES * REFUSED_SHARE <= room


def test_a_batch_of_live_capture_opens_few_more_flows_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    most, opened = 8_000, []
    sweep = FlowTable._look_for_ends

    def measured(self: FlowTable, *moment: int) -> None:
        opened.append(len(self._flows))
        sweep(self, *moment)

    monkeypatch.setattr(FlowTable, "_look_for_ends", measured)
    engine = LiveEngine(most)
    for whole in read_pcap(ByteSource(io.BytesIO(flood(HALF_OPEN["a byte each"], 24_000).data)), CaptureInfo("flood")):
        for batch in whole.slices(8_192):
            engine.take(batch)
            engine.settle(0)
    assert most < max(opened) <= most + most // bounds.CROWD_SHARE


class Held:
    """Takes lines once it is let go."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.taken = bytearray()

    def write(self, data: bytes, /) -> int:
        self.may_go.wait()
        self.taken += data
        return len(data)


def test_last_words_that_are_more_than_there_is_room_for_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none is lost."""
    monkeypatch.setattr(line_queue, "PATIENCE_SECONDS", 600.0)
    out = Held()
    out.may_go.set()
    queue = LineQueue(out, most_bytes=1_000)
    for _ in range(500):
        queue.write(b"x" * 99 + b"\n")
        assert queue.make_room()
    queue.drain()
    assert queue.take_lost() == 0
    assert len(out.taken) == 500 * 100


def test_last_words_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody reads, what is beyond the room is lost and counted."""
    monkeypatch.setattr(line_queue, "PATIENCE_SECONDS", 0.01)
    out = Held()
    queue = LineQueue(out, most_bytes=1_000)
    for _ in range(20):
        queue.write(b"x" * 99 + b"\n")
    assert not queue.make_room()
    out.may_go.set()
    queue.drain()
    assert queue.take_lost() == 10
    assert len(out.taken) == 10 * 100


def test_services_by_the_hundred_are_all_assessed_in_the_end() -> None:
    pool = Pool()
    for number in range(150):
        pool.name = f"service-{number}.example.com"
        pool.full(A, numbered(number + 1))
    watching, _ = listened(capture(pool.flows))
    out, answers = io.BytesIO(), [False, True, True, True]
    LinePrinter(watching, out, (), None, make_room=answers.pop).finish()
    said = out.getvalue().splitlines()
    assert sum(line.startswith(b'{"record":"assessment"') for line in said) == 150
    assert not answers, "and from then on nothing was waited for"
