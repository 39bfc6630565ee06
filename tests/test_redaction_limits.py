"""Whatever limits say, a redacted report names nobody: every kind of limit, with a secret name in each text that there
is, is looked for in every file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from inspector.bundle.writing import BundleRequest, write_bundle
from inspector.capture.frames import CaptureInfo
from inspector.capture.probe_marks import ProbeTurn
from inspector.errors.bounds import Bound
from inspector.errors.captures import CaptureDamage, InputUnreadable
from inspector.errors.decryption import NotDecrypted
from inspector.errors.logs import LogProblem
from inspector.errors.notice import ForeignText, Moment, Notice, PathText
from inspector.errors.secrets import SecretsProblem
from inspector.extract.engine import capture_facts
from inspector.extract.journal import Journal, JournalRecord
from inspector.extract.processes import extract
from inspector.facts import CaptureFacts, ConnectionFacts, Facts
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.findings.wording import WORDS, worded
from inspector.live.keeping import Keeping
from inspector.logs.entries import LogFacts
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.redaction.notices import redacted_notice
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.wire.losses import Losses
from tests.build import Pool, capture, certificate, numbered, written
from tests.conftest import CAPTURES
from tests.live import listened
from tests.waiting import COMMAND_SECONDS

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


def notices(kinds: Any, text: str) -> list[Any]:
    """One notice of each kind, in which every text is this one."""
    return [notice_of(kind, text) for kind in get_args(kinds) or (kinds,)]


def notice_of(kind: type[Notice], text: str) -> Notice:
    """A notice of a kind, in which every text is this one."""
    values: list[object] = []
    hints = get_type_hints(kind)
    for name in kind.__struct_fields__:
        hint = hints[name]
        options = [option for option in get_args(hint) if issubclass(option, Notice)]
        if options:
            values.append(notice_of(options[0], text))
        elif isinstance(hint, type) and issubclass(hint, Enum):
            values.append(next(iter(hint)))
        elif hint in (PathText, ForeignText):
            values.append(text)
        elif hint is Moment or hint in (int, float, bool):
            values.append(hint(7))
        else:
            raise AssertionError(f"{kind.__name__}.{name} is of no kind that a notice may hold")
    return kind(*values)


def facts_of(folder: Path, text: str) -> Facts:
    """Facts of one abort, in which every free text is this one, and in which there is every reason for a limit."""
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    facts = extract([str(written(folder, pool.flows, f"{SECRET}.pcap"))])
    facts.captures = [
        msgspec.structs.replace(
            c, path=f"{SECRET}.pcap", damage=damage, truncated=True, drops=3, undecoded=2, snapped=1
        )
        for c in facts.captures
        for damage in (*notices(CaptureDamage, text), text)
    ]
    facts.problems = notices(InputUnreadable, text)
    facts.bounded = notices(Bound, text)
    facts.secrets = notices(SecretsProblem, text)
    facts.logs = [
        LogFacts(f"{SECRET}{number}.log", "puppetserver", 3, problem=problem)
        for number, problem in enumerate(notices(LogProblem, text))
    ]
    changed = Facts(**{name: getattr(facts, name) for name in facts.__struct_fields__ if name != "_latest"})
    changed.connections = []
    reasons = [text, *notices(NotDecrypted, text)]
    for number, packed in enumerate(facts.connections):
        found = facts.unpack(packed)
        lane = msgspec.structs.replace(found.from_client, lost=number == 0)
        server = msgspec.structs.replace(found.from_server, has_packets=number != 1)
        changed.add(msgspec.structs.replace(found, from_client=lane, from_server=server, secrets=reasons[number]))
    return changed


@pytest.mark.parametrize("text", NAMES)
def test_no_limit_names_anybody(tmp_path: Path, text: str) -> None:
    facts = facts_of(tmp_path, text)
    analysis = judge(facts, Options())
    assert any(SECRET in limit.text for limit in analysis.document.limits)
    order = BundleRequest([f"{SECRET}.pcap"], command=["inspector", "report", f"{SECRET}.pcap", "--redact"], key=KEY)
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
        CaptureFacts(SECRET, 0, 0, None, None, (), False, 0, 0, None, None, host=SECRET),
    )
    listened(capture(pool.flows), Keeping(journal=journal))
    environment = {**os.environ, "PYTHONPATH": str(CAPTURES.parent), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "inspector", "report", name, "-o", "out", "--redact"]
    done = subprocess.run(
        command, capture_output=True, timeout=COMMAND_SECONDS, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "out").iterdir():
        assert SECRET.encode() not in path.read_bytes().lower(), path.name
    assert "what was read are facts, which hold none" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "lost 1 times what was written to it" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", list(WORDS))
def test_a_redacted_notice_keeps_its_numbers_and_names_nobody(kind: type[Notice]) -> None:
    notice = notice_of(kind, f"./{SECRET}/{SECRET}.pcap")
    kept = redacted_notice(notice, Disguise(KEY))
    assert type(kept) is kind
    assert SECRET not in worded(kept)
    assert SECRET.encode() not in msgspec.msgpack.encode(kept)
    for name in notice.__struct_fields__:
        if isinstance(getattr(notice, name), int | float | Enum):
            assert getattr(kept, name) == getattr(notice, name)


def test_every_kind_of_notice_has_words() -> None:
    kinds = {notice for notice in all_kinds(Notice) if notice is not Notice}
    assert kinds == set(WORDS)
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert len(set(tags)) == len(tags)


def all_kinds(kind: type[Notice]) -> set[type[Notice]]:
    return {kind}.union(*(all_kinds(sub) for sub in kind.__subclasses__()))


@pytest.mark.parametrize("kind", list(WORDS))
def test_a_notice_travels_as_it_is(kind: type[Notice]) -> None:
    notice = notice_of(kind, SECRET)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(notice), type=kind | str | None) == notice
    assert SECRET not in worded(notice) or {PathText, ForeignText} & set(get_type_hints(kind).values())


TEXTS: dict[str, str] = {
    "CaptureFacts.path": "a name of the same kind",
    "CaptureFacts.host": "replaced",
    "CaptureFacts.extracted_on": "replaced",
    "ProbeTurn.client": "the name of a client that a probe may ask as; any other is left out",
    "CaptureFacts.damage": "of an earlier version's journal, left out",
    "Unopened.space": "of a table of ours",
    "Unopened.name": "of a table of IANA's",
    "Unopened.why": "of a table of ours",
    "LogFacts.path": "a name of the same kind",
    "LogFacts.form": "of a table of ours",
    "Failure.kind": "of a table of ours",
    "Failure.detail": "said anew by its kind",
    "Failure.text": "said anew by its kind",
    "Failure.thread": "replaced",
    "Failure.host": "replaced",
    "Failure.request": "of a table of ours, or replaced",
    "Failure.node": "replaced",
    "Failure.impact": "of a table of ours",
    "Failure.form": "of a table of ours",
    "Proxied.client": "replaced",
    "Proxied.backend": "replaced",
    "Proxied.server": "replaced",
    "Proxied.address": "left out",
    "Proxied.text": "said anew",
    "Proxied.form": "of a table of ours",
    "ConnectionFacts.preamble": "of a table of ours",
    "ConnectionFacts.secrets": "of an earlier version's journal, left out",
    "OtherFlow.opening": "of a table of ours",
    "AnomalyFact.kind": "of a table of ours",
    "AnomalyFact.what": "of an earlier version's journal, left out",
    "AnomalyFact.path": "of a table of ours",
    "HelloShape.problem": "left out, but for where it is",
    "MalformedMessage.mistake": "of an earlier version's journal, left out",
    "HelloShape.ja3": "made anew",
    "HelloShape.ja4": "made anew",
    "AnswerShape.problem": "left out, but for where it is",
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


@pytest.mark.parametrize(("said", "left"), [("java8-no-ems", "java8-no-ems"), ("", ""), ("db7-internal", "")])
def test_as_what_client_a_probe_asked_names_nobody(said: str, left: str) -> None:
    capture = capture_facts(CaptureInfo("a.pcap"), Losses())
    capture.is_probe, capture.probe_turns = True, (ProbeTurn(1, said),)
    disguise = Disguise(bytes(32))
    [redacted] = redacted_facts(Facts(captures=[capture]), disguise, Remaker(disguise)).captures
    assert redacted.is_probe
    assert redacted.probe_turns == (ProbeTurn(1, left),)
