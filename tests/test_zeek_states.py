"""How flows end, held against what Zeek says of the same packets: its state machine, worked through by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.findings.judge import judge
from tests import der as d
from tests.build import ACK, FIN, RST, SYN, Flow, Pool, Segment, facts_of, numbered, written
from tests.test_zeek_logs import logs_of

CLOSE, RESET = FIN | ACK, RST | ACK


def unended() -> Flow:
    """An established connection that nobody ended."""
    flow = Pool().full(d.certificate(), numbered(1))
    del flow.segments[-3:]
    flow.sent = [sent - 1 for sent in flow.sent]
    flow.ns = flow.segments[-1].ns + 1_000_000
    return flow


def without(which: Callable[[Segment], object]) -> Callable[[], Flow]:
    """The same, of which some was not captured."""

    def build() -> Flow:
        flow = unended()
        flow.segments[:] = [segment for segment in flow.segments if not which(segment)]
        return flow

    return build


whole = unended
midstream = without(lambda segment: segment.flags & SYN)
client_alone = without(lambda segment: not segment.from_client)
server_alone = without(lambda segment: segment.from_client)
midstream_server_alone = without(lambda segment: segment.from_client or segment.flags & SYN)
no_syn = without(lambda segment: segment.from_client and segment.flags & SYN)
no_syn_ack = without(lambda segment: not segment.from_client and segment.flags & SYN)

ENDS: dict[str, tuple[Callable[[], Flow], str, str]] = {
    "nobody": (whole, "", "S1"),
    "both close": (whole, "C. S.", "SF"),
    "both close, the server first": (whole, "S. C.", "SF"),
    "the client closes": (whole, "C.", "S2"),
    "the server closes": (whole, "S.", "S3"),
    "the client resets": (whole, "C!", "RSTO"),
    "the server resets": (whole, "S!", "RSTR"),
    "both reset": (whole, "C! S!", "RSTR"),
    "the client closes, the server resets": (whole, "C. S!", "RSTR"),
    "the server closes, the client resets": (whole, "S. C!", "RSTO"),
    "the client closes and resets": (whole, "C. C!", "RSTO"),
    "the client closes and resets, the server closes": (whole, "C. C! S.", "SF"),
    "the server closes and resets, the client closes": (whole, "S. S! C.", "SF"),
    "the server closes and resets": (whole, "S. S!", "RSTR"),
    "both close, the client resets": (whole, "C. S. C!", "SF"),
    "both close, the server resets": (whole, "S. C. S!", "SF"),
    "the client resets, the server closes": (whole, "C! S.", "RSTO"),
    "the client closes, the server resets and closes": (whole, "C. S! S.", "RSTR"),
    "midstream": (midstream, "", "OTH"),
    "midstream, both close": (midstream, "C. S.", "SF"),
    "midstream, the client closes": (midstream, "C.", "SH"),
    "midstream, the server closes": (midstream, "S.", "SHR"),
    "midstream, the client resets": (midstream, "C!", "OTH"),
    "midstream, the server resets": (midstream, "S!", "RSTRH"),
    "midstream, the client closes, the server resets": (midstream, "C. S!", "RSTR"),
    "midstream, the server closes, the client resets": (midstream, "S. C!", "RSTO"),
    "the client alone": (client_alone, "", "S0"),
    "the client alone, it closes": (client_alone, "C.", "SH"),
    "the client alone, it resets": (client_alone, "C!", "OTH"),
    "the server alone": (server_alone, "", "OTH"),
    "the server alone, it closes": (server_alone, "S.", "SHR"),
    "the server alone, it resets": (server_alone, "S!", "RSTRH"),
    "the server alone, midstream": (midstream_server_alone, "", "OTH"),
    "no SYN": (no_syn, "", "S1"),
    "no SYN, the client closes": (no_syn, "C.", "S2"),
    "no SYN-ACK": (no_syn_ack, "", "OTH"),
    "no SYN-ACK, both close": (no_syn_ack, "C. S.", "SF"),
    "no SYN-ACK, the server closes": (no_syn_ack, "S.", "S3"),
    "no SYN-ACK, the server resets": (no_syn_ack, "S!", "REJ"),
    "no SYN-ACK, the client closes": (no_syn_ack, "C.", "SH"),
}


def ended(build: Callable[[], Flow], acts: str, folder: Path) -> dict[str, Any]:
    """The row of a flow that goes on so: who (``C``, ``S``), and whether they close (``.``) or reset (``!``)."""
    flow = build()
    for act in acts.split():
        flow.add(act.startswith("C"), CLOSE if act.endswith(".") else RESET)
    (row,) = logs_of(judge(facts_of(written(folder, [flow]))), folder / "logs")["conn"]
    return row


@pytest.mark.parametrize("name", ENDS)
def test_how_a_flow_ended(name: str, tmp_path: Path) -> None:
    build, acts, state = ENDS[name]
    row = ended(build, acts, tmp_path)
    assert row["conn_state"] == state
    assert row["service"] == "ssl"
    assert {row[field] for field in ("history", "orig_pkts", "resp_ip_bytes", "local_orig", "tunnel_parents")} == {None}


def test_what_comes_once_both_have_closed_is_not_counted(tmp_path: Path) -> None:
    for name in ("short", "long"):
        (tmp_path / name).mkdir()
    short, long = ended(whole, "C. S.", tmp_path / "short"), ended(whole, "C. S. C!", tmp_path / "long")
    assert short["duration"] == long["duration"] > 0
