"""Whatever limits say, a redacted report names nobody: every kind of limit, with a secret name in each text that there
is, is looked for in every file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from inspector.bundle.writing import Order, write_bundle
from inspector.extract.journal import Journal, JournalRecord
from inspector.extract.processes import extract
from inspector.facts import CaptureFacts, ConnectionFacts, Facts
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.live.update import Keeping
from inspector.logs.entries import LogFacts
from inspector.redaction.sentences import OTHERWISE, PATTERNS, REPEATED, repeated
from inspector.tls.shapes import AnswerShape, HelloShape
from tests.build import Pool, capture, certificate, numbered, written
from tests.conftest import CAPTURES
from tests.live import listened

SECRET = "quaxolotl"
"""A word that nobody else uses."""

KEY = b"k" * 32
A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
NAMES = (
    SECRET,
    f"{SECRET}.sqlite",
    f"./{SECRET}",
    f"{SECRET}/{SECRET}.pcap",
    f"a {SECRET} b",
    f"the journal {SECRET} lost 3 times what was written to it",
    f"{SECRET}: x",
)


def facts_of(folder: Path, text: str) -> Facts:
    """Facts of one abort, in which every free text is this one, and in which there is every reason for a limit."""
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    facts = extract([str(written(folder, pool.flows, f"{SECRET}.pcap"))])
    facts.captures = [
        msgspec.structs.replace(c, path=f"{SECRET}.pcap", damage=text, truncated=True, drops=3, undecoded=2, snapped=1)
        for c in facts.captures
    ]
    facts.problems = [(f"{SECRET}-other.pcap", text)]
    facts.bounded = [text, f"the journal {text} lost 7 times what was written to it"]
    facts.secrets = [text]
    facts.logs = [
        LogFacts(f"{SECRET}.log", "puppetserver", 3, problem=text),
        LogFacts(f"{SECRET}2.log", "haproxy", 3, problem=f"cannot be read behind line 3: {text}"),
    ]
    changed = Facts(**{name: getattr(facts, name) for name in facts.__struct_fields__ if name != "_latest"})
    changed.connections = []
    for number, packed in enumerate(facts.connections):
        found = facts.unpack(packed)
        lane = msgspec.structs.replace(found.from_client, lost=number == 0)
        server = msgspec.structs.replace(found.from_server, packets=number != 1)
        changed.add(msgspec.structs.replace(found, from_client=lane, from_server=server))
    return changed


@pytest.mark.parametrize("text", NAMES)
def test_no_limit_names_anybody(tmp_path: Path, text: str) -> None:
    facts = facts_of(tmp_path, text)
    analysis = judge(facts, Options())
    assert any(SECRET in limit.text for limit in analysis.document.limits)
    order = Order([f"{SECRET}.pcap"], command=["inspector", "report", f"{SECRET}.pcap", "--redact"], key=KEY)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        bundle = write_bundle(analysis, str(tmp_path / "report"), order)
    finally:
        os.chdir(before)
    assert {"unreadable", "truncated", "drops", "undecoded", "bounded", "secrets"} <= {
        limit.kind for limit in analysis.document.limits
    }
    assert bundle.incidents
    for path in bundle.directory.iterdir():
        assert SECRET.encode() not in path.read_bytes().lower(), path.name
    assert SECRET not in " ".join(bundle.notes)


def test_a_journal_by_a_relative_path_is_not_named(tmp_path: Path) -> None:
    name = f"{SECRET}-journal.sqlite"
    journal = Journal(str(tmp_path / name), 1 << 30, SECRET)
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    journal.write(
        [],
        [JournalRecord(1, "limit", "journal", b"{}")],
        Facts(),
        CaptureFacts(SECRET, 0, 0, None, None, (), False, 0, 0, None, None),
    )
    listened(capture(pool.flows), Keeping(journal=journal))
    environment = {**os.environ, "PYTHONPATH": str(CAPTURES.parent), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "inspector", "report", name, "-o", "out", "--redact"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "out").iterdir():
        assert SECRET.encode() not in path.read_bytes().lower(), path.name
    assert "a journal keeps facts, no packets" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "lost 1 times what was written to it" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("sentence", REPEATED)
def test_what_is_repeated_keeps_its_numbers_and_nothing_else(sentence: str) -> None:
    said = sentence.replace("#", "1,234").replace("*", SECRET)
    assert repeated(said) == sentence.replace("#", "1,234").replace("*", "…")
    assert SECRET not in repeated(f"{said} {SECRET}")
    assert SECRET not in repeated(f"{SECRET} {said}")
    assert len(PATTERNS) == len(REPEATED)


def test_what_is_not_known_is_not_repeated() -> None:
    for text in (*NAMES, "any other sentence", "12", "\n", "is no text\n"):
        assert SECRET not in repeated(text)
    assert repeated("") == ""
    assert repeated("any other sentence") == OTHERWISE


TEXTS: dict[str, str] = {
    "CaptureFacts.path": "a name of the same kind",
    "CaptureFacts.damage": "repeated as far as it is known",
    "Unopened.space": "of a table of ours",
    "Unopened.name": "of a table of IANA's",
    "Unopened.why": "of a table of ours",
    "Facts.problems": "left out but for a name of the same kind",
    "Facts.bounded": "repeated as far as it is known",
    "Facts.secrets": "repeated as far as it is known",
    "LogFacts.path": "a name of the same kind",
    "LogFacts.form": "of a table of ours",
    "LogFacts.problem": "repeated as far as it is known",
    "Failure.kind": "of a table of ours",
    "Failure.detail": "said anew by its kind",
    "Failure.text": "said anew by its kind",
    "Failure.thread": "replaced",
    "Failure.host": "replaced",
    "Failure.request": "of a table of ours, or replaced",
    "Failure.node": "replaced",
    "Failure.impact": "of a table of ours",
    "Proxied.client": "replaced",
    "Proxied.backend": "replaced",
    "Proxied.server": "replaced",
    "Proxied.address": "left out",
    "Proxied.text": "said anew",
    "ConnectionFacts.preamble": "of a table of ours",
    "ConnectionFacts.secrets": "of a table of ours",
    "AnomalyFact.kind": "of a table of ours",
    "AnomalyFact.text": "our own words and numbers",
    "AnomalyFact.path": "of a table of ours",
    "HelloShape.problem": "our own words and numbers",
    "HelloShape.ja3": "made anew",
    "HelloShape.ja4": "made anew",
    "AnswerShape.problem": "our own words and numbers",
    "AnswerShape.ja3s": "a hash of numbers",
}
"""What becomes of each text in the facts."""


def texts(kind: Any, seen: set[Any]) -> set[str]:
    """The fields of facts that hold text, by struct and name."""
    found: set[str] = set()
    if kind in seen or not isinstance(kind, type):
        return found
    seen.add(kind)
    for name, hint in get_type_hints(kind).items():
        kinds = [hint]
        while kinds:
            inner = kinds.pop()
            if inner is str or (get_args(inner) and any(isinstance(a, str) for a in get_args(inner))):
                found.add(f"{kind.__name__}.{name}")
            elif isinstance(inner, UnionType) or get_origin(inner) in (Union, list, tuple, dict):
                kinds += get_args(inner)
            elif isinstance(inner, type) and (issubclass(inner, msgspec.Struct) or hasattr(inner, "_fields")):
                found |= texts(inner, seen)
    return found


def test_a_text_that_is_added_to_the_facts_is_looked_at() -> None:
    """Closed by design: whoever adds a text says here what becomes of it, and sees to that in ``redaction.facts``."""
    seen: set[Any] = set()
    found = texts(Facts, seen) | texts(ConnectionFacts, seen) | texts(HelloShape, seen) | texts(AnswerShape, seen)
    found -= {name for name in found if name.endswith("._latest")}
    assert not found - set(TEXTS), "what becomes of these in a redacted report?"
