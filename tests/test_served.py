"""Certificates on disk against those that servers showed: the same bytes, another one of the name, not seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.cli.commands import cli
from tests.build import Pool, certificate, numbered, written
from tests.waiting import COMMAND_SECONDS

OLD_A = certificate("puppetdb1", ("a.example.com",), days=(-365, 20))
NEW_A = certificate("puppetdb1", ("a.example.com",), days=(-1, 3650))
B = certificate("puppetdb2", ("b.example.com",))
C = certificate("puppetdb3", ("c.example.com",))
NAMELESS, NAMELESS_NEW = (certificate(None, ("n.example.com",), days=(-9, days)) for days in (30, 3650))


def capture(folder: Path, *shown: bytes) -> str:
    """Each certificate in a connection of its own, one after the other."""
    pool = Pool()
    for number, der in enumerate(shown):
        pool.full(der, numbered(number))
    return str(written(folder, pool.flows))


def stored(folder: Path, **files: bytes) -> list[str]:
    for name, der in files.items():
        (folder / f"{name}.der").write_bytes(der)
    return [str(folder / f"{name}.der") for name in files]


def compared(*words: str) -> tuple[dict[str, list[str]], dict[str, object], int]:
    """The state of each file by its name, with the back ends; all of it; the exit status."""
    done = CliRunner().invoke(cli, ["compare", "-T", "json", *words])
    told = json.loads(done.output)["stored"]
    if told is None:
        return {}, {}, done.exit_code
    states = {
        Path(one["source"]).stem: [one["state"], *(served["backend"] for served in one["served"])]
        for one in told["files"]
    }
    return states, told, done.exit_code


@pytest.mark.parametrize(
    ("shown", "files", "states", "outdated"),
    [
        ([OLD_A, B], {"a": OLD_A, "b": B}, {"a": ["served", "A"], "b": ["served", "B"]}, False),
        ([OLD_A, B], {"a": NEW_A, "b": B}, {"a": ["other_served", "A"], "b": ["served", "B"]}, True),
        ([OLD_A, NEW_A], {"a": NEW_A}, {"a": ["served", "A"]}, False),
        ([NEW_A, OLD_A], {"a": NEW_A}, {"a": ["other_served", "A"]}, True),
        ([OLD_A], {"c": C}, {"c": ["not_seen"]}, False),
        ([NAMELESS], {"n": NAMELESS_NEW}, {"n": ["other_served", "A"]}, True),
        ([NAMELESS], {"b": B}, {"b": ["not_seen"]}, False),
    ],
    ids=["the same", "not reloaded", "reloaded meanwhile", "taken back", "another's", "by its name", "no subject"],
)
def test_what_is_served(
    tmp_path: Path, shown: list[bytes], files: dict[str, bytes], states: dict[str, list[str]], outdated: bool
) -> None:
    found, told, status = compared(capture(tmp_path, *shown), *stored(tmp_path, **files))
    assert found == states
    assert told["outdated"] is outdated
    if outdated:
        assert status == 1


def test_a_name_that_all_share_is_no_other_of_itself(tmp_path: Path) -> None:
    """Two members, each with its own certificate of one subject, both on disk."""
    one, other = OLD_A, NEW_A
    pool = Pool()
    for number in range(4):
        pool.full((one, other)[number % 2], numbered(number))
    found, told, _ = compared(str(written(tmp_path, pool.flows)), *stored(tmp_path, one=one, other=other))
    assert {state for state, *_ in found.values()} == {"served"}
    assert told["unknown"] == []


def test_what_is_served_and_not_on_disk_is_named(tmp_path: Path) -> None:
    _, told, _ = compared(capture(tmp_path, OLD_A, C), *stored(tmp_path, a=OLD_A))
    assert [one["subject"] for one in told["unknown"]] == ["CN=puppetdb3"]  # type: ignore[attr-defined]


def test_files_alone_and_a_capture_alone_say_nothing_of_it(tmp_path: Path) -> None:
    assert compared(*stored(tmp_path, a=OLD_A, b=B))[0] == {}
    assert compared(capture(tmp_path, OLD_A, B))[0] == {}


def test_a_server_whose_certificate_calls_itself_an_authority_is_one(tmp_path: Path) -> None:
    """As ``openssl req -x509`` makes them; what is served is a server's whatever it says."""
    old, new = (certificate("me", ("me.example.com",), days=(-9, days), is_authority=True) for days in (20, 3650))
    states, told, status = compared(capture(tmp_path, old, B), *stored(tmp_path, new=new))
    assert (states, told["outdated"], status) == ({"new": ["other_served", "A"]}, True, 1)


def test_a_file_of_an_authority_alone_is_named(tmp_path: Path) -> None:
    authority = certificate("Puppet CA", is_authority=True)
    files = stored(tmp_path, a=OLD_A, ca=authority)
    done = CliRunner().invoke(cli, ["compare", *files])
    assert done.stderr == f"inspector: {files[1]}: of an authority alone, and not compared\n"
    assert done.exit_code == 0
    assert CliRunner().invoke(cli, ["compare", files[1]]).stderr == ""


def test_a_file_that_cannot_be_read_counts(tmp_path: Path) -> None:
    files = [*stored(tmp_path, a=OLD_A), str(tmp_path / "missing.pem")]
    done = CliRunner().invoke(cli, ["compare", *files])
    assert (done.exit_code, done.stderr) == (1, f"inspector: {files[1]}: No such file or directory\n")
    assert CliRunner().invoke(cli, ["compare", *files, "--fail-on", "never"]).exit_code == 0


def test_certificates_out_of_pipes(tmp_path: Path) -> None:
    """As a shell's ``<(openssl s_client …)`` has them: not even their first bytes can be read again."""
    files = stored(tmp_path, a=OLD_A, b=B)
    line = f'cat {files[0]} | "$@" compare -T json /dev/stdin {files[1]}'
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "inspector"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.stderr == ""
    assert [each["source"] for each in json.loads(done.stdout)["certificates"]] == ["/dev/stdin", files[1]]


def test_as_text(tmp_path: Path) -> None:
    path = capture(tmp_path, OLD_A, B)
    said = CliRunner().invoke(cli, ["compare", path, *stored(tmp_path, a=NEW_A, c=C)]).output
    assert "another one of its name is served" in " ".join(said.split())
    assert "back end A of puppetdb.example.com:8081: puppetdb1, serial" in " ".join(said.split())
    assert "not seen; it may be served where nobody connected" in " ".join(said.split())
    assert "Served, and of no name of these files:" in said


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    evil = certificate("\x1b[31mevil\u202e", ("e.example.com",))
    said = CliRunner().invoke(cli, ["compare", capture(tmp_path, evil), *stored(tmp_path, e=C)]).output
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_certificates_alone_are_compared_without_an_engine(tmp_path: Path) -> None:
    """Only captures need columns."""
    words = ["compare", *stored(tmp_path, a=OLD_A)]
    code = (
        f"import sys; from inspector.cli.commands import cli; cli({words!r}, standalone_mode=False);"
        " assert not {'numpy', 'inspector.extract.engine'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=COMMAND_SECONDS)
