"""Reports from the app: the same numbers on the screen, in the report and in the JSON; about one incident where one is
shown; redacted.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from inspector.bundle.verify import verify
from inspector.findings.case import Options
from inspector.settings import Settings
from inspector.text.zones import zone_named
from inspector.tui.app import InspectorApp
from inspector.tui.dialogs.ask import Ask
from tests.app import app_of, loaded, pressed, shown, then, until
from tests.conftest import CAPTURES, find
from tests.test_report import SIX


async def wrote(pilot: Pilot[Any], folder: Path) -> None:
    """Wait until the report lies there."""
    await until(pilot, (folder / "MANIFEST.json").exists)
    await pilot.app.workers.wait_for_complete()


@pytest.mark.parametrize("name", SIX)
async def test_numbers_on_the_screen_are_those_of_the_report(name: str, tmp_path: Path) -> None:
    logs = tuple(str(p) for p in CAPTURES.glob(f"{name}.*.log.gz"))
    app = InspectorApp([str(find(name))], Options(logs=logs))
    folder = tmp_path / "report"
    async with app.run_test(size=(150, 50)) as pilot:
        await then("2")(pilot)
        screen = shown(app)
        await pressed(pilot, "e", "enter", "ctrl+u", *str(folder), "enter")
        await wrote(pilot, folder)
        assert "frames of evidence" in str([n.message for n in app._notifications])
    assert verify(str(folder)).problems == []
    [service] = json.loads((folder / "analysis.json").read_bytes())["services"][:1]
    markdown = (folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    numbers = [service["full"], service["resumed"], service["aborted"], service["other"]]
    on_screen = re.search(r"^\W*all +(\d+) +(\d+) +(\d+) +(\d+) +\d+", screen, re.MULTILINE)
    assert on_screen, screen
    assert [int(n) for n in on_screen.groups()] == numbers
    in_report = re.search(r"^\| all \|(?:  \|){5} (\d+) \| (\d+) \| (\d+) \| (\d+) \|", markdown, re.MULTILINE)
    assert in_report, markdown[:3000]
    assert [int(n) for n in in_report.groups()] == numbers
    sentence = service["assessment"]["sentence"]
    assert sentence.split(":")[0] in screen
    assert sentence in markdown


async def test_a_report_is_in_the_zone_of_the_app(tmp_path: Path) -> None:
    app = app_of(find("silent-abort"), settings=Settings(zone=zone_named("Asia/Kolkata")))
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pressed(pilot, "e", "enter", "ctrl+u", *str(tmp_path / "report"), "enter")
        await wrote(pilot, tmp_path / "report")
    assert "all times Asia/Kolkata" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


async def test_a_report_about_the_incident_that_is_shown(tmp_path: Path) -> None:
    app = app_of(find("puppet-session-ids"))
    folder = tmp_path / "one"
    async with app.run_test(size=(120, 40)) as pilot:
        await then("2", "enter", "n", "n")(pilot)
        await pressed(pilot, "e", "enter")
        assert "Report on this incident" in shown(app)
        await pressed(pilot, "ctrl+u", *str(folder), "enter")
        await wrote(pilot, folder)
    document = json.loads((folder / "analysis.json").read_bytes())
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "about 1 of 23 incidents" in text
    assert document["incidents"][2]["id"] in text
    assert document["incidents"][0]["id"] not in text


async def test_a_redacted_report_and_folders_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path would break what is said of it into lines
    app = app_of(find("silent-abort"), settings=Settings(zone=zone_named("Asia/Kolkata")))
    folder = tmp_path / "redacted"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pressed(pilot, "e", "down", "enter", "ctrl+u", *"full", "enter")
        assert "full is not empty" in shown(app)
        await pressed(pilot, "ctrl+u", *str(tmp_path / "none" / "x"), "enter")
        assert isinstance(app.screen, Ask)
        await pressed(pilot, "ctrl+u", *str(folder), "enter")
        await wrote(pilot, folder)
        assert "redaction key" in str([n.message for n in app._notifications])
    manifest = json.loads((folder / "MANIFEST.json").read_bytes())
    assert manifest["redacted"]["key"]
    assert not [p for p in folder.iterdir() if b"Kolkata" in p.read_bytes() or b"05:30" in p.read_bytes()]
    assert verify(str(folder)).problems == []


async def test_log_lines_stand_in_the_story() -> None:
    logs = tuple(str(p) for p in sorted(CAPTURES.glob("puppet-session-ids.*.log.gz")))
    app = InspectorApp([str(find("puppet-session-ids"))], Options(logs=logs))
    async with app.run_test(size=(150, 60)) as pilot:
        await then("2")(pilot)
        assert "20 failed catalogs" in shown(app)
        assert "puppetdb2" in shown(app)
        await pressed(pilot, "enter")
        assert "puppetserver.log.gz:16" in shown(app)
        assert "haproxy.log.gz:17" in shown(app)
        await pressed(pilot, "down", "down", "enter")
        assert "Certificate" in shown(app)
