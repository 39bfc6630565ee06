"""The archive for hosts without a network: it installs and runs where there is no network, no compiler, and a home that
forbids programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CAPTURES

ROOT = CAPTURES.parent
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    done = subprocess.run(
        ["sh", str(ROOT / "docs/locked-down/make.sh"), sys.executable, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    for text, reason in (
        ("No matching distribution", "no package index can be reached"),
        ("No module named pip", "there is no pip in this environment"),
    ):
        if done.returncode and text in done.stderr + done.stdout:
            pytest.skip(reason)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("inspector-*-linux-x86_64.tar.gz")
    return found


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the wheels are for x86-64")
def test_it_installs_and_runs_on_a_locked_down_host(archive: Path, tmp_path: Path) -> None:
    """No network, HOME on a tmpfs mounted noexec and nosuid, umask 077, no compiler on the path."""
    home, tools, target = tmp_path / "home", tmp_path / "tools", tmp_path / "opt"
    home.mkdir()
    tools.mkdir()
    for name in (
        "sh",
        "tar",
        "gzip",
        "sed",
        "uname",
        "sha256sum",
        "mkdir",
        "chmod",
        "rm",
        "mv",
        "cat",
        "dirname",
        "pwd",
        "env",
        "ls",
    ):
        where = shutil.which(name, path=PATH)
        assert where
        (tools / name).symlink_to(where)
    python = os.path.realpath(sys.executable)
    script = f"""
set -e
umask 077
mount -t tmpfs -o noexec,nosuid,mode=700 tmpfs {home}
export HOME={home} PATH={tools} PYTHON={python} LC_ALL=C.UTF-8
cd {home}
tar -xzf {archive}
if ./inspector-*/install.sh {home}/here; then echo 'installed where nothing can run' >&2; exit 9; fi
sh ./inspector-*/install.sh {target}
{target}/bin/inspector demo
{target}/bin/inspector watch -Z root --no-journal - < {home}/c.pcap
"""
    data = tmp_path / "c.pcap"
    from tests.live import bytes_of

    data.write_bytes(bytes_of(CAPTURES / "silent-abort.pcap.gz"))
    script = script.replace(f"{home}/c.pcap", str(data)).replace(
        "if ./inspector-*/install.sh", "if sh ./inspector-*/install.sh"
    )
    done = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "mounted noexec" in done.stderr
    assert "aborted 23 of 177 connections" in done.stdout
    assert '"rule":"certificate-change-abort"' in done.stdout
    assert (target / "bin/inspector").stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (target / "lib/inspector").glob("*.py"))
