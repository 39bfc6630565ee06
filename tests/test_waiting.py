"""No test is passed or failed by how fast a machine is, or who runs first on it: what is waited for are facts, and for
as long as ``tests/waiting.py`` says.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import PATIENCE_SECONDS, has_read

MEASURING = ("bench_", "cluster_costs", "soak")
"""Programs that measure on a machine that they have for themselves."""

MODULES = [path for path in sorted(Path(__file__).parent.rglob("*.py")) if not path.name.startswith(MEASURING)]

WAITS = {"wait", "join", "communicate", "settimeout", "acquire"}
PAUSES = {"sleep", "pause"}

PAUSES_ALL_THE_SAME = {
    ("served_metrics.py", 0.005): "a loop goes round",
    ("test_forked_pool.py", 0.0001): "a reader is slow",
    ("test_metrics_endpoint.py", 0.1): "samples take long; a loop goes round, and does nothing",
    ("test_namespaces.py", 0.5): "an interface is down, which may be noticed or not",
    ("test_namespaces.py", 1.5): "it is up again",
    ("test_sources.py", 0.002): "a writer is slow",
    ("test_supervisor.py", 1.0): "nothing is said that should not be",
}
"""What is asserted holds however much longer they take: there is no fact to wait for, or they make something slow."""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each with the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id, node


def number(value: ast.expr) -> float:
    """A number that stands there as such; else 0."""
    is_number = isinstance(value, ast.Constant) and type(value.value) in (int, float)
    return float(value.value) if is_number else 0.0  # type: ignore[attr-defined]


def test_how_long_is_waited_has_a_name() -> None:
    """It is for what does not come at all, and the same everywhere."""
    limits = {
        (path.name, limit)
        for path in MODULES
        for name, call in calls(path)
        for limit in (
            *(number(keyword.value) for keyword in call.keywords if keyword.arg == "timeout"),
            *(number(argument) for argument in call.args if name in WAITS),
        )
    }
    assert not {one for one in limits if one[1]}


def test_nothing_is_left_to_a_pause() -> None:
    """Another process may stand still for longer, and this one too. Who is to hold on for good sleeps for minutes."""
    pauses = {
        (path.name, number(argument))
        for path in MODULES
        for name, call in calls(path)
        if name in PAUSES
        for argument in call.args
    }
    assert {pause for pause in pauses if 0 < pause[1] <= PATIENCE_SECONDS} == set(PAUSES_ALL_THE_SAME)


def test_a_file_has_been_read_once_it_was_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"two\nlines\n")
    assert not has_read(os.getpid(), path)
    with path.open("rb", buffering=0) as file:
        for expected in (False, True):
            file.readline()
            assert has_read(os.getpid(), path) is expected
        with path.open("ab") as out:
            out.write(b"more\n")
        assert not has_read(os.getpid(), path)
