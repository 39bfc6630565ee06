"""A renegotiation told beside its ladder: what became of its certificate, the lengths that prove it, or both
certificates field by field.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.findings.inside import ended, studied
from inspector.findings.judge import Analysis
from inspector.findings.reasons import rule_words
from inspector.reports import overview
from inspector.reports.why import rows_of
from inspector.text.safe import safe_text
from inspector.tls.protection import Extent
from inspector.tracking.observed import Observed

VERDICTS = {
    "changed": "▲ certificate or chain changed",
    "same": "● the same certificate and chain",
    "consistent": "○ consistent with the same certificate; that is no proof",
    "unknown": "◌ it cannot be told whether the certificate changed",
}
HEADINGS = ("", "first flight", "if the same", "now")
BOTH = ("", "began with", "renegotiated", "")

Table = list[tuple[str, ...]]


def inside_lines(analysis: Analysis, observed: Observed, number: int) -> Iterator[str | Table]:
    """Sentences and tables."""
    study = studied(analysis.case, observed, number)
    yield f"RENEGOTIATION {number + 1}  {ended(observed.renegotiations[number])}"
    basis = {"decrypted": "decrypted", "length": "by length"}.get(study.basis or "", "")
    yield safe_text(f"  {VERDICTS[study.certificate]}{f' ({basis})' if basis else ''}: {study.text}", 600)
    decision = study.judgement.decision
    if decision.verdict != "not_applicable":
        row = f" (row {decision.row})" if decision.row else ""
        yield f"  Java's rule: {decision.verdict}{row}: {rule_words(decision.reason, is_inside=True)}"
    if study.parts:
        rows = [(part.name, _bytes(part.first), _extent(part.expected), _extent(part.now)) for part in study.parts]
        yield [HEADINGS, *rows]
    certificates = analysis.case.certificates
    old, new = certificates.get(study.before or b""), certificates.get(study.now or b"")
    if old is not None and new is not None and study.certificate == "changed":
        yield [BOTH, *((row.name, row.old[:44], row.new[:44], "=" if row.same else "≠") for row in rows_of(old, new))]


def told_lines(analysis: Analysis, observed: Observed, number: int, width: int) -> list[str]:
    """The same as lines of at most ``width`` columns; tables are as wide as they are."""
    lines: list[str] = []
    for part in inside_lines(analysis, observed, number):
        lines += overview.wrap(part, "", "    ", width) if isinstance(part, str) else overview.table(part)
    return lines


def _bytes(count: int | None) -> str:
    return f"{count:,}" if count is not None else ""


def _extent(extent: Extent | None) -> str:
    return f"{extent} bytes" if extent is not None else ""
