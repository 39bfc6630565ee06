"""What is handed out: sdist, wheel, the archive for hosts without a network, deb and rpm. Each is tried as a stranger
gets it: without the clone, without a network, without a compiler, and where a home forbids programs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.conftest import CAPTURES
from tests.live import bytes_of
from tests.waiting import COMMAND_SECONDS

ROOT = CAPTURES.parent
PACKAGING = ROOT / "docs" / "packaging"
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
PYTHON = f"3.{sys.version_info[1]}"
SET = f"x86_64-{PYTHON}"
CORE = {
    *("cffi", "click", "cryptography", "cypcap", "jinja2", "linkify_it_py", "markdown_it_py", "markupsafe"),
    *("mdit_py_plugins", "mdurl", "msgspec", "numpy", "platformdirs", "pycparser", "pygments", "rich", "scapy"),
    *("textual", "typing_extensions", "vip_inspector", "zstandard"),
}
"""All that an installation brings. Each one more is something that every production host has to carry."""
GLIBC = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"}
VERDICT = "aborted 23 of 177 connections"

pytestmark = [
    pytest.mark.xdist_group("artefacts"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the wheels are for x86-64"),
]
needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"
)


def run(*words: str | Path, **environment: str) -> str:
    """What a command printed. Its standard error where it failed."""
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * COMMAND_SECONDS,
        cwd="/",
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist and wheel, the wheel built from the sdist: far from the clone, its history and its tags."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def others() -> dict[str, str]:
    """By the name of their set of wheels, other Pythons that are on this machine."""
    answered = {}
    for minor in range(11, 15):
        program = shutil.which(f"python3.{minor}")
        if program is not None and f"3.{minor}" != PYTHON:
            done = subprocess.run(
                [program, "-I", "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
            )
            if not done.returncode:
                answered[f"x86_64-3.{minor}"] = done.stdout.strip()
    return answered


@pytest.fixture(scope="module")
def wheels(others: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    done = subprocess.run(
        ["sh", PACKAGING / "wheels.sh", Path(sys.executable).parent, folder, SET, *others],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * COMMAND_SECONDS,
    )
    if done.returncode:
        for text, reason in (
            ("No module named pip", "there is no pip in this environment"),
            ("Failed to fetch", "no package index can be reached"),
            ("No matching distribution", "no package index can be reached"),
        ):
            if text in done.stderr + done.stdout:
                pytest.skip(reason)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def archive(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    run("sh", ROOT / "docs/locked-down/make.sh", folder, wheels)
    (path,) = folder.glob("inspector-*-linux-x86_64.tar.gz")
    return path


@pytest.fixture(scope="module")
def packages(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, one = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("one")
    (one / SET).symlink_to(wheels / SET)
    run("sh", PACKAGING / "packages.sh", Path(sys.executable).parent, folder, one, PYTHONPATH=str(ROOT))
    return folder


@pytest.fixture(scope="module")
def needed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Libraries of the system that compiled modules load: what is neither in a wheel nor the loader itself."""
    if shutil.which("readelf") is None:
        pytest.skip("there is no readelf")
    folder = tmp_path_factory.mktemp("modules")
    for wheel in (wheels / SET).glob("*.whl"):
        shutil.unpack_archive(wheel, folder, "zip")
    modules = [path for path in folder.rglob("*.so*") if path.is_file()]
    listed = run("readelf", "--dynamic", "--wide", *modules)
    loaded = {*re.findall(r"\(NEEDED\).*\[(.*)\]", listed)}
    return {name for name in loaded - {path.name for path in modules} if not name.startswith("ld-linux")}


def test_a_source_archive_makes_the_same_wheel_as_the_clone(dist: Path, wheels: Path) -> None:
    """To the byte; so the version does not depend on tags, and what was tried is what is published."""
    (built,) = dist.glob("*.whl")
    assert built.read_bytes() == (wheels / SET / built.name).read_bytes()
    (sources,) = dist.glob("*.tar.gz")
    with tarfile.open(sources) as contents:
        names = {name.partition("/")[2] for name in contents.getnames()}
    assert {"README.md", "SECURITY.md", "docs/packaging/Containerfile", "tests/build.py", "Makefile"} <= names


