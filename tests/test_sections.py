"""Captures of many sections and interfaces: how many are opened, and whose clock and link a frame has."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcapng import Section, read_pcapng
from inspector.capture.probe_marks import ProbeMarks
from inspector.facts import Facts
from tests.build import Pool, document_of, facts_of
from tests.hostile import SECTIONS
from tests.test_attacks import with_an_abort
from tests.work import Work


@pytest.mark.parametrize("kind", SECTIONS)
def test_sections(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many batches as there are buffers, whatever stands between the frames, and work for each block alone."""
    monkeypatch.setattr(bounds, "INTERFACES", 3_000)
    work = []
    for count in (1_000, 4_000):
        data = SECTIONS[kind](count)
        info = CaptureInfo("evil.pcapng")
        with Work() as counted:
            batches = list(read_pcapng(ByteSource(io.BytesIO(data)), info))
        assert len(batches) == 1
        assert info.packets in (1, count)
        assert info.damage is None
        work.append(counted.calls)
    assert work[1] < 4.5 * work[0] + 1_000
    for size in (700, 4_000):  # buffers of which each holds some
        pieces = [b.link_type.tolist() for b in read_pcapng(ByteSource(io.BytesIO(data), size=size), CaptureInfo("e"))]
        assert [kind for piece in pieces for kind in piece] == batches[0].link_type.tolist()


def test_interfaces_beyond_the_bound_are_not_opened_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "INTERFACES", 100)
    path = tmp_path / "many.pcapng"
    path.write_bytes(SECTIONS["interfaces between frames"](300))
    document = document_of(path)
    assert document.captures[0].undecoded == 200
    assert [limit.kind for limit in document.limits if limit.kind == "undecoded"]
    section = Section("<")
    for _ in range(300):
        section.add_interface(bytes(8), 0, ProbeMarks())
    assert len(section.interfaces) == 100


def test_each_frame_has_the_clock_and_link_of_its_interface_and_section() -> None:
    for count in (60, 300):
        batch = next(
            iter(read_pcapng(ByteSource(io.BytesIO(SECTIONS["interfaces of shifted clocks"](count))), CaptureInfo("")))
        )
        assert (batch.time_ns[1:] - batch.time_ns[:-1] == 1_000_000_000).all()
        both = next(
            iter(read_pcapng(ByteSource(io.BytesIO(SECTIONS["sections of both byte orders"](count))), CaptureInfo("")))
        )
        assert len(set(both.time_ns.tolist())) == 1
        assert both.number.tolist() == list(range(1, count + 1))


def test_facts_are_the_same_however_a_capture_is_cut_into_sections(tmp_path: Path) -> None:
    from tests.build import ethernet
    from tests.test_capture_files import interface, packet, section

    frames = [(s.ns, ethernet(s)) for s in with_an_abort(Pool()).segments()]
    whole = section() + interface() + b"".join(packet(ns // 1000, frame) for ns, frame in frames)
    cut = b"".join(
        section(order) + interface(1, b"", order) + packet(ns // 1000, frame, 0, order)
        for (ns, frame), order in zip(frames, "<>" * len(frames), strict=False)
    )
    found: list[Facts] = []
    for name, data in (("whole", whole), ("cut", cut)):
        (tmp_path / name).write_bytes(data)
        found.append(facts_of(tmp_path / name))
    assert found[0].connections == found[1].connections
