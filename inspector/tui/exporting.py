"""Writing to files: the analysis, the connections, packets, a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
from inspector.tui.page import Page
from inspector.tui.story import ExplanationScreen

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


class Exporter:
    """What the app can write. Asks what and where to on the app's screens; writes in threads of the app's."""

    def __init__(self, app: App[int], state: AppState) -> None:
        """``state``: what there is to write."""
        self._app = app
        self._state = state

    def export(self) -> None:
        """Ask what, then where to."""

        def chosen(form: str | None) -> None:
            if form == "pcapng":
                self.save_connections(self._in_hand())
            elif form in ("report", "redacted"):
                self._ask_folder(form == "redacted")
            elif form is not None:
                text = self._app.screen.to_copy()[1] if form == "screen" and isinstance(self._app.screen, Page) else ""
                self._ask_path(
                    f"inspector.{SUFFIXES.get(form, form)}",
                    lambda path: self._in_thread(lambda: self._write(path, form, text)),
                )

        self._app.push_screen(Choice("Export", EXPORTS), chosen)

    def _in_thread(self, write: Callable[[], None]) -> None:
        self._app.run_worker(write, thread=True, exit_on_error=False, group="files")

    def _in_hand(self) -> list[int]:
        base = self._app.screen_stack[0]
        return base.marked() if isinstance(base, ConnectionsScreen) else sorted(self._state.marks.values())

    def save_connections(self, indexes: list[int]) -> None:
        """Ask for a path and write the packets of some connections there."""
        if not indexes:
            self._app.notify("Mark connections with Space first.")
            return
        self._ask_path("marked.pcapng", lambda path: self._in_thread(lambda: self._save(path, indexes)))

    def _ask_folder(self, is_redacted: bool) -> None:
        """Where the report goes; about the incident that is on the screen, else about all."""
        row = self._app.screen.row if isinstance(self._app.screen, ExplanationScreen) else None
        incident = row.incident.id if row is not None and row.incident is not None else ""

        def problem(text: str) -> str | None:
            path = Path(text).expanduser()
            if not text or not path.parent.is_dir():
                return f"{path_text(text) or 'nothing'}: not the path of a folder in one that exists"
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                return f"{path_text(text)} is not empty"
            return None

        def answered(text: str | None) -> None:
            if text:
                self._in_thread(lambda: self._report(Path(text).expanduser(), incident, is_redacted))

        what = "Report on this incident into" if incident else "Report into"
        self._app.push_screen(
            Ask(what, "a new or empty folder; tab completes", problem, "inspector-report", Paths()), answered
        )

    def _report(self, path: Path, incident: str, is_redacted: bool) -> None:
        from inspector.bundle.scope import ScopeRequest  # what a report takes is loaded when one is written
        from inspector.bundle.writing import BundleRequest, write_bundle
        from inspector.redaction import keys

        try:
            key, key_path, is_new = keys.load() if is_redacted else (None, None, False)
            bundle = write_bundle(
                self._state.now,
                str(path),
                BundleRequest(self._state.paths, ScopeRequest(incident), ["inspector", *self._state.paths], key),
            )
        except (OSError, InspectorError) as error:
            self._app.call_from_thread(self.notify_result, str(error), True)
            return
        report = f"Wrote {path_text(str(path))}: {bundle.incidents} incidents, {bundle.frames:,} frames of evidence."
        more = [
            *bundle.notes,
            *([f"A new redaction key lies in {path_text(str(key_path))}: keep it to yourself."] if is_new else []),
        ]
        self._app.call_from_thread(self.notify_result, " ".join([report, *more]), False)

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

        self._app.push_screen(Ask("Write to", "a path; tab completes", problem, name, Paths()), answered)

    def _write(self, path: Path, form: str, text: str) -> None:
        wanted = (
            matching(compile_filter(self._state.view.filter), self._state.now)
            if form == "csv" and self._state.view.filter
            else None
        )
        try:
            with open(path, "wb") as out:
                if form == "screen":
                    out.write(text.encode("utf-8", "backslashreplace"))
                else:
                    write(self._state.now, form, wanted, out)
        except OSError as error:
            self._app.call_from_thread(self.notify_result, f"{path_text(str(path))}: {error.strerror or error}", True)
        else:
            self._app.call_from_thread(self.notify_result, f"Wrote {path_text(str(path))}.", False)

    def _save(self, path: Path, indexes: list[int]) -> None:
        comments = {
            leg.first_frame: f"inspector: connection {observed.id}, {observed.outcome}"
            for i in indexes
            for observed in (self._state.now.case.observed[i],)
            for leg in (observed.client_leg, *observed.legs)
        }
        try:
            with open(path, "wb") as out:
                count = save(
                    self._state.paths,
                    self._state.flows(indexes),
                    out,
                    comments,
                    clocks_late(self._state.now.case.facts.captures),
                )
        except (OSError, InspectorError) as error:
            self._app.call_from_thread(
                self.notify_result, f"{path_text(str(path))}: {getattr(error, 'strerror', None) or error}", True
            )
        else:
            self._app.call_from_thread(
                self.notify_result,
                f"Wrote {count:,} frames of {len(indexes)} connections to {path_text(str(path))}.",
                False,
            )

    def notify_result(self, text: str, is_bad: bool) -> None:
        """Tell the person what became of it."""
        self._app.notify(safe_text(text, 500), severity="error" if is_bad else "information", markup=False)
