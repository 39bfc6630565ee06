"""What is told of measured coverage."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import branches
from tests.branches import LEAST, main, not_taken, shares


def of_file(lines: tuple[int, int], ways: tuple[int, int], **missing: Any) -> dict[str, Any]:
    summary = dict(zip(branches.COUNTED, (*lines, *ways), strict=True))
    return {"summary": summary, "missing_lines": [], "missing_branches": []} | missing


REPORT = {
    "files": {
        "inspector/tls/reader.py": of_file(
            (90, 100), (9, 10), missing_lines=[7], missing_branches=[[5, 7], [9, -1], [12, 9]]
        ),
        "inspector/tls/x509/der.py": of_file((100, 100), (10, 10)),
        "inspector/logs/stamps.py": of_file((100, 100), (0, 0)),
        "inspector/query/sorting.py": of_file((0, 9), (0, 2), missing_lines=[*range(9)]),
        "inspector/bounds.py": of_file((0, 0), (0, 0)),
    }
}


def test_shares_are_of_rooms() -> None:
    assert shares(REPORT) == {"bounds": (0, 1), "logs": (1, 1), "query": (0, 0), "tls": (0.95, 0.95)}
    assert list(not_taken(REPORT, LEAST)) == ["inspector/tls/reader.py: 7, 9 to its end, 12 to 9"]
    assert list(not_taken(REPORT, ("logs", "query"))) == ["inspector/query/sorting.py: nothing of it"]


@pytest.mark.parametrize(("rooms", "status"), [(["logs"], 0), (["tls", "logs"], 0), (["wire"], 1), ([], 1)])
def test_a_room_that_was_not_measured_has_too_few(
    rooms: list[str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(REPORT))
    monkeypatch.setattr(branches, "REPORT", path)
    monkeypatch.setattr(subprocess, "run", lambda *words, check: None)
    assert main(rooms) == status
    told = capsys.readouterr().out
    assert "tls               95.0% of lines  95.0% of branches\n" in told
    assert ("no test takes inspector/tls/reader.py: 7" in told) == (rooms != ["logs"] and rooms != ["wire"])
