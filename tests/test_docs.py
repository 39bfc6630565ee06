"""What the documents say is what the program does: generated parts, commands, examples."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from inspector.capture.foreign import STARTS
from inspector.cli import manual
from inspector.cli.captures import CaptureArguments
from inspector.cli.commands import cli
from inspector.cli.open import demo_files
from inspector.tls import handshake
from inspector.tls.history import NAMES
from inspector.tls.types import HandshakeState
from inspector.tui.app import InspectorApp
from inspector.wire.encapsulations import Space
from inspector.wire.protocols import GRE
from inspector.wire.table import TABLE
from tests.app import loaded, pressed, shown

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MANUAL = DOCS / "inspector.1"
INDEX = DOCS / "index.md"
FLEET = DOCS / "fleet.md"
REFERENCE = DOCS / "reference"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
]
COLUMNS, CELL = 119, 160
"""The longest line of a page, and of a cell: a row of a table cannot be broken."""
KINDS = {"tutorial", "how-to", "reference", "explanation"}
STATES = REFERENCE / "handshake-states.md"
LETTERS = NAMES


def diagram(table: Mapping[HandshakeState, Mapping[str, HandshakeState]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> start"]
    lines += [
        f"    {state} --> {after}: {LETTERS[letter]}"
        for state, moves in table.items()
        for letter, after in moves.items()
    ]
    return "\n".join([*lines, "```"])


def states_document() -> str:
    return wrapped(f"""# The states of a handshake

Made from the tables in `inspector/tls/handshake.py` by `make golden`; a test holds it. Each side is watched apart.
Any other message is an anomaly that is shown; it never stops the watching.

## What the client sends

{diagram(handshake.CLIENT)}

## What the server sends

{diagram(handshake.SERVER)}
""")


def test_the_picture_of_the_states(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        STATES.write_text(states_document(), encoding="utf-8")
    assert states_document() == STATES.read_text(encoding="utf-8")


FRAMES = REFERENCE / "frames.md"


def wrapped(text: str) -> str:
    """Paragraphs and items of lists in lines of a page; tables, code and headings as they are."""
    blocks, is_code = [], False
    for block in text.split("\n\n"):
        is_code ^= block.count("```") % 2 == 1
        if is_code or block.startswith(("#", "|", "```")):
            blocks.append(block)
            continue
        lines: list[str] = []
        for item in re.split(r"\n(?=\* )", block):
            indent = "  " if item.startswith("* ") else ""
            lines += textwrap.wrap(
                item, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks).rstrip() + "\n"


def numbered(space: Space, *, opened: bool, form: str = "{}") -> str:
    """The entries of one space: those that are opened, or those that are known to be none of ours."""
    entries = sorted(
        (number, entry) for (where, number), entry in TABLE.items() if where == space and bool(entry.opens) == opened
    )
    return ", ".join(f"{entry.name} ({form.format(number)})" for number, entry in entries)


def of_gre() -> str:
    """What GRE has for itself."""
    return ", ".join(f"{entry.name} (0x{number:04x})" for number, entry in sorted(GRE.items()) if entry.opens)


def frames_document() -> str:
    return wrapped(f"""# What is read

Made from the tables in `inspector/wire/` and `inspector/capture/foreign.py` by `make golden`; a test holds it.

## Files

pcap in both byte orders, with micro- and nanoseconds, with check sequences behind the frames, with Kuznetzov's
header, of AIX; pcapng with all of its packet blocks. Each may be
compressed by gzip, zstd, xz or bzip2. What others read is refused by its name, with the one command that converts it:
{", ".join(sorted({name for _, name, _ in STARTS}))}, a
capture of Endace (ERF), a hex dump, a tar archive, a trace of Windows (ETW).

## Frames

What a frame begins with and what stands in it is one table. Whatever it names is walked through, one in another, down
to TCP; IP fragments and those of CAPWAP are put together.

**Link types**: {numbered(Space.LINK_TYPE, opened=True)}. Behind them LLC with SNAP, Cisco's ISL, aggregates of
802.11, and a PRP trailer that needs no reading.

**EtherTypes**: {numbered(Space.ETHERTYPE, opened=True, form="0x{:04x}")}.

**PPP**: {numbered(Space.PPP, opened=True, form="0x{:04x}")}; compressed and encrypted ones are named.

