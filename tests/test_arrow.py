"""The document as tables for notebooks: the same values as in the document, in columns of the types that are promised,
read back by Arrow and by Polars.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from inspector import UsageError, to_arrow, to_batches, to_polars
from inspector.document import Document
from inspector.findings.judge import judge
from inspector.reports.arrow import columns
from inspector.reports.arrow.tables import TABLES, TableName
from tests import der as d
from tests.build import Pool, facts_of, numbered, written
from tests.conftest import bundled

LIBRARY = Path(__file__).parent.parent / "docs" / "how-to" / "library.md"
NAMES = ["puppet-session-ids", "mutual-tls", "both-legs", "renegotiation"]


@lru_cache
def document(name: str) -> Document:
    analysis = bundled(name)
    whole = Document(**{field: getattr(analysis.document, field) for field in Document.__struct_fields__})
    whole.connections, whole.sessions = list(analysis.connections()), list(analysis.sessions())
    return whole


def nanoseconds(text: str) -> int:
    moment = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(text[20:29])


TYPES = {
    "first_seen": pa.timestamp("ns", tz="UTC"),
    "outcome": pa.dictionary(pa.int32(), pa.string()),
    "client_port": pa.uint16(),
    "health_check": pa.bool_(),
    "rtt": pa.duration("ns"),
    "client_bytes": pa.int64(),
    "alerts": pa.list_(pa.string()),
    "id": pa.string(),
}


def test_columns_have_types() -> None:
    schema = to_arrow(document("puppet-session-ids")).schema
    assert {name: schema.field(name).type for name in TYPES} == TYPES


@pytest.mark.parametrize("name", NAMES)
def test_connections_are_the_documents(name: str) -> None:
    whole = document(name)
    table = to_arrow(whole)
    services = {service.id: f"{service.name}:{service.port}" for service in whole.services}
    labels = {backend.id: backend.label for backend in whole.backends}
    stacks = {client.id: client.stack for client in whole.clients}
    times = table["first_seen"].cast(pa.int64()).to_pylist()
    round_trips = table["rtt"].cast(pa.int64()).to_pylist()
    rows = table.drop_columns(["first_seen", "last_seen", "rtt"]).to_pylist()
    assert len(rows) == len(whole.connections) > 0
    for row, connection, ns, rtt in zip(rows, whole.connections, times, round_trips, strict=True):
        first = connection.handshakes[0]
        assert (row["id"], ns, rtt) == (connection.id, nanoseconds(connection.first_seen), connection.rtt)
        assert row["service"] == services[connection.service]
        assert row["backend"] == (labels[connection.backend] if connection.backend else None)
        assert row["client_stack"] == stacks[connection.client]
        assert (row["client_ip"], row["client_port"]) == (
            connection.client_endpoint.ip,
            connection.client_endpoint.port,
        )
        assert (row["outcome"], row["closed_by"], row["closed_how"]) == (
            connection.outcome,
            connection.end.by,
            connection.end.how,
        )
        assert row["alerts"] == [alert.name for alert in connection.alerts if alert.name]
        assert (row["kind"], row["version"], row["declined"]) == (first.kind, first.version, first.declined)
        assert row["cipher"] == (first.cipher.name if first.cipher else None)
        assert row["server_certificate"] == (first.server_chain[0] if first.server_chain else None)
        assert (row["ems"], row["java_verdict"]) == (first.ems.negotiated, first.jsse.verdict)
        assert (row["renegotiations"], row["legs"]) == (len(connection.handshakes) - 1, 1 + len(connection.legs))
        assert (row["capture"], row["first_frame"]) == connection.frames.first
        assert row["last_frame"] == connection.frames.last[1]


COUNTS = {
    "connections": lambda whole: len(whole.connections),
    "handshakes": lambda whole: sum(len(connection.handshakes) for connection in whole.connections),
    "sessions": lambda whole: len(whole.sessions),
    "session_uses": lambda whole: sum(len(session.uses) for session in whole.sessions),
    "findings": lambda whole: len(whole.findings),
    "incidents": lambda whole: len(whole.incidents),
    "services": lambda whole: len(whole.services),
    "backends": lambda whole: len(whole.backends),
    "clients": lambda whole: len(whole.clients),
    "certificates": lambda whole: len(whole.certificates),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("table", TABLES)
def test_polars_has_what_arrow_has(table: TableName, name: str) -> None:
    whole = document(name)
    arrow, frame = to_arrow(whole, table), to_polars(whole, table)
    arrow.validate(full=True)
    assert arrow.num_rows == frame.height == COUNTS[table](whole)
    assert arrow.column_names == frame.columns
    for column in arrow.column_names:
        kind = arrow.schema.field(column).type
        values = arrow[column].cast(pa.int64()) if pa.types.is_temporal(kind) else arrow[column]
        theirs = frame[column]
        if pa.types.is_timestamp(kind) and kind.unit == "s":
            theirs = theirs.dt.epoch("s")
        elif pa.types.is_temporal(kind):
            theirs = theirs.to_physical()
        assert values.to_pylist() == theirs.to_list()


def test_categories_are_categories() -> None:
    whole = document("puppet-session-ids")
    frame = to_polars(whole)
    assert frame["outcome"].dtype == pl.Categorical
    assert frame["first_seen"].dtype == pl.Datetime("ns", "UTC")
    aborted = frame.filter(pl.col("outcome") == "aborted").group_by("backend").len().sort("backend")
    assert aborted.rows() == [(backend.label, backend.aborted) for backend in whole.backends]


def test_rows_come_in_batches_and_only_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = document("puppet-session-ids")
    at_once = to_arrow(whole)
    monkeypatch.setattr(columns, "CHUNK_ROWS", 7)
    read: list[object] = []

    class Read(list[object]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for connection in super().__iter__():
                read.append(connection)
                yield connection

    monkeypatch.setattr(whole, "connections", Read(whole.connections))
    reader = to_batches(whole)
    assert not read
    assert reader.read_next_batch().num_rows == 7
    assert len(read) == 7
    assert [batch.num_rows for batch in reader] == [7] * 24 + [2]
    in_batches = to_arrow(whole)
    assert in_batches.num_rows == 177
    assert in_batches.to_pylist() == at_once.to_pylist()
    assert to_polars(whole).to_dicts() == pl.DataFrame(at_once).to_dicts()


def test_without_rows_the_columns_are_there() -> None:
    whole = document("puppet-session-ids")
    empty = Document(**{name: getattr(whole, name) for name in Document.__struct_fields__})
    for name in ("connections", "sessions", "findings", "incidents", "services", "backends", "clients", "certificates"):
        setattr(empty, name, [])
    for table in TABLES:
        arrow = to_arrow(empty, table)
        assert (arrow.num_rows, arrow.schema) == (0, to_arrow(whole, table).schema)
        assert to_polars(empty, table).columns == arrow.column_names


def test_certificates_are_valid_as_far_as_they_say(tmp_path: Path) -> None:
    """Further than nanoseconds since the epoch reach."""
    pool = Pool()
    validity = d.seq(d.tlv(0x17, b"500101000000Z"), d.tlv(0x18, b"99991231235959Z"))
    pool.full(d.certificate(validity=validity), numbered(1))
    whole = judge(facts_of(written(tmp_path, pool.flows))).complete()
    (row,) = to_polars(whole, "certificates").select(pl.col("not_before", "not_after").dt.to_string()).rows()
    assert [moment[:19].replace("T", " ") for moment in row] == ["1950-01-01 00:00:00", "9999-12-31 23:59:59"]


def test_a_table_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="there is no table rows") as error:
        to_arrow(document("both-legs"), "rows")  # type: ignore[arg-type]
    assert error.value.hint == f"there are {', '.join(TABLES)}"


@pytest.mark.parametrize(("missing", "spoken"), [("pyarrow", "PyArrow"), ("polars", "Polars")])
def test_without_the_extra_one_clear_error_names_it(missing: str, spoken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=f"tables for notebooks need {spoken}, which is not installed") as error:
        to_polars(document("both-legs"))
    assert error.value.hint == "pip install 'vip-inspector[notebook]'"


def test_every_table_is_named_where_it_is_looked_for() -> None:
    page = LIBRARY.read_text(encoding="utf-8")
    assert not [table for table in TABLES if f"`{table}`" not in page]
