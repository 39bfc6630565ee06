"""Which probe the app proposes, by what was captured."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.findings.judge import judge
from inspector.tui.probe_command import probe_command
from tests.app import A
from tests.build import Pool, facts_of, numbered, written
from tests.conftest import bundled
from tests.test_probe_app import of_java


def of_hostile_name() -> Pool:
    pool = Pool(name="a\x1b]52;c;ZXZpbA==\x07 -w /etc/passwd;$(id)")
    pool.full(A, numbered(1))
    return pool


PUPPETDB = "inspector probe 10.0.0.5:8081 --sni puppetdb.example.com"


AS_FILE = "-w probe-puppetdb.example.com-8081.pcapng"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (of_java(), f"{PUPPETDB} --as java8-no-ems {AS_FILE}"),
        (of_java(ems=True), f"{PUPPETDB} --as java8 {AS_FILE}"),
        (of_java(java=False), f"{PUPPETDB} {AS_FILE}"),
        (of_hostile_name, "inspector probe 10.0.0.5:8081 --as java8-no-ems -w probe-10.0.0.5-8081.pcapng"),
    ],
)
def test_the_command_is_told_from_what_was_captured(tmp_path: Path, made: Callable[[], Pool], expected: str) -> None:
    analysis = judge(facts_of(written(tmp_path, made().flows)))
    [service] = analysis.document.services
    assert probe_command(analysis.case, 0, service) == expected.replace("10.0.0.5", service.addresses[0])


@pytest.mark.parametrize(("name", "model"), [("puppet-tls13", "java17"), ("exposed", "java8"), ("python-clients", "")])
def test_as_whom_is_told_from_real_clients(name: str, model: str) -> None:
    analysis = bundled(name)
    words = shlex.split(probe_command(analysis.case, 0, analysis.document.services[0]))
    assert words[words.index("--as") + 1 if "--as" in words else 0] == (model or "inspector")


def test_several_kinds_of_jvms_are_all_stood_for(tmp_path: Path) -> None:
    old, new = Pool(), Pool(ems=True, port=50_000)
    old.full(A, numbered(1))
    for number in range(2, 9):
        new.full(A, numbered(number), ems=True)
    for others, expected in ((0, "java8,java8-no-ems"), (20, "java8")):
        for number in range(20, 20 + others):
            new.full(A, numbered(number), ems=True)
        analysis = judge(facts_of(written(tmp_path, [*old.flows, *new.flows])))
        words = shlex.split(probe_command(analysis.case, 0, analysis.document.services[0]))
        assert words[words.index("--as") + 1] == expected


def test_several_addresses_are_asked_by_their_name(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.full(A, numbered(2)).server = "10.0.0.6"
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    [service] = analysis.document.services
    assert len(service.addresses) == 2
    assert probe_command(analysis.case, 0, service).startswith("inspector probe puppetdb.example.com:8081 --as")


def test_a_capture_that_is_there_is_not_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    analysis = judge(facts_of(written(tmp_path, of_java()().flows)))
    for further in ("", "-2", "-3"):
        path = f"probe-puppetdb.example.com-8081{further}.pcapng"
        assert probe_command(analysis.case, 0, analysis.document.services[0]).endswith(f" {path}")
        Path(path).write_bytes(b"")
