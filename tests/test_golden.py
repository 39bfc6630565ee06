"""Each bundled capture has its whole text analysis beside it. ``pytest --update-golden`` writes them anew; read the
difference before you keep it.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from inspector.reports.text import write_text
from tests.conftest import CAPTURES, bundled, find

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(p.name.split(".")[0] for p in CAPTURES.glob("*.pcap*"))


@pytest.mark.parametrize("name", NAMES)
def test_text_analysis(name: str, request: pytest.FixtureRequest) -> None:
    out = io.StringIO()
    write_text(bundled(name), None, out)
    found = out.getvalue().replace(str(find(name)), f"captures/{find(name).name}")
    golden = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def described() -> list[tuple[str, str, str]]:
    """File, expected state and aborts from the table in captures/README.md."""
    rows = re.findall(
        r"^\| `([a-z0-9-]+)\.pcap[^`]*` \|[^|]*\| ([a-z_]+) \| (\d+) \|",
        (CAPTURES / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == len(NAMES)
    return rows


@pytest.mark.parametrize(("name", "state", "aborted"), described() if (CAPTURES / "README.md").exists() else [])
def test_captures_are_what_their_readme_says(name: str, state: str, aborted: str) -> None:
    document = bundled(name).document
    largest = max(document.services, key=lambda s: s.connections)
    assert largest.assessment.state == state
    assert sum(f.rule == "certificate-change-abort" and f.verdict == "confirmed" for f in document.findings) == int(
        aborted
    )
    assert len(document.incidents) == int(aborted)
