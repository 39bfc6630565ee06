"""Files that are read whole, as others may have left them: pipes, devices, directories, sockets, endless ones, nested
or damaged ones. Each is named and refused at once.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector import settings
from inspector.bundle import manifest
from inspector.errors import InspectorError
from inspector.redaction import keys
from inspector.reports.json_stream import read_json
from inspector.system.plain_file import read_whole
from inspector.tui import recent


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def endless(path: Path) -> None:
    with path.open("wb") as out:
        out.truncate(1 << 40)


def nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def around(path: Path) -> None:
    path.symlink_to(path)


SPECIAL: dict[str, Callable[[Path], None]] = {
    "pipe": pipe,
    "device": device,
    "directory": Path.mkdir,
    "socket": listening,
    "endless": endless,
    "link to nothing": nowhere,
    "link to itself": around,
}
DAMAGED: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(4096),
    "no UTF-8": b"\xff\xfe" * 100,
    "lists in lists": b"[" * 200_000,
    "objects in objects": b'{"schema":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "what nobody asked for, nested": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "tables in tables": b"a = " + b"{b=" * 50_000,
    "arrays in arrays": b"keys = [" + b"\n[" * 100_000,
    "a key of many parts": b"a" + b".a" * 100_000 + b" = 1\n",
    "tables of many parts": b"".join(b"[" + b"a" + b".a" * n + b"]\n" for n in range(300)),
    "null": b"null",
    "a number": b"1e999999",
    "terminal": b'\x1b]0;evil\x07 = "\x1b[2J"\n',
}


def settings_of(path: Path) -> object:
    return settings.load(str(path))


def manifest_of(path: Path) -> object:
    path.rename(path.with_name(manifest.NAME))
    return manifest.load(path.parent)


def analysis_of(path: Path) -> object:
    return read_json(str(path))


def redaction_key_of(path: Path) -> object:
    return keys.load(str(path))


READERS = {"settings": settings_of, "manifest": manifest_of, "analysis": analysis_of}


def refused(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(InspectorError) as caught:
        read(path)
    text = str(caught.value)
    assert text.isprintable(), text
    assert len(text) < 1_000
    return text


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_plain_file(reader: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    SPECIAL[kind](path)
    text = refused(READERS[reader], path)
    named = {"pipe": "a pipe", "device": "a device", "endless": "longer than"}
    assert named.get(kind, "") in text


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "socket", "endless"])
def test_a_key_of_redaction(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    SPECIAL[kind](path)
    refused(redaction_key_of, path)


@pytest.mark.parametrize("kind", SPECIAL)
def test_filters_that_were_kept(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read there is as if it were not there."""
    monkeypatch.setattr(recent, "recent_path", lambda: tmp_path / "file")
    SPECIAL[kind](tmp_path / "file")
    assert recent.load() == []


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("reader", READERS)
def test_what_holds_something_else(reader: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DAMAGED[damage])
    if (reader, damage) == ("settings", "nothing"):
        assert settings.load(str(path)) == settings.Settings(path=str(path))
    else:
        refused(READERS[reader], path)


def test_a_file_as_long_as_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2048))
    assert read_whole(path, 2048) == bytes(2048)
    with pytest.raises(OSError, match="longer than the 1 KiB"):
        read_whole(path, 2047)


def test_a_link_to_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ascii = true\n")
    (tmp_path / "link").symlink_to("file")
    assert settings.load(str(tmp_path / "link")).ascii
