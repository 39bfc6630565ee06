"""Where secrets come from; which are wrong or missing; records that are cut, lost or changed; and that nothing is
opened or kept that must not be.
"""

from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.document import Connection
from inspector.errors.decryption import NoSecret
from inspector.secrets.inputs import SecretInputs, content_of, read_inputs
from tests.build import capture, document_of, ordered
from tests.conftest import CAPTURES, find
from tests.opening import KEYS, no_passphrase, opened
from tests.replay import flows_of, given_for
from tests.test_segmentation import compared, cut
from tests.work import Work

MOST_CALLS = 1_000_000


def dsb(lines: bytes) -> bytes:
    body = struct.pack("<II", 0x544C534B, len(lines)) + lines + bytes(-len(lines) % 4)
    return struct.pack("<II", 10, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def test_secrets_of_the_capture_itself(tmp_path: Path) -> None:
    from inspector.capture.files import Story
    from inspector.capture.writer import PcapngWriter

    path = tmp_path / "own.pcapng"
    with path.open("wb") as out:
        writer = PcapngWriter(out)
        writer.key_log(content_of(str(CAPTURES / "tls13-inside.keylog")))
        for batch in Story([str(find("tls13-inside"))]).batches():
            writer.write(batch)
    expected, found = compared(opened("tls13-inside")), compared(document_of(path))
    for one in (expected, found):
        one.pop("captures")
    assert found == expected


def test_wrong_secrets_are_named() -> None:
    lines = content_of(str(CAPTURES / "tls13-inside.keylog")).decode().splitlines()
    wrong = "\n".join(
        f"{label} {name} {'5a' * (len(secret) // 2)}"
        for label, name, secret in (line.split() for line in lines if not line.startswith("#"))
    )
    document = document_of(find("tls13-inside"), given=SecretInputs([("wrong", wrong.encode())]))
    assert {c.secrets for c in document.connections} == {"the secret does not open its records"}
    assert not any(h.server_chain for c in document.connections for h in c.handshakes)
    assert any(limit.kind == "not_decrypted" and "does not open" in limit.text for limit in document.limits)


def test_missing_secrets_are_named_connection_by_connection() -> None:
    lines = content_of(str(CAPTURES / "tls13-inside.keylog")).decode().splitlines(keepends=True)
    half = "".join(line for line in lines if "SERVER_HANDSHAKE" not in line)
    document = document_of(find("tls13-inside"), given=SecretInputs([("half", half.encode())]))
    assert {c.secrets for c in document.connections} == {"no SERVER_HANDSHAKE_TRAFFIC_SECRET for this connection"}
    some = document_of(
        find("renegotiations"),
        given=SecretInputs([("some", content_of(str(CAPTURES / "renegotiations.keylog"))[:4000])]),
    )
    assert {c.secrets for c in some.connections} == {"decrypted", "no secret for this connection"}
    assert any("none of a key log" in limit.text for limit in some.limits if limit.kind == "secrets")


@pytest.mark.parametrize("seed", range(6))
def test_cut_reordered_repeated_records_say_the_same(tmp_path: Path, seed: int) -> None:
    """Any segmentation of the same bytes, decrypted: the same analysis."""
    dice = random.Random(seed)
    expected = {c.id: compared_inside(c) for c in opened("tls13-inside").connections} | {
        c.id: compared_inside(c) for c in opened("renegotiations").connections
    }
    for name in ("tls13-inside", "renegotiations"):
        flows = flows_of(find(name), lambda port: port % 4 == seed % 4)
        for flow in flows:
            cut(flow, dice, window=seed % 3, duplicates=bool(seed % 2), overlap=seed > 2)
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(capture(flows))
        document = document_of(path, given=given_for(name))
        assert len(document.connections) == len(flows)
        for connection in document.connections:
            assert compared_inside(connection) == expected[connection.id], connection.server_endpoint.port


def compared_inside(connection: Connection) -> Any:
    """What was decrypted, without frames and times."""
    handshakes = msgspec.to_builtins(connection.handshakes)
    for handshake in handshakes:
        handshake.pop("frames")
        handshake.pop("inside")
        handshake.pop("jsse")
        handshake.pop("reason")
    return connection.secrets, handshakes, sorted((a.sender, a.name or "") for a in connection.alerts)


@pytest.mark.parametrize("name", ["tls13-inside", "renegotiations"])
def test_mutated_records_are_named_after_bounded_work(tmp_path: Path, name: str) -> None:
    dice = random.Random(3)
    known = {d.sha256 for d in opened(name).certificates}
    for round_number in range(6):
        flows = flows_of(find(name), lambda port, n=round_number: port % 6 == n)  # type: ignore[misc]
        for flow in flows:
            with_data = [s for s in flow.segments if len(s.payload) > 40]
            for segment in dice.sample(with_data[2:], min(3, len(with_data) - 2)):
                data = bytearray(segment.payload)
                for _ in range(dice.choice((1, 1, 8))):
                    data[dice.randrange(5, len(data))] ^= dice.randrange(1, 256)
                segment.payload = bytes(data)
        path = tmp_path / f"{round_number}.pcap"
        path.write_bytes(capture(flows))
        with Work() as work:
            document = document_of(path, given=given_for(name))
        assert work.calls < MOST_CALLS
        assert document.connections
        for connection in document.connections:
            assert connection.secrets is not None
            for handshake in (
                connection.handshakes
            ):  # in clear anything may have changed; under encryption nothing is believed that was
                if handshake.renegotiation or handshake.version == "TLSv1.3":
                    assert set(handshake.server_chain) <= known


def test_lost_segments_are_named(tmp_path: Path) -> None:
    """A hole in the encrypted part: what stands before it is read, what stands behind it is not guessed."""
    flows = flows_of(find("renegotiations"), lambda port: port in (9001, 9007, 9026))
    for flow in flows:
        sealed = [s for s in ordered([flow]) if not s.from_client and s.payload]
        flow.segments.remove(sealed[-3])
    path = tmp_path / "lossy.pcap"
    path.write_bytes(capture(flows))
    document = document_of(path, given=given_for("renegotiations"))
    assert {c.secrets for c in document.connections} <= {"bytes are missing", "the secret does not open its records"}
    assert all(c.handshakes[0].server_chain for c in document.connections)


def test_application_data_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an established connection only handshake messages, alerts and ChangeCipherSpecs come out of any opener."""
    from inspector.secrets import openers

    traffic_open, aead_open, cbc_open = openers.Traffic.open, openers.Aead.open, openers.Cbc.open
    kinds: list[int] = []

    def watch_modern(self: openers.Traffic, sequence: int, version: int, body: bytes) -> tuple[int, bytes]:
        found = traffic_open(self, sequence, version, body)
        kinds.append(found[0])
        return found

    def watch_classic(self: openers.Aead, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        kinds.append(kind)
        return aead_open(self, sequence, kind, version, body)

    def watch_cbc(self: openers.Cbc, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        kinds.append(kind)
        return cbc_open(self, sequence, kind, version, body)

    monkeypatch.setattr(openers.Traffic, "open", watch_modern)
    monkeypatch.setattr(openers.Aead, "open", watch_classic)
    monkeypatch.setattr(openers.Cbc, "open", watch_cbc)
    for name in ("tls13", "renegotiations"):
        document_of(find(name), given=given_for(name))
    assert set(kinds) == {20, 21, 22}


def test_encrypted_key_asks(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    from inspector.errors import UsageError

    key = load_pem_private_key(Path(KEYS[0]).read_bytes(), None)
    path = tmp_path / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")))
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "open sesame"

    assert read_inputs([], [str(path)], answer).server_keys
    assert asked == [f"Passphrase of {path}"]
    with pytest.raises(UsageError, match="does not open it"):
        read_inputs([], [str(path)], lambda prompt: "wrong")
    (tmp_path / "no.key").write_text("nothing")
    with pytest.raises(UsageError, match="not a private key"):
        read_inputs([], [str(tmp_path / "no.key")], no_passphrase)
    with pytest.raises(UsageError, match="No such file"):
        read_inputs([str(tmp_path / "none")], [], no_passphrase)


def test_analysis_holds_no_secret() -> None:
    for name in ("tls13-inside", "renegotiations"):
        lines = content_of(str(CAPTURES / f"{name}.keylog")).decode().splitlines()
        text = msgspec.json.encode(opened(name)).decode()
        assert not any(line.split()[-1] in text for line in lines if line.count(" ") == 2)


def test_gz_of_a_pcapng_with_secrets(tmp_path: Path) -> None:
    """The block may stand anywhere before the packets that it opens."""
    from inspector.capture.files import Story
    from inspector.capture.writer import PcapngWriter

    path = tmp_path / "late.pcapng.gz"
    with gzip.open(path, "wb") as out:
        writer = PcapngWriter(out)
        for place, batch in enumerate(Story([str(find("tls13-inside")), str(find("renegotiations"))]).batches()):
            if not place:
                out.write(dsb(content_of(str(CAPTURES / "tls13-inside.keylog"))))
            writer.write(batch)
    document = document_of(path)
    assert {c.secrets for c in document.connections} == {"decrypted", "no secret for this connection"}


def test_what_waits_is_bounded_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a key log may still grow, records wait; together they take no more than the bound, and nothing of them
    stays behind.
    """
    from inspector import bounds
    from inspector.capture.files import Story
    from inspector.extract.engine import Engine
    from inspector.secrets.channel import Channels
    from inspector.secrets.store import Secrets

    monkeypatch.setattr(bounds, "HELD_ALTOGETHER", 6000)
    secrets = Secrets(may_grow=True)
    engine = Engine(secrets=Channels(secrets))
    most = 0
    for batch in Story([str(find("tls13"))]).batches():
        engine.feed(batch)
        most = max(most, secrets.held_bytes)
    reasons = {engine.facts.unpack(packed).secrets for packed in engine.finish().connections}
    assert reasons == {NoSecret()}
    assert most <= 6000 + bounds.RECORD_BYTES
    assert secrets.held_bytes == 0


def test_records_without_a_byte_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take memory, too: all connections together no more than the bound."""
    from inspector import bounds
    from inspector.extract.connection import ConnectionAssembly
    from inspector.extract.engine import Engine
    from inspector.secrets.channel import Channels
    from inspector.secrets.store import Secrets

    monkeypatch.setattr(bounds, "HELD_ALTOGETHER", 1 << 20)
    secrets = Secrets(may_grow=True)
    channels = [Channels(secrets).channel(ConnectionAssembly(Engine())) for _ in range(3)]
    tracemalloc.start()
    for number in range(20_000):
        for channel in channels:
            channel.record(0, 22, 0x0303, b"", (number << 20, number << 20, number << 40))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3 << 19
    for channel in channels:
        channel.close()
    assert secrets.held_bytes == 0