def test_what_an_installation_brings(wheels: Path) -> None:
    lines = (wheels / SET / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == CORE
    for line in lines:
        name, version, digest = re.fullmatch(r"([\w.]+)==(\S+) --hash=sha256:(\w+)", line).groups()  # type: ignore[union-attr]
        (wheel,) = (wheels / SET).glob(f"{name}-{version}-*.whl")
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() == digest


@needs_namespaces
def test_pip_installs_it_into_an_empty_environment_without_a_network(wheels: Path, tmp_path: Path) -> None:
    """By the line of ``docs/how-to/locked-down.md``; a file that was changed is refused."""
    environment = tmp_path / "empty"
    folder = shutil.copytree(wheels / SET, tmp_path / SET)
    run(sys.executable, "-m", "venv", environment)
    install = (
        *("unshare", "-n", environment / "bin/pip", "install", "--no-index", "--find-links", folder),
        *("--require-hashes", "-r", folder / "requirements.txt"),
    )
    (damaged,) = folder.glob("click-*.whl")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole + b"\0")
    refused = subprocess.run(install, capture_output=True, text=True, check=False, timeout=3 * COMMAND_SECONDS, cwd="/")
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    damaged.write_bytes(whole)
    run(*install)
    assert VERDICT in run(environment / "bin/inspector", "demo", PYTHONPATH="")
    assert (environment / "share/man/man1/inspector.1").read_bytes() == (ROOT / "docs/inspector.1").read_bytes()


@needs_namespaces
def test_it_installs_and_runs_on_a_locked_down_host(archive: Path, tmp_path: Path) -> None:
    """No network, HOME on a tmpfs mounted noexec and nosuid, umask 077, no compiler on the path."""
    home, tools, target = tmp_path / "home", tmp_path / "tools", tmp_path / "opt"
    home.mkdir()
    tools.mkdir()
    for name in (
        *("sh", "tar", "gzip", "sed", "uname", "sha256sum", "mkdir", "chmod", "rm", "mv", "cat", "dirname", "pwd"),
        *("env", "ls"),
    ):
        where = shutil.which(name, path=PATH)
        assert where
        (tools / name).symlink_to(where)
    data = tmp_path / "c.pcap"
    data.write_bytes(bytes_of(CAPTURES / "silent-abort.pcap.gz"))
    python = os.path.realpath(sys.executable)
    script = f"""
set -e
umask 077
mount -t tmpfs -o noexec,nosuid,mode=700 tmpfs {home}
export HOME={home} PATH={tools} PYTHON={python} LC_ALL=C.UTF-8
cd {home}
tar -xzf {archive}
if sh ./inspector-*/install.sh {home}/here; then echo 'installed where nothing can run' >&2; exit 9; fi
sh ./inspector-*/install.sh {target}
{target}/bin/inspector demo
{target}/bin/inspector watch -Z root --no-journal - < {data}
"""
    done = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "mounted noexec" in done.stderr
    assert VERDICT in done.stdout
    assert '"rule":"certificate-change-abort"' in done.stdout
    assert (target / "bin/inspector").stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (target / "lib/inspector").glob("*.py"))


def test_one_archive_is_for_each_python(archive: Path, others: dict[str, str], tmp_path: Path) -> None:
    """Wheels for any Python are in it once."""
    with tarfile.open(archive) as contents:
        contents.extractall(tmp_path, filter="data")
        wheels_of_any = [member for member in contents if member.name.endswith("-none-any.whl") and member.isreg()]
    assert len({Path(member.name).name for member in wheels_of_any}) == len(wheels_of_any)
    (folder,) = tmp_path.glob("inspector-*")
    if not others:
        pytest.skip("there is no other Python")
    for name, python in others.items():
        target = tmp_path / name
        run("sh", folder / "install.sh", target, PYTHON=python, PYTHONPATH="")
        assert VERDICT in run(target / "bin/inspector", "demo")
        assert list((target / "lib/inspector/__pycache__").glob(f"*.cpython-{name[-4:].replace('.', '')}.pyc"))


