"""Writing to files: the analysis, the connections, packets, a page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual.app import App

from inspector.capture.inputs import files_of
from inspector.errors import InspectorError
from inspector.packets.reread import clocks_late, save
from inspector.query.language import compile_filter, matching
from inspector.reports.formats import FORMATS, write
from inspector.system.file_identity import file_identity
from inspector.text.safe import path_text
from inspector.text.zones import UTC
from inspector.tui.app_state import AppState
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.dialogs.ask import Ask, Paths
from inspector.tui.dialogs.choice import Choice, Option
from inspector.tui.page import Page
from inspector.tui.shell import notify_from_thread
from inspector.tui.story import ExplanationScreen

EXPORTS = [
    Option("report", "incident report: a folder with HTML, Markdown, packets and all that proves them"),
    Option("redacted", "the same with addresses, names and certificates replaced"),
    *(Option(each.name, each.menu) for each in FORMATS.values()),
    Option("pcapng", "marked connections as pcapng"),
    Option("screen", "this page as text"),
]
SCREEN_SUFFIX = "txt"


class Exporter:
    """Asks what to write and where to, and writes it in a thread."""

    def __init__(self, app: App[int], state: AppState) -> None:
        self._app = app
        self._state = state

    def ask(self) -> None:
        """What, then where to."""

        def chosen(form: str | None) -> None:
            screen = self._app.screen
            if form == "pcapng":
                self.ask_packets(self._marked())
            elif form in ("report", "redacted"):
                self._ask_folder(form == "redacted")
            elif form is not None:
                text = screen.to_copy()[1] if form == "screen" and isinstance(screen, Page) else ""
                suffix = FORMATS[form].suffix if form in FORMATS else SCREEN_SUFFIX
                self._ask_path(f"inspector.{suffix}", lambda path: self._write(path, form, text))

        self._app.push_screen(Choice("Export", EXPORTS), chosen)

    def _marked(self) -> list[int]:
        base = self._app.screen_stack[0]
        return base.marked() if isinstance(base, ConnectionsScreen) else sorted(self._state.marks.values())

    def ask_packets(self, indexes: list[int]) -> None:
        """Where to write the packets of some connections."""
        if not indexes:
            self._app.notify("Mark connections with Space first.")
            return
        self._ask_path("marked.pcapng", lambda path: self._save(path, indexes))

    def _ask_folder(self, is_redacted: bool) -> None:
        """Where the report goes; about the incident that is on the screen, else about all."""
        screen = self._app.screen
        row = screen.row if isinstance(screen, ExplanationScreen) else None
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
                self._in_thread(partial(self._report, Path(text).expanduser(), incident, is_redacted))

        what = "Report on this incident into" if incident else "Report into"
        self._app.push_screen(
            Ask(what, "a new or empty folder; tab completes", problem, "inspector-report", Paths()), answered
        )

    def _ask_path(self, name: str, work: Callable[[Path], str]) -> None:
        """``work`` writes to a path and says what it wrote."""
        asked_paths: list[str] = []

        def problem(text: str) -> str | None:
            path = Path(text).expanduser()
            if not text or path.is_dir() or not path.parent.is_dir():
                return f"{path_text(text) or 'nothing'}: not the path of a file in a directory that exists"
            if self._is_read(path):
                return f"{path_text(text)} is read here: name another file"
            if path.exists() and asked_paths[-1:] != [text]:
                asked_paths.append(text)
                return f"{path_text(text)} exists; Enter again to write over it"
            return None

        def answered(text: str | None) -> None:
            if text:
                path = Path(text).expanduser()
                self._in_thread(partial(work, path), f"{path_text(str(path))}: ")

        self._app.push_screen(Ask("Write to", "a path; tab completes", problem, name, Paths()), answered)

    def _is_read(self, path: Path) -> bool:
        """Whether it is a file of what is open: writing would take it away."""
        read = [
            *(each for argument in self._state.paths for each in files_of(argument)),
            *self._state.now.case.options.logs,
        ]
        return file_identity(str(path)) in {file_identity(each) for each in read} - {None}

    def _in_thread(self, work: Callable[[], str], what: str = "") -> None:
        """Say what ``work`` wrote, or why it could not; ``what`` stands before the reason."""

        def run() -> None:
            try:
                notify_from_thread(self._app, work())
            except (OSError, InspectorError) as error:
                reason = getattr(error, "strerror", None) if what else None
                notify_from_thread(self._app, f"{what}{reason or error}", is_error=True)

        self._app.run_worker(run, thread=True, exit_on_error=False, group="files")

    def _report(self, path: Path, incident: str, is_redacted: bool) -> str:
        from inspector.bundle.scope import ScopeRequest  # what a report takes is loaded when one is written
        from inspector.bundle.writing import BundleRequest, write_bundle
        from inspector.redaction import keys

        paths = self._state.paths
        key, key_path, is_new = keys.load() if is_redacted else (None, None, False)
        zone = UTC if is_redacted else self._state.zone  # strangers need not know where we are
        request = BundleRequest(paths, ScopeRequest(incident), ["inspector", *paths], key, zone=zone)
        bundle = write_bundle(self._state.now, str(path), request)
        report = f"Wrote {path_text(str(path))}: {bundle.incidents} incidents, {bundle.frames:,} frames of evidence."
        new_key = [f"A new redaction key lies in {path_text(str(key_path))}: keep it to yourself."] if is_new else []
        return " ".join([report, *bundle.notes, *new_key])

    def _write(self, path: Path, form: str, text: str) -> str:
        expression = self._state.view.filter if form in FORMATS and FORMATS[form].is_filtered else ""
        wanted = matching(compile_filter(expression), self._state.now) if expression else None
        with open(path, "wb") as out:
            if form == "screen":
                out.write(text.encode("utf-8", "backslashreplace"))
            else:
                write(self._state.now, form, wanted, out, self._state.zone)
        return f"Wrote {path_text(str(path))}."

    def _save(self, path: Path, indexes: list[int]) -> str:
        case = self._state.now.case
        comments = {
            leg.first_frame: f"inspector: connection {observed.id}, {observed.outcome}"
            for observed in (case.observed[i] for i in indexes)
            for leg in (observed.client_leg, *observed.legs)
        }
        with open(path, "wb") as out:
            count = save(self._state.paths, self._state.flows(indexes), out, comments, clocks_late(case.facts.captures))
        return f"Wrote {count:,} frames of {len(indexes)} connections to {path_text(str(path))}."
