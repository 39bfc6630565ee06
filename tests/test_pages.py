"""The pages of the documentation: they can be read, lead somewhere, and their examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from inspector.cli.captures import CaptureArguments
from inspector.cli.open import demo_files
from inspector.tui.app import InspectorApp
from tests.app import loaded, pressed, shown
from tests.test_docs import COLUMNS, DOCS, ROOT, all_commands
from tests.waiting import COMMAND_SECONDS

INDEX = DOCS / "index.md"
FLEET = DOCS / "fleet.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
]
CELL = 160
"""The longest cell: a row of a table cannot be broken."""
KINDS = {"tutorial", "how-to", "reference", "explanation"}


def prose(page: Path) -> list[tuple[int, str]]:
    """Lines with their numbers."""
    return list(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_and_cells_are_short(page: Path) -> None:
    for number, line in prose(page):
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)
            assert max(len(cell.strip()) for cell in cells) <= CELL, f"{page.name}:{number}"
        else:
            assert len(line) <= COLUMNS, f"{page.name}:{number}"


def fences(page: Path) -> list[str]:
    """The shell commands of a page, lines that go on joined."""
    found = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [line for fence in found for line in re.sub(r"\\\n\s*", "", fence).splitlines()]


def examples() -> list[str]:
    """Commands in the documents that name bundled captures."""
    return sorted(
        {line for page in PAGES for line in fences(page) if line.startswith("inspector ") and "captures/" in line}
    )


def test_there_are_examples() -> None:
    assert len(examples()) >= 5


def run(line: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """A command as it stands in a document, in a folder that has the bundled captures."""
    if not (folder / "captures").exists():
        (folder / "captures").symlink_to(ROOT / "captures")
    command = line.split(" #")[0].split(" | ")[0].split(" > ")[0]
    return subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )


@pytest.mark.parametrize("line", examples())
def test_examples_run(line: str, tmp_path: Path) -> None:
    done = run(line, tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout
    assert not done.stderr


def test_options_in_the_documents_exist() -> None:
    known = {option for command in all_commands().values() for p in command.params for option in p.opts} | {
        "--help",
        "-h",
        "--version",
        "-V",
    }
    for page in PAGES:
        for line in fences(page):
            if line.startswith("inspector "):
                words = shlex.split(re.sub(r"<\(.*?\)", "", re.split(r" [#|]", line)[0]))
                assert {word for word in words if word.startswith("-") and len(word) > 1} <= known, line


def anchors(page: Path) -> set[str]:
    """Where links may lead within a page."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[Path, str]]:
    """Files and anchors that a page leads to."""
    targets = re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    return [((page.parent / target).resolve() if target else page, anchor) for target, anchor in targets]


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "captures" / "README.md"]:
        for target, anchor in links(page):
            assert target.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {target.name}#{anchor}"


def test_every_page_is_in_its_box_and_in_the_index() -> None:
    pages = set(DOCS.rglob("*.md")) - {INDEX, FLEET}  # that one leads through all boxes
    assert FLEET in {target for target, _ in links(INDEX)}
    assert {page.relative_to(DOCS).parts[0] for page in pages} == KINDS
    assert INDEX in {target for target, _ in links(ROOT / "README.md")}
    text = INDEX.read_text(encoding="utf-8")
    boxes = [box.lower() for box in re.findall(r"^## ([\w-]+)", text, re.MULTILINE)]
    assert set(boxes) == KINDS
    listed = dict(zip(boxes, re.split(r"^## .*", text, flags=re.MULTILINE)[1:], strict=True))
    for page in pages:
        assert f"]({page.relative_to(DOCS)})" in listed[page.relative_to(DOCS).parts[0]], page.name


def named(path: Path) -> set[str]:
    """Pages that a file of the program or of its tests names."""
    return set(re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8")))


def test_pages_that_the_program_names_are_there() -> None:
    pages = {page for path in (ROOT / "inspector").rglob("*.py") for page in named(path)}
    assert len(pages) >= 5
    for page in pages:
        assert (ROOT / page).exists(), page


def test_files_of_the_ten_changes_are_there() -> None:
    """What the table of CONTRIBUTING names; short names are those of the file named before them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("## Ten changes and their files") :]
    known = [
        str(path.relative_to(ROOT)) for top in ("inspector", "tests", "docs") for path in (ROOT / top).rglob("*.*")
    ]
    files = set(re.findall(r"`([\w/.-]+\.(?:py|md|json|tcss))`", table))
    assert len(files) >= 20
    for file in files:
        assert file.endswith("/NEW.py") or any(f"/{path}".endswith(f"/{file}") for path in known), file


async def test_the_tutorial_shows_what_is_seen(tmp_path: Path) -> None:
    """Its commands run in order; each line that it shows stands on the screen or in what they print."""
    page = DOCS / "tutorial" / "first-incident.md"
    capture, *logs = map(str, demo_files())
    app = InspectorApp([capture], CaptureArguments((capture,), logs=tuple(logs)).options())
    seen = []
    async with app.run_test(size=(100, 150)) as pilot:
        await loaded(pilot)
        seen.append(shown(app))
        await pressed(pilot, "enter")
        seen.append(shown(app))
    lines = [line for line in fences(page) if line.startswith("inspector ")]
    assert len(lines) >= 4
    for line in lines:
        done = run(line, tmp_path)
        assert done.returncode in (0, 1), done.stderr
        seen += [done.stdout.decode(), done.stderr.decode()]
    everything = " ".join(" ".join(seen).split())
    for fence in re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in fence.splitlines():
            assert " ".join(line.split()) in everything, line


@pytest.mark.parametrize(("number", "expected"), [(0, "certificate-change-abort"), (1, "aborted")])
def test_library_examples(number: int, expected: str) -> None:
    """The snippets of the page run as they stand."""
    snippets = re.findall(
        r"```python\n(.*?)```", (DOCS / "how-to" / "library.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(snippets) == 2
    done = subprocess.run(
        [sys.executable, "-c", snippets[number]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    )
    assert expected in done.stdout


def test_the_wheel_holds_the_demo(tmp_path: Path) -> None:
    """Built and run far from the clone."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), "."],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=COMMAND_SECONDS,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        assert "inspector/live/wireshark/profile/preferences" in archive.namelist()
        assert not [n for n in archive.namelist() if n.startswith(("tests", "captures"))]
    installed = str(tmp_path / "installed")
    code = (
        f"import sys; sys.path.insert(0, {installed!r}); sys.argv = ['inspector', 'demo'];"
        f" import inspector.cli.commands as c; assert {installed!r} in c.__file__; c.run()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=False, timeout=COMMAND_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert b"The client aborted 23 of 177 connections" in done.stdout
