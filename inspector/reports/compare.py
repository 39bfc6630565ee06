"""A comparison of certificates as text and as JSON."""

from __future__ import annotations

import msgspec

from inspector.findings.comparison import Comparison, Fix
from inspector.findings.jsse import Generation, Step
from inspector.findings.problems import problem_text
from inspector.findings.served import ServedAgainstStored
from inspector.reports.lines import table, wrap
from inspector.reports.served import against_record, against_text
from inspector.text.safe import safe_cell, safe_text
from inspector.text.terminal import terminal_json
from inspector.text.zones import UTC, TimeZone
from inspector.tracking.certificates import ParsedCertificate

SCHEMA = "inspector.comparison/1"
STEPS: dict[Step | None, str] = {
    "same_der": "same",
    "shared_ip": "IP",
    "shared_dns": "DNS",
    "same_subject_and_issuer": "subject",
    "none": "≠",
    None: "?",
}
RULES: dict[Generation, str] = {
    "current": "CURRENT RULE (since about 8u60)",
    "first": "FIRST RULE (before 8u60 and 7u85; read in the sources, not recorded)",
}


def comparison_text(comparison: Comparison, against: ServedAgainstStored | None = None, zone: TimeZone = UTC) -> str:
    """The certificates, the matrix under both rules, the verdict and the smallest fix; which files are not what is
    served, where both were given.
    """
    certificates = comparison.certificates
    rows = [("", "certificate", "DNS names and addresses", "issuer", "from")]
    for number, (c, source) in enumerate(zip(certificates, comparison.sources, strict=True), 1):
        names = ", ".join(c.identity.dns_names + c.identity.ip_addresses)
        rows.append(
            (
                str(number),
                safe_cell(c.subject or c.sha256.hex()[:12], 40),
                safe_cell(names or "none", 44),
                safe_cell(c.issuer, 30),
                safe_cell(source, 60),
            )
        )
    lines = ["CERTIFICATES", *table(rows, right=(0,)), *_problems(certificates)]
    order: tuple[Generation, ...] = ("current", "first") if comparison.generation == "current" else ("first", "current")
    for generation in order:
        lines += ["", RULES[generation], *_matrix(comparison, generation), *_verdict(comparison, generation)]
    unknown = "   ? not known" if comparison.unknown() else ""
    lines += [
        "",
        (
            "  same: one certificate   IP, DNS: a shared name   subject: equal subject and issuer   ≠ not"
            f" equivalent{unknown}"
        ),
    ]
    if against is not None:
        lines += ["", *against_text(against, zone)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _problems(certificates: tuple[ParsedCertificate, ...]) -> list[str]:
    """What is wrong with each certificate, where something is, and the names that Java does not read because of it."""
    lines: list[str] = []
    for number, c in enumerate(certificates, 1):
        if c.problem is not None:
            refused = "Java cannot parse it: " if c.is_read_by_java is False else ""
            names = f"; not read by Java: {safe_text(', '.join(c.unread_names), 200)}" if c.unread_names else ""
            lines += wrap(f"▲ {number}: {refused}{problem_text(c.problem)}{names}", "  ", "     ")
    return lines


def _matrix(comparison: Comparison, generation: Generation) -> list[str]:
    count = len(comparison.certificates)
    cells = [[""] * count for _ in range(count)]
    for pair in comparison.pairs:
        step = STEPS[pair.current if generation == "current" else pair.first]
        cells[pair.old][pair.new] = cells[pair.new][pair.old] = step
    header = ("", *(str(n) for n in range(1, count + 1)))
    return table([header, *((str(number), *row) for number, row in enumerate(cells, 1))])


def _verdict(comparison: Comparison, generation: Generation) -> list[str]:
    unequal = comparison.unequal(generation)
    count = len(comparison.certificates)
    if count < 2:
        return ["  One certificate: there is nothing to compare it with."]
    unknown, pairs = len(comparison.unknown()), len(comparison.pairs)
    hidden = (
        wrap(
            f"? {unknown} of {pairs} pairs cannot be compared: Java cannot parse one of the two, and refuses it"
            " wherever it is shown.",
            "  ",
            "    ",
        )
        if unknown
        else []
    )
    if hidden and not unequal:
        return hidden
    if not unequal:
        return [f"  ● All {count} certificates count as one server for Java."]
    lines = wrap(
        f"✖ {len(unequal)} of {pairs} pairs are not equivalent: a Java client that resumed a session with one may abort"
        " at the other (TLS 1.2 without EMS).",
        "  ",
        "    ",
    )
    fix = comparison.fixes[generation]
    return lines + hidden + (_fix_lines(fix) if fix is not None else [])


def _fix_lines(fix: Fix) -> list[str]:
    wanted: dict[tuple[str, str, bool], list[int]] = {}
    for addition in fix.additions:
        wanted.setdefault((addition.kind, addition.name, addition.first), []).append(addition.certificate + 1)
    size = "The smallest fix" if fix.smallest else "A fix"
    lines = [f"  {size}, {len(fix.additions)} addition{'' if len(fix.additions) == 1 else 's'}:"]
    for (kind, name, first), certificates in wanted.items():
        where = " in front of all other names of its kind" if first else ""
        lines += wrap(f"add {kind} {safe_text(name)}{where} to {', '.join(map(str, certificates))}", "    ", "      ")
    return lines


def comparison_json(comparison: Comparison, against: ServedAgainstStored | None = None) -> bytes:
    """One JSON object. Certificates are numbered from 1, as in the text. ``against``: as in the text."""
    fixes = {
        generation: (
            None
            if fix is None
            else {
                "smallest": fix.smallest,
                "additions": [
                    {"certificate": a.certificate + 1, "kind": a.kind, "name": a.name, "first": a.first}
                    for a in fix.additions
                ],
            }
        )
        for generation, fix in comparison.fixes.items()
    }
    value = {
        "schema": SCHEMA,
        "generation": comparison.generation,
        "certificates": [
            {
                "number": number,
                "sha256": c.sha256.hex(),
                "subject": c.subject,
                "issuer": c.issuer,
                "dns_names": list(c.identity.dns_names),
                "ip_addresses": list(c.identity.ip_addresses),
                "source": source,
                "problem": problem_text(c.problem) if c.problem is not None else None,
            }
            for number, (c, source) in enumerate(zip(comparison.certificates, comparison.sources, strict=True), 1)
        ],
        "pairs": [
            {"old": p.old + 1, "new": p.new + 1, "current": p.current, "first": p.first} for p in comparison.pairs
        ],
        "equivalent": {generation: comparison.equivalent(generation) for generation in ("current", "first")},
        "fixes": fixes,
        "stored": against_record(against) if against is not None else None,
    }
    return terminal_json(msgspec.json.format(msgspec.json.encode(value), indent=2)) + b"\n"
