"""The house rules that a script can see: file sizes, names, types and style."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.tls.extension_types import ExtensionType
from inspector.tls.types import ProtocolVersion
from tests.test_layers import FILES, MODULES, PACKAGE, ROOT, room
from tests.waiting import COMMAND_SECONDS

MOST_LINES = 480


def test_a_class_has_a_name_of_its_own() -> None:
    """But for the document's types, some of which are called as what they describe."""
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name)
    assert not {name: where for name, where in places.items() if len(where) > 1}


BAGS = {
    "live/sources/sniff.py": "Scapy's sockets and cypcap have no types",
}
"""Where values without a type are kept by their name, and why."""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_bag_of_anything(path: Path) -> None:
    """No ``dict[str, Any]``, and ``**values: Any`` only where click hands options over: what travels has a type."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bags = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    bags = [bag for bag in bags if re.fullmatch(r"(dict|Mapping)\[(str|Any), Any\]", bag)]
    assert bool(bags) == (str(path.relative_to(PACKAGE)) in BAGS), bags
    if path.name != "options.py" or room(path) != "cli":
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.args.kwarg is not None:
                assert ast.unparse(node.args.kwarg.annotation or ast.Name("")) != "Any", f"{path.name}:{node.lineno}"


MOST_POSITIONAL = 6


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_many_arguments_are_named(path: Path) -> None:
    """But for those of ``struct.pack``, which have no names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and not ast.unparse(node.func).endswith("pack"):
            assert len(node.args) <= MOST_POSITIONAL, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    "path", [*FILES, *sorted((ROOT / "tests").glob("*.py"))], ids=lambda p: str(p.relative_to(ROOT))
)
def test_files_are_short_and_well_named(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    is_registry = path.name == "cipher_suites.py"  # a table of IANA's, one line an entry
    assert lines <= (420 if is_registry else MOST_LINES)
    assert not re.fullmatch(r"(utils?|helpers?|common|misc|managers?)\.py", path.name)


BANNED: dict[str, str] = {
    **dict.fromkeys(("found", "seen", "told", "said", "given", "held", "own", "asked"), "what it is"),
    **dict.fromkeys(("taken", "took", "takes", "tell"), "what it is, or does"),
    "main": "client_leg",
    "modern": "is_tls13",
    "is_modern": "is_tls13",
    "classic": "tls12",
    "place": "index",
    "among": "candidates, members",
    "inside": "renegotiations",
    "reach": "extent",
    "laid": "layout",
    "shard": "shard",
    "desk": "state",
    "door": "output_filter",
    "wish": "scope_request",
    "keen": "wants_encrypted",
    "appetite": "interest",
    "overheard": "on_clear_message",
    "pass_by": "skip_record",
    "knocks": "incident_count",
}
"""Names that say how somebody came by a thing, or are ours alone, and what to say instead (see the glossary)."""

SAID_BY_OTHERS = {
    "document/connection.py": {"among"},
    "document/handshake.py": {"inside"},
    "findings/into_document/handshake.py": {"inside"},
}
"""Fields of the document keep the names that its schema has."""


def identifiers(tree: ast.AST) -> Iterator[str]:
    """The names that are defined: of variables, parameters, functions, classes, attributes and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_say_what_a_thing_is(path: Path) -> None:
    names = {name.strip("_").lower() for name in identifiers(ast.parse(path.read_text(encoding="utf-8")))}
    allowed = SAID_BY_OTHERS.get(path.relative_to(PACKAGE).as_posix(), set())
    assert not {name: BANNED[name] for name in names & set(BANNED) - allowed}


NUMBERS_OF_TLS = frozenset((*ProtocolVersion, *(kind for kind in ExtensionType if kind > 0xFF))) - {0x0002}
"""Versions, and extensions whose numbers are nothing else."""
TABLES = {"tls/types.py", "tls/extension_types.py", "tls/cipher_suites.py", "tls/registry.py"}
BELOW_TLS = {"capture", "wire"}


def test_numbers_of_tls_have_names() -> None:
    """They stand in the tables of ``tls/`` alone, and letters of the history in ``tls/history``."""
    for path in FILES:
        relative = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if room(path) not in BELOW_TLS and relative not in TABLES:
            numbers = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert not {number for number in numbers if type(number) is int} & NUMBERS_OF_TLS, path
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and ast.unparse(node.left).split(".")[-1] == "letter":
                compared = [part for side in node.comparators for part in ast.walk(side)]
                values = [part.value for part in compared if isinstance(part, ast.Constant)]
                assert not any(isinstance(value, str | bytes) for value in values), f"{relative}:{node.lineno}"


READERS = {
    "split",
    "rsplit",
    "partition",
    "rpartition",
    "startswith",
    "endswith",
    "removeprefix",
    "removesuffix",
    "find",
}
PIECE = re.compile(r"[A-Za-z]+ [A-Za-z]|^[:;,.]? $")
"""A piece of a sentence: more than one word, or what stands between two."""

WRITTEN_BY_OTHERS = ("logs/",)
"""Whose texts are parsed, for there is nothing else."""


def texts_read(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Pieces of sentences that a text is held against, with their lines."""
    for node in ast.walk(tree):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS:
            operands = node.args
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        for operand in operands:
            parts = operand.elts if isinstance(operand, ast.Tuple | ast.List | ast.Set) else [operand]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and PIECE.search(part.value):
                    yield part.lineno, part.value


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_text_is_read_to_decide(path: Path) -> None:
    """Facts are values: what a sentence says is known before it is put together."""
    relative = path.relative_to(PACKAGE).as_posix()
    pieces = list(texts_read(ast.parse(path.read_text(encoding="utf-8"))))
    if not relative.startswith(WRITTEN_BY_OTHERS):
        assert not pieces


def test_reading_a_text_is_noticed() -> None:
    for line in ('x.split(": ", 1)', 'x.startswith(("the server", "b"))', 'x == "no session"', '"not certain" in x'):
        assert list(texts_read(ast.parse(line)))
    for line in ('x.split("/")', 'x.removeprefix("CN=")', 'x == "aborted"', 'x in ("full", "psk")'):
        assert not list(texts_read(ast.parse(line)))


def test_nothing_left_behind() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), path
        assert not re.search(r"except( Exception| BaseException)?:", text), path


