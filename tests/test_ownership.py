"""Programs that somebody beside root may change are told from those that root alone may."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.live.host.ownership import changeable

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root owns what is root's alone")
NOBODY = 65534


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A link to it; what it needs lies behind another."""
    real = tmp_path / "real"
    (real / "package/data").mkdir(parents=True)
    (real / "package/data/file").write_text("")
    (real / "library").mkdir()
    (real / "library/file").write_text("")
    (real / "package/library").symlink_to("../library")
    (real / "package/back").symlink_to("..")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/package").symlink_to("../real/package")
    return tmp_path / "links/package"


@needs_root
def test_roots_own(program: Path) -> None:
    """Below a directory where everybody may make files, but nobody may replace another's (``/tmp``)."""
    assert changeable([str(program)]) == ""
    program.parents[1].chmod(0o1777)
    assert changeable([str(program), str(program.parent / "none"), "/bin/sh"]) == ""


def others(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def a_groups(path: Path) -> None:
    os.chown(path, -1, NOBODY)
    path.chmod(path.stat().st_mode | 0o020)


def somebodys(path: Path) -> None:
    os.chown(path, NOBODY, -1, follow_symlinks=False)


@needs_root
@pytest.mark.parametrize("change", [others, a_groups, somebodys])
@pytest.mark.parametrize(
    "which", ["", "links", "real", "real/package", "real/package/data", "real/package/data/file", "real/library/file"]
)
def test_what_others_may_change(which: str, change: Callable[[Path], None], program: Path) -> None:
    path = program.parents[1] / which
    change(path)
    assert changeable(["/bin/sh", str(program)]) == str(path)


@needs_root
@pytest.mark.parametrize("which", ["links/package", "real/package/library"])
def test_a_link_of_somebodys(which: str, program: Path) -> None:
    somebodys(program.parents[1] / which)
    assert changeable([str(program)]) == str(program.parents[1] / which)


@needs_root
def test_where_others_may_add_a_module(program: Path) -> None:
    """That nobody may replace what is there does not help where Python looks for more."""
    package = program.resolve()
    package.chmod(0o1777)
    assert changeable([str(package)]) == str(package)
    assert changeable([str(package / "data/file")]) == ""


@needs_root
@pytest.mark.parametrize("name", ["missing", "link"])
def test_what_anybody_may_make(name: str, program: Path) -> None:
    """Where everybody may make files, what is missing is theirs to make, also behind a link."""
    everybodys = program.parents[1] / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    (everybodys / "link").symlink_to("missing")
    assert changeable([str(everybodys / name)]) == str(everybodys)
    (everybodys / "missing").write_text("")
    assert changeable([str(everybodys / name)]) == ""


@needs_root
def test_an_access_list(program: Path) -> None:
    path = program.resolve() / "data/file"
    path.chmod(0o664)
    assert changeable([str(program)]) == ""
    entries = (1, 6, -1), (2, 6, NOBODY), (4, 4, -1), (16, 6, -1), (32, 4, -1)
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", packed)
    except OSError:
        pytest.skip("no access lists here")
    assert path.stat().st_gid == 0
    assert changeable([str(program)]) == str(path)


@needs_root
def test_what_cannot_be_looked_at(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = str(program.resolve() / "data")
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: real(path) if str(path) != hidden else real(hidden + "/file"))
    assert changeable([str(program)]).startswith(hidden)


@pytest.mark.skipif(os.geteuid() == 0, reason="root's own files are root's")
def test_a_users_own(program: Path) -> None:
    assert changeable([str(program)]) != ""
