"""Messages decoded as trees, read again from the capture; slices of packets; display filters. tshark is the oracle
where it is there.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from inspector.errors import UnreadableError
from inspector.facts import FRAME_BITS, unpack_events
from inspector.packets.messages import MESSAGE, raw_messages
from inspector.packets.reread import flow_of, save
from inspector.reports.difference import differences, handshake_fields
from inspector.reports.wireshark import display_filter
from inspector.tls.history import HANDSHAKE
from inspector.tls.tree import alert_tree, flattened, handshake_tree
from inspector.tls.tree_nodes import Node
from tests.build import certificate, certificates, client_hello, numbered, server_hello
from tests.conftest import bundled, find
from tests.waiting import COMMAND_SECONDS

HELLO = client_hello(
    numbered(1), numbered(2), ems=True, ticket=b"t" * 20, versions=(0x0304, 0x0303), psk=b"p" * 9, alpn="h2", java=False
)
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def test_a_client_hello_as_a_tree() -> None:
    found = flattened(handshake_tree(HELLO))
    assert found["ClientHello.random"] == numbered(1).hex()
    assert found["ClientHello.session_id"] == numbered(2).hex()
    assert found["ClientHello.cipher_suites.[0]"] == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (0xc02b)"
    assert found["ClientHello.extensions.server_name (0).server_name_list.host_name"] == "puppetdb.example.com"
    assert found["ClientHello.extensions.extended_master_secret (23)"] == "empty"
    assert found["ClientHello.extensions.supported_versions (43).versions.[0]"] == "TLSv1.3 (0x0304)"
    assert found["ClientHello.extensions.application_layer_protocol_negotiation (16).protocol_name_list.[0]"] == "h2"
    assert "malformed" not in str(found)


MESSAGES = {
    "client": HELLO,
    "server": server_hello(numbered(3), numbered(4), ems=True),
    "modern": server_hello(numbered(3), version=0x0304, psk=0),
    "chain": certificates(certificate("a"), certificate("b")),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
def test_every_byte_has_its_field(message: bytes) -> None:
    """The leaves of the tree cover the message but for the lengths of vectors, in order and without overlap."""
    tree = handshake_tree(message)
    assert (tree.offset, tree.length) == (0, len(message))
    at = 0
    for leaf in (n for n in nodes(tree) if not n.children):
        assert at <= leaf.offset <= at + 8
        at = leaf.offset + leaf.length
    assert at == len(message)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, len(HELLO) - 1), st.integers(0, 255)).map(
            lambda c: HELLO[: c[0]] + bytes([c[1]]) + HELLO[c[0] + 1 :]
        ),
    )
)
def test_any_bytes_give_a_tree_within_them(data: bytes) -> None:
    for node in nodes(handshake_tree(data)):
        assert 0 <= node.offset <= node.offset + node.length <= max(len(data), 0)


def test_what_is_cut_off_is_named() -> None:
    assert (
        "malformed" in flattened(handshake_tree(HELLO[:60]))["ClientHello.malformed"]
        or "expected" in flattened(handshake_tree(HELLO[:60]))["ClientHello.malformed"]
    )
    assert flattened(alert_tree(2, 42))["Alert.description"] == "bad_certificate (42)"


@pytest.mark.parametrize("name", ["puppet-session-ids", "both-legs", "ipv6", "tls13", "mutual-tls", "tickets"])
def test_messages_read_again_are_those_of_the_ladder(name: str) -> None:
    """Frames, sides and sizes of the messages in clear agree with the events that the analysis kept."""
    analysis = bundled(name)
    for seen in analysis.case.observed[:6]:
        for leg in (seen.client_leg, *seen.legs):
            again = [
                (m.frame, m.from_client, len(m.data))
                for m in raw_messages([str(find(name))], leg)
                if m.letter == MESSAGE
            ]
            kept = [(e.frame, e.from_client, e.size) for e in unpack_events(leg.events) if e.letter in HANDSHAKE]
            assert sorted((f, c) for f, c, _ in again) == sorted((f, c) for f, c, _ in kept)


def test_standard_input_cannot_be_read_again() -> None:
    with pytest.raises(UnreadableError, match="standard input"):
        raw_messages(["-"], bundled("silent-abort").case.observed[0].client_leg)


def sliced(name: str, places: list[int], folder: Path) -> Path:
    analysis = bundled(name)
    flows = [
        flow_of(leg) for i in places for leg in (analysis.case.observed[i].client_leg, *analysis.case.observed[i].legs)
    ]
    out = io.BytesIO()
    first = analysis.case.observed[places[0]].client_leg.first_frame
    assert save([str(find(name))], flows, out, {first: "the first ✖"}) > 0
    path = folder / "slice.pcapng"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize("name", ["puppet-session-ids", "both-legs", "ipv6"])
def test_a_slice_tells_the_same_of_its_connections(tmp_path: Path, name: str) -> None:
    from tests.build import document_of

    places = [0, 2]
    found = document_of(sliced(name, places, tmp_path))
    wanted = [bundled(name).connection(i) for i in places]
    assert [(c.id, c.outcome, c.history, c.first_seen, c.alerts and c.alerts[0].name) for c in found.connections] == [
        (c.id, c.outcome, c.history, c.first_seen, c.alerts and c.alerts[0].name) for c in wanted
    ]


@needs_tshark
def test_tshark_reads_a_slice_with_its_comment(tmp_path: Path) -> None:
    told = tshark(sliced("puppet-session-ids", [0], tmp_path), "frame.comment", "-T", "fields", "-e", "frame.comment")
    assert told.strip() == "the first ✖"


@needs_tshark
@pytest.mark.parametrize("name", ["puppet-session-ids", "both-legs", "ipv6"])
def test_the_display_filter_finds_the_frames_of_a_connection(name: str) -> None:
    seen = bundled(name).case.observed[1]
    numbers = {
        int(n)
        for n in tshark(
            find(name), display_filter([seen.client_leg, *seen.legs]), "-T", "fields", "-e", "frame.number"
        ).split()
    }
    wanted = {
        e.frame & (1 << FRAME_BITS) - 1 for leg in (seen.client_leg, *seen.legs) for e in unpack_events(leg.events)
    }
    assert wanted <= numbers


def tshark(path: Path, expression: str, *options: str) -> str:
    return subprocess.run(
        ["tshark", "-r", str(path), "-Y", expression, *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    ).stdout


def test_differences_come_first() -> None:
    found = differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "3", "d": "4"})
    assert [(d.path, d.first, d.second) for d in found] == [
        ("b", "2", "3"),
        ("c", "3", None),
        ("d", None, "4"),
        ("a", "1", "1"),
    ]


def test_two_handshakes_differ_in_what_one_expects() -> None:
    analysis = bundled("puppet-session-ids")
    full, resumed = (handshake_fields(analysis.document, analysis.connection(i).handshakes[0]) for i in (11, 15))
    changed = {d.path for d in differences(full, resumed) if not d.is_same}
    assert {"kind", "session.offered_id", "client_random", "server_chain[0]"} <= changed
    assert "version" not in changed
