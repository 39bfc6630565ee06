"""A bundle written: the report in two forms, the analysis, the connections, the packets and what they
were made from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.bundle import packets, rendering, slices
from inspector.bundle.content import content_of
from inspector.bundle.manifest import CLOCK, NAME, Manifest, Proof, load, now, seal
from inspector.bundle.scope import ScopeRequest
from inspector.bundle.slices import signature
from inspector.bundle.subject import Subject, subject_of
from inspector.bundle.verify import findings_of
from inspector.capture.probe_marks import interface_of
from inspector.capture.redacted import REDACTED
from inspector.document import Generator
from inspector.errors import UsageError
from inspector.facts import FRAME_BITS, FRAME_NUMBER, CaptureFacts
from inspector.findings.case import Options
from inspector.findings.judge import Analysis
from inspector.findings.wording import worded
from inspector.logs.entries import LogFacts
from inspector.reports.formats import write
from inspector.text.safe import path_text
from inspector.text.version import VERSION
from inspector.text.zones import UTC, TimeZone

if TYPE_CHECKING:
    from inspector.secrets.store import Secrets

EVIDENCE = "evidence.pcapng"
HTML, MARKDOWN, JSON, CSV = "report.html", "report.md", "analysis.json", "connections.csv"


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """What to write. ``paths``: of captures and journals, as ``analysis`` was made from them. ``command``: as it was
    given. ``key``: of redaction.
    ``secrets``: to be put with the packets. ``zone``: of times in the report.
    """

    paths: Sequence[str]
    scope_request: ScopeRequest = field(default_factory=ScopeRequest)
    command: Sequence[str] = ()
    key: bytes | None = None
    is_forced: bool = False
    secrets: Secrets | None = None
    zone: TimeZone = UTC


@dataclass(slots=True)
class Bundle:
    """What was written. ``notes``: what of the evidence is less than it should be."""

    directory: Path
    files: list[str] = field(default_factory=list)
    incidents: int = 0
    frames: int = 0
    notes: list[str] = field(default_factory=list)


def write_bundle(analysis: Analysis, directory: str, request: BundleRequest) -> Bundle:
    """Write all files. Nothing is left where that fails. Raises UsageError where it cannot be written, or nothing fits
    the request.
    """
    target = Path(directory)
    _require_room(target, request.is_forced)
    subject = subject_of(analysis, request.paths, request.scope_request, request.command, request.key, request.zone)
    partial = target.with_name(target.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        bundle = _written(subject, partial, target.name, request)
        if target.exists():
            _replace(partial, target)
        else:
            os.rename(partial, target)
    except OSError as error:
        raise UsageError(f"{path_text(directory)}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    bundle.directory = target
    return bundle


def earlier_files(target: Path) -> list[Path]:
    """The files of a report that stands there already. Raises UsageError where its manifest cannot be read."""
    names = (*load(target).files, NAME) if (target / NAME).exists() else ()
    return [target / name for name in names if "/" not in name]


def _require_room(target: Path, is_forced: bool) -> None:
    """Raises UsageError where the target holds something that is not ours to write over."""
    try:
        content = sorted(p.name for p in target.iterdir()) if target.exists() else []
    except OSError as error:
        raise UsageError(f"{path_text(str(target))}: {error.strerror or error}") from None
    if content and not (is_forced and NAME in content):
        what = "holds a report already" if NAME in content else "is not empty"
        raise UsageError(
            f"{path_text(str(target))} {what}",
            "give another directory with -o" + (", or --force to write over it" if NAME in content else ""),
        )


def _replace(partial: Path, target: Path) -> None:
    """The files of an earlier report give way; what is not ours stays."""
    for path in earlier_files(target):
        path.unlink(missing_ok=True)
    for path in partial.iterdir():
        os.replace(path, target / path.name)


def _written(subject: Subject, directory: Path, name: str, request: BundleRequest) -> Bundle:
    analysis, scope = subject.analysis, subject.scope
    options = analysis.case.options
    bundle = Bundle(directory, incidents=len(scope.incidents))
    evidence_numbers, proof = _prove(subject, directory, request.secrets) if subject.packets is not None else ({}, None)
    vips = [f"{host}:{port}" for host, port in options.vips]
    made_by = Generator("inspector", VERSION)
    manifest = Manifest(
        created=now(),
        generator=made_by,
        command=subject.command,
        host=subject.host,
        clock=CLOCK,
        inputs=subject.inputs,
        generation=options.generation,
        vips=vips,
        evidence=proof,
        no_evidence=worded(subject.missing),
        redacted=subject.redacted,
    )
    content = content_of(analysis, scope, subject.cut, evidence_numbers, request.zone)
    shown_name = "DIR" if subject.redacted is not None else name
    (directory / HTML).write_text(rendering.html(content, manifest, shown_name, request.zone), encoding="utf-8")
    (directory / MARKDOWN).write_text(rendering.markdown(content, manifest, shown_name, request.zone), encoding="utf-8")
    for file, form in ((JSON, "json"), (CSV, "csv")):
        with open(directory / file, "wb") as out:
            write(analysis, form, None, out)
    bundle.files = sorted(p.name for p in directory.iterdir())
    seal(directory, manifest, bundle.files)
    bundle.frames = proof.frames if proof is not None else 0
    bundle.notes = [
        *(proof.notes if proof is not None else []),
        *([f"no packets: {worded(subject.missing)}"] if subject.missing is not None else []),
    ]
    return bundle


def _probe_interface(captures: Sequence[CaptureFacts], reference: int) -> str:
    """What the interface of a frame is called where a probe made all captures; "" where not."""
    if not all(capture.is_probe for capture in captures):
        return ""
    return interface_of(captures[reference >> FRAME_BITS].probed_as(reference & FRAME_NUMBER))


def _prove(subject: Subject, directory: Path, secrets: Secrets | None) -> tuple[dict[int, int], Proof]:
    """The packets and the log lines beside them; with ``secrets``, those of the handshakes in them."""
    case, cut = subject.analysis.case, subject.cut
    comments = packets.comments(case, subject.scope.findings, cut)
    hashes = ", ".join(
        f"{i.path.rsplit('/', 1)[-1]} {i.sha256}" for i in subject.inputs if i.kind == "capture" and i.sha256
    )
    section = (
        f"inspector {VERSION}: packets of {len(cut.members)} connections, application data cut to record headers or"
        f" zeroed. From {hashes or 'a stream'}"
    )
    if subject.redacted is not None:
        section += f". {REDACTED}"
    lines: list[bytes] = []
    if secrets is not None:
        randoms = dict.fromkeys(
            h.client_random
            for observed in slices.observed_in(case, cut)
            for leg in (observed.client_leg, *observed.legs)
            for h in leg.handshakes
            if h.client_random
        )
        lines = list(secrets.lines_for(list(randoms)))
    with open(directory / EVIDENCE, "wb") as out:
        evidence_numbers = packets.write(
            out,
            subject.packets or [],
            comments,
            section,
            b"".join(lines),
            interface=lambda reference: _probe_interface(case.facts.captures, reference),
        )
    logs = _log_excerpts(slices.logs_of(case, set(cut.members)), directory)
    again = (
        findings_of(directory / EVIDENCE, logs, Options(case.options.generation, case.options.vips))
        if evidence_numbers
        else set()
    )
    by_id = {f.id: f for f in subject.scope.findings}
    proven = [key for name in cut.findings if (key := signature(by_id[name])) in again]
    missing = [name for name in cut.findings if signature(by_id[name]) not in again]
    notes = []
    if not subject.is_whole:
        notes.append("More packets than fit into memory: later ones are missing.")
    if lines:
        notes.append(
            f"The packets hold {len(lines)} secrets: whoever has the file can read all of these connections, where they"
            " have them whole."
        )
    if missing:
        notes.append(
            f"{len(missing)} finding{' needs' if len(missing) == 1 else 's need'} more of the capture than these"
            " packets."
        )
    return evidence_numbers, Proof(
        file=EVIDENCE,
        connections=len(cut.members),
        frames=len(evidence_numbers),
        incidents=len(cut.incidents),
        findings=proven,
        not_proven=missing,
        notes=notes,
        logs=logs,
    )


def _log_excerpts(logs: Sequence[LogFacts], directory: Path) -> list[str]:
    """The log lines that belong to the packets, a file for each log; a failure's exception stands on a line of its own,
    as in the log.
    """
    names = []
    for number, log in enumerate(logs, 1):
        if not (log.failures or log.proxied):
            continue
        name = f"evidence.{log.form}.{number}.log" if len(logs) > 1 else f"evidence.{log.form}.log"
        lines = [text for f in log.failures for text in f.lines] + [p.text for p in log.proxied]
        (directory / name).write_text(
            "".join(f"{line}\n" for line in lines), encoding="utf-8", errors="backslashreplace"
        )
        names.append(name)
    return names
