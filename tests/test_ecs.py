"""Events of the Elastic Common Schema, held against the list of fields that Elastic publishes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from inspector.document import Connection
from inspector.facts import PackedEndpoint
from inspector.findings.judge import Analysis, judge
from inspector.reports import pooled_lines
from inspector.reports.community_id import community_id
from inspector.reports.ecs.analysis import write_ecs
from tests import der as d
from tests.build import CHANGE, FINISHED, Flow, Pool, facts_of, numbered, record, server_hello, written
from tests.conftest import bundled
from tests.test_terminal_bytes import RAISED

PUBLISHED = Path(__file__).parent / "published" / "ecs_fields.csv"
REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "collectors.md"

TYPES: dict[str, type] = {"keyword": str, "match_only_text": str, "date": str, "ip": str, "long": int, "boolean": bool}
KINDS = {"alert", "event", "metric", "state"}
NETWORK_TYPES = {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}
"""What the schema expects of ``event.type`` where the category is ``network``."""

CAPTURES = (
    "both-legs",
    "ipv6",
    "mutual-tls",
    "puppet-session-ids",
    "puppet-tls13",
    "renegotiations",
    "silent-abort",
    "tickets",
    "tls10",
    "tls13",
    "tls13-inside",
    "untrusted-ca",
    "health-checks",
    "odd-authorities-tls13",
)


@lru_cache
def published() -> dict[str, tuple[str, bool]]:
    """Type, and whether it is an array, by name."""
    lines = [line for line in PUBLISHED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {row["field"]: (row["type"], row["normalization"] == "array") for row in csv.DictReader(lines)}


def events(analysis: Analysis, processes: int = 1) -> list[dict[str, Any]]:
    out = io.BytesIO()
    write_ecs(analysis, None, out, processes)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def connections(analysis: Analysis) -> list[dict[str, Any]]:
    return [e for e in events(analysis) if e["event"]["dataset"] == "inspector.connection"]


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Fields with their values; lists are values."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


def assert_of_the_schema(event: dict[str, Any]) -> None:
    """Each field is published, or ours, and of its type; nothing is null or empty; the categories are allowed."""
    for path, value in leaves({name: inner for name, inner in event.items() if name != "inspector"}):
        assert path in published(), path
        kind, is_array = published()[path]
        values = value if isinstance(value, list) else [value]
        assert isinstance(value, list) == is_array, path
        assert values, path
        for one in values:
            assert type(one) is TYPES[kind], (path, one)
            if kind == "ip":
                ip_address(str(one))
            if kind == "date":
                datetime.fromisoformat(str(one)[:26])
                assert str(one).endswith("Z")
    assert event["event"]["kind"] in KINDS
    assert event["ecs"]["version"]
    assert set(event["event"].get("type", ())) <= NETWORK_TYPES
    assert event["event"].get("outcome", "unknown") in ("success", "failure", "unknown")


@pytest.mark.parametrize("name", CAPTURES)
def test_each_field_is_published_or_ours(name: str) -> None:
    analysis = bundled(name)
    written_events = events(analysis)
    assert len(written_events) == analysis.count + len(analysis.document.findings) + len(analysis.document.incidents)
    for event in written_events:
        assert_of_the_schema(event)


def test_what_is_no_field_is_noticed() -> None:
    event = events(bundled("tls10"))[-1]
    for name, value in (("tls", {"suite": "x"}), ("source", {"port": "1"}), ("related", {"ip": "10.0.0.1"})):
        with pytest.raises(AssertionError):
            assert_of_the_schema({**event, name: value})


def test_ours_are_those_that_the_reference_lists() -> None:
    """Of connections; each is in some bundled capture."""
    listed = set(re.findall(r"^\| `inspector\.connection\.([a-z0-9_.]+)`", REFERENCE.read_text("utf-8"), re.MULTILINE))
    ours: set[str] = set()
    for name in CAPTURES:
        for event in connections(bundled(name)):
            ours |= set(event["inspector"]["connection"])
    assert listed - {"preamble"} == ours - {"preamble"}
    assert "preamble" in listed


OUTCOMES = {"established": "success", "aborted": "failure", "incomplete": "unknown"}


@pytest.mark.parametrize("name", CAPTURES)
def test_it_says_what_the_document_says(name: str) -> None:
    analysis = bundled(name)
    rows: list[Connection] = list(analysis.connections())
    for event, row in zip(connections(analysis), rows, strict=True):
        h = row.handshakes[0]
        tls, ours = event["tls"], event["inspector"]["connection"]
        assert event["@timestamp"] == event["event"]["start"] == row.first_seen
        assert event["event"]["end"] == row.last_seen
        assert event["event"]["outcome"] == OUTCOMES[row.outcome]
        assert event["event"]["id"] == ours["id"] == row.id
        assert (event["client"]["ip"], event["client"]["port"]) == (row.client_endpoint.ip, row.client_endpoint.port)
        assert (event["server"]["ip"], event["server"]["port"]) == (row.server_endpoint.ip, row.server_endpoint.port)
        assert (event["source"]["bytes"], event["destination"]["bytes"]) == (row.bytes.client, row.bytes.server)
        assert tls.get("cipher") == (h.cipher.name if h.cipher else None)
        assert tls.get("resumed") == (None if h.kind is None else h.kind != "full")
        assert tls.get("client", {}).get("server_name") == h.server_name
        assert tls.get("client", {}).get("ja3") == h.ja3
        assert tls.get("server", {}).get("hash", {}).get("sha256", "") == "".join(h.server_chain[:1]).upper()
        assert ours["java_verdict"] == h.jsse.verdict
        assert len(ours.get("renegotiations", ())) == len(row.handshakes) - 1


VERSIONS = {
    "tls10": {("tls", "1.0")},
    "tls13": {("tls", "1.3")},
    "silent-abort": {("tls", "1.2")},
}


@pytest.mark.parametrize("name", VERSIONS)
def test_versions(name: str) -> None:
    versions = {(e["tls"].get("version_protocol"), e["tls"].get("version")) for e in connections(bundled(name))}
    assert VERSIONS[name] <= versions <= {*VERSIONS[name], (None, None)}


def test_addresses_are_of_their_kind() -> None:
    assert {e["network"]["type"] for e in connections(bundled("ipv6"))} == {"ipv6"}
    assert {e["network"]["type"] for e in connections(bundled("tls10"))} == {"ipv4"}


def test_both_legs_of_a_balancer_are_one_event() -> None:
    for event in connections(bundled("both-legs")):
        (leg,) = event["inspector"]["connection"]["legs"]
        assert event["source"]["nat"] == leg["client"]
        assert event["destination"]["nat"] == leg["server"]
        assert leg["server"]["ip"] in event["related"]["ip"]
        assert "nat" not in event["server"]


def test_certificates_of_both_sides() -> None:
    event = next(e for e in connections(bundled("mutual-tls")) if "subject" in e["tls"].get("client", {}))
    for side in (event["tls"]["client"], event["tls"]["server"]):
        x509 = side["x509"]
        assert side["subject"] == x509["subject"]["distinguished_name"]
        assert f"CN={x509['subject']['common_name'][0]}" in side["subject"]
        assert (side["not_before"], side["not_after"]) == (x509["not_before"], x509["not_after"])
        assert re.fullmatch(r"[0-9A-F]+", x509["serial_number"])
        assert (x509["public_key_algorithm"], x509["public_key_size"]) == ("RSA", 2048)
        assert x509["signature_algorithm"] == "sha256WithRSAEncryption"


def test_a_finding_is_an_alert(tmp_path: Path) -> None:
    analysis = bundled("silent-abort")
    alerts = [e for e in events(analysis) if e["event"]["kind"] == "alert"]
    by_id = {e["event"]["id"]: e for e in alerts if e["event"]["dataset"] == "inspector.finding"}
    for finding in analysis.document.findings:
        event = by_id[finding.id]
        assert event["message"] == finding.title
        assert event["rule"]["name"] == finding.rule
        assert event["event"]["severity"] == {"high": 73, "medium": 47, "low": 21, "info": 0}[finding.severity]
        assert event["inspector"]["finding"]["names"]["service"]
    incidents = [e for e in alerts if e["event"]["dataset"] == "inspector.incident"]
    assert [e["message"] for e in incidents] == [i.summary for i in analysis.document.incidents] != []


def aborted(pool: Pool) -> None:
    pool.given_up(d.certificate(), numbered(1))


def incomplete(pool: Pool) -> None:
    pool.flows.append(Flow(40_009, pool.ns).open().client_says(record(22, b"\x01\x00\x01\x00" + bytes(20))))


def answered_only(pool: Pool) -> None:
    flow = Flow(40_010, pool.ns)
    flow.server_says(record(22, server_hello(numbered(7), numbered(8))), CHANGE, FINISHED)
    pool.flows.append(flow)


SHAPES = {
    "aborted": (aborted, "failure", False),
    "incomplete": (incomplete, "unknown", None),
    "answered only": (answered_only, "unknown", None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_not_known_is_not_there(shape: str, tmp_path: Path) -> None:
    build, outcome, established = SHAPES[shape]
    pool = Pool()
    build(pool)
    for event in connections(judge(facts_of(written(tmp_path, pool.flows)))):
        assert_of_the_schema(event)
        assert event["event"]["outcome"] == outcome
        assert event["tls"].get("established") is established


def test_hostile_names_keep_their_value(tmp_path: Path) -> None:
    pool = Pool(name="sni\x1b[31m.example.com")
    der = d.certificate(d.names(d.dns("b.example.com")), subject=d.common_name(f"b{RAISED}"))
    pool.full(der, numbered(1))
    (event,) = connections(judge(facts_of(written(tmp_path, pool.flows))))
    assert_of_the_schema(event)
    assert event["tls"]["client"]["server_name"] == "sni\x1b[31m.example.com"
    assert event["tls"]["server"]["x509"]["subject"]["common_name"] == [f"b{RAISED}"]


def test_several_cores_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_lines, "CHUNK", 3)
    analysis = bundled("puppet-session-ids")
    assert events(analysis, 3) == events(analysis, 1)


FLOWS = {
    ("128.232.110.120", 34855, "66.35.250.204", 80): "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
    ("fe80::219:e3ff:fee7:5d23", 5353, "2001:db8::1", 8081): "1:EX++9vUIMu/jripQyF8ZskB9OXw=",
    ("10.0.0.1", 11, "10.0.0.1", 10): "1:rn3uVMy07GRldneZs+okbZAwWcU=",
}


@pytest.mark.parametrize("flow", FLOWS)
def test_community_ids(flow: tuple[str, int, str, int]) -> None:
    """The first is the specification's own example; the others are by its reference implementation."""
    client, server = (
        PackedEndpoint(ip_address(flow[0]).packed, flow[1]),
        PackedEndpoint(ip_address(flow[2]).packed, flow[3]),
    )
    assert community_id(client, server) == community_id(server, client) == FLOWS[flow]
