"""Every target of ``tests/fuzz`` over its seeds, its corpus and a little of what is near them: without the fuzzer, so
that it runs everywhere, and with a bound on the work that one input makes.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import targets
from tests.fuzz.__main__ import outcome
from tests.fuzz.targets import CORPUS, TARGETS, corpus_of, keep, read_of, seeds_of
from tests.test_fuzz import mutated
from tests.waiting import COMMAND_SECONDS
from tests.work import Work

NEAR = 20
"""Inputs beside the seeds and the corpus, of each target."""

MOST_CALLS = 400_000
MOST_BYTES = 1 << 20
"""Of all that is kept in the repository."""

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_falls_over_the_corpus(name: str) -> None:
    read, known = read_of(name), [*seeds_of(name), *corpus_of(name)]
    dice = random.Random(name)
    near = [mutated(dice.choice(known), dice)[: TARGETS[name].longest] for _ in range(NEAR)]
    read(known[0])  # what is made once is no work of an input
    for data in (*known, *near):
        with Work() as work:
            read(data)
        assert work.calls < MOST_CALLS, data.hex()


def test_the_corpus_is_small_and_of_targets() -> None:
    files = list(CORPUS.iterdir())
    assert {path.stem for path in files} <= set(TARGETS)
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for name in TARGETS:
        inputs = corpus_of(name)
        assert len(set(inputs)) == len(inputs)
        assert all(len(data) <= TARGETS[name].longest for data in inputs), name


def test_a_corpus_is_written_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "CORPUS", tmp_path / "corpus")
    keep("x509", [b"longer", b"", b"a", b"a"])
    assert corpus_of("x509") == [b"", b"a", b"longer"]
    assert corpus_of("tree") == []


LOG = """\
#2\tINITED cov: 10 ft: 11 corp: 1/5b exec/s: 0 rss: 80Mb
#4096\tpulse  cov: 144 ft: 344 corp: 57/2896b lim: 92 exec/s: 1638 rss: 82Mb
Done 17057 runs in 11 second(s)
stat::number_of_executed_units: 17057
"""


def test_what_the_fuzzer_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.__main__.WORK", tmp_path)
    assert outcome("x509", LOG, 0)[:6] == ("x509", 17057, 11, 144, 344, 57)
    assert outcome("x509", LOG, 0).faults == []
    assert len(outcome("x509", "killed", 9).faults) == 1
    (tmp_path / "x509").mkdir()
    (tmp_path / "x509" / "fault-crash-1").write_bytes(b"x")
    assert outcome("x509", LOG, 77).faults == [str(tmp_path / "x509" / "fault-crash-1")]


def test_a_missing_fuzzer_is_loud() -> None:
    """Where it cannot be imported: a message of its own, and a status of its own."""
    code = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *more: None if name == 'atheris' else find(name, *more);"
        "from tests.fuzz.__main__ import main; sys.argv[1:] = ['--minutes', '1']; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert ended.returncode == 3
    assert "THE GUIDED FUZZER IS NOT THERE" in ended.stderr
