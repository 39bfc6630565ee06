"""Writing to files: the analysis, the connections, packets, a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual import work
from textual.app import App

from inspector.errors import InspectorError
from inspector.packets.reread import clocks_late, save
from inspector.query.language import compile_filter, matching
from inspector.reports.output import write
from inspector.text.safe import path_text, safe_text
from inspector.tui.app_state import AppState
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.dialogs.ask import Ask, Paths
from inspector.tui.dialogs.choice import Choice, Option
from inspector.tui.finding_rows import IncidentRows
from inspector.tui.page import Page

EXPORTS = [
    Option("report", "incident report: a folder with HTML, Markdown, packets and all that proves them"),
    Option("redacted", "the same with addresses, names and certificates replaced"),
    Option("text", "analysis as text, to paste into a ticket"),
    Option("json", "analysis as JSON"),
    Option("jsonl", "analysis as JSON lines"),
    Option("csv", "connections as CSV, filtered"),
    Option("pcapng", "marked connections as pcapng"),
    Option("screen", "this page as text"),
]
SUFFIXES = {"text": "txt", "screen": "txt"}


class Exporting(App[int]):
    """What the app can write. ``state`` holds what there is to write."""

    state: AppState

    def action_export(self) -> None:
        """Ask what, then where to."""

        def chosen(form: str | None) -> None:
            if form == "pcapng":
                self.save_connections(self._in_hand())
            elif form in ("report", "redacted"):
                self._ask_folder(form == "redacted")
            elif form is not None:
                text = self.screen.to_copy()[1] if form == "screen" and isinstance(self.screen, Page) else ""
                self._ask_path(f"inspector.{SUFFIXES.get(form, form)}", lambda path: self._write(path, form, text))

        self.push_screen(Choice("Export", EXPORTS), chosen)

    def _in_hand(self) -> list[int]:
        base = self.screen_stack[0]
        return base.marked() if isinstance(base, ConnectionsScreen) else sorted(self.state.marks.values())

    def save_connections(self, indexes: list[int]) -> None:
        """Ask for a path and write the packets of some connections there."""
        if not indexes:
            self.notify("Mark connections with Space first.")
            return
        self._ask_path("marked.pcapng", lambda path: self._save(path, indexes))

    def _ask_folder(self, is_redacted: bool) -> None:
        """Where the report goes; about the incident that is on the screen, else about all."""
        rows = getattr(self.screen, "found", None)
        incident = rows.incident.id if isinstance(rows, IncidentRows) and rows.incident is not None else ""

        def problem(text: str) -> str | None:
            path = Path(text).expanduser()
            if not text or not path.parent.is_dir():
                return f"{path_text(text) or 'nothing'}: not the path of a folder in one that exists"
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                return f"{path_text(text)} is not empty"
            return None

        def answered(text: str | None) -> None:
            if text:
                self._report(Path(text).expanduser(), incident, is_redacted)

        what = "Report on this incident into" if incident else "Report into"
        self.push_screen(
            Ask(what, "a new or empty folder; tab completes", problem, "inspector-report", Paths()), answered
        )

    @work(thread=True, exit_on_error=False, group="files")
    def _report(self, path: Path, incident: str, is_redacted: bool) -> None:
        from inspector.bundle.scope import ScopeRequest  # what a report takes is loaded when one is written
        from inspector.bundle.writing import BundleRequest, write_bundle
        from inspector.redaction import keys

        try:
            key, key_path, is_new = keys.load() if is_redacted else (None, None, False)
            bundle = write_bundle(
                self.state.now,
                str(path),
                BundleRequest(self.state.paths, ScopeRequest(incident), ["inspector", *self.state.paths], key),
            )
        except (OSError, InspectorError) as error:
            self.call_from_thread(self._notify_result, str(error), True)
            return
        report = f"Wrote {path_text(str(path))}: {bundle.incidents} incidents, {bundle.frames:,} frames of evidence."
        more = [
            *bundle.notes,
            *([f"A new redaction key lies in {path_text(str(key_path))}: keep it to yourself."] if is_new else []),
        ]
        self.call_from_thread(self._notify_result, " ".join([report, *more]), False)

    def _ask_path(self, name: str, then: Callable[[Path], object]) -> None:
        asked_paths: list[str] = []

        def problem(text: str) -> str | None:
            path = Path(text).expanduser()
            if not text or path.is_dir() or not path.parent.is_dir():
                return f"{path_text(text) or 'nothing'}: not the path of a file in a directory that exists"
            if path.exists() and asked_paths[-1:] != [text]:
                asked_paths.append(text)
                return f"{path_text(text)} exists; Enter again to write over it"
            return None

        def answered(text: str | None) -> None:
            if text:
                then(Path(text).expanduser())

        self.push_screen(Ask("Write to", "a path; tab completes", problem, name, Paths()), answered)

    @work(thread=True, exit_on_error=False, group="files")
    def _write(self, path: Path, form: str, text: str) -> None:
        wanted = (
            matching(compile_filter(self.state.view.filter), self.state.now)
            if form == "csv" and self.state.view.filter
            else None
        )
        try:
            with open(path, "wb") as out:
                if form == "screen":
                    out.write(text.encode("utf-8", "backslashreplace"))
                else:
                    write(self.state.now, form, wanted, out)
        except OSError as error:
            self.call_from_thread(self._notify_result, f"{path_text(str(path))}: {error.strerror or error}", True)
        else:
            self.call_from_thread(self._notify_result, f"Wrote {path_text(str(path))}.", False)

    @work(thread=True, exit_on_error=False, group="files")
    def _save(self, path: Path, indexes: list[int]) -> None:
        comments = {
            leg.first_frame: f"inspector: connection {observed.id}, {observed.outcome}"
            for i in indexes
            for observed in (self.state.now.case.observed[i],)
            for leg in (observed.client_leg, *observed.legs)
        }
        try:
            with open(path, "wb") as out:
                count = save(
                    self.state.paths,
                    self.state.flows(indexes),
                    out,
                    comments,
                    clocks_late(self.state.now.case.facts.captures),
                )
        except (OSError, InspectorError) as error:
            self.call_from_thread(
                self._notify_result, f"{path_text(str(path))}: {getattr(error, 'strerror', None) or error}", True
            )
        else:
            self.call_from_thread(
                self._notify_result,
                f"Wrote {count:,} frames of {len(indexes)} connections to {path_text(str(path))}.",
                False,
            )

    def _notify_result(self, text: str, is_bad: bool) -> None:
        self.notify(safe_text(text, 500), severity="error" if is_bad else "information", markup=False)
