"""Two analyses side by side, as text and as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from inspector.document import Backend, Document, Service
from inspector.findings.before_after import BeforeAfter, ServicePair
from inspector.reports import overview
from inspector.reports.lines import columns, plain, table, wrap
from inspector.text.safe import safe_text
from inspector.text.terminal import terminal_json

WIDTH = 100
MARKS = {"fixed": "●", "remaining": "✖", "new": "✖", "not visible any more": "◌"}


def before_after_text(comparison: BeforeAfter, before: Document, after: Document) -> str:
    """The sentence first, then problems, then each service: assessment, pool and matrix of both."""
    lines = wrap(safe_text(comparison.sentence, 1000), "", "  ", WIDTH)
    if comparison.problems:
        rows = [("", "", "before", "after", "severity", "rule", "what")]
        what = [safe_text(f"{p.service}  {p.what}".strip(), 90) for p in comparison.problems]
        rows += [
            (MARKS[p.status], p.status, str(p.before), str(p.after), p.severity, p.rule, w)
            for p, w in zip(comparison.problems, what, strict=True)
        ]
        lines += ["", *table(rows, right=(2, 3))]
    for pair in comparison.pairs:
        lines += ["", safe_text(pair.name), "─" * 60]
        for word, service in (("before", pair.before), ("after", pair.after)):
            heading = f"{overview.sentence(service)}  [{overview.standing(service)}]" if service else "not there"
            lines += wrap(f"{word:<7} {heading}", "  ", "          ", WIDTH)
        lines += table(
            [
                ("", "connections", "full", "resumed", "aborted", "other", "declined"),
                *(_totals(pair, which) for which in (0, 1)),
            ],
            right=range(1, 7),
        )
        for word, document, service in (("POOL BEFORE", before, pair.before), ("POOL AFTER", after, pair.after)):
            if service is not None:
                head, *rest = overview.pool_rows(document, service, overview.NAME)
                right = [i for i, name in enumerate(head) if name in overview.RIGHT]
                rows_of_pool = columns([[word, *head[1:]], *rest], right, "  ")
                lines += ["", *map(plain, rows_of_pool)]
                lines += ["", *(f"  {plain(line)}" for line in overview.matrix(document, service))]
        if pair.asked_as is not None:
            whose = [f"a probe as {', '.join(names)}" if names else "no probe" for names in pair.asked_as]
            warning = f"▲ Asked by {whose[0]} before, and by {whose[1]} now: what differs may differ for that alone."
            lines += ["", *wrap(safe_text(warning, 1000), "  ", "  ", WIDTH)]
        for note in pair.notes:
            lines += ["", *wrap(safe_text(note, 1000), "  ", "  ", WIDTH)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _totals(pair: ServicePair, which: int) -> tuple[str, ...]:
    service: Service | None = (pair.before, pair.after)[which]
    pool: list[Backend] = (pair.backends_before, pair.backends_after)[which]
    word = ("before", "after")[which]
    if service is None:
        return (word, *("" for _ in range(6)))
    numbers = (
        service.connections - service.health_checks,
        service.full,
        service.resumed,
        service.aborted,
        service.other,
        sum(b.declined for b in pool),
    )
    return (word, *map(str, numbers))


def before_after_json(comparison: BeforeAfter) -> bytes:
    """The same for scripts: services with both assessments, pools and matrices."""

    def side(service: Service | None, pool: list[Backend]) -> Any:
        return None if service is None else {"service": service, "backends": pool}

    services = [
        {
            "name": p.name,
            "before": side(p.before, p.backends_before),
            "after": side(p.after, p.backends_after),
            "notes": p.notes,
            "asked_as": None if p.asked_as is None else {"before": p.asked_as[0], "after": p.asked_as[1]},
        }
        for p in comparison.pairs
    ]
    whole = {
        "schema": "inspector.diff/1",
        "sentence": comparison.sentence,
        "problems": comparison.problems,
        "services": services,
    }
    return terminal_json(msgspec.json.format(msgspec.json.encode(whole), indent=2)) + b"\n"
