"""Times for people, in any zone: each has its offset, what is shown is understood, and programs read UTC."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
from datetime import UTC as DATETIME_UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from inspector import bounds, settings
from inspector.bundle.scope import ScopeRequest, scope_of
from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.cli.commands import cli
from inspector.errors import UsageError
from inspector.findings.judge import Analysis, judge
from inspector.reports.formats import FORMATS, write
from inspector.text.times import SECOND_NS
from inspector.text.zones import UTC, TimeZone, fixed, zone_named
from inspector.tui import go_to
from tests.app import app_of, shown, then
from tests.build import Pool, certificate, facts_of, numbered, written
from tests.conftest import CAPTURES, bundled, find
from tests.odd_pools import after_a_change

NAMES = ("Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Kiritimati", "UTC")
HOSTILE = (
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "",
        "Europe",
        "Europe//Berlin",
        "Europe/../Europe/Berlin",
        "zone.tab",
    ),
    *("zone.tab", "Nowhere", "Europe/Berlin\0", "x" * 5000, "\udcff", "\x1b]52;c;ZXZpbA==\x07", "Europe/Berlin\n"),
)
CLOCK = re.compile(r"(?<![\d:.])\d\d:\d\d:\d\d(?:\.\d+)?(?![\d:])(?P<zone>.{0,7})")
"""A time of day, and what stands behind it."""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(DATETIME_UTC).timestamp()) * SECOND_NS


def text_of(analysis: Analysis, zone: TimeZone) -> str:
    out = io.BytesIO()
    write(analysis, "text", None, out, zone)
    return out.getvalue().decode()


def without_zone(text: str, offset: str) -> list[str]:
    """Lines with a time of day that does not say how far it is from UTC."""
    return [
        line
        for line in text.splitlines()
        for match in CLOCK.finditer(line)
        if match["zone"].strip()[:6] != offset and not re.match(r"Z| UTC|, \d", match["zone"])
    ]


@pytest.mark.parametrize(
    ("name", "moment", "shown_as"),
    [
        ("UTC", "2026-11-29T09:15:00+00:00", "2026-11-29 09:15:00.000"),
        ("Europe/Berlin", "2026-11-29T09:15:00+00:00", "2026-11-29 10:15:00.000 +01:00"),
        ("Europe/Berlin", "2026-03-29T00:59:59+00:00", "2026-03-29 01:59:59.000 +01:00"),
        ("Europe/Berlin", "2026-03-29T01:00:00+00:00", "2026-03-29 03:00:00.000 +02:00"),
        ("Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-25 02:30:00.000 +02:00"),
        ("Europe/Berlin", "2026-10-25T01:30:00+00:00", "2026-10-25 02:30:00.000 +01:00"),
        ("Europe/London", "2026-11-29T09:15:00+00:00", "2026-11-29 09:15:00.000 +00:00"),
        ("Asia/Kolkata", "2026-11-29T20:15:00+00:00", "2026-11-30 01:45:00.000 +05:30"),
        ("America/St_Johns", "2026-11-29T01:15:00+00:00", "2026-11-28 21:45:00.000 -03:30"),
        ("America/New_York", "2026-07-01T01:15:00+00:00", "2026-06-30 21:15:00.000 -04:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00+00:00", "2026-04-05 01:30:00.000 +10:30"),
        ("America/St_Johns", "1970-01-01T00:00:00+00:00", "1969-12-31 20:30:00.000 -03:30"),
        ("Africa/Monrovia", "1971-01-01T00:00:00+00:00", "1970-12-31 23:15:00.000 -00:45"),
    ],
)
def test_what_clocks_there_show(name: str, moment: str, shown_as: str) -> None:
    """A fraction of a minute, which no offset can be written with, goes into the time beside it."""
    zone = zone_named(name)
    assert zone.moment(at(moment)) == shown_as
    assert zone.moment(at(moment)).endswith(zone.clock(at(moment)))
    assert len(zone.clock(at(moment))) == zone.clock_width
    assert datetime.fromisoformat(zone.rfc3339(at(moment))).timestamp() == at(moment) / SECOND_NS


@given(st.sampled_from(NAMES), st.integers(0, bounds.LATEST_NS))
def test_what_is_shown_is_understood(name: str, ns: int) -> None:
    zone = zone_named(name)
    for text in (zone.moment(ns, 9), zone.rfc3339(ns), UTC.rfc3339(ns), f"{UTC.moment(ns, 9)} UTC"):
        assert zone.nanoseconds(text, 0) == ns
    assert zone.nanoseconds(zone.clock(ns, 9), ns) == ns
    assert zone.nanoseconds(zone.stamp(ns), 0) == ns // 1_000_000 * 1_000_000


@given(st.text(max_size=40), st.sampled_from(NAMES), st.integers(0, bounds.LATEST_NS))
def test_any_text_is_a_time_or_none(text: str, name: str, near_ns: int) -> None:
    assert isinstance(zone_named(name).nanoseconds(text, near_ns), int | None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-25 02:30", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25 02:30 +01:00", "2026-10-25T01:30:00+00:00"),
        ("2026-03-29 02:30", "2026-03-29T01:30:00+00:00"),
        ("2026-11-29", "2026-11-28T23:00:00+00:00"),
        ("00:10", "2026-11-28T23:10:00+00:00"),
        ("00:10Z", "2026-11-28T00:10:00+00:00"),
        ("23:10 UTC", "2026-11-28T23:10:00+00:00"),
        ("23:10:00 -03:30", "2026-11-29T02:40:00+00:00"),
        ("20261129T001000+0100", "2026-11-28T23:10:00+00:00"),
    ],
)
def test_what_people_write(text: str, expected: str) -> None:
    """An hour that comes twice is the first; one that never comes is as if clocks had not been set yet."""
    assert zone_named("Europe/Berlin").nanoseconds(text, at("2026-11-28T23:30:00+00:00")) == at(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25:00",
        "10:61",
        "2026-02-30",
        "2026-11-29T10:00+25:99:99",
        "10:00:00 +24:00",
        "10:00:00 +01:60",
        "noon",
        "٢٣:١٠",
        "1:2",
        "10:00 CET",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert zone_named("Europe/Berlin").nanoseconds(text, 0) is None


def test_the_first_of_two_hours_is_meant_everywhere() -> None:
    zone = fixed(3600)
    assert zone.moment(0) == "1970-01-01 01:00:00.000 +01:00"
    assert zone.nanoseconds("1970-01-01 01:00", 0) == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone that can be loaded") as caught:
        zone_named(name)
    assert "Europe/Berlin" in caught.value.hint
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("command", ["analyze", "report", "compare", "open"])
def test_a_zone_that_cannot_be_loaded_is_said(command: str) -> None:
    result = CliRunner().invoke(cli, [command, str(find("silent-abort")), "--tz", "../../etc/passwd"])
    assert isinstance(result.exception, UsageError)
    assert "--tz ../../etc/passwd: no time zone" in str(result.exception)


def inspector(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=CAPTURES.parent,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("zone", "offset", "name"),
    [
        ("America/St_Johns", "-03:30", "NST "),
        ("Asia/Kolkata", "+05:30", "IST "),
        ("Asia/Dubai", "+04:00", ""),
        ("CET-1CEST", "+01:00", "CET "),
        ("UTC", "+00:00", "UTC "),
    ],
)
def test_the_zone_of_the_system(zone: str, offset: str, name: str) -> None:
    """It is named with its offset; some zones have numbers for names."""
    done = inspector("analyze", str(find("silent-abort")), "--tz", "local", "--fail-on", "never", TZ=zone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"\nall times local ({name}{offset})\n")
    assert offset in done.stdout
    assert without_zone(done.stdout, offset) == []


@pytest.mark.parametrize(
    ("name", "first", "last", "heading"),
    [
        ("Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00", " (CEST +02:00, CET +01:00)"),
        ("Europe/Berlin", "2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00+00:00", " (CET +01:00)"),
        ("America/Sao_Paulo", "2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00+00:00", " (-03:00)"),
        ("UTC", "2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00+00:00", ""),
    ],
)
def test_what_is_said_of_all_times(name: str, first: str, last: str, heading: str) -> None:
    zone = zone_named(name)
    assert zone.heading(at(first), at(last)) == f"all times {name}{heading}"
    assert zone.heading(0, 0) == f"all times {name}"


@pytest.mark.skipif(importlib.util.find_spec("tzdata") is not None, reason="a package brings the database")
def test_where_there_is_no_database() -> None:
    done = inspector("analyze", str(find("silent-abort")), "--tz", "Europe/Berlin", PYTHONTZPATH="")
    assert done.returncode == 2
    assert "--tz Europe/Berlin: no time zone that can be loaded" in done.stderr
    assert "no database of time zones (tzdata)" in done.stderr
    for name in ("UTC", "local"):
        done = inspector("analyze", str(find("silent-abort")), "--tz", name, "--fail-on", "never", PYTHONTZPATH="")
        assert done.returncode == 0


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap*")), ids=lambda p: p.name.split(".")[0])
def test_no_time_is_without_its_offset(path: Path) -> None:
    zone = zone_named("Asia/Kolkata")
    text = text_of(bundled(path.name.split(".pcap")[0]), zone)
    assert without_zone(text, "+05:30") == []
    assert text.endswith("\nall times Asia/Kolkata (IST +05:30)\n")


def test_no_time_of_findings_is_without_its_zone(tmp_path: Path) -> None:
    analysis = judge(facts_of(after_a_change(tmp_path)))
    text = text_of(analysis, zone_named("America/St_Johns"))
    assert " since " in text
    assert without_zone(text, "-03:30") == []


def test_a_report(tmp_path: Path) -> None:
    analysis = bundled("puppet-session-ids")
    zone = zone_named("America/St_Johns")
    write_bundle(analysis, str(tmp_path / "a"), BundleRequest([str(find("puppet-session-ids"))], zone=zone))
    write_bundle(analysis, str(tmp_path / "b"), BundleRequest([str(find("puppet-session-ids"))]))
    for name in ("report.html", "report.md"):
        text = (tmp_path / "a" / name).read_text()
        assert "all times America/St_Johns (NST -03:30)" in re.sub(r"\\(.)", r"\1", text)
        assert "-03:30" in text.replace("\\-", "-")
        assert without_zone(text.replace("\\-", "-"), "-03:30") == []
    for name in ("analysis.json", "connections.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "text"])
def test_what_programs_read_is_utc(form: str) -> None:
    targets = []
    for zone in (UTC, zone_named("Asia/Kolkata")):
        targets.append(io.BytesIO())
        write(bundled("puppet-session-ids"), form, None, targets[-1], zone)
    assert targets[0].getvalue() == targets[1].getvalue()


def test_clocks_that_are_set_back_within_a_capture(tmp_path: Path) -> None:
    pool = Pool()
    leaf = certificate("puppetdb1", ("puppetdb1.example.com",))
    begin = at("2026-10-25T00:59:00+00:00")
    for minute in range(3):
        pool.ns = begin + minute * 60 * SECOND_NS
        pool.full(leaf, numbered(minute + 1))
    path = str(written(tmp_path, pool.flows))
    result = CliRunner().invoke(cli, ["analyze", path, "-Y", "bytes>0", "--tz", "Europe/Berlin"])
    assert [line[:16] + line[29:35] for line in result.output.splitlines()] == [
        "2026-10-25T02:59+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:01+01:00",
    ]


@pytest.mark.parametrize(
    "text",
    ["22:58:19.9", "22:58:19.9 +05:30", "2026-11-23 22:58:19.9 +05:30", "17:28:19.9 UTC", "2026-11-23T17:28:19.9Z"],
)
def test_places(text: str) -> None:
    assert go_to.find(bundled("puppet-session-ids"), text, zone_named("Asia/Kolkata")) == 16


def test_a_time_behind_midnight_is_of_the_next_day(tmp_path: Path) -> None:
    pool = Pool()
    leaf = certificate("puppetdb1", ("puppetdb1.example.com",))
    for number, moment in enumerate(("2026-10-24T21:30:00+00:00", "2026-10-24T22:10:00+00:00")):
        pool.ns = at(moment)
        pool.full(leaf, numbered(number + 1))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    zone = zone_named("Europe/Berlin")
    assert [go_to.find(analysis, text, zone) for text in ("23:00:00", "00:10:00", "23:59:00")] == [0, 1, 1]


def test_a_time_that_is_shown_cut_is_that_of_the_first_day(tmp_path: Path) -> None:
    pool, leaf = Pool(), certificate("puppetdb1", ("puppetdb1.example.com",))
    for number in range(3):
        pool.ns = at(f"2026-10-2{number}T21:30:00+00:00") + 600_000
        pool.full(leaf, numbered(number + 1))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    shown = UTC.clock(analysis.case.observed[0].hello_ns)
    assert [go_to.find(analysis, text, UTC) for text in (shown, shown[:8])] == [0, 0]


def test_a_day_without_a_year_is_of_the_year_that_was_captured(tmp_path: Path) -> None:
    pool, leaf = Pool(), certificate("puppetdb1", ("puppetdb1.example.com",))
    for number, second in enumerate((-2, -1, 1, 2)):
        pool.ns = at("2026-01-01T00:00:00+00:00") + second * SECOND_NS
        pool.full(leaf, numbered(number + 1))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    times = ("12-31 23:59:59", "01-01 00:00:00", "01-01 00:00:02", "2026-01-01 00:00:02", "00:00:02")
    assert [go_to.find(analysis, text, UTC) for text in times] == [1, 2, 3, 3, 3]


def test_bounds_of_a_report() -> None:
    analysis = bundled("puppet-session-ids")
    expected = scope_of(analysis, ScopeRequest(since="17:28:30", until="2026-11-23T17:28:40Z"))
    zone = zone_named("Asia/Kolkata")
    for since, until in (("22:58:30", "22:58:40"), ("17:28:30 UTC", "2026-11-23 22:58:40 +05:30")):
        scope = scope_of(analysis, ScopeRequest(since=since, until=until), zone)
        assert [i.id for i in scope.incidents] == [i.id for i in expected.incidents]
        assert scope.text.endswith("from 2026-11-23 22:58:30.000 +05:30 to 2026-11-23 22:58:40.000 +05:30")
    with pytest.raises(UsageError, match="no time such as"):
        scope_of(analysis, ScopeRequest(since="soon"), zone)


def test_settings_name_a_zone() -> None:
    assert settings.parse("tz = 'Asia/Kolkata'", "s").zone.name == "Asia/Kolkata"
    assert settings.parse("", "s").zone is UTC
    with pytest.raises(UsageError, match=r"s, line 2: tz \.\./\.\./etc/passwd: no time zone"):
        settings.parse("\ntz = '../../etc/passwd'", "s")
    with pytest.raises(UsageError, match="tz must be a string"):
        settings.parse("tz = 1", "s")


async def test_the_app_understands_what_it_shows() -> None:
    chosen = settings.Settings(zone=zone_named("Asia/Kolkata"))
    app = app_of(find("puppet-session-ids"), settings=chosen)
    async with app.run_test(size=(120, 40)) as pilot:
        await then("g", *"22:58:19.9 +05:30", "enter")(pilot)
        assert "22:58:19.917 +05:30" in shown(app)
        assert without_zone(shown(app), "+05:30") == []


def test_help_says_what_stays_utc() -> None:
    for command in ("analyze", "report", "compare", "probe", "open", "live"):
        text = " ".join(CliRunner().invoke(cli, [command, "--help"]).output.split())
        assert "--tz local|UTC|NAME" in text
        assert "stays RFC 3339 in UTC" in text
