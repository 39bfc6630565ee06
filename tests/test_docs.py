"""What of the documentation is made from the program is as the program is."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from inspector.capture.foreign import STARTS
from inspector.cli import manual
from inspector.cli.commands import cli
from inspector.tls import handshake
from inspector.tls.history import NAMES
from inspector.tls.types import HandshakeState
from inspector.wire.encapsulation_table import TABLE
from inspector.wire.encapsulations import Space
from inspector.wire.ip_tunnels import GRE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MANUAL = DOCS / "inspector.1"
REFERENCE = DOCS / "reference"
STATES = REFERENCE / "handshake-states.md"
LETTERS = NAMES
COLUMNS = 119
"""The longest line of a page."""


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
