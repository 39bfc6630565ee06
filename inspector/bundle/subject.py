"""What a bundle is about, ready to be written: the judged analysis, what of it is said, the packets that prove it.
Redacted, it is another subject.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from inspector.bundle import packets, slices
from inspector.bundle.manifest import Input, Redacted, digest, host
from inspector.bundle.scope import Scope, ScopeRequest, scope_of
from inspector.bundle.slices import Slice
from inspector.capture.inputs import holds_facts, is_journal
from inspector.document import Finding
from inspector.errors import UnreadableError
from inspector.errors.captures import FactsWithoutPackets, NoPackets, PacketsNotRead
from inspector.errors.notice import ForeignText
from inspector.findings.case import Case
from inspector.findings.judge import Analysis, judge
from inspector.packets.buffer import FrameBuffer
from inspector.packets.cut import CutPacket
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import REPLACED, redacted_facts, redacted_options
from inspector.redaction.messages import Redactor
from inspector.redaction.notices import redacted_notice
from inspector.redaction.paths import path_name
from inspector.text.zones import UTC, TimeZone

COMMANDS = ("inspector", "report")


@dataclass(slots=True)
class Subject:
    """``packets``: None where there are none, and then ``missing`` says why. ``is_whole``: all of
    them fit into memory.
    """

    analysis: Analysis
    scope: Scope
    cut: Slice
    packets: list[CutPacket] | None
    missing: NoPackets | None
    is_whole: bool
    inputs: list[Input]
    command: list[str]
    host: str
    redacted: Redacted | None = None


def subject_of(
    analysis: Analysis,
    paths: Sequence[str],
    request: ScopeRequest,
    command: Sequence[str],
    key: bytes | None = None,
    zone: TimeZone = UTC,
) -> Subject:
    """``key``: of redaction, None for none. ``zone``: as in ``scope_of``. Raises UsageError where nothing fits the
    request.
    """
    scope = scope_of(analysis, request, zone)
    content_slice = slices.slice_of(analysis, scope)
    members = slices.observed_in(analysis.case, content_slice)
    buffer: FrameBuffer | None = None
    missing: NoPackets | None = None
    if any(holds_facts(path) for path in paths if path != "-"):
        missing = FactsWithoutPackets()
    else:
        try:
            buffer = packets.buffered_frames(paths, members, analysis.case.facts.captures)
        except UnreadableError as error:
            missing = PacketsNotRead(ForeignText(str(error)))
    redactor = Redactor(Disguise(key)) if key is not None else None
    cut = packets.packets(buffer, members, redactor) if buffer is not None else None
    is_whole = buffer is None or not buffer.is_full
    subject = Subject(
        analysis=analysis,
        scope=scope,
        cut=content_slice,
        packets=cut,
        missing=missing,
        is_whole=is_whole,
        inputs=_inputs(analysis, paths),
        command=list(command),
        host=host(),
    )
    return subject if redactor is None else _disguised(subject, redactor)


def _disguised(subject: Subject, redactor: Redactor) -> Subject:
    """The same with nothing of the original in it: judged anew from redacted facts."""
    case, disguise = subject.analysis.case, redactor.disguise
    facts = redacted_facts(case.facts, disguise, redactor.certificates)
    analysis = judge(facts, redacted_options(case.options, disguise))
    twin = _twins(case, analysis.case)
    index = {case.columns.id(before): after for before, after in twin.items()}
    named = {index[i.connections[-1]] for i in subject.scope.incidents if i.connections[-1] in index}
    kept = {
        index[i.connections[-1]]
        for i in subject.scope.incidents
        if i.id in subject.cut.incidents and i.connections[-1] in index
    }
    after = analysis.case.columns.by_id()
    incidents = [i for i in analysis.document.incidents if after[i.connections[-1]] in named]
    findings = _same_findings(subject, analysis)
    members = [
        twin[s.index]
        for s in case.observed
        if s.index in twin and case.services[s.service].id in subject.scope.services
    ]
    services = list(dict.fromkeys(analysis.case.services[analysis.case.observed[i].service].id for i in members))
    scope = Scope(incidents, findings, services, subject.scope.text)
    chosen = [twin[i] for i in subject.cut.members if i in twin]
    cut = slices.sliced(scope, chosen, [i.id for i in incidents if after[i.connections[-1]] in kept])
    return replace(
        subject,
        analysis=analysis,
        scope=scope,
        cut=cut,
        missing=redacted_notice(subject.missing, disguise) if subject.missing is not None else None,
        inputs=[structs.replace(i, path=path_name(i.path, disguise)) for i in subject.inputs],
        command=[_word(word, disguise) for word in subject.command],
        host=disguise.text(subject.host),
        redacted=Redacted(disguise.fingerprint, list(REPLACED)),
    )


def _twins(old: Case, new: Case) -> dict[int, int]:
    """For the index of each connection that among the redacted ones, whose facts stand in the same order."""
    stored_at = {packed: i for i, packed in enumerate(old.facts.connections)}
    by_packed = {
        packed: observed.index for observed in new.observed for packed in (observed.packed, *observed.packed_legs)
    }
    twins = {
        observed.index: by_packed.get(new.facts.connections[stored_at[observed.packed]]) for observed in old.observed
    }
    return {index: other for index, other in twins.items() if other is not None}


def _same_findings(subject: Subject, analysis: Analysis) -> list[Finding]:
    """All findings, or those whose rule and time are those of the scope."""
    if len(subject.scope.findings) == len(subject.analysis.document.findings):
        return list(analysis.document.findings)
    signatures = {(f.rule, f.first, f.last, f.count) for f in subject.scope.findings}
    return [f for f in analysis.document.findings if (f.rule, f.first, f.last, f.count) in signatures]


def _word(word: str, disguise: Disguise) -> str:
    """A word of the command line: options stay, what they are given does not."""
    if word in COMMANDS or word.startswith("--redact"):
        return word.partition("=")[0]
    if word.startswith("-"):
        option, equals, value = word.partition("=")
        return option + equals + (path_name(value, disguise) if value else "")
    return path_name(word, disguise)


def _inputs(analysis: Analysis, paths: Sequence[str]) -> list[Input]:
    inputs = [
        Input(
            path=c.path,
            kind="capture",
            sha256=digest(c.path),
            bytes=_size(c.path),
            packets=c.packets,
            first=c.first,
            last=c.last,
            drops=c.drops,
        )
        for c in analysis.document.captures
    ]
    inputs += [Input(path, "journal", digest(path), _size(path)) for path in paths if path != "-" and is_journal(path)]
    return inputs + [
        Input(
            path=log.path,
            kind="log",
            sha256=digest(log.path),
            bytes=_size(log.path),
            packets=None,
            first=log.first,
            last=log.last,
        )
        for log in analysis.document.logs
    ]


def _size(path: str) -> int | None:
    return os.path.getsize(path) if os.path.isfile(path) else None
