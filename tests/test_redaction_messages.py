"""Handshake messages in clear, redacted field by field: what nobody decided about is replaced; lengths stay."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import chain

import pytest
from hypothesis import assume, given, settings, strategies as st

from inspector import bounds
from inspector.extract.processes import extract
from inspector.findings.judge import judge
from inspector.packets.messages import raw_messages
from inspector.redaction.disguise import Disguise
from inspector.redaction.messages import Redactor
from inspector.redaction.tls_fields import TREATMENTS
from inspector.tls import messages, tree
from inspector.tls.messages import with_header
from inspector.tls.reader import Malformed
from inspector.tls.tree import ANSWERED, BODIES, OFFERED, handshake_tree, sslv2_hello_tree
from inspector.tls.tree_nodes import MALFORMED, TRAILING, Node
from tests.build import (
    certificate_request,
    client_hello,
    extension,
    message,
    numbered,
    server_hello,
    vector,
)
from tests.conftest import find

KEY = b"k" * 32
SECRET = bytes(range(0xE3, 0xF3))
"""No text, and no length that any of the messages here could have."""

SHORTEST = 4
LEFT_OVER = {"data", "body", TRAILING, MALFORMED}
"""What the tree calls bytes that it cannot name: replaced by design."""

ONLY_ENCRYPTED = {
    "certificate_request_context",
    "ticket_lifetime",
    "ticket_age_add",
    "ticket_nonce",
    "request_update",
}
"""Fields of messages that TLS 1.3 sends encrypted alone: no packet shows them."""

OFFERS = {
    0: vector(2, b"\0" + vector(2, SECRET)),
    1: b"\1",
    5: b"\1" + vector(2, SECRET) + vector(2, SECRET),
    10: vector(2, b"\0\x17"),
    11: vector(1, b"\0"),
    13: vector(2, b"\4\3"),
    15: b"\1",
    16: vector(2, vector(1, b"h2")),
    21: SECRET,
    22: b"",
    23: b"",
    27: vector(1, b"\0\2"),
    28: b"\x40\1",
    34: vector(2, b"\4\3"),
    35: SECRET,
    41: vector(2, vector(2, SECRET) + bytes(4)) + vector(2, vector(1, SECRET)),
    42: b"",
    43: vector(1, b"\3\4"),
    45: vector(1, b"\1"),
    49: b"",
    50: vector(2, b"\4\3"),
    51: vector(2, b"\0\x1d" + vector(2, bytes(32))),
    13172: b"",
    17513: vector(2, vector(1, b"h2")),
    65281: vector(1, bytes(12)),
}
"""A body of each extension of a ClientHello that the tree reads, with secrets where there is room for one."""

ANSWERS = OFFERS | {
    0: b"",
    5: b"",
    41: b"\0\0",
    43: b"\3\4",
    51: b"\0\x1d" + vector(2, bytes(32)),
    13172: vector(1, b"h2"),
}


def offering(extensions: bytes, behind: bytes = b"") -> bytes:
    """A ClientHello with a session id and extensions."""
    suites = vector(2, b"\xc0\x2b\x13\1") + vector(1, b"\0")
    return message(1, b"\3\3" + numbered(1) + vector(1, SECRET) + suites + vector(2, extensions) + behind)


def answering(extensions: bytes) -> bytes:
    """A ServerHello with a session id and extensions."""
    return message(2, b"\3\3" + numbered(2) + vector(1, SECRET) + b"\xc0\x2b\0" + vector(2, extensions))


SIGNED = b"\4\3" + vector(2, SECRET)
MESSAGES = {
    1: [offering(extension(kind, body)) for kind, body in OFFERS.items()],
    2: [answering(extension(kind, body)) for kind, body in ANSWERS.items()]
    + [message(2, b"\x7f\x12" + numbered(2) + b"\x13\1" + vector(2, extension(51, ANSWERS[51])))],
    4: [message(4, bytes(4) + vector(2, SECRET))],
    11: [message(11, vector(3, vector(3, SECRET)))],
    12: [
        message(12, b"\3\0\x17" + vector(1, b"\4" * 33) + SIGNED),
        message(12, b"\3\0\x17" + vector(1, b"\4" * 33) + vector(2, SECRET)),
        message(12, b"".join(vector(2, b"\2" * size) for size in (32, 1, 32)) + SIGNED),
        message(12, vector(2, SECRET)),
    ],
    13: [certificate_request(SECRET), certificate_request(SECRET, version=0x0301)],
    15: [message(15, SIGNED), message(15, vector(2, SECRET))],
    16: [message(16, vector(1, SECRET)), message(16, vector(2, SECRET)), message(16, SECRET)],
    22: [message(22, b"\1" + vector(3, SECRET))],
}
"""Of each message that the tree reads, all forms."""

PLANTED = {f"{kind}-{number}": data for kind, listed in MESSAGES.items() for number, data in enumerate(listed)} | {
    "a message that nobody knows": message(99, SECRET),
    "a hello request that says something": message(0, SECRET),
    "an extension that nobody knows": offering(extension(4711, SECRET)),
    "a registered one that is not read": offering(extension(18, SECRET) + extension(0xFE0D, SECRET)),
    "grease": offering(extension(0x0A0A, SECRET)),
    "an answer that names somebody": answering(extension(0, vector(2, b"\0" + vector(2, SECRET)))),
    "no signature": message(15, SECRET),
    "a key and no signature": message(12, b"\3\0\x17" + vector(1, b"\4" * 33) + SECRET),
    "behind the extensions": offering(b"", SECRET),
    "within an extension, behind all": offering(extension(10, OFFERS[10] + SECRET)),
    "in an extension that says nothing": offering(extension(23, SECRET)),
    "an extension that is cut": offering(extension(35, SECRET)[:-3]),
    "a session id that is cut": message(1, b"\3\3" + numbered(1) + b"\x20" + SECRET),
    "a chain that is cut": message(11, vector(3, SECRET)),
}
BROKEN = {
    "an extension that breaks off": offering(extension(13, b"\1\0" + SECRET) + extension(35, SECRET)),
    "one of odd length": offering(extension(10, vector(2, SECRET + b"\0"))),
}
"""Secrets in fields that name nobody, were they whole."""


def redacted(data: bytes) -> bytes:
    """The message, as long as before and with its header; nothing of the secret is left."""
    new = Redactor(Disguise(KEY)).message(data)
    assert len(new) == len(data)
    assert new[:4] == data[:4]
    for at in range(len(SECRET) - SHORTEST + 1):
        assert SECRET[at : at + SHORTEST] not in new
    return new


@pytest.mark.parametrize("data", [*PLANTED.values(), *BROKEN.values()], ids=[*PLANTED, *BROKEN])
def test_nothing_of_a_secret_is_left(data: bytes) -> None:
    redacted(data)


def leaves(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Every field by the path that redaction knows it by."""
    if not node.children:
        yield path, node
    for child in node.children:
        yield from leaves(child, f"{path}.{child.field}")


