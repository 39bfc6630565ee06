"""What a run of ``extract`` leaves for the next one is taken up only where nobody else can have written it, runs
nothing whatever it holds, and costs connections their continuity at most where it is not there.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector import bounds
from inspector.extract import open_flows
from inspector.extract.open_flows import OpenFlowsFolder
from inspector.extract.processes import extract
from inspector.extract.put_away import TooLargeError, columns_again, put_away, taken_up
from inspector.extract.tables import read_tables
from inspector.extract.tables.manifest import counting, parts_of
from inspector.settings import open_flows_folder
from inspector.system import own_files
from tests.build import Pool, certificate, numbered
from tests.fleet import cut, document
from tests.test_tables import CAPTURES

pytest.importorskip("pyarrow")
from tests.runs import STORY, Host, connections


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_program_with_modules_of_other_names_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though as many, of the same time: packages give all files one."""
    (tmp_path / "room").mkdir()
    first, second = tmp_path / "room" / "closing.py", tmp_path / "room" / "lingering.py"
    first.write_text("")
    os.utime(first, (0, 0))
    monkeypatch.setattr(own_files, "__file__", str(first))
    before = own_files.program_digest()
    first.rename(second)
    assert own_files.program_digest() != before


def test_another_version_of_the_program(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = cut(tmp_path, STORY, [200])
    host.extract(paths[0])
    monkeypatch.setattr(open_flows, "_program", lambda: b"another")
    assert "another version of the program kept them" in host.extract(paths[1]).output
    assert not [manifest for manifest in host.manifests() if manifest.continues]
    assert len(json.loads(host.document())["captures"]) == 2


class Killed(Exception):
    """What comes from nowhere."""


@pytest.mark.parametrize("step", range(16))
def test_a_run_that_ends_anywhere(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Between what it leaves and its part, or amid either: it is done again, and says the same."""
    paths = cut(tmp_path, STORY, [100, 200])
    host.extract(paths[0])
    count = 0

    def ends(replace: Callable[..., Any]) -> Callable[..., Any]:
        def replaced(*paths: Any) -> Any:
            nonlocal count
            count += 1
            if count > step:
                raise Killed
            return replace(*paths)

        return replaced

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", ends(os.replace))
        patched.setattr(Path, "replace", ends(Path.replace))
        try:
            host.extract(paths[1])
        except Killed:
            assert count > step
    for path in paths[1:]:
        host.extract(path)
    assert host.document() == document(extract(paths))


def test_too_much_is_open(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = cut(tmp_path, STORY, [200])
    monkeypatch.setattr(bounds, "OPEN_FLOWS_BYTES", 10_000)
    assert "too large to be kept" in host.extract(paths[0]).output
    assert not host.kept()
    assert host.document() == document(extract(paths[:1]))
    assert "they were not kept" in host.extract(paths[1]).output


def test_secrets_are_not_kept(host: Host) -> None:
    host.extract(CAPTURES / "tls13-inside.pcap.gz", "--keylog", CAPTURES / "tls13-inside.keylog")
    assert not host.kept()


def test_two_runs_at_once(host: Host, tmp_path: Path) -> None:
    """One waits for the other, else both would read the same captures, and follow the same flows."""
    paths = cut(tmp_path, STORY, [200])
    host.extract(paths[0])
    words = [sys.executable, "-m", "inspector", "extract", paths[1], "-o", str(host.facts)]
    with OpenFlowsFolder(open_flows_folder(), str(host.facts)).lock(lambda: None):
        runs = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for run in runs:
            assert run.stderr is not None
            assert "waits for its end" in run.stderr.readline()
        assert len(host.manifests()) == 2, "of the first run"
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted("all of it is there" in text for text in said) == [False, True]
    assert host.document() == document(extract(paths))


@pytest.mark.parametrize(
    "more", [["--no-follow"], ["--keylog", str(CAPTURES / "tls13-inside.keylog")], ["--cluster", "local:1"]]
)
def test_runs_that_follow_nothing_wait_as_well(host: Host, tmp_path: Path, more: list[str]) -> None:
    """Both would write the same part."""
    [path] = cut(tmp_path, STORY, [])
    words = [sys.executable, "-m", "inspector", "extract", path, "-o", str(host.facts), *more]
    with OpenFlowsFolder(open_flows_folder(), str(host.facts)).lock(lambda: None):
        runs = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for run in runs:
            assert run.stderr is not None
            assert "waits for its end" in run.stderr.readline()
        assert not host.manifests()
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted("all of it is there" in text for text in said) == [False, True]
    assert len(host.manifests()) == 1
    assert connections(host.document()) == connections(document(extract([path])))
    assert not host.kept()


@pytest.mark.parametrize(
    ("more", "expected"),
    [([], "connections are not followed"), (["--no-follow"], "other runs into the same directory")],
)
def test_where_nobody_can_be_waited_for(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], expected: str
) -> None:
    """The folder of the user's state is no folder: it is said, and read all the same."""
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    [path] = cut(tmp_path, STORY, [])
    assert f"inspector: {expected}" in host.extract(path, *more).output
    assert host.document() == document(extract([path]))


def group_may_write(path: Path) -> None:
    path.chmod(0o660)


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def folder_of_all(path: Path) -> None:
    path.parent.chmod(0o777)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def altered(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[-100] ^= 1
    path.write_bytes(octets)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (group_may_write, "others may have written"),
        (a_link, "others may have written"),
        (folder_of_all, "others may write to it"),
        (cut_short, "damaged"),
        (altered, "damaged"),
        (empty, "damaged"),
    ],
)
def test_what_was_kept_is_not_as_it_was(host: Host, tmp_path: Path, harm: Callable[[Path], None], why: str) -> None:
    paths = cut(tmp_path, STORY, [200])
    host.extract(paths[0])
    harm(host.kept()[0])
    assert why in host.extract(paths[1]).output
    assert len(json.loads(host.document())["captures"]) == 2
    assert not [manifest for manifest in host.manifests() if manifest.continues]


class Command:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, ("exit 3",)


class Opener:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return open, (os.devnull,)


class Columns:
    def __init__(self, *of: object) -> None:
        self.of = of

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return columns_again, self.of


@pytest.mark.parametrize(
    "octets",
    [
        pickle.dumps(Command()),
        pickle.dumps(Opener()),
        b"cos\nsystem\n(S'exit 3'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cinspector.extract.processes\n_Worker\n(S'1'\ntR.",
        b"cinspector.__main__\nmain\n)R.",
        b"\x80\x04\x8c\x1cinspector.extract.put_away\x8c\x0cpickle.loads\x93.",
        b"cnumpy\nndarray\n((I1\ntS'O'\nS'AAAAAAAA'\ntR.",
        b"cbuiltins\nbytearray\n(I1099511627776\ntR.",
        pickle.dumps(Columns("O", (1,), bytes(8))),
        pickle.dumps(Columns([("one", "u1"), ("two", "O")], (1,), bytes(9))),
        pickle.dumps(Columns("u1", (2,), bytes(1))),
        b"",
        b"\x80\x05",
        b"(" * 100_000,
    ],
    ids=range(15),
)
def test_what_was_put_away_runs_nothing(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*of: object) -> None:
        raise AssertionError("a command was run")

    monkeypatch.setattr(os, "system", called)
    with pytest.raises(ValueError, match=r"."):
        taken_up(octets)


@pytest.mark.parametrize("kind", [np.int64, np.dtype([("key", "S16"), ("ns", np.int64, (2,))])], ids=str)
@pytest.mark.parametrize("count", [0, 3])
def test_columns_are_taken_up_as_they_were(kind: Any, count: int) -> None:
    """Of any layout, and such that an engine may write to them."""
    columns = np.zeros(2 * count, kind)[::2]
    octets = put_away([columns, columns])
    one, two = taken_up(octets)
    assert one is two
    assert (one.dtype, one.tobytes(), one.shape) == (columns.dtype, columns.tobytes(), columns.shape)
    assert one.flags.writeable
    assert b"ndarray" not in octets


def test_damaged_bytes_are_a_named_error(host: Host, tmp_path: Path) -> None:
    """Whatever they lead to: nothing else is raised, and nothing is made but what engines consist of."""
    host.extract(*cut(tmp_path, STORY, [200])[:1])
    octets = host.kept()[0].read_bytes()
    octets = octets[octets.index(b"\x80\x05") :]
    dice = random.Random(7)
    for _ in range(400):
        harmed = bytearray(octets)
        for _ in range(dice.choice((1, 1, 3, 30))):
            harmed[dice.randrange(len(harmed))] = dice.randrange(256)
        try:
            taken_up(bytes(harmed))
        except ValueError:
            continue


def test_more_than_there_is_room_for_is_not_put_away() -> None:
    assert taken_up(put_away([b"x" * 100], 1_000)) == [b"x" * 100]
    with pytest.raises(TooLargeError):
        put_away([b"x" * 2_000], 1_000)
    with pytest.raises(TooLargeError):
        put_away([b"%d" % number for number in range(1_000)], 1_000)
    assert isinstance(pickle.Unpickler(io.BytesIO(put_away([1]))).load(), list)


def test_manifests_of_strangers_hide_no_part_of_others(host: Host, tmp_path: Path) -> None:
    """Who says to have gone on from a part of another place has not."""
    host.extract(cut(tmp_path, STORY, [200])[0])
    before = host.document()
    [part] = [manifest for manifest in host.manifests() if not manifest.open_of]
    stranger = Host(tmp_path / "stranger")
    pool = Pool()
    pool.full(certificate("x"), numbered(1))
    (tmp_path / "other").mkdir()
    path = cut(tmp_path / "other", [*STORY[:30]], [])[0]
    stranger.extract(path, "--vantage", "elsewhere")
    for manifest in (stranger.facts / "parts").glob("*.json"):
        told = json.loads(manifest.read_bytes())
        told["continues"] = part.name
        manifest.write_text(json.dumps(told))
    shutil.copytree(stranger.facts, host.facts, dirs_exist_ok=True)
    assert connections(document(read_tables(str(host.facts)))) >= connections(before)
    assert part.still_open in {each.name for each in counting(parts_of(str(host.facts)).manifests)}