**IP protocols**: {numbered(Space.IP_PROTOCOL, opened=True)}. ESP and IPComp are named as encrypted and compressed.

**GRE**: with checksum, key, number and routing; version 1 of PPTP; besides EtherTypes {of_gre()}.

**UDP ports**: {numbered(Space.UDP_PORT, opened=True)}. GTP-U, VXLAN and Geneve are found on any port, where the
lengths of what they carry prove them. DTLS, ESP, OpenVPN and
WireGuard are named as encrypted.

## What is not opened

Every frame that may carry TLS and is not opened is counted, and the limit `undecoded` names it: its link type,
EtherType, protocol or port by number and name, and whether it is
cut, malformed, encrypted, compressed, a fragment, or of a kind that is not read. The limit `clipped` says what the
snap length took away of the payload. With `--strict` either
makes the exit status 3. *No TLS was found* is said of what could be read, behind what could not.

What that does to a verdict follows from what may stand in these frames:

| not opened | it may carry | verdicts that it weakens |
|---|---|---|
| a link type, EtherType, protocol or port that is not known; a header that was cut or does not hold; fragments of
what never became whole | anything | of all services |
| what is encrypted on a link: MACsec, 802.11, PPP | anything on that link | of all services |
| an encrypted or compressed tunnel between two addresses: ESP (also behind AH and in UDP), IPComp, WireGuard,
OpenVPN, DTLS | what its ends serve | of services at an end of it |
| ordinary traffic (below) | no TCP | of none |

Traffic of other kinds is no loss and is passed over: EtherTypes
{numbered(Space.ETHERTYPE, opened=False, form="0x{:04x}")};
IP protocols {numbered(Space.IP_PROTOCOL, opened=False)};
UDP that is no tunnel; LLC that is not SNAP; what PPP negotiates by.
""")


def test_what_is_read(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        FRAMES.write_text(frames_document(), encoding="utf-8")
    assert frames_document() == FRAMES.read_text(encoding="utf-8")


COMMANDS = REFERENCE / "commands.md"


def of_command(context: click.Context) -> str:
    """What ``--help`` says of one command: paragraphs, what is laid out by hand as code, options as a list."""
    command = context.command
    said = [
        f"```text\n{part[1:].strip()}\n```" if part.startswith("\b") else part
        for part in inspect.cleandoc(command.help or "").split("\n\n")
    ]
    records = [
        record
        for p in command.get_params(context)
        if isinstance(p, click.Option) and (record := p.get_help_record(context))
    ]
    options = "\n".join(f"* `{option}`: {' '.join(meaning.split())}" for option, meaning in records)
    usage = command.get_usage(context).removeprefix("Usage: ")
    return "\n\n".join([f"## {context.command_path}", f"```text\n{usage}\n```", *said, options])


def all_commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    return {name: command for name in cli.list_commands(context) if (command := cli.get_command(context, name))}


def commands_document() -> str:
    whole = click.Context(cli, info_name="inspector", **cli.context_settings)
    contexts = [
        whole,
        *(click.Context(command, parent=whole, info_name=name) for name, command in sorted(all_commands().items())),
    ]
    head = (
        "# Commands\n\nMade from the `--help` of each command by `make golden`; a test holds it. More on the [exit"
        " status](exit-status.md)."
    )
    return wrapped("\n\n".join([head, *map(of_command, contexts)]))


def test_the_commands(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        COMMANDS.write_text(commands_document(), encoding="utf-8")
        MANUAL.write_text(manual.page(cli), encoding="utf-8")
    assert manual.page(cli) == MANUAL.read_text(encoding="utf-8")
    text = COMMANDS.read_text(encoding="utf-8")
    assert commands_document() == text
    for command in all_commands().values():
        for option in (
            option for p in command.params if isinstance(p, click.Option) for option in (*p.opts, *p.secondary_opts)
        ):
            assert re.search(rf"[`, ]{re.escape(option)}[`, ]", text), option


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
        [sys.executable, "-m", *shlex.split(command)], cwd=folder, capture_output=True, check=False, timeout=120
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
        [sys.executable, "-c", snippets[number]], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert expected in done.stdout


def test_the_wheel_holds_the_demo(tmp_path: Path) -> None:
    """Built and run far from the clone."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), "."],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=300,
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
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert b"The client aborted 23 of 177 connections" in done.stdout
