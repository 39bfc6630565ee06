"""The documents as a site: each page stands in its table of contents, once, and Sphinx takes them without a warning."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONF = ROOT / "docs" / "site" / "conf.py"


def test_each_page_stands_in_the_contents_once() -> None:
    chapters = runpy.run_path(str(CONF))["chapters"]
    text = chapters((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    listed = [line for block in re.findall(r"```{toctree}\n(.*?)```", text, re.DOTALL) for line in block.split("\n")]
    pages = [line.removeprefix("/") for line in listed if line.startswith("/")]
    assert len(pages) == len(set(pages))
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")} - set(pages) == {"docs/index.md"}
    assert len(re.findall(":caption: ", text)) == 4


@pytest.mark.skipif(find_spec("sphinx") is None, reason="Sphinx is not installed")
def test_it_is_made_without_a_warning(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        str(CONF.parent),
        str(ROOT),
        str(tmp_path),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "probe" in (tmp_path / "searchindex.js").read_text()