def paths() -> dict[str, str]:
    """The path of every field of a message in clear, and its last part."""
    known: dict[str, str] = {}
    trees = [handshake_tree(data, is_bare=is_bare) for data in chain(*MESSAGES.values()) for is_bare in (False, True)]
    tops = [(root, node) for root in trees for node in root.children[2:]]
    sslv2 = sslv2_hello_tree(SSLV2)
    for root, node in (*tops, *((sslv2, node) for node in sslv2.children)):
        for path, leaf in leaves(node, f"{root.field}.{node.field}"):
            assert leaf.field not in (MALFORMED, TRAILING), path
            if leaf.offset + leaf.length > leaf.start:
                known[path] = leaf.field
    return known


def test_treatments_are_of_fields_that_the_tree_has() -> None:
    """A line of ``redaction.tls_fields`` that no field has any more protects nobody."""
    assert set(MESSAGES) == set(BODIES)
    assert set(OFFERS) == set(OFFERED)
    assert set(ANSWERS) == set(ANSWERED)
    decided = {path.removesuffix(".[]") for path in TREATMENTS}
    shown = {path.removesuffix(".[]") for path in paths()}
    listed = ("ClientHello.extensions.", "ServerHello.extensions.")
    assert sorted(path for path in decided - shown if not path.startswith(listed)) == []
    of_extensions = {path.split(".", 2)[2] for path in decided if path.startswith(listed)}
    assert sorted(of_extensions - {path.split(".", 2)[2] for path in shown if path.startswith(listed)}) == []


@cache
def captured() -> tuple[bytes, ...]:
    """Messages in clear of the bundled captures."""
    found: set[bytes] = set()
    for path in sorted(find("tls13").parent.glob("*.pcap*")):
        for observed in judge(extract([str(path)])).case.observed[:6]:
            raws = raw_messages([str(path)], observed.client_leg)
            found.update(raw.data for raw in raws if raw.letter == "message" and len(raw.data) >= 4)
    return tuple(sorted(found))


