"""A pool as attributes × back ends: who has what, who is odd, since when; and as a table that fits any width."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.document import Document, MemberAttribute, Service
from inspector.reports import attributes
from inspector.reports.lines import plain
from inspector.text.zones import UTC
from tests.build import Pool, certificate, document_of, numbered, written
from tests.odd_pools import (
    PLANTED,
    Caller,
    Recording,
    after_a_change,
    clean,
    planted,
    pool_of,
    without_intermediate,
)
from tests.test_report import analysis_of


def only(document: Document) -> Service:
    (service,) = document.services
    return service


def row(service: Service, attribute: str) -> MemberAttribute:
    (found,) = [each for each in service.attributes if each.attribute == attribute]
    return found


def text(document: Document, width: int = 100) -> str:
    lines = attributes.table_lines(document, only(document), UTC, width)
    assert all(len(plain(line)) <= width for line in lines)
    return "\n".join(map(plain, lines))


def labels(document: Document, backends: list[str]) -> str:
    return "".join(b.label for b in document.backends if b.id in backends)


def test_the_odd_one_stands_first_with_its_failures(tmp_path: Path) -> None:
    document = document_of(without_intermediate(tmp_path))
    service = only(document)
    chain = service.attributes[0]
    assert (chain.attribute, chain.differs) == ("chain", True)
    odd, common = chain.values
    assert (odd.odd, labels(document, odd.backends), odd.connections) == (True, "B", 8)
    assert (common.odd, labels(document, common.backends), common.connections) == (False, "AC", 16)
    assert chain.finding in {f.id for f in document.findings if f.rule == "handshake-failed"}
    assert "✖ no intermediate certificate: 8 of 8 failed" in text(document)
    assert "Intermediate: 0 of 16 failed" in text(document)


@pytest.mark.parametrize("attribute", PLANTED)
def test_each_planted_difference_has_its_row(attribute: str, tmp_path: Path) -> None:
    document, _ = planted(attribute, 1, tmp_path, size=4)
    service = only(document)
    differing = [each for each in service.attributes if each.differs]
    assert [each.attribute for each in differing] == [attribute]
    assert differing[0].finding is not None
    assert sum(value.odd for value in differing[0].values) == 1
    assert attributes.MIXED not in text(document)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_differs_in_a_clean_pool(seed: int, tmp_path: Path) -> None:
    document = clean(seed, tmp_path, size=4, connections=80)
    service = only(document)
    assert not attributes.differing(service)
    assert not attributes.table_lines(document, service, UTC)
    assert all(not value.odd for each in service.attributes for value in each.values)


def test_what_a_back_end_shows_since_a_change(tmp_path: Path) -> None:
    document = document_of(after_a_change(tmp_path))
    ems = row(only(document), "ems")
    (change,) = ems.changes
    assert labels(document, [change.backend]) == "B"
    assert change.value == "no EMS"
    first = min(s for f in document.findings if f.about is not None and (s := f.about.since))
    assert change.at == first
    assert f"▲ no EMS, since {change.at[11:19]}" in text(document)


def test_who_is_not_visible_is_not_named(tmp_path: Path) -> None:
    document, _ = planted("reachability", 1, tmp_path, size=3)
    reachability = row(only(document), "reachability")
    odd, common = reachability.values
    assert not odd.backends
    assert odd.unplaced == odd.connections == 5
    assert len(common.backends) == len(document.backends)
    assert text(document).splitlines()[0].split()[:2] == ["DIFFERS", "?"]


def test_failures_that_only_happen_there_are_no_mark_of_a_difference(tmp_path: Path) -> None:
    """One client distrusts everybody: the member that has other suites is odd, but nothing fails because of that."""
    recording = Recording(random.Random(5))
    members = pool_of(3)
    members[1] = replace(members[1], suite=b"\xc0\x2f")
    for number in range(60):
        caller = Caller("10.0.0.99", distrusts=True) if number % 10 == 0 else Caller("10.0.0.12")
        recording.call(caller, members[number % 3])
    document = document_of(written(tmp_path, recording.flows))
    assert "▲ TLS_ECDHE" in text(document)
    assert "✖ TLS_ECDHE" not in text(document)
    assert "failed" in text(document).splitlines()[-1]


def test_a_large_pool_takes_two_columns(tmp_path: Path) -> None:
    document = document_of(without_intermediate(tmp_path, size=20))
    head, *body = attributes.table_rows(document, only(document), UTC)
    assert len(head) == 3
    assert "and 15 more" in plain(head[2])
    assert len(body) == 1


@pytest.mark.parametrize("width", [40, 56, 78, 110, 158])
def test_it_fits(width: int, tmp_path: Path) -> None:
    for attribute in ("cipher", "latency", "client_authorities"):
        document, _ = planted(attribute, 2, tmp_path, size=3)
        assert "▲" in text(document, width) or "✖" in text(document, width)


def test_one_back_end_is_held_against_nobody(tmp_path: Path) -> None:
    pool = Pool()
    for number in range(6):
        pool.full(certificate("db1", ("db1.example.com",)), numbered(number + 1))
    assert not only(document_of(written(tmp_path, pool.flows))).attributes


def test_a_key_that_only_one_has_is_odd_and_keys_of_their_own_are_not(tmp_path: Path) -> None:
    leaves = [certificate(f"db{n}", (f"db{n}.example.com",), issuer="X" if n == 2 else "Y") for n in range(4)]
    pool = Pool()
    for number in range(16):
        pool.full(leaves[number % 4], numbered(number + 1))
    document = document_of(written(tmp_path, pool.flows))
    issuer = row(only(document), "issuer")
    assert [(v.value, v.odd) for v in issuer.values] == [("X", True), ("Y", False)]
    assert not row(only(document), "key").differs


def test_times_and_shares_are_told_and_make_no_difference(tmp_path: Path) -> None:
    recording = Recording(random.Random(6))
    for number in range(30):
        recording.call(Caller("10.0.0.12"), pool_of(2)[number % 2])
    document = document_of(written(tmp_path, recording.flows))
    service = only(document)
    measured = attributes.measured(document, service)
    assert any(part.startswith("first answer A ") for part in measured)
    assert all(not each.differs for each in service.attributes)


def test_names_from_the_wire_are_escaped(tmp_path: Path) -> None:
    members = pool_of(3)
    members[1] = replace(members[1], behind=(certificate("evil\x1b[2J", issuer="Root", is_authority=True),))
    recording = Recording(random.Random(7))
    for number in range(24):
        recording.call(Caller("10.0.0.12"), members[number % 3])
    document = document_of(written(tmp_path, recording.flows))
    assert "\x1b" not in text(document)
    assert "evil" in text(document)


def test_the_report_has_the_table_and_the_drawing(tmp_path: Path) -> None:
    path = after_a_change(tmp_path)
    bundle = write_bundle(analysis_of(path), str(tmp_path / "report"), BundleRequest([str(path)]))
    markdown = (bundle.directory / "report.md").read_text(encoding="utf-8")
    page = (bundle.directory / "report.html").read_text(encoding="utf-8")
    assert "| EMS | ▲ no EMS, since" in markdown
    assert "EMS: no EMS" in markdown
    assert 'aria-label="Each back end over time"' in page
    assert "<th>DIFFERS</th>" in page
