"""Attacks of every kind, twice and four times as large: the work grows with the size, and not faster.

Measured at full size by ``python -m tests.attacks --growth``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import bounds
from inspector.tracking.certificate_reader import CertificateReader
from tests.attacks.kinds import BY_KIND
from tests.test_attack_kinds import read
from tests.work import Work

STEEP = 1.3
"""So many times the work of the first step, a step of twice the size may take half as much more."""

PIECES = {
    "certificates: a length of 127 bytes": 60,
    "chains: of four": 60,
    "client chains: one leaf, other authorities": 60,
    "sessions: tickets, issued and resumed": 60,
    "hellos: other suites each": 60,
    "hellos: without an end: everything empty": 60,
    "fragments: IPv4, the last of each": 800,
    "sections: interfaces between frames": 500,
    "secrets: different secrets": 50,
    "key logs: different secrets": 50,
    "names: many": 60,
    "logs: failures": 200,
    "logs: lines of a byte": 1_000,
    "half open: a hello each": 200,
    "half open: SYN, with other numbers": 300,
    "segments: a byte each, every second missing": 2_000,
    "records: of hellos": 100,
    "flights: tickets, several holes": 60,
    "findings: aborts, each at another address between other back ends": 60,
    "findings: back ends that agree in nothing": 60,
}


@pytest.mark.parametrize("name", PIECES)
def test_work_grows_with_size(name: str, tmp_path: Path) -> None:
    kind, _, variant = name.partition(": ")
    attack = next(one for one in BY_KIND[kind] if one.name == variant)
    read(attack.make(attack.few), tmp_path)  # what is imported once
    work = []
    for step in (1, 2, 4):
        given = attack.make(step * PIECES[name])
        with Work() as counted:
            read(given, tmp_path, CertificateReader(bounds.READ_BYTES))
        work.append(counted.calls)
    assert work[2] - work[1] < 2 * STEEP * (work[1] - work[0]) + 20_000, work
