"""What the documents say is what the program does: generated parts, commands, examples."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from inspector.capture.foreign import STARTS
from inspector.tls import handshake
from inspector.wire.encapsulations import Space
from inspector.wire.protocols import GRE
from inspector.wire.table import TABLE

ROOT = Path(__file__).parent.parent
STATES = ROOT / "docs" / "handshake-states.md"
LETTERS = {
    **handshake.NAMES,
    "H": "HelloRequest",
    "J": "HelloRetryRequest",
    "A": "SupplementalData",
    "R": "CertificateRequest",
    "T": "NewSessionTicket",
    "U": "CertificateStatus",
    "Y": "CertificateVerify",
}


def diagram(table: dict[str, dict[str, str]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> start"]
    lines += [f"    {state} --> {after}: {LETTERS[letter]}" for state, moves in table.items() for letter, after in moves.items()]
    return "\n".join([*lines, "```"])


def states_document() -> str:
    return f"""# The states of a handshake

Made from the tables in `inspector/tls/handshake.py` by `make golden`; a test holds it. Each side is watched apart. Any other message is an anomaly
that is shown; it never stops the watching.

## What the client sends

{diagram(handshake.CLIENT)}

## What the server sends

{diagram(handshake.SERVER)}
"""


def test_the_picture_of_the_states(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        STATES.write_text(states_document(), encoding="utf-8")
    assert states_document() == STATES.read_text(encoding="utf-8")


FRAMES = ROOT / "docs" / "frames.md"


def numbered(space: Space, *, opened: bool, form: str = "{}") -> str:
    """The entries of one space: those that are opened, or those that are known to be none of ours."""
    entries = sorted((number, entry) for (where, number), entry in TABLE.items() if where == space and bool(entry.opens) == opened)
    return ", ".join(f"{entry.name} ({form.format(number)})" for number, entry in entries)


def of_gre() -> str:
    """What GRE has for itself."""
    return ", ".join(f"{entry.name} (0x{number:04x})" for number, entry in sorted(GRE.items()) if entry.opens)


def frames_document() -> str:
    return f"""# What is read

Made from the tables in `inspector/wire/` and `inspector/capture/foreign.py` by `make golden`; a test holds it.

## Files

pcap in both byte orders, with micro- and nanoseconds, with check sequences behind the frames, with Kuznetzov's header, of AIX; pcapng with all of its packet blocks. Each may be
compressed by gzip, zstd, xz or bzip2. What others read is refused by its name, with the one command that converts it: {", ".join(sorted({name for _, name, _ in STARTS}))}, a
capture of Endace (ERF), a hex dump, a tar archive, a trace of Windows (ETW).

## Frames

What a frame begins with and what stands in it is one table. Whatever it names is walked through, one in another, down to TCP; IP fragments and those of CAPWAP are put together.

**Link types**: {numbered(Space.LINK_TYPE, opened=True)}. Behind them LLC with SNAP, Cisco's ISL, aggregates of 802.11, and a PRP trailer that needs no reading.

**EtherTypes**: {numbered(Space.ETHERTYPE, opened=True, form="0x{:04x}")}.

**PPP**: {numbered(Space.PPP, opened=True, form="0x{:04x}")}; compressed and encrypted ones are named.

**IP protocols**: {numbered(Space.IP_PROTOCOL, opened=True)}. ESP and IPComp are named as encrypted and compressed.

**GRE**: with checksum, key, number and routing; version 1 of PPTP; besides EtherTypes {of_gre()}.

**UDP ports**: {numbered(Space.UDP_PORT, opened=True)}. GTP-U, VXLAN and Geneve are found on any port, where the lengths of what they carry prove them. DTLS, ESP, OpenVPN and
WireGuard are named as encrypted.

## What is not opened

Every frame that may carry TLS and is not opened is counted, and the limit `undecoded` names it: its link type, EtherType, protocol or port by number and name, and whether it is
cut, malformed, encrypted, compressed, a fragment, or of a kind that is not read. The limit `clipped` says what the snap length took away of the payload. With `--strict` either
makes the exit status 3. *No TLS was found* is said of what could be read, behind what could not.

What that does to a verdict follows from what may stand in these frames:

| not opened | it may carry | verdicts that it weakens |
|---|---|---|
| a link type, EtherType, protocol or port that is not known; a header that was cut or does not hold; fragments of what never became whole | anything | of all services |
| what is encrypted on a link: MACsec, 802.11, PPP | anything on that link | of all services |
| an encrypted or compressed tunnel between two addresses: ESP (also behind AH and in UDP), IPComp, WireGuard, OpenVPN, DTLS | what its ends serve | of services at an end of it |
| ordinary traffic (below) | no TCP | of none |

Traffic of other kinds is no loss and is passed over: EtherTypes {numbered(Space.ETHERTYPE, opened=False, form="0x{:04x}")};
IP protocols {numbered(Space.IP_PROTOCOL, opened=False)};
UDP that is no tunnel; LLC that is not SNAP; what PPP negotiates by.
"""


def test_what_is_read(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        FRAMES.write_text(frames_document(), encoding="utf-8")
    assert frames_document() == FRAMES.read_text(encoding="utf-8")


def examples() -> list[str]:
    """Commands in the documents that name bundled captures or compare nothing else."""
    found: list[str] = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for fence in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            found += [line for line in fence.splitlines() if line.startswith("inspector ") and "captures/" in line and not line.startswith("inspector captures")]
    return sorted(set(found))


def test_there_are_examples() -> None:
    assert len(examples()) >= 5


@pytest.mark.parametrize("line", examples())
def test_examples_run(line: str) -> None:
    command = line.split(" #")[0].split(" | ")[0].split(" > ")[0]
    done = subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout
    assert not done.stderr


def test_options_in_the_documents_exist() -> None:
    from inspector.cli import cli

    known = {option for command in cli.commands.values() for p in command.params for option in p.opts} | {"--help", "-h", "--version", "-V"}
    text = (ROOT / "README.md").read_text(encoding="utf-8") + "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.md"))
    for fence in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in fence.splitlines():
            if line.startswith("inspector "):
                words = shlex.split(line.split(" #")[0])
                assert {word for word in words if word.startswith("-") and len(word) > 1} <= known, line


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), ROOT / "captures" / "README.md"]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_library_example() -> None:
    """The snippet in docs/library.md runs as it stands."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "certificate-change-abort" in done.stdout


def test_the_wheel_holds_the_demo(tmp_path: Path) -> None:
    """Built and run far from the clone."""
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), "."], cwd=ROOT, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        assert not [n for n in archive.namelist() if n.startswith(("tests", "captures"))]
    installed = str(tmp_path / "installed")
    code = f"import sys; sys.path.insert(0, {installed!r}); sys.argv = ['inspector', 'demo']; import inspector.cli as c; assert {installed!r} in c.__file__; c.main()"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"The client aborted 23 of 177 connections" in done.stdout
