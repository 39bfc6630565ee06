"""What a machine says of itself, from a made-up one: processes, configuration, logs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.document import Document
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.findings.machine import Machine
from inspector.live.host import doctor
from inspector.live.host.doctor import Check, diagnosis, lines, recipe
from inspector.live.host.preloading import NEVER, PACKAGE
from inspector.live.host.puppet import Host, generation, look
from inspector.reports.why import steps
from inspector.text.safe import safe_text
from tests.build import CLIENT
from tests.conftest import bundled
from tests.waiting import COMMAND_SECONDS

JAVA = "/usr/lib/jvm/java-17-openjdk/bin/java"
COMMAND = [
    JAVA,
    "-Xms2g",
    "-Djdk.tls.useExtendedMasterSecret=false",
    "-Djdk.tls.allowUnsafeServerCertChange",
    "-Djdk.tls.allowUnsafeServerCertChange=true",
    "-Djavax.net.ssl.trustStorePassword=secret",
    "-cp",
    "/opt/puppetlabs/server/apps/puppetserver/puppet-server-release.jar",
    "clojure.main",
    "-m",
    "puppetlabs.trapperkeeper.main",
]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    put("proc/1/cmdline", "/sbin/init\0")
    put("proc/4711/cmdline", "\0".join(COMMAND) + "\0")
    put("proc/4711/status", "Name:\tjava\nUid:\t0\t0\t0\t0\n")
    os.symlink(JAVA, tmp_path / "proc/4711/exe")
    put("proc/self/cmdline", "x")
    put("usr/lib/jvm/java-17-openjdk/release", 'IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"\n')
    put(
        "etc/puppetlabs/puppet/puppetdb.conf",
        "[main]\nserver_urls = https://puppetdb.example.com:8081, https://other.example.com,ftp://x,"
        " https://[bad\nsoft_write_failure = true\n",
    )
    put("var/log/puppetlabs/puppetserver/puppetserver.log", "")
    return tmp_path


def test_what_functions_import_is_loaded_before_rights_are_given_up() -> None:
    """But for the capture process, which keeps them, and for what commands do before."""
    code = "import sys; from inspector.live.host.preloading import *; preload(SECRETS); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=COMMAND_SECONDS
    )
    wanted: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("bundle", "capture", "cli", "live", "tui"):
            continue
        if {*path.relative_to(PACKAGE).with_suffix("").parts} & {*NEVER}:  # what live capture never asks for
            continue
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Import):
                        wanted.update(alias.name for alias in node.names)
                    elif isinstance(node, ast.ImportFrom) and node.module:
                        wanted.add(node.module)
    assert "statistics" in wanted
    wanted = {name for name in wanted if not {*name.split(".")} & {*NEVER}}
    assert wanted <= set(done.stdout.split())
    assert not {"pyarrow", "duckdb", "distributed"} & set(done.stdout.split())


def resolve(host: str, port: int) -> list[str]:
    if host == "other.example.com":
        raise OSError("Name or service not known")
    return ["10.0.0.100"]


def seen(root: Path) -> Host:
    return look(str(root), resolve, lambda address, port: ("eth1", CLIENT))


def test_all_is_found(machine: Path) -> None:
    host = seen(machine)
    assert host.machine is not None
    assert (host.machine.process, host.machine.jdk, host.machine.addresses) == (4711, "17.0.15", frozenset({CLIENT}))
    assert host.machine.properties == (
        ("jdk.tls.useExtendedMasterSecret", "false"),
        ("jdk.tls.allowUnsafeServerCertChange", "true"),
    )
    assert host.machine.allows_change
    assert host.machine.has_ems_off
    assert [(s.host, s.port, s.addresses, s.interface) for s in host.servers] == [
        ("puppetdb.example.com", 8081, ("10.0.0.100",), "eth1"),
        ("other.example.com", 8081, (), ""),
    ]
    assert (host.configuration, host.log, host.interfaces) == (
        "/etc/puppetlabs/puppet/puppetdb.conf",
        "/var/log/puppetlabs/puppetserver/puppetserver.log",
        ("eth1",),
    )
    assert any("ftp://x" in note for note in host.notes)
    assert any("https://[bad" in note for note in host.notes)
    assert any("other.example.com: cannot be resolved" in note for note in host.notes)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_process_of_somebody_who_calls_it_so(machine: Path) -> None:
    """It is named and not believed; whose it may be is."""
    os.chown(machine / "proc/4711", 65_534, 65_534)
    host = look(str(machine), lambda name, port: [], lambda address, port: ("", ""))
    assert host.machine is None
    assert any("process 4711 of nobody calls itself a Puppet Server" in note for note in host.notes)
    os.mkdir(machine / "proc/4712")
    (machine / "proc/4712/cmdline").write_text("\0".join(COMMAND) + "\0")
    (machine / "proc/4712/status").write_text("Uid:\t0\t0\t0\t0\n")
    host = look(str(machine), lambda name, port: [], lambda address, port: ("", ""))
    assert host.machine is not None
    assert host.machine.process == 4712


@pytest.mark.parametrize(
    ("ids", "exe"), [("65534\t0\t0\t0", "/usr/bin/java"), ("0\t0\t0\t0", "/usr/bin/su")], ids=["set-user-id", "no java"]
)
def test_a_program_of_root_s_with_words_of_somebody_s(machine: Path, ids: str, exe: str) -> None:
    """su(1) waits for a password as root, and is called what its caller likes."""
    (machine / "proc/4711/status").write_text(f"Uid:\t{ids}\n")
    (machine / "proc/4711/exe").unlink()
    os.symlink(exe, machine / "proc/4711/exe")
    assert look(str(machine), lambda name, port: [], lambda address, port: ("", "")).machine is None


def test_old_settings_and_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "etc/puppet").mkdir(parents=True)
    (tmp_path / "etc/puppet/puppetdb.conf").write_text("[main]\nserver = puppetdb\nport = 9081\n")
    host = seen(tmp_path)
    assert host.machine is None
    assert [(s.host, s.port) for s in host.servers] == [("puppetdb", 9081)]
    assert any("process table" in note for note in host.notes)
    (tmp_path / "etc/puppet/puppetdb.conf").write_text("garbage")
    assert seen(tmp_path).servers == ()


@pytest.mark.parametrize(
    "version,found",
    [
        ("17.0.15", "current"),
        ("1.8.0_362", "current"),
        ("1.8.0_51", "first"),
        ("1.7.0_79", "first"),
        ("1.7.0_85", "current"),
        ("25", "current"),
        ("", None),
    ],
)
def test_generations(version: str, found: str | None) -> None:
    assert generation(version) == found


def test_the_doctor_says_it(machine: Path) -> None:
    text = lines(diagnosis(seen(machine)).checks, lambda t: safe_text(t, 500))
    assert "Puppet Server, process 4711" in text
    assert "JDK 17.0.15: the identity rule of today" in text
    assert "-Djdk.tls.useExtendedMasterSecret=false" in text
    assert "puppetdb.example.com:8081: 10.0.0.100, through eth1" in text
    assert "secret" not in text.replace("useExtendedMasterSecret", "")


def test_the_doctor_names_a_program_as_sudo_finds_it(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is not the user's: of a virtual environment it knows nothing."""
    own = tmp_path / "virtual environment"
    own.mkdir()
    for name in ("inspector", "ls"):
        (own / name).write_text("#!/bin/sh\n")
        (own / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{own}:{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "may_capture", lambda: False)
    monkeypatch.setattr(doctor, "is_kept_from_capturing", lambda: False)
    for program, remedy in (("inspector", f"sudo '{own}/inspector' live"), ("ls", "sudo ls live")):
        monkeypatch.setattr(sys, "argv", [program])
        assert remedy in [check.mend for check in diagnosis(seen(machine)).checks]


def test_hostile_names_are_escaped_by_the_doctor(machine: Path) -> None:
    (machine / "etc/puppetlabs/puppet/puppetdb.conf").write_text(
        "[main]\nserver_urls = https://a\x1b]52;c;x\x07b:8081\n"
    )
    text = lines(diagnosis(seen(machine)).checks, lambda t: safe_text(t, 500))
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["a..b", "x" * 300 + ".example", "xn--\\xff", "user:pw@a..b", "\N{SNOWMAN}" * 80])
def test_names_that_no_host_can_have_are_noted(machine: Path, name: str) -> None:
    (machine / "etc/puppetlabs/puppet/puppetdb.conf").write_text(f"[main]\nserver_urls = https://{name}:8081\n")
    host = look(str(machine), route=lambda address, port: ("eth1", CLIENT))
    assert [server.addresses for server in host.servers] == [()]
    assert any("cannot be resolved" in note for note in host.notes)


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_a_configuration_that_is_no_file_is_noted(machine: Path, put: Callable[[Path], None]) -> None:
    path = machine / "etc/puppetlabs/puppet/puppetdb.conf"
    path.unlink()
    put(path)
    assert any(note.startswith("/etc/puppetlabs/puppet/puppetdb.conf: ") for note in seen(machine).notes)