LONG_ENOUGH = 4
"""Bytes of a field that other bytes do not equal by chance."""


def fields_of(data: bytes) -> Iterator[tuple[str, bytes, slice]]:
    """The fields of a message in clear that hold something: path, bytes, and where they stand."""
    root = handshake_tree(data, is_bare=True)
    for node in root.children[2:]:
        for path, leaf in leaves(node, f"{root.field}.{node.field}"):
            where = slice(leaf.start, leaf.offset + leaf.length)
            if where.stop > where.start:
                yield path, data[where], where


def test_a_field_without_a_line_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """In packets as they were captured: the tree may learn to read a field before anybody says what becomes of it."""
    assert len({data[0] for data in captured()}) > 5
    shown = {path for data in captured() for path, _, _ in fields_of(data)}
    for path in sorted(shown):
        monkeypatch.delitem(TREATMENTS, path, raising=False)
    replaced: set[str] = set()
    for data in captured():
        new = Redactor(Disguise(KEY)).message(data)
        assert len(new) == len(data)
        for path, old, where in fields_of(data):
            if len(old) >= LONG_ENOUGH and any(old):
                assert new[where] != old, path
                replaced.add(path)
    assert {"ClientHello.random", "ServerHello.random", "CertificateVerify.signature"} < replaced
    assert any(path.startswith("ClientHello.extensions.") for path in replaced)


