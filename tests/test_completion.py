"""What a shell offers behind half a line, asked of real shells; and what is typed for other programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.cli.commands import MODULES, cli
from inspector.cli.completion import PROGRAM, VARIABLE
from inspector.cli.completion_scripts import script
from inspector.cli.manual import page
from inspector.reports.json_schema import schema
from tests.conftest import CAPTURES, find
from tests.test_cli import run

SHELLS = "bash", "zsh", "fish"


def made(shell: str) -> str:
    return script(shell, PROGRAM, VARIABLE)


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name}")
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """By its name, as it is called in a shell."""
    path = tmp_path / "inspector"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m inspector "$@"\n')
    path.chmod(0o755)
    return path


OFFERED = {
    "ana": "analyze",
    "compl": "completion",
    "analyze --vant": "--vantage",
    "analyze -T jsonl": "jsonl",
    "live -i l": "lo",
    "-i l": "lo",
    "analyze -Y outc": "outcome:",
    "open --sort bac": "backend",
    "analyze --tz Europe/Ber": "Europe/Berlin",
}


def offered_by_bash(program: Path, words: list[str]) -> list[str]:
    """What the function offers for the last word, called as bash calls it."""
    quoted = " ".join(f"'{word}'" for word in words)
    line = f"{made('bash')}\nCOMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}\n"
    line += f"_inspector_completion {program} 2> /dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run([shell("bash"), "-c", line], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("line", OFFERED)
def test_bash(program: Path, line: str) -> None:
    assert OFFERED[line] in offered_by_bash(program, ["inspector", *line.split()])


def test_values_of_a_field_in_bash(program: Path) -> None:
    """Without its completions a colon ends a word; with them it does not."""
    assert offered_by_bash(program, ["inspector", "analyze", "-Y", "outcome:ab"]) == ["outcome:aborted"]


@pytest.mark.parametrize("line", OFFERED)
def test_fish(program: Path, tmp_path: Path, line: str) -> None:
    command = f"set -x PATH {program.parent} $PATH; source {tmp_path}/c.fish; complete -C 'inspector {line}'"
    (tmp_path / "c.fish").write_text(made("fish"))
    done = subprocess.run([shell("fish"), "--no-config", "-c", command], capture_output=True, text=True, check=True)
    assert OFFERED[line] in {word.split("\t")[0] for word in done.stdout.splitlines()}


def test_what_fish_says_of_a_word_is_whole(program: Path, tmp_path: Path) -> None:
    command = f"set -x PATH {program.parent} $PATH; source {tmp_path}/c.fish; complete -C 'inspector analyz'"
    (tmp_path / "c.fish").write_text(made("fish"))
    done = subprocess.run([shell("fish"), "--no-config", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "analyze\tPrint the analysis: text, JSON, CSV, ECS, Zeek's logs.\n"


@pytest.mark.parametrize("name", SHELLS)
def test_each_shell_takes_its_script(name: str) -> None:
    printed = run("completion", name).stdout
    assert printed == made(name).encode()
    checked = subprocess.run([shell(name), "-n", "/dev/stdin"], input=printed, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


ASKED = {
    "bash": ". /usr/share/bash-completion/bash_completion; _completion_loader inspector; complete -p inspector",
    "zsh": "fpath+=~/.zfunc; autoload -Uz compinit; compinit -u; print $_comps[inspector]",
    "fish": "complete -C 'inspector ana'",
}
"""What a new shell says of the program's completion, where that is in place."""


@pytest.mark.parametrize("name", SHELLS)
def test_the_lines_of_help_and_of_the_documents_put_it_into_place(program: Path, tmp_path: Path, name: str) -> None:
    """In a home where nothing is. A shell of its own types them, and another one finds what they wrote."""
    if name == "bash" and not Path("/usr/share/bash-completion/bash_completion").exists():
        pytest.skip("there is no bash-completion")
    document = (CAPTURES.parent / "docs/how-to/command-line.md").read_text(encoding="utf-8")
    printed = run("completion", "--help").stdout.decode()
    for number, text in enumerate((document, printed)):
        lines = re.findall(r"^ *((?:mkdir|inspector completion) .*)$", text, re.MULTILINE)
        (last,) = [i for i, line in enumerate(lines) if line.startswith(f"inspector completion {name} ")]
        home = tmp_path / str(number)
        home.mkdir()
        known = {"HOME": str(home), "PATH": f"{program.parent}:/usr/bin:/bin", "PYTHONPATH": str(CAPTURES.parent)}
        for command in ("\n".join(lines[last - 1 : last + 1]), ASKED[name]):
            done = subprocess.run([shell(name), "-c", command], env=known, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
        assert "inspector" in done.stdout or "analyze" in done.stdout


def test_the_script_of_bash_is_clean() -> None:
    command = [shell("shellcheck"), "-s", "bash", "-"]
    checked = subprocess.run(command, input=made("bash"), capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_manual_page() -> None:
    printed = run("man").stdout.decode()
    assert printed == page(cli)
    for name in MODULES:
        assert f"inspector {name} " in printed
    command = [shell("mandoc"), "-T", "lint", "-W", "warning"]
    checked = subprocess.run(command, input=printed, capture_output=True, text=True, check=False)
    assert [line for line in checked.stdout.splitlines() if "missing date" not in line] == []


def test_nothing_in_the_manual_page_is_a_request() -> None:
    requests = {line.split()[0] for line in page(cli).splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".nf", ".fi"}


def test_the_schema() -> None:
    assert json.loads(run("schema").stdout) == json.loads(schema())


def test_what_is_typed_for_tcpdump_tshark_and_zeek() -> None:
    """The same file by ``-r``, where no name is looked up."""
    path = str(find("silent-abort"))
    expected = run("analyze", path, "-T", "json", expect=1).stdout
    for words in (("-r", path), ("-n", "-r", path), ("-nr", path), (f"--read-file={path}",)):
        assert run("analyze", *words, "-T", "json", expect=1).stdout == expected
    both = run("analyze", "-r", path, str(find("shared-certificate")), "-T", "json", expect=1).stdout
    assert len(json.loads(both)["captures"]) == 2


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("-r", "a.pcap"), "open"),
        (("-n", "-r", "a.pcap"), "open"),
        (("-c", "10", "a.pcap"), "open"),
        (("--tz", "local", "a.pcap"), "open"),
        (("-i", "lo"), "live"),
        (("-ni", "lo"), "live"),
        (("-n", "-i", "lo", "-c", "10"), "live"),
        (("--via", "cat a.pcap"), "live"),
    ],
)
def test_a_line_without_a_command(words: tuple[str, ...], command: str) -> None:
    context = cli.make_context("inspector", list(words), resilient_parsing=True)
    assert context._protected_args == [command]


@pytest.mark.parametrize(("typed", "question"), [("analyse", ". Did you mean 'analyze'?"), ("xyzzy", "")])
def test_a_command_that_was_mistyped(typed: str, question: str) -> None:
    said = run(typed, "a.pcap", expect=2).stderr.decode().splitlines()
    assert said[-1] == f"Error: no such command or file: {typed}{question}"


@pytest.mark.parametrize("command", ["live", "watch"])
def test_live_traffic_is_no_file(command: str) -> None:
    said = run(command, str(find("silent-abort")), expect=2).stderr.decode()
    assert f"{command} takes live traffic, and no file: " in said
    assert "inspector analyze reads files" in said


def test_no_file_at_all() -> None:
    assert b"Missing argument 'FILE" in run("analyze", expect=2).stderr
    assert b"Missing argument 'FILE" in run("-n", expect=2).stderr
