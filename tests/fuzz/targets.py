"""The table of targets: for each the module that holds it, the rooms whose coverage guides it, and the longest input.

It imports nothing of the program, for the fuzzer must see the program's imports.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"

Read = Callable[[bytes], None]


class Target(NamedTuple):
    """``module``: of this package; the target is its function of the same name. ``rooms``: of the program. ``longest``:
    bytes of an input.
    """

    module: str
    rooms: tuple[str, ...]
    longest: int = 1024


TLS = ("tls",)
TARGETS: dict[str, Target] = {
    "client_hello": Target("of_tls", TLS),
    "server_hello": Target("of_tls", TLS),
    "handshake_messages": Target("of_tls", TLS, 2048),
    "tree": Target("of_tls", (*TLS, "redaction")),
    "x509": Target("of_tls", (*TLS, "redaction")),
    "der_values": Target("of_tls", TLS, 512),
    "names": Target("of_tls", TLS, 512),
    "records": Target("of_tls", (*TLS, "extract"), 4096),
    "preamble": Target("of_tls", TLS, 512),
    "pcap": Target("of_frames", ("capture",), 2048),
    "pcapng": Target("of_frames", ("capture",), 2048),
    "compressed": Target("of_frames", ("capture",), 512),
    "frames": Target("of_frames", ("wire",), 512),
    "segments": Target("of_frames", ("wire", "extract"), 300),
    "key_log": Target("of_secrets", ("secrets",)),
    "secrets_block": Target("of_secrets", ("secrets",)),
    "server_key": Target("of_secrets", ("secrets",), 2048),
    "sealed_records": Target("of_secrets", ("secrets",), 256),
    "opened_records": Target("of_secrets", ("secrets", "tls"), 6000),
    "log": Target("of_logs", ("logs",), 2048),
    "log_in_pieces": Target("of_logs", ("logs",), 256),
    "haproxy": Target("of_logs", ("logs",), 512),
    "log_record": Target("of_logs", ("logs",), 512),
    "journal_export": Target("of_logs", ("logs",), 512),
    "stamp": Target("of_logs", ("logs",), 64),
    "stored_connection": Target("of_files", ("extract", "facts")),
    "stored_values": Target("of_files", ("extract", "facts")),
    "journal": Target("of_files", ("extract",), 256),
    "analysis": Target("of_files", ("findings", "reports"), 16_384),
    "settings": Target("of_files", ("settings",), 512),
    "filter_expression": Target("of_files", ("query",), 128),
    "manifest": Target("of_files", ("bundle",)),
    "process_message": Target("of_files", ("live",), 512),
    "tail": Target("of_files", ("live",), 64),
}


def read_of(name: str) -> Read:
    """The target itself: it returns, or raises what is a mistake of the program."""
    module = import_module(f"tests.fuzz.{TARGETS[name].module}")
    module.prepare()
    read: Read = getattr(module, name)
    return read


def seeds_of(name: str) -> list[bytes]:
    """Inputs that reach far into it, made by hand."""
    make: Callable[[], Iterator[bytes]] = import_module(f"tests.fuzz.{TARGETS[name].module}").SEEDS[name]
    return list(make())


def corpus_of(name: str) -> list[bytes]:
    """Inputs that the fuzzer found and that each reach something of their own: a line of base64 each."""
    path = CORPUS / f"{name}.txt"
    return [base64.b64decode(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def keep(name: str, inputs: list[bytes]) -> None:
    """Write the corpus of a target, the shortest first."""
    CORPUS.mkdir(exist_ok=True)
    lines = sorted({base64.b64encode(data).decode() for data in inputs}, key=lambda line: (len(line), line))
    (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")
