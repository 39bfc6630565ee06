"""The lines of ``watch`` as events of the Elastic Common Schema and as Zeek's logs: ours, in another form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inspector.cli.live import LINE_FORMATS
from inspector.live.outputs.line_forms import LINE_FORMS
from tests.conftest import find
from tests.live import bytes_of
from tests.test_ecs import assert_of_the_schema
from tests.test_terminal_bytes import hostile_capture, run, shown
from tests.test_zeek_logs import published

CAPTURES = ("both-legs", "ipv6", "mutual-tls", "silent-abort", "tls13")


def test_the_option_has_a_form_for_each_name() -> None:
    assert tuple(LINE_FORMS) == LINE_FORMATS


def lines_of(data: bytes, form: str) -> list[dict[str, Any]]:
    out, err = run("watch", "-Z", "root", "--no-journal", "-T", form, "-", data=data)
    shown(err)
    return [json.loads(line) for line in shown(out).splitlines()]


@pytest.mark.parametrize("name", CAPTURES)
def test_ecs(name: str) -> None:
    data = bytes_of(find(name))
    ours, events = lines_of(data, "jsonl"), lines_of(data, "ecs")
    datasets = [event["event"]["dataset"] for event in events]
    assert sorted(datasets) == sorted(f"inspector.{line['record']}" for line in ours)
    for event in events:
        assert_of_the_schema(event)
    kinds = {event["event"]["dataset"]: event["event"]["kind"] for event in events}
    assert kinds["inspector.statistics"] == "metric"
    assert kinds["inspector.connection"] == "event"
    assert {kinds[name] for name in kinds if name in ("inspector.finding", "inspector.incident")} <= {"alert"}


@pytest.mark.parametrize("name", CAPTURES)
def test_zeek(name: str) -> None:
    data = bytes_of(find(name))
    ours, rows = lines_of(data, "jsonl"), lines_of(data, "zeek")
    count = {path: sum(row["_path"] == path for row in rows) for path in {row["_path"] for row in rows}}
    records = [line["record"] for line in ours]
    assert count["ssl"] == records.count("connection")
    assert count.get("notice", 0) == records.count("finding")
    assert count["inspector_statistics"] == records.count("statistics")
    assert count["conn"] == sum(1 + len(line["legs"]) for line in ours if line["record"] == "connection")
    for row in rows:
        names = {column.name for column in published().get(row["_path"], ())}
        if names:
            assert {field for field in row if not field.startswith("inspector.")} <= {"_path", *names}
    shown_certificates = [(r["fingerprint"], r["host_cert"], r["client_cert"]) for r in rows if r["_path"] == "x509"]
    assert len(shown_certificates) == len(set(shown_certificates))


@pytest.mark.parametrize("form", LINE_FORMATS)
def test_hostile_names(form: str) -> None:
    assert lines_of(hostile_capture(), form)
