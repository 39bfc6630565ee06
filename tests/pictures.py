"""Draws the pictures of the README from the program: ``make pictures``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.findings.case import Options
from inspector.secrets.inputs import read_inputs
from inspector.tui.app import InspectorApp
from inspector.tui.app_state import View
from tests import browser
from tests.app import app_of, then
from tests.conftest import CAPTURES, find
from tests.opening import KEYS, no_passphrase
from tests.test_report import analysis_of

LOGS = sorted(CAPTURES.glob("puppet-session-ids.*.log.gz"))
PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
WANTED: dict[str, tuple[str, ...]] = {
    "overview": (),
    "story": ("enter",),
    "sessions": ("4",),
    "message": ("3", "enter", "down", "enter", *["down"] * 5),
}


async def draw(name: str, keys: tuple[str, ...], app: InspectorApp, title: str) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await then(*keys)(pilot)
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title=title), encoding="utf-8")


def draw_report() -> None:
    """The top of the report about the bundled incident, by a browser where there is one."""
    if browser.browser() is None:
        print("no browser is installed: the picture of the report stays as it is")
        return
    with TemporaryDirectory() as folder:
        analysis = analysis_of(find("puppet-session-ids"), LOGS)
        bundle = write_bundle(analysis, f"{folder}/report", BundleRequest([str(find("puppet-session-ids"))]))
        browser.picture(bundle.directory / "report.html", PICTURES / "report.png", 1100, 1300)


if __name__ == "__main__":
    draw_report()
    for name, keys in WANTED.items():
        asyncio.run(
            draw(
                name,
                keys,
                InspectorApp([str(find("puppet-session-ids"))], Options(logs=tuple(str(p) for p in LOGS))),
                "inspector demo",
            )
        )
    opened = app_of(
        find("renegotiations"),
        view=View("connections", "port:9047 renegotiation:aborted"),
        given=read_inputs([], KEYS, no_passphrase),
    )
    asyncio.run(draw("renegotiation", ("enter",), opened, "inspector --server-key puppetdb.key vip.pcap"))
