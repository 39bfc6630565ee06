"""Lines of ``watch`` that go to the system's journal have their level; all others have none."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from inspector.live.outputs import lines as lines_module, survey
from inspector.live.outputs.severities import CONNECTION_LEVEL, LEVELS, goes_to_journal
from tests.build import capture
from tests.live import WATCH
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS

KIND = re.compile(r'(?:_plain|_line|Surveyed)\(\s*"(\w+)"')


def watched(output: Path, stream: str, *options: str) -> list[str]:
    """The lines that are written to a file which a service manager may have connected to the journal."""
    with output.open("wb") as out:
        subprocess.run(
            [*WATCH, "--no-journal", *options, "-"],
            input=capture(fault(2).flows),
            stdout=out,
            env={**os.environ, "JOURNAL_STREAM": stream},
            timeout=COMMAND_SECONDS,
            check=True,
        )
    return output.read_text().splitlines()


@pytest.mark.parametrize("form", ["jsonl", "ecs", "zeek"])
def test_levels_stand_before_lines_for_the_journal(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    path.touch()
    status = path.stat()
    told = watched(path, f"{status.st_dev}:{status.st_ino}", "-T", form)
    levels = {int(line[1]) for line in told if re.match(r"<\d>{", line)}
    assert len(told) > 10
    assert all(json.loads(line[3:]) for line in told)
    assert levels >= {4, 5, 6, CONNECTION_LEVEL}
    if form == "jsonl":
        assert all(json.loads(line[3:])["record"] == "incident" for line in told if line.startswith("<4>"))


def test_others_have_none(tmp_path: Path) -> None:
    for stream in ("", "1:2"):
        assert all(line.startswith("{") for line in watched(tmp_path / "out", stream))


def test_each_kind_of_line_has_a_level() -> None:
    kinds = {kind for module in (lines_module, survey) for kind in KIND.findall(inspect.getsource(module))}
    assert len(kinds) > 5
    assert kinds - {"connection"} <= set(LEVELS)


def test_a_closed_output_is_no_journal() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    assert not goes_to_journal(writing, {"JOURNAL_STREAM": "1:2"})
