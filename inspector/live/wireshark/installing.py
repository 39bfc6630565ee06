"""Puts a profile and a capture source into a person's Wireshark, and takes them away again.

Each file names a digest of itself in its first lines: what somebody has changed since is told from what an earlier
version wrote. Wireshark writes a profile's files anew when something is changed there, without that line.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from inspector.errors import UsageError
from inspector.live.host.ownership import changeable
from inspector.live.wireshark.folders import WiresharkFolders
from inspector.text.version import VERSION

PROFILE, LAUNCHER = "Inspector", "inspector"
PROFILE_FILES = ("colorfilters", "dfilter_buttons", "preferences")
INTERPRETER = b"#!/bin/sh\n"
AROUND = Path(__file__).parents[3]
"""Where this package lies."""

MARK = re.compile(rb"(?:#![^\n]*\n)?# Inspector \S+; SHA-256 of what follows: ([0-9a-f]{64})\n")

Became = Literal["written", "replaced", "as it was", "kept", "removed", "missing"]


class InstalledFile(NamedTuple):
    """``became``: of it. It is kept where somebody has changed it."""

    path: Path
    became: Became


def install(folders: WiresharkFolders, *, forced: bool) -> list[InstalledFile]:
    """Write all that is missing, and what an earlier version wrote. ``forced``: also what somebody has changed. Raises
    UsageError where a file cannot be written.
    """
    return [_write(path, content, forced=forced) for path, content in _contents(folders)]


def remove(folders: WiresharkFolders, *, forced: bool) -> list[InstalledFile]:
    """Take all away that nobody has changed. ``forced``: also what somebody has. Raises UsageError."""
    removed = [_remove(path, forced=forced) for path, _ in _contents(folders)]
    profile = profile_of(folders)
    if profile.is_dir() and not any(profile.iterdir()):
        with suppress(OSError):  # a link to it, which is not ours
            profile.rmdir()
    return removed


def profile_of(folders: WiresharkFolders) -> Path:
    """The directory of the profile."""
    return folders.configuration / "profiles" / PROFILE


def launcher_of(folders: WiresharkFolders) -> Path:
    """What Wireshark runs as a capture source."""
    return folders.extcaps / LAUNCHER


def unsafe_for_all() -> str:
    """What of this program, its Python and where that looks for modules somebody beside root may change, so that nobody
    else, and root least, must run the launcher; ``""`` where there is nothing.
    """
    code = r"import os, sys; sys.stdout.buffer.write(os.fsencode('\0'.join(sys.path)))"
    try:
        answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError):  # it is not this program's Python any more
        return sys.executable
    searched = os.fsdecode(answer.stdout).split("\0")
    return changeable([sys.executable, os.path.join(sys.prefix, "pyvenv.cfg"), str(AROUND), *searched])


def _contents(folders: WiresharkFolders) -> Iterator[tuple[Path, bytes]]:
    """Each file with its content, marked."""
    for name in PROFILE_FILES:
        yield profile_of(folders) / name, _mark((files(__package__) / "profile" / name).read_bytes())
    yield launcher_of(folders), INTERPRETER + _mark(_launcher())


def _mark(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"# Inspector {VERSION}; SHA-256 of what follows: {digest}\n".encode() + content


def _is_ours(content: bytes) -> bool:
    """Nobody has changed it since it was written."""
    mark = MARK.match(content)
    return mark is not None and hashlib.sha256(content[mark.end() :]).hexdigest().encode() == mark[1]


def _launcher() -> bytes:
    """Runs this program with the Python that runs it now, wherever both lie."""
    code = f"import sys; sys.path.insert(0, {str(AROUND)!r}); from inspector.cli import run; run()"
    return os.fsencode(f'exec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)} extcap "$@"\n')


def _write(path: Path, content: bytes, *, forced: bool) -> InstalledFile:
    try:
        mode = 0o755 if content.startswith(INTERPRETER) else 0o644
        before = path.read_bytes() if path.exists() else None
        if before == content and path.stat().st_mode & 0o777 == mode:
            return InstalledFile(path, "as it was")
        if before is not None and not (_is_ours(before) or forced):
            return InstalledFile(path, "kept")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(descriptor, mode)
            os.replace(beside, path)
        except OSError:
            os.unlink(beside)
            raise
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    return InstalledFile(path, "written" if before is None else "replaced")


def _remove(path: Path, *, forced: bool) -> InstalledFile:
    try:
        if not os.path.lexists(path):
            return InstalledFile(path, "missing")
        if path.exists() and not (forced or _is_ours(path.read_bytes())):
            return InstalledFile(path, "kept")
        path.unlink()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    return InstalledFile(path, "removed")
