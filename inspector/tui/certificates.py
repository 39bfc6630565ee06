"""Certificates: who shows which and when, how long they last; two of them as Java compares them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from inspector.document.rules import Rule
from inspector.findings.judge import Analysis
from inspector.findings.pool import validity
from inspector.findings.problems import certificate_name, problem_text
from inspector.query.arrays import Columns
from inspector.reports import overview, why
from inspector.reports.lines import Kind, Line
from inspector.text.safe import safe_text
from inspector.text.times import DAY_NS, utc_day
from inspector.tracking.certificates import ParsedCertificate
from inspector.tui.app_state import AppState
from inspector.tui.detail_page import DetailPage
from inspector.tui.difference import DifferenceScreen
from inspector.tui.page import Area
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.styles import listed, paragraph


@dataclass(slots=True)
class Shown:
    """When (nanoseconds) and how often a certificate was shown as a leaf, and by which back ends how often."""

    first: int = 0
    last: int = 0
    count: int = 0
    backends: dict[int, int] = field(default_factory=dict)


def inventory(analysis: Analysis, columns: Columns, scope: int | None) -> dict[bytes, Shown]:
    """All certificates that servers showed, leaves first in the order of their appearance, then the rest of their
    chains.
    """
    shown: dict[bytes, Shown] = {}
    chains: dict[bytes, None] = {}
    for index, digest in enumerate(columns.leaves):
        mask = columns.leaf == index
        if scope is not None:
            mask &= columns.service == scope
        indexes = np.flatnonzero(mask)
        if not len(indexes):
            continue
        backends, counts = np.unique(columns.backend[indexes], return_counts=True)
        times = columns.time_ns[indexes]
        shown[digest] = Shown(
            int(times.min()), int(times.max()), len(indexes), dict(zip(backends.tolist(), counts.tolist(), strict=True))
        )
        chains.update(dict.fromkeys(analysis.case.observed[int(indexes[0])].client_leg.handshake.chain[1:]))
    for digest in chains:
        shown.setdefault(digest, Shown())
    return shown


TIME_WIDTH = len("17:10:17")
"""Of a column of times, where captures are of one day and times of UTC."""


class CertificatesScreen(Area):
    """A row for each certificate that servers showed; two that are picked are compared as Java does."""

    AREA: ClassVar[str] = "certificates"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space",
            "pick",
            "Pick",
            tooltip="Pick this certificate; a second pick shows what Java makes of the two",
            id="pick_certificate",
        ),
    ]

    def body(self) -> ComposeResult:
        self._digests: list[bytes] = []
        self._picked: list[bytes] = []
        columns = [
            Column("", 1),
            Column("back end", 8),
            Column("subject", 0),
            Column("DNS names", 0, 4),
            Column("issuer", 20, 2),
            Column("days left", 9, 6, True),
            Column("shown", 7, 3, True),
            Column("first", TIME_WIDTH, 1),
            Column("last", TIME_WIDTH, 1),
            Column("note", 14, 5),
        ]
        yield Rows(columns, 0, self._row, "No server showed a certificate in clear.", id="certificates")

    def renew(self) -> None:
        """What was shown by now; the cursor stays on its certificate."""
        super().renew()
        rows = self.query_one(Rows)
        state, columns = self.state, self.state.columns
        self._shown = (
            state.kept(("inventory", state.scope), lambda: inventory(state.now, columns, state.scope))
            if columns is not None
            else {}
        )
        self._digests = list(self._shown)
        self._end = overview.end(self.state.document)
        rotations = [f for f in self.state.document.findings if f.rule == Rule.CERTIFICATE_ROTATED]
        self._rotated = {b for f in rotations for b in f.backends}
        empty = (
            "Counted once all is read."
            if columns is None
            else "No server showed a certificate in clear"
            + (": in TLS 1.3 certificates are encrypted." if self.state.now.count else ".")
        )
        for title in ("first", "last"):
            rows.resize(title, len(state.zone.clock(0, 0)))
        rows.renew(self._digests, empty=empty)

    def _certificate(self, digest: bytes) -> ParsedCertificate | None:
        return self.state.now.case.certificates.get(digest)

    def _row(self, index: int) -> list[Cell]:
        digest = self._digests[index]
        shown, c = self._shown[digest], self._certificate(digest)
        backends = self.state.now.case.backends
        labels = ", ".join(sorted(backends[b].label if b >= 0 else "?" for b in shown.backends)) or "–"
        mark: Cell = ("*", "head") if digest in self._picked else ("", "")
        if c is None:
            rest: list[Cell] = [("", "dim") for _ in range(6)]
            return [mark, (labels, ""), (digest.hex()[:16], ""), ("not kept", "dim"), *rest]
        standing = validity(c, self._end)
        left = "?" if c.not_after is None else f"{(c.not_after - self._end) // DAY_NS:,}"
        note: tuple[str, Kind] = ("", "")
        if c.is_read_by_java is False:
            note = ("✖ unparsable", "bad")
        elif standing == "expired":
            note = ("✖ expired", "bad")
        elif standing == "soon":
            note = ("▲ expires soon", "warn")
        elif c.unread_names:
            note = ("▲ names unread", "warn")
        elif any(b >= 0 and backends[b].id in self._rotated for b in shown.backends):
            note = ("◇ rotated", "warn")
        elif not shown.count:
            note = ("issuer", "dim")
        first = self.state.zone.clock(shown.first, 0) if shown.count else ""
        last = self.state.zone.clock(shown.last, 0) if shown.count else ""
        names = ", ".join(c.identity.dns_names + c.identity.ip_addresses + c.unread_names)
        kind: Kind = "bad" if standing == "expired" else ""
        issuer = safe_text(c.issuer.removeprefix("CN="), 60)
        count = f"{shown.count:,}" if shown.count else "–"
        subject = safe_text(certificate_name(c), 80)
        return [
            mark,
            (labels, ""),
            (subject, ""),
            (safe_text(names, 200), ""),
            (issuer, "dim"),
            (left, kind),
            (count, ""),
            (first, "dim"),
            (last, "dim"),
            note,
        ]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        digest = self._digests[message.index]
        self.app.push_screen(CertificateScreen(self.state, digest, self._shown[digest]))

    def action_pick(self) -> None:
        """Pick it; two are compared."""
        rows = self.query_one(Rows)
        if not self._digests:
            return
        digest = self._digests[rows.cursor]
        if digest in self._picked:
            self._picked.remove(digest)
        else:
            self._picked.append(digest)
        pair = [c for d in self._picked if (c := self._certificate(d)) is not None]
        if len(pair) == 2:
            self._picked = []
            self.app.push_screen(identity_screen(self.state, pair[0], pair[1]))
        rows.refresh()

    def to_copy(self) -> tuple[str, str]:
        lines = []
        for digest in self._digests:
            c = self._certificate(digest)
            names = ", ".join(c.identity.dns_names) if c else ""
            lines.append(
                f"{digest.hex()}  {safe_text(c.subject if c else '?', 200)}  {safe_text(names, 500)}  until"
                f" {why.until(c) if c else '?'}"
            )
        return "the list of certificates", "\n".join(lines) + "\n"


EQUIVALENT: dict[bool | None, tuple[str, Kind]] = {
    True: ("✔ equivalent", "good"),
    False: ("✖ not equivalent", "bad"),
    None: ("? not known", "warn"),
}


def identity_screen(state: AppState, old: ParsedCertificate, new: ParsedCertificate) -> DifferenceScreen:
    """Two certificates field by field, with what each generation of Java's rule says."""
    above: list[Line] = []
    for name, is_equivalent, step in why.identity(old, new):
        words, kind = EQUIVALENT[is_equivalent]
        above.append([(f"Java {name}  ", "dim"), (words, kind), (f"   deciding step: {step}", "")])
    if any(is_equivalent is False for _, is_equivalent, _ in why.identity(old, new)):
        above.append([("Where not equivalent, Java aborts if the session was resumed before.", "dim")])
    rows = why.rows_of(old, new)
    first, second = {r.name: r.old for r in rows}, {r.name: r.new for r in rows}
    first |= {"key": old.key, "signature": old.signature}
    second |= {"key": new.key, "signature": new.signature}
    return DifferenceScreen(
        state,
        "Two certificates as Java compares them",
        [safe_text(certificate_name(old), 60), safe_text(certificate_name(new), 60)],
        [first, second],
        above,
    )


