"""An installation on a system without a library that a compiled module wants: it is said in a line, and what is this
program's own mistake is not mistaken for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CAPTURES, find
from tests.waiting import COMMAND_SECONDS

MISSING = "libstdc++.so.6: cannot open shared object file: No such file or directory"


def analyzed_with(module: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """``analyze`` where this stands in the place of NumPy."""
    (folder / "numpy").mkdir()
    (folder / "numpy" / "__init__.py").write_text(module)
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{CAPTURES.parent}"}
    words = [sys.executable, "-m", "inspector", "analyze", str(find("silent-abort"))]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)


@pytest.mark.parametrize(
    "module",
    [
        f"raise ImportError({MISSING!r})",
        f"try: raise ImportError({MISSING!r})\nexcept ImportError as error: raise ImportError('Advice') from error",
    ],
    ids=["as it is", "wrapped in advice"],
)
def test_a_library_that_is_missing(module: str, tmp_path: Path) -> None:
    done = analyzed_with(module, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first == f"inspector: what it needs cannot be loaded: {MISSING}"
    assert "libstdc++6" in second


def test_a_name_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    done = analyzed_with("raise ImportError('cannot import name array')", tmp_path)
    assert done.stderr.startswith("Traceback ")
