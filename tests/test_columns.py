"""Columns of connections and sessions, which lists and charts are made of: what each says is what is asked one by one,
in memory and out of core.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from inspector import bounds
from inspector.extract.tables import PartWriter, read_tables
from inspector.facts.spool import SpooledConnections
from inspector.findings.into_document.connection import result
from inspector.findings.judge import Analysis, judge
from inspector.query.arrays import RESULTS, Columns
from inspector.query.session_columns import SessionColumns
from inspector.reports.text import write_text
from inspector.text.zones import UTC, zone_named
from inspector.tracking.columns import DIGEST_BYTES
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.rows import Rows
from tests.app import app_of, loaded, pressed, shown
from tests.bench_fleet import HostDay, written as parts_written
from tests.build import Pool, certificate, facts_of, numbered, written
from tests.conftest import CAPTURES, bundled, find

NAMES = sorted({path.name.split(".")[0] for path in CAPTURES.glob("*.pcap*")})
CLIENTS_OF = [{f"10.{host}.0.1" for host in range(last + 1)} for last in range(3)]
CLIENTS = CLIENTS_OF[-1]
DAY = 86_400 * 1_000_000_000


def analyses(name: str) -> list[Analysis]:
    """In memory, and out of core."""
    analysis = bundled(name)
    facts = facts_of(find(name))
    facts.connections = SpooledConnections(facts.connections)
    return [analysis, judge(facts)]


@pytest.mark.parametrize("name", NAMES)
def test_columns_say_what_connections_say(name: str) -> None:
    for analysis in analyses(name):
        columns, observed = Columns(analysis), analysis.case.observed
        assert columns.count == len(observed)
        assert columns.service.tolist() == [o.service for o in observed]
        assert columns.backend.tolist() == [o.backend for o in observed]
        assert columns.time_ns.tolist() == [o.hello_ns or o.first_ns for o in observed]
        assert columns.leaves == list(dict.fromkeys(o.leaf for o in observed if o.leaf is not None))
        assert [columns.leaves[c] if c >= 0 else None for c in columns.leaf] == [o.leaf for o in observed]
        results = [len(RESULTS) if o.health_check else RESULTS.index(result(o)) for o in observed]
        assert columns.result.tolist() == results


@pytest.mark.parametrize("name", NAMES)
def test_columns_say_what_sessions_say(name: str) -> None:
    for analysis in analyses(name):
        case, columns = analysis.case, SessionColumns(analysis.case)
        assert len(columns.service) == len(case.sessions)
        assert columns.identity.tolist() == [hash(session.key) for session in case.sessions]
        for number, session in enumerate(case.sessions):
            declined = [case.observed[use >> 1] for use in session.uses if not use & 1]
            assert columns.is_aborted[number] == any(o.outcome == "aborted" for o in declined)
            assert columns.offers[number] == len(session.uses) + session.dropped
            firsts = [session.issuer] if session.issuer is not None else [use >> 1 for use in session.uses]
            assert columns.service[number] == (case.observed[firsts[0]].service if firsts else -1)


@pytest.mark.parametrize("name", NAMES)
def test_a_connection_by_its_id(name: str) -> None:
    for analysis in analyses(name):
        case = analysis.case
        assert case.columns.by_id() == {o.id: o.index for o in case.observed}
        for observed in case.observed:
            assert case.by_id(observed.id).index == observed.index
        ids = [o.id for o in case.observed]
        across = "".join(ids)[DIGEST_BYTES : 3 * DIGEST_BYTES]  # the end of one and the beginning of the next
        for unknown in {"", "00", ids[0][:4] if ids else "ab", "f" * 12, "no hex digits", across} - {*ids}:
            with pytest.raises(KeyError):
                case.by_id(unknown)


def story_of_days(folder: Path, days: int, moment: int = 1_764_000_000_000_000_000) -> Path:
    """A handshake at the same time of each day."""
    pool, leaf = Pool(), certificate("puppetdb1", ("puppetdb1.example.com",))
    for number in range(days):
        pool.ns = moment + number * DAY
        pool.full(leaf, numbered(number + 1))
    return written(folder, pool.flows)


@pytest.mark.parametrize(
    ("days", "first"), [(1, "16:00:00.003"), (3, "11-24 16:00:00.003"), (40, "2025-11-24 16:00:00.003")]
)
async def test_times_of_several_days_are_told_apart(
    tmp_path: Path, days: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "CORE_CONNECTIONS", 10)
    app = app_of(story_of_days(tmp_path, days))
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
        await pressed(pilot, "3")
        listed = [line for line in shown(app).splitlines() if "established" in line]
        times = [line[4 : 4 + len(first)] for line in listed]
        assert times[0] == first
        assert len({*times}) == days
        assert app.screen.query_one(Rows).columns[1].width == len(first)
        if days > 1:
            await pressed(pilot, "g", *times[1], "enter")  # what is shown is understood
            screen = app.screen
            assert isinstance(screen, ConnectionsScreen)
            assert screen.query_one(Rows).cursor == 1
        await pressed(pilot, "4")
        assert first[:-4] in shown(app)
        await pressed(pilot, "5")
        last = app.state.zone.clock(app.state.now.case.extent[1], 0)
        assert first[:-4] in shown(app)
        assert last in shown(app)


def test_a_zone_over_some_days() -> None:
    moment = 1_764_000_000_000_000_000
    assert UTC.over(0, 0) == UTC
    assert UTC.over(moment, moment + DAY // 4) == UTC
    assert not zone_named("Asia/Kolkata").over(moment, moment + DAY // 4).is_of_one_day
    assert UTC.over(moment, moment + DAY).clock(moment) == "11-24 16:00:00.000"
    assert UTC.over(moment, moment + 40 * DAY).clock(moment, 0) == "2025-11-24 16:00:00"
    assert UTC.over(moment, moment + DAY).nanoseconds("11-24 16:00:00", moment + DAY) == moment


@pytest.mark.parametrize(("width", "is_shown"), [(160, True), (100, True), (80, False)])
@pytest.mark.parametrize("area", ["2", "6"])
async def test_whose_incidents_they_are(area: str, width: int, is_shown: bool, tmp_path: Path) -> None:
    """Where there is room, and where they are of several."""
    pytest.importorskip("pyarrow.parquet")
    facts = tmp_path / "facts"
    PartWriter(str(facts))
    for host in range(3):
        parts_written(HostDay(str(facts), host, 0, 40))
    app = app_of(facts)
    async with app.run_test(size=(width, 40)) as pilot:
        await loaded(pilot)
        await pressed(pilot, area)
        incidents = [line for line in shown(app).splitlines() if "declined, ab" in line]
        named = {client for line in incidents for client in CLIENTS if client in line}
        assert incidents
        assert named == (CLIENTS if is_shown else set())


def test_whose_incidents_a_text_names(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow.parquet")
    facts = tmp_path / "facts"
    PartWriter(str(facts))
    for host in range(3):
        parts_written(HostDay(str(facts), host, 0, 40))
        out = io.StringIO()
        write_text(judge(read_tables(str(facts))), None, out)
        incidents = [line for line in out.getvalue().splitlines() if line.startswith("  ") and "declined, ab" in line]
        assert incidents
        assert {line.partition("   client ")[2] for line in incidents} == (CLIENTS_OF[host] if host else {""})
