"""The pages on balancers: HAProxy's recipes are those of the lab, and keep a client where they say so; what other
balancers put behind a packet is read past.
"""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from inspector import analyze
from tests.conftest import CAPTURES
from tests.live import bytes_of

sys.path.insert(0, str(CAPTURES / "lab"))
from lab import Pool, lab, missing
from persistence import PERSISTENCE, RANDOM

PAGES = CAPTURES.parent / "docs" / "how-to" / "balancers"
STICKY = {word: lines for word, lines in PERSISTENCE.items() if lines != RANDOM}


def test_the_page_has_the_recipes_of_the_lab() -> None:
    page = (PAGES / "haproxy.md").read_text(encoding="utf-8")
    assert re.findall(r"```haproxy\n(.*?)\n```", page, re.DOTALL) == list(STICKY.values())
    assert set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == set(PERSISTENCE)


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy")
@pytest.mark.parametrize("word", PERSISTENCE)
def test_haproxy_takes_them(word: str, tmp_path: Path) -> None:
    written = tmp_path / "haproxy.cfg"
    written.write_text(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
        f"listen pool\n  bind 127.0.0.1:8081\n{textwrap.indent(PERSISTENCE[word], '  ')}\n  server a 127.0.0.1:8082\n"
    )
    done = subprocess.run(["haproxy", "-c", "-f", str(written)], capture_output=True, text=True, check=False)
    assert (done.returncode, "warning" in (done.stdout + done.stderr).lower()) == (0, False), done.stderr


@pytest.mark.xdist_group("namespaces")
@pytest.mark.skipif(bool(missing(["tcpdump"])), reason=f"the lab needs {missing(['tcpdump'])}")
def test_a_client_stays_where_its_session_is(tmp_path: Path) -> None:
    """By session ID: what goes through HAProxy as it answers is what it learns. Afterwards all is resumed."""
    with lab(Pool(balance=PERSISTENCE["session"])) as built, built.recorded(tmp_path / "capture.pcap"):
        subprocess.run(built.client_command(12, 5), capture_output=True, check=True)
    (member,) = analyze(tmp_path / "capture.pcap").backends
    assert (member.connections, member.full, member.resumed, member.aborted) == (12, 1, 11, 0)


def test_what_is_behind_a_packet_changes_nothing(tmp_path: Path) -> None:
    """As BIG-IP writes it, with ``:nnn``."""
    chance = random.Random(1)
    whole = bytes_of(CAPTURES / "puppet-session-ids.pcap.gz")
    written, at = bytearray(whole[:24]), 24
    while at < len(whole):
        seconds, micros, captured, length = struct.unpack_from("<IIII", whole, at)
        behind = chance.randbytes(chance.choice((16, 44, 90)))
        written += struct.pack("<IIII", seconds, micros, captured + len(behind), length + len(behind))
        written += whole[at + 16 : at + 16 + captured] + behind
        at += 16 + captured
    (tmp_path / "trailers.pcap").write_bytes(written)
    (tmp_path / "plain.pcap").write_bytes(whole)
    with_trailers, plain = (analyze(tmp_path / name) for name in ("trailers.pcap", "plain.pcap"))
    assert with_trailers.findings == plain.findings
    assert with_trailers.services == plain.services
    assert with_trailers.connections == plain.connections
