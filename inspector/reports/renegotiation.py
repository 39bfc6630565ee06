"""A renegotiation told beside its ladder: what became of its certificate, the lengths that prove it, or both
certificates field by field.
"""

from __future__ import annotations

from inspector.findings.inside import ended, studied
from inspector.findings.judge import Analysis
from inspector.findings.reasons import rule_words
from inspector.reports import why
from inspector.reports.lines import Line, Piece, columns, marked, uniform, wrap
from inspector.text.safe import safe_text
from inspector.tls.protection import Extent
from inspector.tracking.observed import Observed

VERDICTS: dict[str, tuple[Piece, str]] = {
    "changed": (("▲", "warn"), "certificate or chain changed"),
    "same": (("●", "good"), "the same certificate and chain"),
    "consistent": (("○", ""), "consistent with the same certificate; that is no proof"),
    "unknown": (("◌", "warn"), "it cannot be told whether the certificate changed"),
}
HEADINGS = ("", "first flight", "if the same", "now")
BOTH = ("", "began with", "renegotiated", "")


def renegotiation_lines(analysis: Analysis, observed: Observed, number: int, width: int) -> list[Line]:
    """Sentences of at most ``width`` columns and tables, which are as wide as they are."""
    study = studied(analysis.case, observed, number)
    lines = _sentence(f"RENEGOTIATION {number + 1}  {ended(observed.renegotiations[number])}", "", width)
    mark, verdict = VERDICTS[study.certificate]
    basis = {"decrypted": " (decrypted)", "length": " (by length)"}.get(study.basis or "", "")
    lines += marked(mark, safe_text(f"{verdict}{basis}: {study.text}", 600), "  ", "    ", width)
    decision = study.judgement.decision
    if decision.verdict != "not_applicable":
        row = f" (row {decision.row})" if decision.row else ""
        words = rule_words(decision.reason, is_inside=True)
        lines += _sentence(f"Java's rule: {decision.verdict}{row}: {words}", "  ", width)
    if study.parts:
        sizes = [(part.name, _bytes(part.first), _extent(part.expected), _extent(part.now)) for part in study.parts]
        lines += columns([HEADINGS, *sizes], indent="  ")
    certificates = analysis.case.certificates
    old, new = certificates.get(study.before or b""), certificates.get(study.now or b"")
    if old is not None and new is not None and study.certificate == "changed":
        fields = [(row.name, row.old[:44], row.new[:44], why.sameness(row)) for row in why.rows_of(old, new)]
        lines += columns([BOTH, *fields], indent="  ")
    return lines


def _sentence(text: str, first: str, width: int) -> list[Line]:
    return uniform(wrap(text, first, "    ", width))


def _bytes(count: int | None) -> str:
    return f"{count:,}" if count is not None else ""


def _extent(extent: Extent | None) -> str:
    return f"{extent} bytes" if extent is not None else ""