def test_the_recipe_is_a_line_for_tcpdump(machine: Path) -> None:
    text = recipe(seen(machine))
    assert "tcpdump -i eth1 -s 0" in text
    assert "((host 10.0.0.100) and tcp port 8081) or tcp port 8081" in text
    assert "tcp port 8081'" in recipe(Host(None, "", "", (), "", ()))


def test_checks_with_a_remedy_show_it() -> None:
    assert lines([Check("bad", "no", "mend it"), Check("good", "yes")], str) == "✖ no\n    mend it\n✔ yes\n"


def judged(name: str, *properties: tuple[str, str]) -> Document:
    facts = bundled(name).case.facts
    own = Machine(frozenset({"10.99.0.10", "127.0.0.1"}), 4711, "17.0.15", properties)
    analysis = judge(facts, Options(machine=own))
    if analysis.document.incidents:
        found = steps(analysis, analysis.document.incidents[0])
        assert all("JVM property" not in step.text for step in found)
        assert any(
            "allowUnsafeServerCertChange is not set in the client's JVM (process 4711, JDK 17.0.15)" in step.text
            and step.grade == "observed"
            for step in found
        )
    return analysis.document


def test_what_is_known_of_the_jvm_is_observed() -> None:
    service, *_ = judged("puppet-session-ids", ("jdk.tls.useExtendedMasterSecret", "false")).services
    assert (
        "the client's JVM (process 4711) runs with -Djdk.tls.useExtendedMasterSecret=false"
        in service.assessment.because
    )


