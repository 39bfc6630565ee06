"""Names of any script and width keep every column and border in its cell: in tables, on screens, in reports."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.findings.judge import judge
from inspector.reports.lines import columns, flowing, plain, wrap
from inspector.reports.text import write_text
from inspector.text.cells import cell_count, cut, is_settled, left_aligned, right_aligned
from inspector.text.safe import safe_cell, safe_text
from inspector.tui.output_filter import GLYPHS, OutputFilter
from tests.app import WAYS, app_of, home, loaded, pressed, shown
from tests.build import Pool, certificate, facts_of, numbered, written

NAMES = {
    "wide": "日本電気株式会社データベース",
    "full width": "ＰｕｐｐｅｔＤＢ",
    "combining": "Zu\u0308rich" + "e\u0301\u0302\u0303" * 4,
    "Zalgo": "p" + "\u0335\u0321\u0353" * 9 + "q",
    "emoji": "👩\u200d👩\u200d👧\u200d👦🇩🇪👍🏽❤\ufe0f1\ufe0f\u20e3",
    "from right to left": "שלום 42 العربية",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\u115f\u3164",
    "bidi": "\u202eabc\u2066def\u2069",
    "variations": "㊗\ufe0e☁\ufe0f葛\U000e0100",
    "Indic": "क्षत्रिय கொ ทำ",
    "jamo": "\u1112\u1161\u11ab",
    "spaces": "a\u00a0b\u3000c\u2003d\u2028e",
    "ligatures": "ﷺ﷽",
}
ANY = st.one_of(st.text(max_size=40), st.sampled_from(sorted(NAMES.values()))).map(safe_text)


def test_what_passes_is_as_wide_as_textual_takes_it_for() -> None:
    passing = [c for c in map(chr, range(sys.maxunicode + 1)) if is_settled(c)]
    assert len(passing) > 100_000
    assert [c for c in passing if cell_len(c) != cell_count(c)] == []
    assert all(map(is_settled, "".join(GLYPHS)))


@given(ANY, ANY)
def test_characters_that_pass_do_not_join(one: str, other: str) -> None:
    assert cell_len(one + other) == cell_count(one + other) == cell_count(one) + cell_count(other)


@given(ANY, st.integers(0, 40))
def test_fitted(text: str, room: int) -> None:
    for aligned in (left_aligned, right_aligned):
        assert cell_count(aligned(cut(text, room), room)) == room
    assert cut(text, cell_count(text)) == text


@given(st.one_of(st.text(max_size=60), st.sampled_from(sorted(NAMES.values()))), st.integers(1, 40))
def test_escapes_take_no_more_room(text: str, room: int) -> None:
    cell = safe_cell(text, room)
    assert cell_count(cell) <= room
    assert cell == safe_text(text) or cell.endswith("…")


@given(st.lists(st.tuples(ANY, ANY), min_size=1, max_size=8))
def test_columns_of_tables(rows: list[tuple[str, str]]) -> None:
    lines = [plain(line) for line in columns([(a, "|", b, "|") for a, b in rows])]
    assert len({cell_count(line) for line in lines}) == 1
    edge = max(cell_count(a) for a, _ in rows) + 2
    for line in lines:
        assert cell_count(line[: _at(line, edge)]) == edge
        assert line[_at(line, edge)] == "|"


def _at(line: str, cell: int) -> int:
    """The index of the character that begins in a cell."""
    return next(index for index in range(len(line) + 1) if cell_count(line[:index]) >= cell)


@given(st.lists(ANY, min_size=1, max_size=30), st.integers(20, 60))
def test_lines_are_no_longer_than_they_may_be(words: list[str], width: int) -> None:
    short = [cut(word.replace(" ", "_"), width - 6) for word in words]
    for line in (*wrap(" ".join(short), "  ", "    ", width), *flowing(short, "  ", width)):
        assert cell_count(line) <= width
    assert "".join(wrap(" ".join(short), "", "", width)).replace(" ", "") == "".join(short).replace(" ", "")


def test_the_last_filter_keeps_cells() -> None:
    from rich.segment import Segment
    from textual.color import Color

    for only_ascii in (False, True):
        for name in NAMES.values():
            passed = OutputFilter(only_ascii).apply([Segment(name)], Color(0, 0, 0))[0].text
            assert all(map(is_settled, passed))
            if name.isprintable() or "\u200d" in name:
                assert cell_count(passed) == cell_len(name), name


def named_so(folder: Path) -> Path:
    """Each kind of name as server name, subject, issuer and alternative name."""
    flows = []
    for number, name in enumerate(NAMES.values()):
        pool = Pool(
            name=name.encode().decode("latin-1"),
            port=10_000 + number * 50,
            ns=1_795_000_000_000_000_000 + number * 10**9,
        )
        a = certificate(name[:40], (f"a{number}.example.com",), issuer=f"i{name}"[:40])
        b = certificate(f"b{name}"[:40], (f"b{number}.example.com",))
        session = numbered(number << 8 | 1)
        pool.full(a, session)
        pool.resumed(session)
        pool.given_up(b, numbered(number << 8 | 2), session)
        flows += pool.flows
    return written(folder, flows)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_screens(tmp_path: Path, size: tuple[int, int]) -> None:
    """Of every screen each line is as wide as the terminal, however that counts."""

    async def drive() -> None:
        app = app_of(named_so(tmp_path))
        async with app.run_test(size=size) as pilot:
            await loaded(pilot)
            for way, keys in WAYS.items():
                await home(pilot)
                await pressed(pilot, "a", *keys)
                for line in shown(app).split("\n"):
                    assert all(map(is_settled, line)), (way, line)
                    assert cell_count(line) == size[0], (way, line)
                await pressed(pilot, "escape")

    asyncio.run(drive())


def test_reports(tmp_path: Path) -> None:
    path = named_so(tmp_path)
    analysis = judge(facts_of(path))
    text = tmp_path / "report.txt"
    with text.open("w", encoding="utf-8") as out:
        write_text(analysis, None, out)
    bundle = write_bundle(analysis, str(tmp_path / "report"), BundleRequest([str(path)], command=["inspector"]))
    for report in (text, bundle.directory / "report.md", bundle.directory / "report.html"):
        for line in report.read_text(encoding="utf-8").splitlines():
            assert all(is_settled(c) for c in line if c not in "\t\u00a0"), (report.name, line)
    tables = re.findall(r"(?m)^(  POOL .*\n(?:  .+\n)+)", text.read_text(encoding="utf-8"))
    assert len(tables) >= len(NAMES) - 1
    for table in tables:
        lines = table.rstrip("\n").split("\n")
        assert lines[0].endswith("declined")  # aligned at the right, so that all lines end with it
        assert len({cell_count(line) for line in lines}) == 1, table