@pytest.mark.parametrize(
    ("wheels_for", "complaint"),
    [("x86_64-3.99", "Python 3.11 to 3.14 is needed"), ("riscv64-3.11", "another machine than x86_64")],
)
def test_the_installer_says_which_python_and_machine_it_is_for(wheels_for: str, complaint: str, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    (folder / wheels_for).mkdir(parents=True)
    shutil.copy(ROOT / "docs/locked-down/install.sh", folder)
    words: list[str | Path] = ["sh", folder / "install.sh", tmp_path / "target"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": PATH})
    assert (done.returncode, complaint in done.stderr) == (1, True)
    assert not (tmp_path / "target").exists()


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg-deb")
def test_the_deb_puts_each_file_where_the_system_looks(packages: Path, needed: set[str], tmp_path: Path) -> None:
    """And others may read it; its scripts leave nothing behind."""
    (deb,) = packages.glob(f"vip-inspector_*.python{PYTHON}_amd64.deb")
    root = Path(mkdtemp(dir=tmp_path))
    run("dpkg-deb", "-R", deb, root)
    (depends,) = re.findall(r"^Depends: (.*)$", (root / "DEBIAN/control").read_text(), re.MULTILINE)
    assert depends.startswith(f"python{PYTHON}, libc6 (>= 2.28), ")
    owners = run("dpkg-query", "--search", *(f"*/{name}" for name in needed))
    assert {line.split(":")[0] for line in owners.splitlines()} == {*re.findall(r"lib\S+[^\s,]|zlib\S+", depends)}
    looked_for = {
        *("usr/bin/inspector", "usr/share/man/man1/inspector.1.gz", "usr/share/doc/vip-inspector/copyright"),
        *("usr/share/bash-completion/completions/inspector", "usr/share/zsh/vendor-completions/_inspector"),
        *("usr/share/fish/vendor_completions.d/inspector.fish", "usr/lib/systemd/system/inspector-watch.service"),
    }
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert looked_for <= files
    ours = "usr/lib/vip-inspector/inspector/"
    assert f"{ours}cli/commands.py" in files
    for path in root.rglob("*"):
        assert path.stat().st_mode & (0o055 if path.is_dir() else 0o044), path
        if path.is_file() and path.parent.name != "DEBIAN":
            is_program = str(path.relative_to(root)) == "usr/bin/inspector"
            assert bool(path.stat().st_mode & stat.S_IXUSR) is is_program, path
    unit = (root / "usr/lib/systemd/system/inspector-watch.service").read_text()
    assert "ExecStart=/usr/bin/inspector watch " in unit

    for script in ("usr/bin/inspector", "DEBIAN/postinst", "DEBIAN/prerm"):
        there = (root / script).read_text().replace("/usr/lib/vip-inspector", str(root / "usr/lib/vip-inspector"))
        there = there.replace("/usr/bin/inspector", str(root / "usr/bin/inspector"))
        (root / script).write_text(there.replace(f"/usr/bin/python{PYTHON}", os.path.realpath(sys.executable)))
    assert VERDICT in run(root / "usr/bin/inspector", "demo")
    run("sh", root / "DEBIAN/postinst", "configure")
    assert list((root / ours).rglob("*.pyc"))
    run("sh", root / "DEBIAN/prerm", "upgrade", "0.2.0")
    after = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert after == files


@pytest.mark.skipif(shutil.which("rpm") is None, reason="there is no rpm")
def test_the_rpm_puts_each_file_where_the_system_looks(packages: Path, needed: set[str]) -> None:
    (rpm,) = packages.glob(f"vip-inspector-*.python{PYTHON}.x86_64.rpm")
    listed = run("rpm", "-qp", "--nosignature", "--qf", "[%{FILEMODES:perms} %{FILENAMES}\\n]", rpm).splitlines()
    modes = {line.split(" ", 1)[1]: line.split(" ", 1)[0] for line in listed}
    assert modes["/usr/bin/inspector"] == "-rwxr-xr-x"
    assert modes["/usr/lib/vip-inspector/inspector/cli/commands.py"] == "-rw-r--r--"
    for path in (
        *("/usr/share/man/man1/inspector.1.gz", "/usr/share/bash-completion/completions/inspector"),
        *("/usr/share/zsh/site-functions/_inspector", "/usr/lib/systemd/system/inspector-watch.service"),
        *("/usr/share/fish/vendor_completions.d/inspector.fish", "/usr/share/licenses/vip-inspector/LICENSE"),
    ):
        assert modes[path] == "-rw-r--r--"
    requires = run("rpm", "-qp", "--nosignature", "--requires", rpm).split()
    assert f"/usr/bin/python{PYTHON}" in requires
    assert {f"{name}()(64bit)" for name in needed if name not in GLIBC} <= {*requires}