class CertificateScreen(DetailPage):
    """Every field of a certificate, the names that Java compares, and who showed it."""

    def __init__(self, state: AppState, digest: bytes, shown: Shown) -> None:
        super().__init__(state)
        self._digest = digest
        self._when = shown
        self._certificate = state.now.case.certificates.get(digest)

    def title_lines(self, width: int) -> list[Line]:
        c = self._certificate
        return [[(safe_text(c.subject, 300) if c and c.subject else self._digest.hex(), "head")]]

    def lines(self, width: int) -> list[Line]:
        """All fields, then who showed it."""
        c, shown, case = self._certificate, self._when, self.analysis.case
        zone = self.state.zone
        lines: list[Line] = []
        if c is not None:
            fields = [
                ("subject", c.subject),
                ("issuer", c.issuer),
                ("serial number", c.serial),
                (
                    "valid",
                    f"{utc_day(c.not_before)} to {why.until(c)}",
                ),
                ("key", c.key),
                ("signature", c.signature),
                ("SHA-256", c.sha256.hex()),
                ("authority", "yes" if c.is_authority else "no"),
            ]
            for name, value in fields:
                lines += paragraph(safe_text(f"{name}: {value}", 1000), "", "    ", width)
            if c.problem is not None:
                refused = "Java cannot parse it: " if c.is_read_by_java is False else ""
                lines += paragraph(safe_text(f"▲ {refused}{problem_text(c.problem)}", 1000), "warn", "    ", width)
            lines += [
                [],
                [("NAMES THAT JAVA COMPARES", "head")],
                *listed([*c.identity.dns_names, *c.identity.ip_addresses] or ["none: subject and issuer decide"]),
            ]
            if c.unread_names:
                lines += [[], [("NAMES THAT JAVA DOES NOT READ", "head")], *listed(list(c.unread_names))]
            if c.other_names:
                lines.append([(f"  not compared: {', '.join(c.other_names)}", "dim")])
        lines += [[], [("SHOWN BY", "head")]]
        for backend, count in sorted(shown.backends.items()):
            group = case.backends[backend] if backend >= 0 else None
            lines.append([(f"  {group.label if group else '?'}   {overview.counted(count, 'handshake')}", "")])
        if shown.count:
            lines.append(
                [
                    (
                        f"  from {zone.moment(shown.first)} to {zone.stamp(shown.last)}",
                        "dim",
                    )
                ]
            )
        else:
            lines.append([("  only as a part of a chain", "dim")])
        return lines
