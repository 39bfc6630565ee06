"""Inputs over which the program fell, found by the fuzzers of ``tests/fuzz``: each ends in a value or a named error."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.bundle.manifest import NAME, load as load_manifest
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcapng import read_pcapng
from inspector.errors import InspectorError, UsageError
from inspector.live.host.privileges import account
from inspector.live.sources.open_sources import ssh_session
from inspector.logs.stamps import Stamp, stamp_in, zoned
from inspector.query.filter_tokens import FilterError
from inspector.query.language import compile_filter
from inspector.reports.json_stream import read_json
from inspector.settings import parse as parse_settings
from inspector.text.hostport import parsed
from tests.test_capture_files import interface, packet, section

DEEP = 100_000
JSON = {
    "no UTF-8 in a text": b'{"schema":"\xff"}',
    "no UTF-8 in a name": b'{"\xfd":1}',
    "half a character": b'{"schema":"\xe8\xac"}',
    "lists in lists": b'{"x":' + b"[" * DEEP,
    "objects in objects": b'{"a":' * DEEP,
    "a number of a million digits": b'{"schema":' + b"9" * 1_000_000 + b"}",
    "nothing": b"",
}


def manifest_in(path: Path) -> object:
    path.rename(path.with_name(NAME))
    return load_manifest(path.parent)


@pytest.mark.parametrize("read", [lambda path: read_json(str(path)), manifest_in], ids=["analysis", "manifest"])
@pytest.mark.parametrize("kind", JSON)
def test_json_that_is_none_has_a_name(read: Callable[[Path], object], kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(JSON[kind])
    with pytest.raises(InspectorError) as raised:
        read(path)
    assert len(str(raised.value)) < 2_000


SETTINGS = {
    "lists in lists": "x = " + "[" * DEEP,
    "a number of thousands of digits": "theme = " + "9" * 10_000,
    "a day that does not exist": "theme = 2026-02-30",
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_that_are_none_have_a_name(kind: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_settings(SETTINGS[kind], "settings.toml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("expression", ["(" * 5_000 + "x" + ")" * 5_000, "-(" * 5_000, "(" * DEEP])
def test_filters_within_filters_without_end(expression: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(expression)


def test_filters_within_filters() -> None:
    compile_filter("-(" * 30 + "x" + ")" * 30)


DIGITS = ("²", "1²", "٣", "9" * 10_000, "")
"""What Python takes for digits, or for a number, and nobody else does."""


@pytest.mark.parametrize("digits", DIGITS)
def test_numbers_that_are_none(digits: str) -> None:
    with pytest.raises(UsageError):
        parsed(f"puppetdb.example.com:{digits}")
    with pytest.raises(UsageError):
        account(digits or "no such user", {})
    assert account(None, {"SUDO_UID": digits}).name == "nobody"
    assert ssh_session({"SSH_CONNECTION": f"10.0.0.1 {digits} 10.0.0.2 22"}) is None


@pytest.mark.parametrize("year", ["0001", "0226", "0999", "1000", "2026", "9999"])
def test_times_of_any_year_are_written_as_they_are_read(year: str) -> None:
    stamp = stamp_in(f"{year}-11-23T17:10:17.080Z".encode())
    assert stamp is not None
    assert stamp_in(zoned(stamp)) == stamp


@pytest.mark.parametrize("ns", [-(1 << 62), 1 << 62, -(1 << 70), 1 << 70])
def test_times_of_no_year_are_written(ns: int) -> None:
    assert stamp_in(zoned(Stamp(ns, True, 1))) is not None


@pytest.mark.parametrize("size", [128, 256, 1 << 20])
def test_an_interface_that_is_described_behind_its_frames(size: int) -> None:
    """What a frame is does not depend on where the buffers end: an interface counts from its description on."""
    interfaces = interface(1) + interface(113)
    data = section() + interface(1) + packet(1, bytes(60), 1) + packet(2, bytes(60), 0) + interfaces
    data += packet(3, bytes(60), 1) + packet(4, bytes(60), 2) + section(">") + packet(5, bytes(60), 0, ">")
    data += interface(276, b"", ">") + packet(6, bytes(60), 0, ">")
    batches = read_pcapng(ByteSource(io.BytesIO(data), size=size), CaptureInfo("x"))
    assert [kind for batch in batches for kind in batch.link_type.tolist()] == [-1, 1, 1, 113, -1, 276]
