"""Programs that somebody beside root may change are told from those that root alone may."""

from __future__ import annotations

import os
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


@pytest.mark.skipif(os.geteuid() == 0, reason="root's own files are root's")
def test_a_users_own(program: Path) -> None:
    assert changeable([str(program)]) != ""