def test_ruff() -> None:
    subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=ROOT, check=True, timeout=COMMAND_SECONDS
    )
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--no-cache", "."],
        cwd=ROOT,
        check=True,
        timeout=COMMAND_SECONDS,
    )


def test_types() -> None:
    subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, check=True, timeout=3 * COMMAND_SECONDS)


def test_every_dependency_is_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    explained = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    for dependency in project["dependencies"]:
        assert f"**{re.split('[<>=]', dependency)[0]}**" in explained


def test_every_rule_and_every_filter_field_is_documented() -> None:
    from inspector.document.rules import SEVERITY, Rule
    from inspector.query.fields import FIELDS

    rules = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    assert re.findall(r"^## ([a-z]+(?:-[a-z]+)*)$", rules, re.MULTILINE) == list(Rule)
    severities = re.findall(r"^\| \[`([a-z-]+)`\].*\| ([a-z, ]+) \|$", rules, re.MULTILINE)
    assert [rule for rule, _ in severities] == list(Rule) == list(SEVERITY)
    assert all(SEVERITY[Rule(rule)] in several.split(", ") for rule, several in severities)
    filters = (ROOT / "docs" / "reference" / "filters.md").read_text(encoding="utf-8")
    for field in FIELDS:
        assert f"`{field.name}`" in filters, field.name


def test_every_capture_is_described() -> None:
    text = (ROOT / "captures" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "captures").glob("*.gz"):
        assert f"`{path.name}`" in text, path.name
