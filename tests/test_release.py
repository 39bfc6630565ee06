"""A release is refused where tag, version and changes do not agree; what makes it is read by tools of others."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
CONTAINERFILE = ROOT / "docs" / "packaging" / "Containerfile"


@pytest.mark.parametrize(
    ("tag", "heading", "answer"),
    [
        ("v1.2.3", "## 1.2.3, 2026-12-01", "1.2.3\n"),
        ("1.2.3", "## 1.2.3, 2026-12-01", "the tag is v1.2.3, not 1.2.3"),
        ("v1.2.4", "## 1.2.3, 2026-12-01", "the tag is v1.2.3, not v1.2.4"),
        ("v1.2.3", "## 1.2.3, not yet released", "has no heading '## 1.2.3, YYYY-MM-DD'"),
        ("v1.2.3", "## 1.2.33, 2026-12-01", "has no heading '## 1.2.3, YYYY-MM-DD'"),
        ("v1.2.3", "## 1x2.3, 2026-12-01", "has no heading '## 1.2.3, YYYY-MM-DD'"),
    ],
)
def test_tag_version_and_changes_agree(tag: str, heading: str, answer: str, tmp_path: Path) -> None:
    for name in ("docs/packaging/tag.sh", "inspector/text/version.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    version = tmp_path / "inspector/text/version.py"
    version.write_text(re.sub(r'VERSION = ".*"', 'VERSION = "1.2.3"', version.read_text()))
    (tmp_path / "CHANGELOG.md").write_text(f"# Changes\n\n{heading}\n\n* All.\n")
    done = subprocess.run(
        ["sh", tmp_path / "docs/packaging/tag.sh", tag], capture_output=True, text=True, check=False, cwd="/"
    )
    assert answer in done.stdout + done.stderr
    assert (done.returncode == 0) is (answer == "1.2.3\n")


def test_what_the_workflow_runs_is_there() -> None:
    text = WORKFLOW.read_text()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [word for line in re.findall(r"run: make ([\w ]+)$", text, re.MULTILINE) for word in line.split()]
    assert named
    assert set(named) <= targets
    for path in re.findall(r"docs/packaging/[\w.]+", text):
        assert (ROOT / path).is_file()
    assert re.search(r"^BASE \?= \S+:\S+$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "sed -n 's/^BASE ?= //p' Makefile" in text
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), "a tag can be moved, a commit cannot"


@pytest.mark.parametrize(
    "words",
    [
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)),
        ("zizmor", "--offline", str(WORKFLOW)),
        ("hadolint", str(CONTAINERFILE)),
        (
            "shellcheck",
            *(str(path) for folder in ("packaging", "locked-down") for path in (ROOT / "docs" / folder).glob("*.sh")),
        ),
    ],
    ids=lambda words: words[0],
)
def test_tools_of_others_take_it(words: tuple[str, ...]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
