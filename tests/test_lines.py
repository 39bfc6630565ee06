"""Lines of reports: pieces of text that carry their kind, so that no text is looked into for it."""

from __future__ import annotations

from pathlib import Path

from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.reports import overview
from inspector.reports.lines import Cell, columns, marked, plain, table
from tests.build import Pool, certificate, facts_of, numbered, written


def test_a_mark_alone_has_its_kind() -> None:
    lines = marked(("✖", "bad"), "one ✖ 2 three four", "  ", "    ", 12)
    assert lines == [[("  ", ""), ("✖", "bad"), (" one ✖ 2", "")], [("    three", "")], [("    four", "")]]


def test_columns_keep_the_kinds_of_their_cells() -> None:
    rows: list[list[Cell]] = [["a", "number"], ["longer", [("✖ 3", "bad"), (" of 4", "")]]]
    assert columns(rows, right=(1,)) == [
        [("a         number", "")],
        [("longer  ", ""), ("✖ 3", "bad"), (" of 4", "")],
    ]
    assert table([(plain(a), plain(b)) for a, b in rows], right=(1,)) == ["  a         number", "  longer  ✖ 3 of 4"]


def test_names_from_the_wire_choose_no_colour(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(certificate("✖ 3 ● 2", ("puppetdb1.example.com",)), numbered(1))
    analysis = judge(facts_of(written(tmp_path, pool.flows)), Options())
    [service] = analysis.document.services
    head, member, total = overview.pool(analysis.document, service)
    assert [kind for _, kind in head] == ["head"]
    assert "✖ 3 ● 2" in plain(member)
    assert {kind for _, kind in [*member, *total]} == {""}
