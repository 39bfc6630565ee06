"""Weeks in seconds: a short soak (``python -m tests.soak`` is the long one)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from tests.soak import Soak
from tests.soak_picture import STRIPS, drawn


def test_days_with_all_that_they_bring(tmp_path: Path) -> None:
    """Restarts, kills, rotations, set clocks, an interface that goes and a disk that is full: nothing grows, and what
    was told is what ``analyze`` finds in the same packets.
    """
    soak = Soak(1.4, 1_200, tmp_path)
    soak.run()
    assert set(soak.events.counts) == {"clock", "rotation", "interface", "disk"}
    assert soak.restarts > soak.kills > 0
    assert len(soak.seen) > 50
    assert not soak.differences()
    assert not [text for text in soak.grown() if not text.startswith("rss")], "so short a run is not warm"
    assert soak.found.news["source"] == 2 * soak.events.counts["interface"]
    assert soak.found.news["journal"] >= 1
    assert soak.found.news["disk"] >= 1
    picture = ET.fromstring(drawn(soak.samples, "days"))
    assert len(picture.findall("{*}polyline")) == len(STRIPS)


def test_what_grows_is_named(tmp_path: Path) -> None:
    soak = Soak(0.2, 600, tmp_path)
    soak.run()
    sample = soak.samples[-1]
    soak.samples.append(sample._replace(rss=10 * sample.rss, files=sample.files + 50))
    assert [text.partition(":")[0] for text in soak.grown()] == ["rss", "files"]


def test_what_was_told_otherwise_is_named(tmp_path: Path) -> None:
    soak = Soak(0.3, 600, tmp_path)
    soak.run()
    assert not soak.differences()
    name = next(iter(soak.found.aborts))
    soak.found.aborts[name] = "predicted"
    assert name in soak.differences()[-1]
