"""What SECURITY.md and the reference of live capture promise: each line names the test that holds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SECURITY = TESTS.parent / "SECURITY.md"
LIVE = TESTS.parent / "docs" / "reference" / "live.md"
NAME = re.compile(r"`(test_[a-z0-9_]+\.py)`")
NO_PROMISES = ("|---", "| what they cannot do")


def rows_of(page: Path) -> list[str]:
    """The rows of the tables of a page."""
    return [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]


@pytest.mark.parametrize("page", [SECURITY, LIVE], ids=lambda page: page.name)
def test_each_promise_names_a_test_that_is_there(page: Path) -> None:
    named = [name for row in rows_of(page) for name in NAME.findall(row)]
    assert named
    for name in named:
        assert (TESTS / name).is_file(), f"{page.name}: {name}"


def test_no_promise_is_without_one() -> None:
    promises = [row for row in rows_of(SECURITY) if not row.startswith(NO_PROMISES)]
    assert promises
    assert [row for row in promises if not NAME.search(row)] == []
