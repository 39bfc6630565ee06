"""How ``inspector probe`` takes its options: names, addresses, keys; and small things that its results say."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import threading
from pathlib import Path

import click
import pytest
from cryptography.hazmat.primitives import serialization

from inspector.cli.commands import cli
from inspector.cli.probe import probe_command
from inspector.cli.probe_options import ProbeOptions, ends_of, host_and_port, plan_of
from inspector.cli.streams import note
from inspector.errors import UsageError
from inspector.probe import destination
from inspector.probe.alerts import received_alert
from inspector.probe.client_model import MODELS, Credentials, context_of
from inspector.probe.destination import destinations
from inspector.reports import probed
from tests.pools import HOST, Issued, LoopbackPool
from tests.probing import PLAN, WITH_TICKETS, asked, back_ends, probe, to
from tests.test_probe_models import inspector
from tests.waiting import PATIENCE_SECONDS

WHOLE = click.Context(cli, info_name="inspector", **cli.context_settings)
"""Of the program: a command by itself has other names for its help, and keeps them."""


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("db.example.com", "db.example.com"),
        ("db.example.com.", "db.example.com"),
        ("localhost", ""),
        ("localhost.", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("fe80::1%lo", ""),
    ],
)
def test_names_are_sent_as_java_sends_them(monkeypatch: pytest.MonkeyPatch, host: str, sent: str) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: [])
    target = f"[{host}]:1" if ":" in host else f"{host}:1"
    assert plan_of(target, options()).server_name == sent
    assert plan_of(target, options(server_name="a-name")).server_name == "a-name"
    assert plan_of(target, options(server_name="db.")).server_name == "db."


@pytest.mark.parametrize("name", [".example.com", "a..b", "a" * 64, ".".join(["a" * 50] * 6), "a\r\nb"])
def test_what_no_server_can_be_called_is_refused_before_anybody_is_asked(name: str) -> None:
    with pytest.raises(UsageError, match="no host name"):
        ends_of("127.0.0.1:1", options(server_name=name))


def options(server_name: str | None = None) -> ProbeOptions:
    words = ["host", *(["--sni", server_name] if server_name else [])]
    params = probe_command.make_context("probe", words, parent=WHOLE).params
    return ProbeOptions(**{name: params[name] for name in ProbeOptions._fields})


def test_jvms_are_completed_behind_a_comma() -> None:
    [option] = [param for param in probe_command.params if param.name == "models"]
    context = probe_command.make_context("probe", ["host"], parent=WHOLE)
    completed = [item.value for item in option.shell_complete(context, "java17,java8")]
    assert completed == ["java17,java8", "java17,java8-no-ems"]
    assert [item.value for item in option.shell_complete(context, "e")] == ["each"]


@pytest.mark.parametrize("text", ["[::1", "::1]", "[::1:443", "::1]:443", "[::1]:443:", "[]:1", "[]"])
def test_half_a_bracket_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="not HOST or HOST:PORT"):
        host_and_port(text)


def test_what_is_no_address_is_escaped_where_it_is_said() -> None:
    with pytest.raises(UsageError, match=re.escape("\\x1b[31m")):
        host_and_port("host:1\x1b[31m")


def test_whole_brackets_are() -> None:
    assert host_and_port("[::1]:8443") == ("::1", 8443)
    assert host_and_port("[::1]") == host_and_port("::1") == ("::1", 443)
    assert host_and_port("[fe80::1%lo]:8443") == ("fe80::1%lo", 8443)


def test_the_scope_of_an_address_is_kept() -> None:
    if not socket.has_ipv6:
        pytest.skip("needs IPv6")
    [local] = destinations("fe80::1%lo", 8443)
    assert local.end == ("fe80::1", 8443, 0, socket.if_nametoindex("lo"))
    [plain] = destinations("::1", 8443)
    assert plain.end == ("::1", 8443)


def test_a_resolver_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def look_up(*args: object, **kwargs: object) -> list[object]:
        over.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(destination, "LOOK_UP_SECONDS", 0.05)
    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with pytest.raises(UsageError, match=r"db\.example\.com: no answer of the resolver in 0\.05 seconds"):
        destinations("db.example.com", 443)
    over.set()


def test_a_key_with_a_passphrase(tmp_path: Path, certificates: list[Issued]) -> None:
    pem = certificates[0].path.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    secret = serialization.BestAvailableEncryption(b"open sesame")
    path = tmp_path / "sealed.key"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    credentials = Credentials(str(certificates[0].path), str(path))
    model, keys = MODELS["java17"], str(tmp_path / "keys")
    context_of(model, credentials._replace(passphrase=lambda: "open sesame"), keys)
    with pytest.raises(UsageError, match="not opened by that passphrase"):
        context_of(model, credentials._replace(passphrase=lambda: "another"), keys)
    done = inspector("probe", f"{HOST}:1", "--cert", str(certificates[0].path), "--key", str(path), "-n", "1")
    assert done.returncode == 2
    assert "has a passphrase, and nobody is there to ask for it" in done.stderr
    assert "openssl pkey" in done.stderr


@pytest.mark.parametrize(
    ("reason", "alert"),
    [
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake_failure"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required"),
        ("TLSV1_UNRECOGNIZED_NAME", "unrecognized_name"),
        ("TLSV1_UNSUPPORTED_EXTENSION", "unsupported_extension"),
        ("TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE", "bad_certificate_status_response"),
        ("TLSV1_SOMETHING_ELSE", ""),
        ("CERTIFICATE_VERIFY_FAILED", ""),
    ],
)
def test_alerts_by_the_names_that_openssl_gives_them(reason: str, alert: str) -> None:
    assert received_alert(reason) == alert


def test_back_ends_that_are_asked_directly_are_told_by_the_letters_of_the_pool(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    ports = back_ends(pool, certificates)
    vip = pool.balancer(ports, "random")
    plan = PLAN._replace(through=to(vip), direct=to(*ports, is_direct=True), connections=30)
    _, document = asked(tmp_path, plan)
    through = next(service for service in document.services if service.port == vip)
    leaves = {backend.leaf: backend.label for backend in document.backends if backend.id in through.backends}
    direct = {
        service.port: next(backend.leaf for backend in document.backends if backend.id in service.backends)
        for service in document.services
        if service.port in ports
    }
    wanted = ", ".join(sorted(f"{leaves[direct[port]]} and {HOST}:{port}" for port in ports))
    assert f"the same certificate is shown by {wanted}" in probed.lines_of(document, through)
    alone = next(service for service in document.services if service.port == ports[0])
    letter = leaves[direct[ports[0]]]
    assert f"the same certificate is shown by A and {letter} at {HOST}:{vip}" in probed.lines_of(document, alone)


def test_tables_and_reports_say_that_it_was_a_probe(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "random")
    models = (WITH_TICKETS["java8"], WITH_TICKETS["java8-no-ems"])
    _, path = probe(tmp_path, PLAN._replace(through=to(vip), models=models, connections=20))
    rows = list(csv.DictReader(inspector("analyze", str(path), "-T", "csv").stdout.splitlines()))
    assert [(row["stack"], row["probed_as"]) for row in rows] == [("probe", "java8")] * 10 + [
        ("probe", "java8-no-ems")
    ] * 10
    assert inspector("report", str(path), "-o", str(tmp_path / "report")).returncode == 0
    assert (tmp_path / "report" / "report.md").read_text().startswith("# Probe report: ")
    assert "<title>Probe report: " in (tmp_path / "report" / "report.html").read_text()


def test_probes_as_different_jvms_are_not_compared_without_a_word(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    vip = pool.balancer(back_ends(pool, certificates), "random")
    paths = []
    for name in ("java8", "java8-no-ems", "again"):
        (tmp_path / name).mkdir()
        model = WITH_TICKETS.get(name, WITH_TICKETS["java8"])
        paths.append(str(probe(tmp_path / name, PLAN._replace(through=to(vip), models=(model,)))[1]))
    first, second, third = paths
    [service] = json.loads(inspector("diff", first, second, "-T", "json").stdout)["services"]
    assert service["asked_as"] == {"before": ["java8"], "after": ["java8-no-ems"]}
    said = " ".join(inspector("diff", first, second).stdout.split())
    assert "Asked by a probe as java8 before, and by a probe as java8-no-ems now: what differs may" in said
    [service] = json.loads(inspector("diff", first, third, "-T", "json").stdout)["services"]
    assert service["asked_as"] is None
    assert "Asked by a probe" not in inspector("diff", first, third).stdout


def test_notes_keep_to_the_width_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    text = "60 TLS handshakes with " + ", ".join(f"192.0.2.{number} port 8081" for number in range(9))
    monkeypatch.setenv("COLUMNS", "60")
    for stream, widest in ((Terminal(), 60), (io.StringIO(), 1000)):
        monkeypatch.setattr("sys.stderr", stream)
        note(text)
        lines = stream.getvalue().splitlines()
        assert max(map(len, lines)) <= widest
        assert " ".join(map(str.strip, lines)) == f"inspector: {text}"
        assert (len(lines) == 1) == (widest > 60)
