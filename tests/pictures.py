"""Draws the pictures of the README from the program: ``make pictures``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from inspector.findings.case import Options
from inspector.tui.app import InspectorApp
from tests.app import then
from tests.conftest import find

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
WANTED: dict[str, tuple[str, ...]] = {"overview": (), "story": ("enter",), "sessions": ("4",), "message": ("3", "enter", "down", "enter", *["down"] * 5)}


async def draw(name: str, keys: tuple[str, ...]) -> None:
    app = InspectorApp([str(find("puppet-session-ids"))], Options())
    async with app.run_test(size=(120, 40)) as pilot:
        await then(*keys)(pilot)
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title="inspector demo"), encoding="utf-8")


if __name__ == "__main__":
    for name, keys in WANTED.items():
        asyncio.run(draw(name, keys))