@given(st.data())
@settings(max_examples=200)
def test_captured_messages_with_wrong_bytes_keep_their_length(draw: st.DataObject) -> None:
    data = bytearray(draw.draw(st.sampled_from(captured())))
    for _ in range(draw.draw(st.integers(0, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    new = Redactor(Disguise(KEY)).message(bytes(data))
    assert len(new) == len(data)
    assert new[:4] == data[:4]


def test_every_name_in_the_tree_is_shown_here() -> None:
    """A field that only some bytes bring forth is found by its name in the source."""
    calls = [n for n in ast.walk(ast.parse(inspect.getsource(tree))) if isinstance(n, ast.Call)]
    reading = [c for c in calls if ast.unparse(c.func) == "_one" or ast.unparse(c.func).startswith(("f.", "inner."))]
    names = {a.value for c in reading for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    assert len(names) > 40
    parts = {part for path in paths() for part in path.split(".")}
    headers = {"msg_type", "length", "extension_type", "extension_data"}
    assert sorted(names - parts - LEFT_OVER - ONLY_ENCRYPTED - headers) == []


@given(st.integers(0, 255), st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes_keep_their_length(kind: int, body: bytes) -> None:
    data = with_header(kind, body)
    new = Redactor(Disguise(KEY)).message(data)
    assert len(new) == len(data)
    assert new[:4] == data[:4]


SSLV2 = b"\1\3\1\0\6\0\x10\0\x10" + b"\0\0\4\0\0\5" + SECRET + b"c" * 16


def test_a_hello_in_sslv2_framing() -> None:
    new = Redactor(Disguise(KEY)).sslv2_hello(SSLV2)
    at = SSLV2.index(SECRET)
    assert (new[:at], new[at + len(SECRET) :]) == (SSLV2[:at], SSLV2[at + len(SECRET) :])
    assert SECRET[:SHORTEST] not in new
    for end in range(len(SSLV2)):
        new = Redactor(Disguise(KEY)).sslv2_hello(SSLV2[:end])
        assert len(new) == end
        assert SECRET[:SHORTEST] not in new


def types_of(data: bytes) -> set[int]:
    """Where types of extensions stand, and the kind of key exchange: with another one a secret may be no secret."""
    nodes = [n for top in handshake_tree(data).children if top.field == "extensions" for n in top.children]
    return {0, 4, *(n.offset + at for n in nodes for at in (0, 1))}


@given(st.sampled_from(sorted(PLANTED)), st.data())
@settings(max_examples=400)
def test_nothing_of_a_secret_is_left_where_other_bytes_are_wrong(name: str, draw: st.DataObject) -> None:
    """Lengths above all: a secret that comes to stand in a field that names nobody, by a message that is without
    fault for all that, cannot be told; bytes that are no length make that as good as impossible.
    """
    data = bytearray(PLANTED[name])
    kept = types_of(PLANTED[name])
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(4, len(data) - 1))
        assume(at not in kept and data[at] not in SECRET)
        data[at] = draw.draw(st.integers(0, SECRET[0] - 1))
    redacted(bytes(data))
    end = draw.draw(st.integers(4, len(data)))
    redacted(bytes(data[:end]))


@pytest.mark.parametrize("name", PLANTED)
def test_a_beginning_holds_no_more_than_the_whole(name: str) -> None:
    """Cut behind every byte: as a message of its own, and as one whose end was not captured."""
    data = PLANTED[name]
    for end in range(4, len(data)):
        redacted(data[:end])
        stream = Redactor(Disguise(KEY)).messages(data[:end])
        assert len(stream) == end
        assert SECRET[:SHORTEST] not in stream


def test_messages_one_after_the_other() -> None:
    first, second = MESSAGES[4][0], MESSAGES[16][0]
    redactor = Redactor(Disguise(KEY))
    new = redactor.messages(first + second + b"\1\0")
    assert new == redactor.message(first) + redactor.message(second) + bytes(2)


def test_one_that_is_too_long_is_replaced_as_a_whole() -> None:
    data = message(11, vector(3, vector(3, b"") * (bounds.MESSAGE_BYTES // 3)))
    new = Redactor(Disguise(KEY)).message(data)
    assert len(new) == len(data)
    assert new[4:10] != data[4:10]


def test_an_extension_that_cannot_be_read_breaks_off_where_it_did() -> None:
    """The analysis names the same problem in the same place, and reads the others."""
    bad = offering(extension(13, b"\1\0" + SECRET) + extension(10, OFFERS[10]))
    before, after = messages.client_hello(bad[4:]), messages.client_hello(redacted(bad)[4:])
    assert before.shape.problem is not None
    assert after.shape._replace(server_name=None) == before.shape._replace(server_name=None)


def test_bytes_behind_the_last_extension_are_too_few_for_another() -> None:
    """The rest of the hello stays, as for the analysis."""
    good = offering(extension(10, OFFERS[10]))
    length = len(extension(10, OFFERS[10]))
    bad = good[: -length - 2] + vector(2, extension(10, OFFERS[10]) + b"\xe3\xe4\xe5")
    new = redacted(bad)
    assert new[:-3] == redacted(good)[: -length - 2] + bad[-length - 5 : -3]
    assert new[-3:] != bad[-3:]


def test_hellos_are_hellos_again() -> None:
    for name in ("jdk17-abort", "tickets", "python-clients", "tls13", "ipv6"):
        case = judge(extract([str(find(name))])).case
        redactor = Redactor(Disguise(KEY))
        for observed in case.observed[:10]:
            for raw in raw_messages([str(find(name))], observed.client_leg):
                if raw.letter != "message" or raw.data[0] not in (1, 2):
                    continue
                body = redactor.message(raw.data)[4:]
                read = messages.client_hello if raw.data[0] == 1 else messages.server_hello
                try:
                    old, new = read(raw.data[4:]), read(body)
                except Malformed:
                    pytest.fail("a hello that cannot be read")
                assert old.random == new.random
                assert unnamed(old) == unnamed(new)
                assert not old.session_id or old.session_id != new.session_id


def unnamed(hello: messages.ClientHello | messages.ServerHello) -> object:
    """A hello's shape but for the name in it."""
    if isinstance(hello, messages.ClientHello):
        return hello.shape._replace(key=b"", server_name=None)
    return hello.shape._replace(key=b"")


def test_extensions_that_name_somebody_are_replaced_and_the_shape_stays() -> None:
    """Authorities, timestamps of certificates, an extension that nobody knows."""
    plain = client_hello(b"r" * 32)[4:]
    start = 2 + 32 + 1 + 2 + int.from_bytes(plain[35:37], "big") + 2
    for kind, content in (
        (47, b"\0\x10" + b"CN=some authority"[:16]),
        (18, b"\0\x0e" + b"a certificate!"),
        (0xFE0D, b"encrypted hello"),
        (4711, b"secret name"),
    ):
        hello = b"\1\0\0\0" + plain[:start] + vector(2, plain[start + 2 :] + extension(kind, content))
        body = Redactor(Disguise(KEY)).message(hello)[4:]
        assert content[2:] in hello
        assert content[2:] not in body
        assert messages.client_hello(body).shape.extensions == messages.client_hello(hello[4:]).shape.extensions
    answer = server_hello(b"r" * 32, b"s" * 32)[4:]
    answer = answer[: 2 + 32 + 33 + 3] + vector(
        2, extension(18, b"\0\x0e" + b"a certificate!") + extension(23) + extension(65_281, b"\0")
    )
    body = Redactor(Disguise(KEY)).message(with_header(2, answer))[4:]
    assert b"a certificate!" not in body
    assert messages.server_hello(body).shape == messages.server_hello(answer).shape
