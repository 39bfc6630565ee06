"""The documents as a site to be read without a network: ``make site``. Pages stand as ``docs/index.md`` has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([\w./-]+\.md)(?:#[\w-]+)?\)")

project = "Inspector"
html_title = "Inspector"
extensions = ["myst_parser"]
include_patterns = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**.md", "captures/README.md"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure", "myst.xref_missing"]
html_theme = "furo"
html_copy_source = False
html_use_opensearch = ""


def chapters(text: str) -> str:
    """A hidden table of contents behind each heading of the index: the pages that are linked below it."""
    written = []
    known: set[str] = set()
    for part in re.split(r"(?m)^(?=## )", text):
        pages = [page for page in dict.fromkeys(LINK.findall(part)) if page not in known]
        known.update(pages)
        title = re.match(r"## ([^:\n]*)", part)
        if title is not None and pages:
            entries = "\n".join(f"/{(ROOT / 'docs' / page).resolve().relative_to(ROOT)}" for page in pages)
            part += f"\n```{{toctree}}\n:hidden:\n:caption: {title[1]}\n\n{entries}\n```\n\n"
        written.append(part)
    return "".join(written)


def _with_chapters(app: Sphinx, name: str, source: list[str]) -> None:
    if name == root_doc:
        source[0] = chapters(source[0])


def setup(app: Sphinx) -> None:
    """As Sphinx calls it."""
    app.connect("source-read", _with_chapters)
