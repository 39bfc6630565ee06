"""``inspector probe``: what it says, writes and ends with, and what is kept of it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.capture.files import Story
from inspector.capture.writer import PcapngWriter
from inspector.cli.probe import ENDS
from inspector.cli.probe_options import MODEL_NAMES
from inspector.probe.client_model import MODELS
from inspector.probe.pace import AT_ONCE
from inspector.probe.transcript import ProbeEnd
from tests.build import document_of
from tests.ended import patient
from tests.pools import HOST, Issued, LoopbackPool, issued, server_context, tls
from tests.probing import PLAN, TLS12, WITH_TICKETS, asked, back_ends, only, openssl_servers, probe, probed_in, to
from tests.terminals import on_a_terminal
from tests.waiting import COMMAND_SECONDS


@pytest.fixture
def ports(certificates: list[Issued]) -> Iterator[list[int]]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    with openssl_servers(certificates) as running:
        yield running


def test_a_pool_that_resumes_by_ids(tmp_path: Path, pool: LoopbackPool, ports: list[int]) -> None:
    vip = pool.balancer(ports, "random")
    _, document = asked(tmp_path, PLAN._replace(through=to(vip), models=(MODELS["java8-no-ems"],), connections=30))
    service = only(document)
    assert service.probed is not None
    kinds = Counter((c.handshakes[0].kind, c.handshakes[0].declined) for c in document.connections)
    assert kinds[("session_id", False)] + kinds[("full", True)] == 29
    assert {c.handshakes[0].ems.negotiated for c in document.connections} == {False}
    [met] = service.probed.models
    assert met.declined == kinds[("full", True)]
    assert 0 < met.would_abort <= met.declined


def inspector(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector", *words],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def test_the_command_says_what_it_will_do_and_the_capture_gives_the_same(
    tmp_path: Path, pool: LoopbackPool, ports: list[int]
) -> None:
    vip = pool.balancer(ports, "random")
    kept, at_once, later = tmp_path / "kept.pcapng", tmp_path / "at-once.json", tmp_path / "later.json"
    options = [*("--as", "java8-no-ems", "-n", "20", "--at-once", "1", "--rate", "50"), "-T", "json"]
    options += ["--fail-on", "exposed"]
    done = inspector("probe", f"{HOST}:{vip}", *options, "-w", str(kept), "-o", str(at_once))
    assert done.returncode == 1, done.stderr
    assert f"20 TLS handshakes with {HOST} port {vip}, as java8-no-ems, 50 a second at most" in done.stderr
    assert "20 of 20 connections: 20 finished" in done.stderr
    assert inspector("analyze", str(kept), "-T", "json", "-o", str(later)).returncode == 1
    assert at_once.read_bytes() == later.read_bytes()
    text = inspector("analyze", str(kept)).stdout
    assert "(a probe, not users' traffic, as java8-no-ems)" in text
    [met] = json.loads(later.read_bytes())["services"][0]["probed"]["models"]
    assert (met["model"], met["state"]) == ("java8-no-ems", "exposed")
    assert "java8-no-ems: exposed; gives up on" in text


@pytest.mark.parametrize("columns", [24, 80])
def test_how_far_it_is_stands_on_a_terminal_in_one_line(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued], columns: int
) -> None:
    port = pool.server(tls(server_context(certificates[0])))
    words = [sys.executable, "-m", "inspector", "probe", f"{HOST}:{port}", "-n", "30", "--rate", "12"]
    status, shown = on_a_terminal(words, columns=columns, output=tmp_path / "analysis")
    assert status == 0, shown
    drawn = shown.split("\r")[1:]
    begun = (line for line in drawn if re.match(r"inspector: \d", line) and "\n" not in line)
    lines = [line.removesuffix("\x1b[K") for line in begun]  # how much was read of it is told later, where that is slow
    numbers = [int(line.split()[1]) for line in lines]
    assert len(numbers) >= 2
    assert numbers == sorted({*numbers})
    assert all(len(line) < columns for line in lines)
    assert columns < 80 or lines[-1] == f"inspector: {numbers[-1]} of 30 connections begun"
    assert "\r\x1b[Kinspector: 30 of 30 connections: 30 finished" in shown
    done = inspector(*words[3:])
    assert "begun" not in done.stderr


def test_ctrl_c_gives_what_is_known_so_far(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    accepted = threading.Semaphore(0)
    talk = tls(server_context(certificates[0]), lambda connection: accepted.release())
    words = ["probe", f"{HOST}:{pool.server(talk)}", "-n", "1000", "-T", "json"]
    words += ["-w", str(tmp_path / "kept.pcapng")]
    command = patient([sys.executable, "-m", "inspector", *words])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for _ in range(AT_ONCE + 2):  # of which so many may be open
            assert accepted.acquire(timeout=COMMAND_SECONDS)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 130
    assert b"ctrl+c ends it" in errors
    assert json.loads(output)["services"][0]["connections"] >= 2
    assert [path.name for path in tmp_path.iterdir()] == ["kept.pcapng"]


def test_a_pool_that_nobody_reaches_is_no_clean_result(pool: LoopbackPool) -> None:
    done = inspector("probe", f"{HOST}:{pool.down()}", "-n", "2", "--rate", "50")
    assert done.returncode == 2
    assert "2 refused (RST to the SYN)" in done.stderr


def test_which_of_several_addresses_did_not_answer_is_said(pool: LoopbackPool, certificates: list[Issued]) -> None:
    port, down = pool.server(tls(server_context(certificates[0]))), pool.down()
    done = inspector("probe", f"{HOST}:{port}", "--backend", f"{HOST}:{down}", "-n", "2", "--rate", "50")
    account = " ".join(done.stderr.split())
    assert "2 finished" in account
    assert f"2 refused (RST to the SYN) at {HOST} port {down}" in account


def test_a_pool_that_completes_no_handshake_is_no_clean_result(pool: LoopbackPool, certificates: list[Issued]) -> None:
    wanting = [server_context(certificates[0], newest) for newest in (TLS12, ssl.TLSVersion.TLSv1_3)]
    for context in wanting:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates[0].path)
    direct = f"{HOST}:{pool.server(tls(server_context(certificates[0])))}"
    for talk in (*map(tls, wanting), socket.socket.close, lambda connection: connection.recv(4096)):
        words = [f"{HOST}:{pool.server(talk)}", "-n", "2", "--rate", "50", "--fail-on", "exposed"]
        for also in ([], ["--backend", direct]):
            done = inspector("probe", *words, *also)
            assert done.returncode == 2, done.stderr
            assert "cannot tell" in done.stderr


def test_a_url_and_a_key_alone_are_no_arguments(certificates: list[Issued]) -> None:
    done = inspector("probe", "https://h:1/")
    assert (done.returncode, "no URL" in done.stderr) == (2, True)
    done = inspector("probe", f"{HOST}:1", "--key", str(certificates[0].path))
    assert (done.returncode, "--key without --cert" in done.stderr) == (2, True)


def test_what_the_command_line_names_is_there() -> None:
    assert tuple(MODELS) == MODEL_NAMES
    assert set(ENDS) == {end.name for end in ProbeEnd}
    for words in (["--sni", "a..example.com"], ["--sni", ".example.com"], ["--backend", "[::1"]):
        assert inspector("probe", f"{HOST}:1", *words).returncode == 2


def test_help_loads_nothing_of_the_probe() -> None:
    code = (
        "import sys, contextlib, click; from inspector.cli.commands import cli;"
        "contextlib.suppress(SystemExit).__enter__(); cli(['--help'], standalone_mode=False);"
        "print([name for name in ('ssl', 'asyncio', 'inspector.probe.running') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True
    )
    assert done.stdout.endswith("[]\n")


def test_what_is_kept_of_a_probe_goes_on_to_say_so(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "random")
    plan = PLAN._replace(through=to(vip), models=(WITH_TICKETS["java8-no-ems"],), connections=30)
    _, path = probe(tmp_path, plan)
    assert inspector("report", str(path), "-o", str(tmp_path / "report"), "--redact").returncode == 0
    assert inspector("verify", str(tmp_path / "report")).returncode == 0
    kept = document_of(tmp_path / "report" / "evidence.pcapng")
    assert kept.captures[0].source == "probe"
    assert [met.model for met in probed_in(kept).models] == ["java8-no-ems"]
    assert "(a probe, not users' traffic, as java8-no-ems)" in (tmp_path / "report" / "report.md").read_text()


def test_before_and_after(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    members = back_ends(pool, certificates)
    vip = pool.balancer(members, "random")
    mended = [issued(tmp_path, f"db{number}.example.com", also=["db.example.com"]) for number in (1, 2, 3)]
    plan = PLAN._replace(through=to(vip), models=(WITH_TICKETS["java8-no-ems"],), connections=30)
    paths = []
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        paths.append(str(probe(tmp_path / name, plan)[1]))
        members[:] = back_ends(pool, mended)
    done = inspector("diff", *paths, "-T", "json")
    assert done.returncode == 0
    became = {problem["rule"]: problem["status"] for problem in json.loads(done.stdout)["problems"]}
    assert became["certificate-change-exposed"] == "fixed"


def test_frames_of_others_in_the_same_file_are_nobodys_probe(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    port = pool.server(tls(server_context(certificates[0])))
    _, path = probe(tmp_path, PLAN._replace(through=to(port), connections=2))
    other = tmp_path / "other.pcapng"
    with other.open("wb") as out:
        PcapngWriter(out, names=["eth0"]).write(next(Story([str(path)]).batches()))
    together = tmp_path / "together.pcapng"
    together.write_bytes(path.read_bytes() + other.read_bytes())
    for name, source in (("probe.pcapng", "probe"), ("other.pcapng", None), ("together.pcapng", None)):
        document = document_of(tmp_path / name)
        assert [capture.source for capture in document.captures] == [source]
        assert {client.stack for client in document.clients} == {source or "openssl"}


def test_what_is_impolite_is_refused(tmp_path: Path) -> None:
    done = inspector("probe", f"{HOST}:1", "--rate", "51", "-w", str(tmp_path / "none.pcapng"))
    assert (done.returncode, (tmp_path / "none.pcapng").exists()) == (2, False)
    assert "--i-own-this" in done.stderr
    assert inspector("probe", "no-such-name.invalid:443").returncode == 2


@pytest.mark.parametrize("option", ["--rate", "--timeout"])
@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1"])
def test_what_bounds_nothing_is_no_bound(option: str, value: str) -> None:
    done = inspector("probe", f"{HOST}:1", option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Invalid value for '{option}'" in done.stderr
