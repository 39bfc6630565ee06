"""A bundle written: the report in two forms, the analysis, the connections, the packets and what they were made from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inspector.bundle import packets, rendering, slices
from inspector.bundle.content import content_of
from inspector.bundle.manifest import CLOCK, NAME, Input, Manifest, Proof, Redacted, digest, host, now, seal
from inspector.bundle.scope import Scope, Wish, scope_of
from inspector.bundle.slices import Slice, signature
from inspector.capture.inputs import is_journal
from inspector.document import Generator
from inspector.errors import InspectorError, UnreadableError, UsageError
from inspector.findings.judge import Analysis
from inspector.logs.entries import LogFacts
from inspector.reports.output import write
from inspector.safe import path_text
from inspector.version import VERSION

EVIDENCE = "evidence.pcapng"
HTML, MARKDOWN, JSON, CSV = "report.html", "report.md", "analysis.json", "connections.csv"


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted. ``paths``: of captures and journals, as ``analysis`` was made from them. ``command``: as it was given."""

    paths: Sequence[str]
    wish: Wish = field(default_factory=Wish)
    command: Sequence[str] = ()
    is_forced: bool = False


@dataclass(slots=True)
class Bundle:
    """What was written. ``notes``: what of the evidence is not as one would wish."""

    directory: Path
    files: list[str] = field(default_factory=list)
    incidents: int = 0
    frames: int = 0
    notes: list[str] = field(default_factory=list)


def write_bundle(analysis: Analysis, directory: str, order: Order) -> Bundle:
    """Write all files. Nothing is left where that fails. Raises UsageError where it cannot be written, or nothing fits the wish."""
    target = Path(directory)
    _require_room(target, order.is_forced)
    scope = scope_of(analysis, order.wish)
    partial = target.with_name(target.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        bundle = _written(analysis, scope, partial, order, target.name)
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


def _require_room(target: Path, is_forced: bool) -> None:
    """Raises UsageError where the target holds something that is not ours to write over."""
    try:
        content = sorted(p.name for p in target.iterdir()) if target.exists() else []
    except OSError as error:
        raise UsageError(f"{path_text(str(target))}: {error.strerror or error}") from None
    if content and not (is_forced and NAME in content):
        what = "holds a report already" if NAME in content else "is not empty"
        raise UsageError(f"{path_text(str(target))} {what}", "give another directory with -o" + (", or --force to write over it" if NAME in content else ""))


def _replace(partial: Path, target: Path) -> None:
    """The files of an earlier report give way; what is not ours stays."""
    from inspector.bundle.manifest import load

    for name in (*load(target).files, NAME):
        if "/" not in name:
            (target / name).unlink(missing_ok=True)
    for path in partial.iterdir():
        os.replace(path, target / path.name)


def _written(analysis: Analysis, scope: Scope, directory: Path, order: Order, name: str) -> Bundle:
    case = analysis.case
    bundle = Bundle(directory, incidents=len(scope.incidents))
    found = slices.slice_of(analysis, scope)
    inputs = _inputs(analysis, order.paths)
    places: dict[int, int] = {}
    proof: Proof | None = None
    missing = ""
    try:
        written, proof = _prove(analysis, scope, found, directory, order.paths, inputs)
        places = written.frames
    except UnreadableError as error:
        missing = str(error)
    manifest = Manifest(
        now(),
        Generator("inspector", VERSION),
        list(order.command),
        host(),
        CLOCK,
        inputs,
        case.options.generation,
        [f"{h}:{p}" for h, p in case.options.vips],
        proof,
        missing,
        _redacted(),
    )
    content = content_of(analysis, scope, found, places)
    (directory / HTML).write_text(rendering.html(content, manifest, name), encoding="utf-8")
    (directory / MARKDOWN).write_text(rendering.markdown(content, manifest, name), encoding="utf-8")
    for file, form in ((JSON, "json"), (CSV, "csv")):
        with open(directory / file, "wb") as out:
            write(analysis, form, None, out)
    bundle.files = sorted(p.name for p in directory.iterdir())
    seal(directory, manifest, bundle.files)
    bundle.frames = proof.frames if proof is not None else 0
    bundle.notes = [*(proof.notes if proof is not None else []), *([f"no packets: {missing}"] if missing else [])]
    return bundle


def _redacted() -> Redacted | None:
    return None


def _inputs(analysis: Analysis, paths: Sequence[str]) -> list[Input]:
    found = []
    for capture in analysis.document.captures:
        size = os.path.getsize(capture.path) if os.path.isfile(capture.path) else None
        found.append(Input(capture.path, "capture", digest(capture.path), size, capture.packets, capture.first, capture.last, capture.drops))
    found += [Input(path, "journal", digest(path), os.path.getsize(path)) for path in paths if path != "-" and is_journal(path)]
    for log in analysis.document.logs:
        size = os.path.getsize(log.path) if os.path.isfile(log.path) else None
        found.append(Input(log.path, "log", digest(log.path), size, None, log.first, log.last))
    return found


def _prove(analysis: Analysis, scope: Scope, found: Slice, directory: Path, paths: Sequence[str], inputs: list[Input]) -> tuple[packets.Written, Proof]:
    """The packets and the log lines beside them. Raises UnreadableError where the frames cannot be read again."""
    if any(is_journal(path) for path in paths if path != "-"):
        raise UnreadableError("a journal keeps facts, no packets")
    case = analysis.case
    seen = slices.seen_in(case, found)
    holding = packets.held(paths, seen)
    said = packets.comments(case, scope.findings, found)
    hashes = ", ".join(f"{i.path.rsplit('/', 1)[-1]} {i.sha256}" for i in inputs if i.kind == "capture" and i.sha256)
    section = f"inspector {VERSION}: packets of {len(seen)} connections, application data cut to record headers or zeroed. From {hashes or 'a stream'}"
    with open(directory / EVIDENCE, "wb") as out:
        written = packets.write(out, packets.packets(holding, seen), said, section, not holding.is_full)
    logs = _log_excerpts(slices.logs_of(case, set(found.members)), directory)
    by_id = {f.id: f for f in scope.findings}
    notes = []
    if holding.is_full:
        notes.append("More packets than fit into memory: later ones are missing.")
    if found.other:
        notes.append(f"{len(found.other)} findings need more of the capture than these packets.")
    proof = Proof(EVIDENCE, len(seen), len(written.frames), len(found.incidents), [signature(by_id[name]) for name in found.same], found.other, notes, logs)
    return written, proof


def _log_excerpts(logs: Sequence[LogFacts], directory: Path) -> list[str]:
    """The log lines that belong to the packets, a file for each log; a failure's exception stands on a line of its own, as in the log."""
    names = []
    for number, log in enumerate(logs, 1):
        if not (log.failures or log.proxied):
            continue
        name = f"evidence.{log.form}.{number}.log" if len(logs) > 1 else f"evidence.{log.form}.log"
        lines = [text for f in log.failures for text in f.text.split(" | ", 1)] + [p.text for p in log.proxied]
        (directory / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="backslashreplace")
        names.append(name)
    return names


__all__ = ["Bundle", "InspectorError", "Order", "write_bundle"]
