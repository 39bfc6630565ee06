"""What happened, told from top to bottom: an incident as a ladder with its rule, or another finding."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.document import Evidence
from inspector.findings.failures import RULE as FAILED
from inspector.reports import overview, what_if, why, why_failed
from inspector.reports.lines import Line, columns, marked
from inspector.reports.story import Ladder, chapters, ladder
from inspector.text.cells import cut
from inspector.text.safe import safe_text
from inspector.tui.app_state import AppState
from inspector.tui.detail_page import DetailPage
from inspector.tui.finding_rows import FindingRow
from inspector.tui.lines import LineView
from inspector.tui.styles import listed, paragraph


class ExplanationScreen(DetailPage):
    """One of a list of findings; ``n`` and ``N`` lead through the list."""

    def __init__(self, state: AppState, rows: Sequence[FindingRow], index: int, at_remedies: bool = False) -> None:
        super().__init__(state)
        self._all = rows
        self._index = index
        self._at_remedies = at_remedies
        self._remedies_at = 0
        """The number of the line where the remedies begin."""
        self.row = rows[index]
        self.finding = rows[index].finding

    def lay_out(self, width: int) -> None:
        """At first perhaps with the remedies in sight."""
        super().lay_out(width)
        if self._at_remedies:
            self._at_remedies = False
            page = self.query_one(LineView)
            self.call_after_refresh(page.scroll_to, y=self._remedies_at, animate=False)

    def step(self, step: int) -> bool:
        """The next finding of the list, in place of this one."""
        if not 0 <= self._index + step < len(self._all):
            return False
        self.app.switch_screen(story_of(self.state, self._all, self._index + step))
        return True

    def lines(self, width: int) -> list[Line]:
        """What happened, then what to do."""
        account = self.account(width)
        self._remedies_at = len(account) + 1 if self.finding.remedies else 0
        return [*account, *self._remedies(width)]

    def account(self, width: int) -> list[Line]:
        """What happened, and why."""
        raise NotImplementedError

    def _remedies(self, width: int) -> list[Line]:
        finding = self.finding
        lines: list[Line] = []
        if finding.remedies:
            lines += [[], [("WHAT TO DO", "head")]]
        for number, remedy in enumerate(finding.remedies, 1):
            lines += paragraph(safe_text(f"{number} {remedy.audience}: {remedy.text}", 1000), "  ", "    ", width)
            lines += paragraph(safe_text(f"check: {remedy.check}", 500), "    ", "      ", width, "dim")
        service = next((s for s in self.state.document.services if s.id == finding.service), None)
        if service is not None and finding.rule in what_if.WEIGHED:
            weighed = what_if.weighed_lines(self.state.document, service, width)
            lines += [[], *weighed] if weighed else []
        if finding.references:
            lines += [[], [("REFERENCES", "head")], *listed(finding.references)]
        return lines


class StoryScreen(ExplanationScreen):
    """The story of an incident."""

    def title_lines(self, width: int) -> list[Line]:
        finding, incident = self.finding, self.row.incident
        assert incident is not None
        confirmed = finding.verdict == "confirmed"
        heading = (
            "✖ Aborted because the certificate changed"
            if confirmed
            else "◌ Perhaps aborted because the certificate changed"
        )
        at = self.state.zone.stamp(overview.nanoseconds(incident.at))
        counted = (
            f"   {at}   {finding.verdict}, {overview.WORDS[finding.grade]}   {self._index + 1} of {len(self._all)}"
        )
        title: list[Line] = [[(heading, "bad" if confirmed else "warn")]]
        if len(heading) + len(counted) <= width:
            title[0].append((counted, "dim"))
        else:
            title.append([(counted.strip(), "dim")])
        frame = why.frame_text(self.analysis, why.aborted_of(self.analysis, incident).client_leg.handshake.hello_frame)
        text = (
            'Java\'s message says "renegotiation". On the wire it was the first handshake of a new connection'
            f" ({frame})."
        )
        return [*title, *paragraph(text, "  ", "  ", width)]

    def account(self, width: int) -> list[Line]:
        """Ladder, rule, certificates."""
        incident = self.row.incident
        assert incident is not None
        steps = ladder(self.analysis, incident, self.state.zone)
        lines = [*self.ladder_at(steps, width), [], *_conditions(why.steps(self.analysis, incident), width)]
        if self.finding.verdict != "confirmed":
            lines += paragraph(safe_text(self.finding.explanation, 1000), "  ", "  ", width)
        rows, decided = why.certificates(self.analysis, incident)
        lines += [[], [("CERTIFICATES", "head")]]
        lines += _side_by_side(rows, "session's", "new", width)
        lines.append([(f"  deciding step: {decided}", "")])
        return lines


def _conditions(steps: Sequence[why.ReasonStep], width: int) -> list[Line]:
    """What must be, and whether it was."""
    lines: list[Line] = [[("WHY", "head")]]
    for step in steps:
        mark = (why.MARKS[step.holds], why.MARK_KINDS[step.holds])
        text = "   ".join(filter(None, (step.text, step.frames, overview.WORDS[step.grade])))
        lines += marked(mark, text, "  ", "    ", width)
    return lines


def _side_by_side(rows: Sequence[why.ReasonRow], old: str, new: str, width: int) -> list[Line]:
    """Two certificates, field by field; empty where there are no rows."""
    if not rows:
        return []
    room = max((width - 24) // 2, 12)
    fields = [(row.name, cut(row.old, room), cut(row.new, room), why.sameness(row)) for row in rows]
    return columns([("", old, new, ""), *fields], indent="  ")


class FindingScreen(ExplanationScreen):
    """A finding that is no incident."""

    def title_lines(self, width: int) -> list[Line]:
        finding = self.finding
        heading = (
            f"{finding.rule}   {finding.severity}   {finding.verdict}, {overview.WORDS[finding.grade]}  "
            f" {self._index + 1} of {len(self._all)}"
        )
        return [
            *paragraph(safe_text(finding.title), "", "  ", width, "head"),
            *paragraph(heading, "  ", "  ", width, "dim"),
        ]

    def account(self, width: int) -> list[Line]:
        """Explanation and evidence."""
        finding = self.finding
        lines: list[Line] = paragraph(safe_text(finding.explanation, 4000), "", "", width)
        if finding.rule == FAILED:
            observed = self.analysis.case.by_id(finding.connections[0])
            lines += [[], *self.ladder_at(Ladder("", chapters(self.analysis, observed, self.state.zone)), width)]
            lines += [[], *_conditions(why_failed.steps(self.analysis, finding, self.state.zone), width)]
            rows, works, fails = why_failed.certificates(self.analysis, finding)
            lines += [[], [("CERTIFICATES", "head")], *_side_by_side(rows, works, fails, width)] if rows else []
        lines += [[], [("EVIDENCE", "head")]]
        for evidence in finding.evidence[:40]:
            lines += paragraph(self._counts(evidence), "  ", "    ", width)
        return lines

    @staticmethod
    def _counts(evidence: Evidence) -> str:
        frames = ", ".join(str(f[1]) for f in evidence.frames[:8])
        return safe_text(
            f"{evidence.role.replace('_', ' ')}: {evidence.text}"
            + (f"   frame{'s' * (len(evidence.frames) > 1)} {frames}" if frames else ""),
            600,
        )


def story_of(state: AppState, rows: Sequence[FindingRow], index: int, at_remedies: bool = False) -> ExplanationScreen:
    """The screen that tells a finding."""
    kind = FindingScreen if rows[index].incident is None else StoryScreen
    return kind(state, rows, index, at_remedies)
