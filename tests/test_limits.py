"""What the system lets a capture have: too little is named."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.live.host.limits import LEAST_FILES, LEAST_MEMORY, Scarcity, as_text, scarce
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import AS_IS
from tests.waiting import COMMAND_SECONDS

MEMORY = "memory (the control group's, MemoryMax=)"


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("groups", "files", "has"),
    [
        pytest.param("0::/\n", {}, None, id="nothing is shown"),
        pytest.param("0::/a/b\n", {"memory.max": "max", "a/memory.max": "max\n"}, None, id="no limit"),
        pytest.param("0::/a/b\n", {"a/b/memory.max": f"{100 << 20}\n"}, 100 << 20, id="its own"),
        pytest.param(
            "0::/a/b\n", {"a/memory.max": f"{100 << 20}\n", "a/b/memory.max": f"{1 << 40}\n"}, 100 << 20, id="above it"
        ),
        pytest.param("0::/a\n", {"a/memory.max": f"{LEAST_MEMORY}\n"}, None, id="enough"),
        pytest.param("0::/a\n", {"b/memory.max": "1\n"}, None, id="of others"),
        pytest.param(
            "4:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": f"{50 << 20}\n"}, 50 << 20, id="cgroup 1"
        ),
        pytest.param("0::/../a\n", {"a/memory.max": "garbage"}, None, id="garbage"),
    ],
)
def test_memory_of_control_groups(tmp_path: Path, groups: str, files: dict[str, str], has: int | None) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert scarce(str(tmp_path)) == ([Scarcity(MEMORY, has, LEAST_MEMORY)] if has is not None else [])


def test_where_no_groups_are_shown(tmp_path: Path) -> None:
    assert scarce(str(tmp_path)) == []


def test_it_is_said_at_the_start() -> None:
    text = as_text(Scarcity("open files (ulimit -n, LimitNOFILE=)", 40, LEAST_FILES))
    command = ["sh", "-c", f'ulimit -n 40; exec "{sys.executable}" -m inspector watch --no-journal - "$@"', "-", *AS_IS]
    done = subprocess.run(
        command, input=capture([]), capture_output=True, timeout=COMMAND_SECONDS, check=False, cwd=CAPTURES.parent
    )
    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[0] == f"inspector: {text}"
