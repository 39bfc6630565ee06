"""Puppet's own certificate of a host: what is looked for, what is left alone, and that nobody shows it unasked."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from inspector.live.host.puppet_certificate import PuppetCertificate, puppet_certificate
from tests.pools import HOST, Issued, LoopbackPool, issued, server_context, tls
from tests.terminals import on_a_terminal
from tests.waiting import COMMAND_SECONDS

SSL = Path("etc/puppetlabs/puppet/ssl")
NOBODY = 65534
NAME = "agent.example.com"


def kept(root: Path, folder: Path | str = SSL, name: str = NAME, *, authority: bool = True) -> PuppetCertificate:
    """Files as Puppet has them, of no content."""
    ssl_folder = root / folder
    certificate, key = ssl_folder / "certs" / f"{name}.pem", ssl_folder / "private_keys" / f"{name}.pem"
    for path in (certificate, key, *([certificate.with_name("ca.pem")] if authority else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return PuppetCertificate(str(certificate), str(key), str(certificate.with_name("ca.pem")) if authority else "")


def at(root: Path, host: str = NAME) -> PuppetCertificate | None:
    return puppet_certificate(str(root), "/home/one", host)


def test_nothing_is_there(tmp_path: Path) -> None:
    assert at(tmp_path) is None
    (tmp_path / SSL / "certs").mkdir(parents=True)
    assert at(tmp_path) is None


@pytest.mark.parametrize("folder", [SSL, "etc/puppet/ssl", "var/lib/puppet/ssl", "home/one/.puppetlabs/etc/puppet/ssl"])
def test_by_the_name_of_the_host(tmp_path: Path, folder: str) -> None:
    expected = kept(tmp_path, folder)
    assert at(tmp_path, NAME.upper()) == expected
    assert at(tmp_path, "agent") == expected  # a host that knows no domain of its own
    assert at(tmp_path, "age") is None


@pytest.mark.parametrize("section", ["main", "server", "master", "agent"])
def test_by_the_name_that_is_configured(tmp_path: Path, section: str) -> None:
    expected = kept(tmp_path, name="other")
    kept(tmp_path)
    (tmp_path / SSL.parent / "puppet.conf").write_text(f"[{section}]\n  certname = Other\n")
    assert at(tmp_path) == expected


@pytest.mark.parametrize("name", ["../../../../secret", "a/b", ".hidden", "", "x\x00y"])
def test_a_name_that_leads_elsewhere_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.pem").write_bytes(b"")
    expected = kept(tmp_path)
    (tmp_path / SSL.parent / "puppet.conf").write_text(f"[main]\ncertname = {name}\n")
    assert at(tmp_path) == expected


def test_a_configuration_that_is_none(tmp_path: Path) -> None:
    expected = kept(tmp_path, authority=False)
    (tmp_path / SSL.parent / "puppet.conf").write_bytes(b"certname = x\n\xff[[[")
    assert at(tmp_path) == expected
    (tmp_path / SSL.parent / "puppet.conf").unlink()
    os.mkfifo(tmp_path / SSL.parent / "puppet.conf")
    assert at(tmp_path) == expected


@pytest.mark.parametrize(
    "part", ["certs", "private_keys", "certs/agent.example.com.pem", "private_keys/agent.example.com.pem"]
)
def test_no_link_is_followed(tmp_path: Path, part: str) -> None:
    kept(tmp_path)
    path = tmp_path / SSL / part
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    known = at(tmp_path)
    assert known is not None
    assert known.obstacle is not None
    assert known.obstacle[1].startswith("a link")


def test_what_is_no_file_is_not_used(tmp_path: Path) -> None:
    known = kept(tmp_path)
    Path(known.key).unlink()
    os.mkfifo(known.key)
    assert at(tmp_path) == known._replace(obstacle=(known.key, "a pipe, not a file"))
    Path(known.key).unlink()
    assert at(tmp_path) == known._replace(obstacle=(known.key, "No such file or directory"))


def test_one_that_can_be_used_comes_before_one_that_cannot(tmp_path: Path) -> None:
    Path(kept(tmp_path).key).unlink()
    usable = kept(tmp_path, "home/one/.puppetlabs/etc/puppet/ssl")
    assert at(tmp_path) == usable


def test_a_key_that_is_not_readable_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        known = kept(Path(folder))
        Path(folder).chmod(0o755)
        Path(known.key).chmod(0)
        if os.geteuid() == 0:  # who may read everything
            stack.callback(os.seteuid, 0)
            os.seteuid(NOBODY)
        assert at(Path(folder)) == known._replace(obstacle=(known.key, "Permission denied"))


@pytest.fixture
def port(tmp_path: Path, pool: LoopbackPool) -> int:
    """Of a server that wants certificates by the authority by which ``tmp_path``, as a host, has one."""
    known = kept(tmp_path)
    authority = issued(tmp_path, "ca.example.com")
    own, server = (issued(tmp_path, name, authority) for name in (NAME, "db.example.com"))
    for path, source in ((known.certificate, own), (known.key, own), (known.authorities, authority)):
        Path(path).write_bytes(source.path.read_bytes())
    (tmp_path / SSL.parent / "puppet.conf").write_text(f"[main]\ncertname = {NAME}\n")
    context = server_context(server, ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(known.authorities)
    return pool.server(tls(context))


def words(root: Path, port: int, *options: str) -> list[str]:
    """The command on a host whose files begin at ``root``."""
    code = (
        "import sys; from inspector.live.host import puppet_certificate as module; module.ROOT = sys.argv.pop(1);"
        " from inspector.cli.commands import run; run()"
    )
    return [sys.executable, "-c", code, str(root), "probe", f"{HOST}:{port}", "-n", "2", "--rate", "50", *options]


def probed(root: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(root, port, *options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def test_without_a_terminal_it_is_named_and_not_used(tmp_path: Path, port: int) -> None:
    done = probed(tmp_path, port)
    assert done.returncode == 2, done.stderr
    assert "not used, without --puppet: Puppet's certificate of this host" in done.stderr
    assert "2 refused by the server" in done.stderr
    done = probed(tmp_path, port, "--no-puppet")
    assert done.returncode == 2
    assert "Puppet" not in done.stderr


def test_it_is_used_where_that_is_asked_for(tmp_path: Path, port: int) -> None:
    done = probed(tmp_path, port, "--puppet", "-T", "json")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 connections: 2 finished" in done.stderr


def test_an_authority_by_puppet_refuses_other_servers(
    tmp_path: Path, port: int, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    other = pool.server(tls(server_context(certificates[0])))
    assert probed(tmp_path, other, "--puppet").returncode == 2
    assert probed(tmp_path, other, "--puppet", "--cacert", str(certificates[0].path)).returncode == 0


def test_what_cannot_be_used_is_said(tmp_path: Path, port: int, certificates: list[Issued]) -> None:
    done = probed(tmp_path, port, "--puppet", "--cert", str(certificates[0].path))
    assert (done.returncode, "--puppet with --cert" in done.stderr) == (2, True)
    (tmp_path / SSL / "private_keys" / f"{NAME}.pem").unlink()
    done = probed(tmp_path, port, "--puppet")
    assert done.returncode == 2
    assert f"private_keys/{NAME}.pem: No such file or directory" in done.stderr
    assert "connections" not in done.stderr
    done = probed(tmp_path, port)
    assert "Puppet's certificate of this host cannot be used" in done.stderr
    done = probed(tmp_path / "none", port, "--puppet")
    assert (done.returncode, "keeps no certificate" in done.stderr) == (2, True)


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("Yes\n", 0), ("\n", 2), ("no\n", 2), ("\x04", 2)])
def test_a_terminal_is_asked_and_no_is_the_default(tmp_path: Path, port: int, answer: str, status: int) -> None:
    output = tmp_path / "analysis.json"
    done, shown = on_a_terminal(words(tmp_path, port, "-T", "json"), [(b"[y/N] ", answer.encode())], output=output)
    assert done == status, shown
    assert "show it to the servers, and refuse those of other authorities than" in " ".join(shown.split())
    assert output.read_bytes()[:1] == b"{"  # nothing of the question is on standard output