def test_the_property_protects_as_long_as_it_is_there() -> None:
    service, *_ = judged("tolerated", ("jdk.tls.allowUnsafeServerCertChange", "true")).services
    assert (service.assessment.state, service.assessment.grade) == ("protected", "observed")
    assert "allowUnsafeServerCertChange=true" in service.assessment.because[0]
    assert "triple handshake" in service.assessment.do


def test_nothing_said_on_what_to_capture(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way from this machine's Puppet Server to its PuppetDB, and what is assumed is said."""
    from inspector.cli import live_start
    from inspector.live.host import puppet as host
    from inspector.live.sources.open_sources import Request, kernel_filter

    found = seen(machine)
    monkeypatch.setattr(host, "look", lambda: found)
    nothing = live_start.LivePlan(Request(), "current", ())
    plan = live_start.by_this_machine(nothing)
    request = plan.request
    assert (request.interfaces, request.vips) == (("eth1",), (("10.0.0.100", 8081),))
    assert kernel_filter(request.vips, "", None) == "((host 10.0.0.100 and tcp port 8081))"
    assert (plan.machine, plan.generation, plan.logs) == (found.machine, "current", ())
    told_of = capsys.readouterr().err
    for text in (
        "process 4711, JDK 17.0.15",
        "puppetdb.example.com:8081 (10.0.0.100)",
        "/var/log/puppetlabs/puppetserver/puppetserver.log",
    ):
        assert text in told_of
    monkeypatch.setattr(host, "look", lambda: Host(None, "", "", (), "", ()))
    assert live_start.by_this_machine(nothing) == nothing
    assert "all TLS is captured" in capsys.readouterr().err


def test_a_log_in_a_closed_directory_is_noted(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def stat(path: str | Path, **kwargs: bool) -> os.stat_result:
        if "puppetlabs/puppetserver" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path, **kwargs)

    monkeypatch.setattr("inspector.live.host.puppet.os.stat", stat)
    host = look(str(machine), resolve, lambda address, port: ("eth0", "10.0.0.1"))
    assert not host.log
    assert any(
        "/var/log/puppetlabs/puppetserver/puppetserver.log: whether it is there, this user may not see" in note
        for note in host.notes
    )
    assert any("whether it is there" in check.text for check in diagnosis(host).checks)
