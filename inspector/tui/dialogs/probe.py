"""A probe: the command that would run, shown before anything is sent, and how far one is that runs."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, ProgressBar
from textual.worker import Worker, WorkerState

from inspector.errors import InspectorError
from inspector.reports.lines import Line, uniform, wrap
from inspector.text.safe import safe_text
from inspector.tui.dialogs.ask import Ask
from inspector.tui.prober import ProbeOutcome, Prober, ProposedProbe
from inspector.tui.styles import StillText, paragraph

MOST_COMMAND = 1000
"""Characters of a command that are shown."""

LOOKS_PER_SECOND = 5


VALUE = re.compile(r"(?<= )(--?[a-z0-9-]+) (?=[^ -])")
"""An option and the space before its value."""


def _lines_of(command: str, width: int) -> list[Line]:
    """A command in lines, none of which ends between an option and its value."""
    lines = wrap(VALUE.sub("\\1\u00a0", command), "", "    ", width)
    return uniform((line.replace("\u00a0", " ") for line in lines), "head")


class ProbeProposal(ModalScreen[ProposedProbe | None]):
    """Dismissed with the probe that is to run, or None. ``subject``: what would be probed."""

    DEFAULT_CSS = """
    ProbeProposal StillText { height: auto; margin: 1 1 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "start", "Start", tooltip="Run the command that is shown", id="probe_start"),
        Binding("e", "change", "Change", tooltip="Change the command before it runs", id="probe_change"),
        Binding("escape,n", "leave", "Leave it", tooltip="Close; nothing is sent", id="probe_leave"),
    ]

    def __init__(self, subject: str, command: str, prober: Prober) -> None:
        super().__init__(classes="dialog")
        self._subject = subject
        self._command = command
        self._prober = prober
        self._probe: ProposedProbe | None = None

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content(f"Probe {self._subject}?"), classes="title")
            yield StillText(id="command")
            yield StillText(id="intention")
            yield StillText(id="probe_keys")

    def on_resize(self) -> None:
        """Lines are as long as there is room."""
        self._show()

    def _show(self) -> None:
        width = max(min(self.size.width * 9 // 10, 96) - 6, 20)
        problem = ""
        try:
            self._probe = self._prober(self._command)
        except InspectorError as error:
            self._probe = None
            problem = f"{error} ({error.hint})" if error.hint else str(error)
        self.query_one("#command", StillText).show(_lines_of(safe_text(self._command, MOST_COMMAND), width))
        intention: list[Line] = []
        if self._probe is None:
            intention += paragraph(safe_text(problem, MOST_COMMAND), "", "", width, "bad")
        else:
            for line in self._probe.intention:
                intention += paragraph(safe_text(line, MOST_COMMAND), "", "  ", width)
        self.query_one("#intention", StillText).show(intention)
        keys: Line = [("Nothing is sent yet.", "warn")]
        for key, text in (("y", "start"), ("e", "change"), ("n", "leave")):
            keys += [(f"  {key}", "head"), (f" {text}", "")]
        self.query_one("#probe_keys", StillText).show([keys])

    def action_start(self) -> None:
        if self._probe is None:
            self.app.bell()
        else:
            self.dismiss(self._probe)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_change(self) -> None:
        """Ask for another command; what is wrong with it is said there."""

        def problem(text: str) -> str | None:
            try:
                self._prober(text)
            except InspectorError as error:
                return f"{error} ({error.hint})" if error.hint else str(error)
            return None

        def changed(text: str | None) -> None:
            if text is not None:
                self._command = text
                self._show()

        hint = "--cert FILE and --key FILE where a client certificate is wanted; -n, --rate: docs/how-to/probe.md"
        self.app.push_screen(Ask("The command", hint, problem, self._command), changed)


class ProbeProgress(ModalScreen[ProbeOutcome]):
    """Runs a probe. Dismissed with what is left of it."""

    DEFAULT_CSS = """
    ProbeProgress ProgressBar { margin: 1 1 0 1; }
    ProbeProgress StillText { height: auto; margin: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", tooltip="Send nothing more, and show what is known so far", id="probe_stop")
    ]

    def __init__(self, subject: str, probe: ProposedProbe) -> None:
        super().__init__(classes="dialog")
        self._subject = subject
        self._probe = probe
        self._begun = self._total = 0
        self.is_stopping = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content(f"Probing {self._subject}"), classes="title")
            yield ProgressBar(total=None, show_eta=False)
            yield StillText()

    def on_mount(self) -> None:
        """It runs in a thread, so that the app goes on."""
        self._look()
        self.set_interval(1 / LOOKS_PER_SECOND, self._look)
        self.run_worker(self._run, thread=True, group="probe")

    def on_unmount(self) -> None:
        """Whoever leaves the app sends nothing more."""
        self._probe.stop()

    def _run(self) -> ProbeOutcome:
        try:
            return self._probe.run(self._count)
        except (OSError, InspectorError) as error:
            return ProbeOutcome("", [str(error)])

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """It has ended; one that ends while the app does has nobody to tell."""
        if event.state == WorkerState.SUCCESS:
            self.dismiss(event.worker.result)

    def _count(self, begun: int, total: int) -> None:
        self._begun, self._total = begun, total

    def _look(self) -> None:
        """Show how far it is."""
        if self._total:
            self.query_one(ProgressBar).update(total=self._total, progress=self._begun)
        count = f"{self._begun:,} of {self._total:,} connections begun" if self._total else "beginning"
        last = "stopping" if self.is_stopping else "escape: stop here"
        self.query_one(StillText).show([[(f"{count}   ", ""), (last, "dim")]])

    def action_stop(self) -> None:
        """No further connection begins."""
        self.is_stopping = True
        self._probe.stop()
        self._look()
