"""Secrets and reports: none of them leaves the program, unless it is asked for with ``--include-secrets``, and then
only those of the evidence.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.capture.files import Story
from inspector.secrets.keylog import KeyLogLine, read_line
from tests.conftest import CAPTURES, find
from tests.test_report_cli import run
from tests.waiting import COMMAND_SECONDS

KEYS = [
    part
    for name in ("same", "renewed", "other")
    for part in ("--server-key", str(CAPTURES / f"renegotiations.{name}.key"))
]


def secrets_in(directory: Path) -> dict[str, set[str]]:
    """Files that hold a secret of the bundled key logs, as hexadecimal or as bytes, or a private key."""
    found: dict[str, set[str]] = {}
    known = [
        line.secret for name in ("renegotiations", "tls13-inside") for line in key_log(CAPTURES / f"{name}.keylog")
    ]
    for path in sorted(directory.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        held = {secret.hex()[:8] for secret in known if secret.hex().encode() in data.lower() or secret in data}
        if b"PRIVATE KEY" in data:
            held.add("key")
        if held:
            found[path.name] = held
    return found


def key_log(path: Path) -> list[KeyLogLine]:
    return [line for raw in path.read_bytes().splitlines() if (line := read_line(raw)) is not None]


def test_a_report_holds_what_was_read_and_no_secret(tmp_path: Path) -> None:
    done = run(
        "report",
        str(find("renegotiations")),
        "--keylog",
        str(CAPTURES / "renegotiations.keylog"),
        *KEYS,
        "-o",
        "plain",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert secrets_in(tmp_path) == {}
    assert b"secret" not in (tmp_path / "plain" / "evidence.pcapng").read_bytes()
    text = (tmp_path / "plain" / "report.md").read_text(encoding="utf-8")
    assert "▲ certificate or chain changed (decrypted): another certificate" in text
    assert "ServerHello" in text
    assert run("verify", "plain", folder=tmp_path).returncode == 0
    manifest = json.loads((tmp_path / "plain" / "MANIFEST.json").read_bytes())
    assert manifest["evidence"]["not_proven"], (
        "what only secrets show is not proven by packets alone, which must be said"
    )


def test_secrets_go_with_the_evidence_where_they_are_asked_for(tmp_path: Path) -> None:
    done = run(
        "report",
        str(find("renegotiations")),
        *KEYS,
        "--vip",
        "puppetdb.example.com:9048",
        "--include-secrets",
        "-o",
        "full",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert b"whoever has the file can read" in done.stderr
    assert {path.name for path in (tmp_path / "full").iterdir() if b"CLIENT_RANDOM" in path.read_bytes()} == {
        "evidence.pcapng"
    }
    story = Story([str(tmp_path / "full" / "evidence.pcapng")])
    for _ in story.batches():
        pass
    [block] = story.captures[0].info.secrets
    randoms = {line.name.hex() for raw in block[8:].splitlines() if (line := read_line(raw.rstrip(b"\0"))) is not None}
    document = json.loads((tmp_path / "full" / "analysis.json").read_bytes())
    handshakes = [h for c in document["connections"] if c["server_endpoint"]["port"] == 9048 for h in c["handshakes"]]
    assert len(handshakes) == 3
    assert randoms == {h["client_random"] for h in handshakes}, (
        "the first connection, the resumed one, its renegotiation, and no other"
    )
    assert "PRIVATE KEY" not in (tmp_path / "full" / "evidence.pcapng").read_text(encoding="latin-1")
    checked = run("verify", "full", folder=tmp_path)
    assert checked.returncode == 0, checked.stderr
    again = run("analyze", "full/evidence.pcapng", "-T", "json", folder=tmp_path)
    rules = {f["rule"]: f for f in json.loads(again.stdout)["findings"]}
    assert rules["renegotiation-certificate-changed"]["grade"] == "observed"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_reads_such_evidence(tmp_path: Path) -> None:
    run(
        "report",
        str(find("tls13-inside")),
        "--keylog",
        str(CAPTURES / "tls13-inside.keylog"),
        "--include-secrets",
        "-o",
        "full",
        folder=tmp_path,
    )
    words = [
        "tshark",
        "-n",
        "-r",
        str(tmp_path / "full" / "evidence.pcapng"),
        "-Y",
        "tls.handshake.certificate",
        "-T",
        "fields",
        "-e",
        "tcp.dstport",
        "-e",
        "tcp.srcport",
    ]
    done = subprocess.run(words, capture_output=True, check=True, timeout=COMMAND_SECONDS)
    ports = set(re.findall(rb"91\d\d", done.stdout))
    assert len(ports) >= 9


def test_hiding_and_showing_at_once_is_refused(tmp_path: Path) -> None:
    done = run("report", str(find("tls13-inside")), "--include-secrets", "--redact", "-o", "both", folder=tmp_path)
    assert done.returncode == 2
    assert b"give one of them" in done.stderr
    assert not (tmp_path / "both").exists()


def test_a_redacted_report_of_what_was_decrypted_hides_it(tmp_path: Path) -> None:
    done = run(
        "report",
        str(find("renegotiations")),
        "--keylog",
        str(CAPTURES / "renegotiations.keylog"),
        *KEYS,
        "--redact",
        "-o",
        "hidden",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert secrets_in(tmp_path / "hidden") == {}
    for path in (tmp_path / "hidden").iterdir():
        data = path.read_bytes()
        assert b"puppetdb1" not in data, path.name
        assert b"example.com" not in data, path.name
    assert run("verify", "hidden", folder=tmp_path).returncode == 0


def test_a_key_that_asks_without_a_terminal_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key((CAPTURES / "renegotiations.same.key").read_bytes(), None)
    (tmp_path / "locked.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    done = run("analyze", str(find("tls13-inside")), "--server-key", "locked.key", folder=tmp_path)
    assert done.returncode == 2
    assert b"there is no terminal to ask on" in done.stderr
