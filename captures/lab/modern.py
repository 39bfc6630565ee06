"""What OpenSSL's own client and server say under encryption, on one machine, a port for each thing to be seen.

    sudo python3 captures/lab/modern.py FOLDER

records on loopback, of TLS 1.3, suites, key updates, a retry, client certificates, early data on a resumed session,
authentication behind the handshake, and a certificate that is required and lacking: ``modern.pcap``, ``modern.keylog``,
``modern.jsonl``. And of TLS 1.2 renegotiations that are completed, abbreviated or declined, by either side:
``shapes.pcap`` and so on. Needs root, tcpdump and openssl.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NAME = "puppetdb.example.com"
FIRST_PORT, FIRST_SHAPE = 9101, 9201
SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)


class Case(NamedTuple):
    """Options of server and clients, one connection for each client, and the lines that both are told; ``K``, ``k``,
    ``c`` are commands to OpenSSL.
    """

    name: str
    server: tuple[str, ...]
    clients: tuple[tuple[str, ...], ...]
    client_lines: tuple[str, ...] = ("hello",)
    server_lines: tuple[str, ...] = ()


NULL = ("-cipher", "NULL-SHA256:@SECLEVEL=0")
SHAPES = (
    Case("client asks, server declines", (), ((),), ("hello", "R", "again")),
    Case("client asks", ("-client_renegotiation",), ((),), ("hello", "R", "again")),
    Case("server asks, with a ticket", (), ((),), ("hello",), ("r", "x")),
    Case("server asks, client declines", (), (("-no_renegotiation",),), ("hello",), ("r", "x")),
    Case("server asks, with a session id", ("-no_ticket",), (("-no_ticket",),), ("hello",), ("r", "x")),
    Case("client asks, nothing is encrypted", ("-client_renegotiation", *NULL), (NULL,), ("hello", "R", "again")),
    Case("server asks twice", (), ((),), ("hello",), ("r", "x", "r", "y")),
)
UPDATES = ("hello", "K", "again", "k", "third")
ASKED = ("-CAfile", "ca.crt")
CASES = (
    *(Case(suite, ("-ciphersuites", suite), (("-ciphersuites", suite),), UPDATES) for suite in SUITES),
    Case("retry", ("-groups", "P-384"), (("-groups", "X25519:P-384"),)),
    Case("client certificate", ("-Verify", "1", *ASKED), (("-cert", "agent.crt", "-key", "agent.key"),)),
    Case(
        "early data",
        ("-early_data", "-max_early_data", "16384"),
        (("-sess_out", "session"), ("-sess_in", "session", "-early_data", "ca.crt")),
    ),
    Case(
        "post-handshake",
        ("-verify", "1", *ASKED),
        (("-enable_pha", "-cert", "agent.crt", "-key", "agent.key"),),
        ("hello",),
        ("c", "x"),
    ),
    Case("no client certificate", ("-Verify", "1", "-verify_return_error", *ASKED), ((),), ()),
)


def run(folder: Path, *words: str) -> None:
    """A command that must work."""
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def prepare(folder: Path) -> None:
    """A CA, a server's certificate, a client's."""
    run(
        folder,
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "3650",
        "-subj",
        "/CN=Puppet CA: ca.example.com",
    )
    for name, common_name in {"server": "puppetdb1.example.com", "agent": "puppet.example.com"}.items():
        run(
            folder,
            "openssl",
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={common_name}",
        )
        run(
            folder,
            "openssl",
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "1825",
            "-out",
            f"{name}.crt",
        )


def said(process: subprocess.Popen[bytes], lines: Sequence[str]) -> None:
    """Tell a process some lines, one after the other; it may have ended."""
    assert process.stdin is not None
    for line in lines:
        time.sleep(0.4)
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return


def one(folder: Path, name: str, version: str, case: Case, port: int) -> None:
    """One server, and its clients one after the other."""
    shown = ("-cert", "server.crt", "-key", "server.key", "-cert_chain", "ca.crt", version)
    pipes = {"cwd": folder, "stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *shown, *case.server], **pipes
    ) as server:  # type: ignore[call-overload]
        time.sleep(0.4)
        for options in case.clients:
            words = [
                "openssl",
                "s_client",
                "-connect",
                f"127.0.0.1:{port}",
                "-servername",
                NAME,
                "-keylogfile",
                f"{name}.keylog",
                *options,
            ]
            with subprocess.Popen(words, **pipes) as client:  # type: ignore[call-overload]
                said(client, case.client_lines)
                said(server, case.server_lines)
                said(client, ("Q",))
                client.communicate(timeout=10)
        server.kill()


def record(folder: Path, name: str, version: str, cases: Sequence[Case], first_port: int) -> None:
    """Some cases, into a folder that is prepared."""
    ports = f"tcp portrange {first_port}-{first_port + len(cases) - 1}"
    with subprocess.Popen(
        ["tcpdump", "-i", "lo", "-s0", "-U", "-w", f"{name}.pcap", ports], cwd=folder, stderr=subprocess.DEVNULL
    ) as capturing:
        time.sleep(1)
        for port, case in enumerate(cases, first_port):
            one(folder, name, version, case, port)
            print(f"port {port}: {case.name}")
        time.sleep(1)
        capturing.terminate()
    rows = [json.dumps({"port": port, "name": case.name}) + "\n" for port, case in enumerate(cases, first_port)]
    (folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True)
    folder = folder.resolve()
    prepare(folder)
    record(folder, "modern", "-tls1_3", CASES, FIRST_PORT)
    record(folder, "shapes", "-tls1_2", SHAPES, FIRST_SHAPE)


if __name__ == "__main__":
    main()
