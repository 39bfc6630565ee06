"""What happened, told from top to bottom: an incident as a ladder with its rule, a single connection, or another finding."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from inspector.document import Evidence, Finding, Incident
from inspector.findings.judge import Analysis
from inspector.reports import overview, why
from inspector.reports.story import Chapter, Ladder, ladder, rungs
from inspector.reports.text import ladder_lines
from inspector.safe import safe_text
from inspector.tui.ladder import drawn
from inspector.tui.marks import Line, coloured, content, listed, paragraph

NARROW = 76
"""Below this width the ladder is told as lines, without lanes."""


class Told(Screen[None]):
    """A page that scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("j", "scroll(1)", "Down", show=False),
        Binding("k", "scroll(-1)", "Up", show=False),
        Binding("q", "app.quit", "Quit", tooltip="Leave the program"),
        Binding("question_mark", "app.keys", "Keys"),
    ]

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self.analysis = analysis

    def compose(self) -> ComposeResult:
        """A title that stays and a page below it."""
        yield Static(id="heading")
        with VerticalScroll(id="page"):
            yield Static(id="text")
        yield Footer()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for the width that there is."""
        width = event.size.width - 4
        self.query_one("#heading", Static).update(content(self.title_lines(width)))
        self.query_one("#text", Static).update(content(self.lines(width)))

    def on_mount(self) -> None:
        """The page takes the keys."""
        self.query_one("#page").focus()

    def action_scroll(self, step: int) -> None:
        """A line down or up."""
        self.query_one("#page").scroll_relative(y=step, animate=False)

    def title_lines(self, width: int) -> list[Line]:
        """What the page is about."""
        raise NotImplementedError

    def lines(self, width: int) -> list[Line]:
        """The page."""
        raise NotImplementedError

    def ladder_at(self, told: Ladder, width: int) -> list[Line]:
        """A ladder drawn with lanes, or told as lines where there is no room."""
        if width < NARROW:
            return [coloured(line[2:]) for line in ladder_lines(told)]
        certificates = {c.sha256: c for c in self.analysis.document.certificates}
        names: dict[str, str] = {}
        for chapter in told.chapters:
            backend = next((b for b in self.analysis.document.backends if b.label == chapter.backend and b.service == chapter.service), None)
            leaf = certificates.get(backend.leaf or "") if backend else None
            host = overview.common_name(leaf).split(".")[0] if leaf else ""
            names[chapter.backend] = f"{chapter.backend} {safe_text(host, 20)}".strip()
        return drawn(told, names, width)


class StoryScreen(Told):
    """The story of an incident."""

    def __init__(self, analysis: Analysis, incident: Incident) -> None:
        super().__init__(analysis)
        self._incident = incident
        self._finding = why.finding_of(analysis, incident)

    def title_lines(self, width: int) -> list[Line]:
        """Verdict first, then the translation of Java's message."""
        finding = self._finding
        confirmed = finding.verdict == "confirmed"
        said = "✖ Aborted because the certificate changed" if confirmed else "◌ Perhaps aborted because the certificate changed"
        at = self._incident.at[11:23]
        title: Line = [(said, "bad" if confirmed else "warn"), (f"   {at} UTC   {finding.verdict}, {overview.WORDS[finding.grade]}", "dim")]
        frame = why.frame_text(self.analysis, why.aborted_of(self.analysis, self._incident).main.handshake.hello_frame)
        text = f'Java\'s message says "renegotiation". On the wire it was the first handshake of a new connection ({frame}).'
        return [title, *paragraph(text, "  ", "  ", width)]

    def lines(self, width: int) -> list[Line]:
        """Ladder, rule, certificates, remedies, references."""
        finding = self._finding
        lines = [*self.ladder_at(ladder(self.analysis, self._incident), width), []]
        lines.append([("WHY", "head")])
        for step in why.steps(self.analysis, self._incident):
            text = f"{why.MARKS[step.holds]} {step.text}   {step.frames + '   ' if step.frames else ''}{overview.WORDS[step.grade]}"
            lines += [coloured(line) for line in overview.wrap(text, "  ", "    ", width)]
        if finding.verdict != "confirmed":
            lines += [coloured(line) for line in overview.wrap(safe_text(finding.explanation, 1000), "  ", "  ", width)]
        rows, decided = why.certificates(self.analysis, self._incident)
        lines += [[], [("CERTIFICATES", "head")]]
        if rows:
            room = max((width - 24) // 2, 12)
            cells = [("", "session's", "new", ""), *((r.name, _cut(r.old, room), _cut(r.new, room), "=" if r.same else "≠") for r in rows)]
            lines += [coloured(line) for line in overview.table(cells)]
        lines.append([(f"  deciding step: {decided}", "")])
        lines += [[], [("WHAT TO DO", "head")]]
        for number, remedy in enumerate(finding.remedies, 1):
            lines += paragraph(safe_text(f"{number} {remedy.audience}: {remedy.text}", 1000), "  ", "    ", width)
            lines += paragraph(safe_text(f"check: {remedy.check}", 500), "    ", "      ", width, "dim")
        return [*lines, [], [("REFERENCES", "head")], *listed(finding.references)]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


class ConnectionScreen(Told):
    """One connection as a ladder, with what Java's rule says of it."""

    def __init__(self, analysis: Analysis, index: int) -> None:
        super().__init__(analysis)
        self._index = index

    def title_lines(self, width: int) -> list[Line]:
        """Endpoints and outcome."""
        c = self.analysis.connection(self._index)
        ends = f"{c.client_endpoint.ip} port {c.client_endpoint.port} to {c.server_endpoint.ip} port {c.server_endpoint.port}"
        return [[(f"{c.first_seen[11:23]}  {ends}", "head"), (f"   {c.outcome}", "bad" if c.outcome == "aborted" else "dim")]]

    def lines(self, width: int) -> list[Line]:
        """The ladder and the facts."""
        analysis = self.analysis
        seen = analysis.case.observed[self._index]
        c = analysis.connection(self._index)
        h = c.handshakes[0]
        chapter = Chapter(f"port {c.client_endpoint.port}", "seen", c.id, analysis.case.label(seen), rungs(analysis, seen), c.service)
        facts = [
            ("handshake", f"{h.kind or 'not seen'}: {h.reason}"),
            ("Java's rule", f"{h.jsse.verdict.replace('_', ' ')}{f' (row {h.jsse.row})' if h.jsse.row else ''}: {h.jsse.reason}"),
            ("version", h.version or "not seen"),
            ("cipher suite", h.cipher.name if h.cipher else "not seen"),
            ("server name", safe_text(h.server_name or "none")),
            ("session", f"offered {h.session.offered_id or 'none'}, answered {h.session.answered_id or 'none'}"),
            ("EMS", f"offered {overview.YES[h.ems.offered]}, negotiated {overview.YES[h.ems.negotiated]}"),
            ("certificate", ", ".join(d[:16] for d in h.server_chain) or "none in clear"),
            ("JA4", h.ja4 or "none"),
            ("bytes", f"{c.bytes.client:,} from the client, {c.bytes.server:,} from the server, {c.gap_bytes:,} not captured"),
            ("further legs", ", ".join(f"{leg.client.ip}:{leg.client.port} to {leg.server.ip}:{leg.server.port}" for leg in c.legs) or "none"),
        ]
        lines = [*self.ladder_at(Ladder("", [chapter]), width), []]
        for name, value in facts:
            lines += paragraph(f"{name}: {value}", "  ", "      ", width)
        for anomaly in c.anomalies:
            lines += paragraph(safe_text(f"▲ {anomaly.kind}: {anomaly.text}"), "  ", "      ", width, "warn")
        return lines


class FindingScreen(Told):
    """A finding that is no incident."""

    def __init__(self, analysis: Analysis, finding: Finding) -> None:
        super().__init__(analysis)
        self._finding = finding

    def title_lines(self, width: int) -> list[Line]:
        """What was found."""
        finding = self._finding
        return [
            *paragraph(safe_text(finding.title), "", "  ", width, "head"),
            [(f"  {finding.rule}   {finding.severity}   {finding.verdict}, {overview.WORDS[finding.grade]}", "dim")],
        ]

    def lines(self, width: int) -> list[Line]:
        """Explanation, evidence, remedies."""
        finding = self._finding
        lines: list[Line] = paragraph(safe_text(finding.explanation, 4000), "", "", width)
        lines += [[], [("EVIDENCE", "head")]]
        for evidence in finding.evidence[:40]:
            lines += paragraph(self._told(evidence), "  ", "    ", width)
        if finding.remedies:
            lines += [[], [("WHAT TO DO", "head")]]
        for remedy in finding.remedies:
            lines += paragraph(safe_text(f"{remedy.audience}: {remedy.text}", 1000), "  ", "    ", width)
            lines += paragraph(safe_text(f"check: {remedy.check}", 500), "    ", "      ", width, "dim")
        if finding.references:
            lines += [[], [("REFERENCES", "head")], *listed(finding.references)]
        return lines

    @staticmethod
    def _told(evidence: Evidence) -> str:
        frames = ", ".join(str(f[1]) for f in evidence.frames[:8])
        return safe_text(f"{evidence.role.replace('_', ' ')}: {evidence.text}" + (f"   frame {frames}" if frames else ""), 600)
