"""A headless browser for the report: pictures of it, and what it tried to load or run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

from tests.waiting import COMMAND_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
        "--disable-background-networking",
    ),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        "--disable-extensions",
        "--metrics-recording-only",
        "--mute-audio",
    ),
)


def browser() -> str | None:
    """The command of a browser; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def run(*options: str, page: Path) -> subprocess.CompletedProcess[bytes]:
    """Open a page and leave."""
    command = browser()
    assert command is not None
    profile = mkdtemp(prefix="inspector-browser-")
    try:
        return subprocess.run(
            [command, *QUIET, f"--user-data-dir={profile}", *options, page.as_uri()],
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    finally:
        shutil.rmtree(profile, ignore_errors=True)


def picture(page: Path, target: Path, width: int, height: int) -> None:
    """The page as PNG."""
    done = run(f"--window-size={width},{height}", f"--screenshot={target}", page=page)
    assert target.exists(), done.stderr[-500:]


def content(page: Path) -> str:
    """The page as the browser has it after everything ran that would."""
    return run("--dump-dom", "--virtual-time-budget=3000", page=page).stdout.decode("utf-8", "replace")
