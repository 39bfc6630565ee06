"""MANIFEST.json: what the bundle was made from and how, and the hash of every file in it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field

from inspector.bundle.slices import Signature
from inspector.document import Generator
from inspector.errors import UsageError
from inspector.system.plain_file import read_whole
from inspector.text.terminal import terminal_json

SCHEMA = "inspector.bundle/1"
NAME = "MANIFEST.json"
CLOCK = (
    "Times are those of the capture, set by the clock of the machine that captured; whether that clock was right is not"
    " in the capture."
)
CHUNK = 1 << 20
MOST_BYTES = 64 << 20
"""A hundred thousand findings and captures."""


class Input(Struct):
    """A capture, journal or log. ``sha256``: of the file; None where it was a stream."""

    path: str
    kind: str
    sha256: str | None
    bytes: int | None
    packets: int | None = None
    first: str | None = None
    last: str | None = None
    drops: int | None = None


class Proof(Struct):
    """The packets. ``findings``: those that they give when they are judged alone; ``not_proven``: ids of those in the
    report that need more.

    ``logs``: files beside it that are read with it.
    """

    file: str
    connections: int
    frames: int
    incidents: int
    findings: list[Signature]
    not_proven: list[str]
    notes: list[str]
    logs: list[str]


class Redacted(Struct):
    """``key``: eight digits that tell whether two bundles were redacted with the same key. ``replaced``: what was."""

    key: str
    replaced: list[str]


class Manifest(Struct):
    """``files``: SHA-256 by name."""

    created: str
    generator: Generator
    command: list[str]
    host: str
    clock: str
    inputs: list[Input]
    generation: str
    vips: list[str]
    evidence: Proof | None
    no_evidence: str
    redacted: Redacted | None
    files: dict[str, str] = field(default_factory=dict)
    schema: str = SCHEMA


def now() -> str:
    """RFC 3339, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def digest(path: str | Path) -> str | None:
    """SHA-256 of a file; None where it is no plain file or cannot be read."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def seal(directory: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Hash the files and write the manifest. Raises OSError."""
    manifest.files = {name: digest(directory / name) or "" for name in sorted(names)}
    encoded = terminal_json(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    (directory / NAME).write_bytes(encoded + b"\n")


def load(directory: Path) -> Manifest:
    """Raises UsageError where there is none that can be read."""
    try:
        return msgspec.json.decode(read_whole(directory / NAME, MOST_BYTES), type=Manifest)
    except (OSError, ValueError, RecursionError) as error:  # also msgspec.DecodeError
        raise UsageError(
            f"{directory}: no bundle: {getattr(error, 'strerror', None) or f'{NAME} cannot be read: {error}'}"
        ) from None
