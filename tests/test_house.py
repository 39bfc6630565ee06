"""The house rules that a script can see: who imports whom, no wall clock below the app, file sizes, names, types and style."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "inspector"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 400

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "bounds": set(),
    "safe": set(),
    "times": set(),
    "document": {"document_handshake"},
    "document_handshake": set(),
    "secrets": {"bounds", "errors", "facts", "safe", "tls", "x509"},
    "tls": {"bounds"},
    "x509": set(),
    "logs": {"capture", "safe"},
    "slicing": {"bounds", "capture", "evidence", "facts", "tls", "wire"},
    "redaction": {"errors", "facts", "findings", "logs", "safe", "slicing", "times", "tls", "wire", "x509"},
    "bundle": {
        *("capture", "document", "errors", "evidence", "extraction", "facts", "findings", "logs", "redaction", "reports", "safe", "slicing"),
        *("secrets", "times", "tracking", "version", "vips"),
    },
    "facts": {"logs", "tls"},
    "capture": {"bounds", "errors"},
    "wire": {"bounds", "capture", "facts", "tls", "tracking"},
    "tracking": {"bounds", "errors", "facts", "logs", "tls", "x509"},
    "merging": {"facts"},
    "engine": {"bounds", "capture", "facts", "safe", "tls", "tracking", "wire"},
    "stretch": {"capture", "engine", "facts", "safe", "secrets", "wire"},
    "extraction": {"capture", "facts", "journal", "logs", "merging", "secrets", "stretch", "tracking"},
    "findings": {"bounds", "document", "facts", "logs", "times", "tls", "tracking", "version", "x509"},
    "filter_fields": {"document", "document_handshake", "facts", "findings", "tls", "tracking"},
    "filters": {"errors", "facts", "filter_fields", "findings", "tracking"},
    "columns": {"filter_fields", "filters", "findings"},
    "evidence": {"capture", "errors", "facts", "wire"},
    "contents": {"capture", "engine", "errors", "evidence", "facts", "secrets", "stretch", "tls", "tracking", "wire"},
    "settings": {"document", "errors", "safe"},
    "vips": {"errors"},
    "journal": {"bounds", "errors", "facts", "tls"},
    "live": {"capture", "document", "engine", "errors", "evidence", "facts", "findings", "journal", "logs", "safe", "secrets", "times", "tracking", "wire"},
    "progress": {"capture"},
    "reports": {"document", "errors", "facts", "findings", "logs", "safe", "times", "tls", "tracking"},
    "tui": {
        "bundle",
        "capture",
        "columns",
        "contents",
        "document",
        "errors",
        "evidence",
        "extraction",
        "facts",
        "filter_fields",
        "filters",
        "findings",
        "journal",
        "live",
        "redaction",
        "reports",
        "safe",
        "secrets",
        "settings",
        "stretch",
        "times",
        "tls",
        "tracking",
    },
    "cli": {"capture", "cli_files", "cli_live", "cli_report", "document", "errors", "extraction", "filters", "findings", "reports", "settings", "tracking", "tui", "version"},
    "cli_files": {"capture", "errors", "extraction", "findings", "progress", "safe", "secrets", "vips"},
    "cli_report": {"bundle", "capture", "cli_files", "document", "errors", "findings", "redaction", "reports", "safe", "secrets", "vips"},
    "cli_live": {"cli_files", "errors", "findings", "journal", "live", "safe", "secrets", "settings", "tui", "vips"},
    "__init__": {"document", "errors", "extraction", "findings", "secrets", "version"},
    "__main__": {"cli"},
}
"""What each room may know. Wire knows of tracking only the sink that it feeds."""

OUTSIDE: dict[str, set[str]] = {
    "textual": {"tui"},
    "rich": {"tui"},
    "scapy": {"live"},
    "cypcap": {"live"},
    "dpkt": set(),
    "cryptography": {"redaction", "secrets", "cli_live"},
    "click": {"cli", "cli_files", "cli_live", "cli_report"},
    "jinja2": {"bundle"},
    "markupsafe": {"bundle"},
    "zstandard": {"capture"},
    "numpy": {"capture", "wire", "tracking", "filters", "columns", "evidence", "bundle", "live", "tui"},
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
    assert here in LAYERS, f"{here} has no place in the house yet"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "inspector":
            other = rest.split(".")[0]
            assert other == here or other in LAYERS[here], f"{path.name} imports {name}"
        else:
            assert here in OUTSIDE.get(top, {here}), f"{path.name} imports {name}"
            if here == STANDARD_ONLY:
                assert top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_the_engine_runs_without_the_screen() -> None:
    code = "import sys, inspector; inspector.analyze(sys.argv[1]); assert not {'textual', 'rich', 'click', 'scapy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(ROOT / "captures" / "silent-abort.pcap.gz")], check=True, timeout=60)


CLOCKS = {"time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic", "time.perf_counter"}
MAY_LOOK = {"bundle", "progress", "live", "tui"}


@pytest.mark.parametrize("path", [p for p in FILES if room(p) not in MAY_LOOK], ids=lambda p: str(p.relative_to(ROOT)))
def test_no_wall_clock_below_the_app(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert "time" not in {name.split(".")[0] for name in imports(path)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & CLOCKS


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").glob("*.py"))], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_well_named(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    is_registry = path.name == "cipher_suites.py"  # a table of IANA's, one line an entry
    assert lines <= (420 if is_registry else MOST_LINES)
    assert not re.fullmatch(r"(utils?|helpers?|common|misc|managers?)\.py", path.name)


def test_nothing_left_behind() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), path
        assert not re.search(r"except( Exception| BaseException)?:", text), path


def test_ruff() -> None:
    subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=ROOT, check=True, timeout=120)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--check", "--no-cache", "."], cwd=ROOT, check=True, timeout=120)


def test_types() -> None:
    subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, check=True, timeout=600)


def test_every_dependency_is_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    explained = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    for dependency in project["dependencies"]:
        assert f"**{re.split('[<>=]', dependency)[0]}**" in explained


def test_every_rule_and_every_filter_field_is_documented() -> None:
    from inspector.filter_fields import FIELDS

    rules = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    named = set(
        re.findall(
            r'"((?:certificate|renegotiation|pool|triple|handshake|capture)(?:-[a-z]+)+)"', "".join(p.read_text(encoding="utf-8") for p in (PACKAGE / "findings").glob("*.py"))
        )
    )
    assert len(named) >= 11
    for rule in named:
        assert f"`{rule}`" in rules, rule
    filters = (ROOT / "docs" / "reference" / "filters.md").read_text(encoding="utf-8")
    for field in FIELDS:
        assert f"`{field.name}`" in filters, field.name


def test_every_capture_is_described() -> None:
    text = (ROOT / "captures" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "captures").glob("*.gz"):
        assert f"`{path.name}`" in text, path.name
