"""Who may know whom: the rooms of the house, the lowest first, the libraries, clocks, and no circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import COMMAND_SECONDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "inspector"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "bounds": set(),
    "document": set(),
    "text": {"errors"},
    "system": {"text"},
    "tls": {"bounds", "errors"},
    "capture": {"bounds", "errors", "system"},
    "logs": {"capture", "errors", "text"},
    "facts": {"capture", "errors", "logs", "tls"},
    "settings": {"document", "errors", "system", "text"},
    "secrets": {"bounds", "errors", "facts", "system", "text", "tls"},
    "tracking": {"bounds", "errors", "facts", "logs", "tls"},
    "pool": {"bounds", "facts", "tls", "tracking"},
    "wire": {"bounds", "capture"},
    "extract": {
        *("bounds", "capture", "errors", "facts", "logs", "secrets", "system", "text", "tls", "tracking", "wire"),
    },
    "findings": {"bounds", "document", "errors", "facts", "logs", "pool", "text", "tls", "tracking"},
    "probe": {"capture", "errors", "text", "tls"},
    "packets": {"bounds", "capture", "errors", "extract", "facts", "secrets", "tls", "tracking", "wire"},
    "query": {"document", "errors", "extract", "facts", "findings", "text", "tls", "tracking"},
    "redaction": {"bounds", "errors", "facts", "findings", "logs", "packets", "system", "text", "tls", "wire"},
    "reports": {"capture", "document", "errors", "facts", "findings", "logs", "system", "text", "tls", "tracking"},
    "fleet": {"bounds", "capture", "errors", "extract", "facts", "secrets", "text", "wire"},
    "live": {
        *("bounds", "capture", "document", "errors", "extract", "facts", "findings", "logs", "packets", "reports"),
        *("secrets", "system", "text", "tracking", "wire"),
    },
    "bundle": {
        *("capture", "document", "errors", "extract", "facts", "findings", "logs", "packets", "redaction", "reports"),
        *("secrets", "system", "text", "tls", "tracking"),
    },
    "tui": {
        *("bundle", "capture", "document", "errors", "extract", "facts", "findings", "fleet", "live", "packets"),
        *("query", "redaction", "reports", "secrets", "settings", "system", "text", "tls", "tracking"),
    },
    "cli": {
        *("bundle", "capture", "document", "errors", "extract", "facts", "findings", "fleet", "live", "pool"),
        *("probe", "query", "redaction", "reports", "secrets", "settings", "system", "text", "tracking", "tui"),
    },
}
"""What each room may know, the lowest first."""


DOORS: dict[str, set[str]] = {
    "__init__": {"document", "errors", "extract", "findings", "reports", "secrets", "text"},
    "__main__": {"cli"},
}
"""The ways in from outside."""


OUTSIDE: dict[str, set[str]] = {
    "textual": {"tui"},
    "rich": {"tui"},
    "scapy": {"live"},
    "cypcap": {"live"},
    "dpkt": set(),
    "cryptography": {"redaction", "secrets", "cli"},
    "click": {"cli"},
    "jinja2": {"bundle"},
    "markupsafe": {"bundle"},
    "zstandard": {"capture"},
    "fsspec": {"capture"},
    "prometheus_client": {"live"},
    "polars": {"reports", "__init__"},
    "dask": {"fleet"},
    "distributed": {"fleet"},
    "platformdirs": {"settings", "redaction", "live", "tui"},
    "numpy": {"capture", "wire", "tracking", "extract", "query", "packets", "probe", "bundle", "live", "tui"},
}
"""Where each library may be used."""


STANDARD_ONLY = "tls"


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "inspector":
                yield from (f"inspector.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    here = room(path)
    known = LAYERS | DOORS
    assert here in known, f"{here} has no place in the house yet"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "inspector":
            other = rest.split(".")[0]
            assert other == here or other in known[here], f"{path.name} imports {name}"
        else:
            assert here in OUTSIDE.get(top, {here}), f"{path.name} imports {name}"
            if here == STANDARD_ONLY:
                assert top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_the_house_is_of_few_rooms_and_no_arrow_runs_up() -> None:
    assert len(LAYERS) <= 26
    below: set[str] = set()
    for name, known in LAYERS.items():
        assert known <= below, f"{name} knows {known - below}, which stands above it"
        below.add(name)


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in FILES}


def known_modules(path: Path) -> Iterator[str]:
    """The package's modules that a module imports, for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in MODULES)
            if node.module in MODULES and not all(name in MODULES for name in inner):
                yield node.module


def test_no_imports_in_a_circle() -> None:
    left = {name: set(known_modules(path)) - {name} for name, path in MODULES.items()}
    while free := {name for name, known in left.items() if not known & left.keys()}:
        left = {name: known for name, known in left.items() if name not in free}
    inside = set(left)
    while outer := {name for name in inside if not any(name in left[other] for other in inside)}:
        inside -= outer
    assert not inside, sorted(inside)


def test_the_engine_runs_without_the_screen() -> None:
    code = (
        "import sys, inspector; inspector.analyze(sys.argv[1]); assert not {'textual', 'rich', 'click', 'scapy'} &"
        " set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "captures" / "silent-abort.pcap.gz")],
        check=True,
        timeout=COMMAND_SECONDS,
    )


CLOCKS = {
    "time",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.monotonic",
    "time.perf_counter",
}


MAY_LOOK = {"bundle", "cli", "live", "probe", "tui"}


@pytest.mark.parametrize("path", [p for p in FILES if room(p) not in MAY_LOOK], ids=lambda p: str(p.relative_to(ROOT)))
def test_no_wall_clock_below_the_app(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert "time" not in {name.split(".")[0] for name in imports(path)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & CLOCKS
