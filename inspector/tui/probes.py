"""Probing a service from the app: the command is shown, runs after a yes alone, and its capture is opened."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.app import App

from inspector.document import Service
from inspector.errors import UsageError
from inspector.reports.overview import title
from inspector.text.safe import path_text, safe_text
from inspector.tui.app_state import AppState
from inspector.tui.dialogs.probe import ProbeProgress, ProbeProposal
from inspector.tui.probe_command import probe_command
from inspector.tui.prober import ProbeOutcome, Prober, ProposedProbe
from inspector.tui.redacted_inputs import is_any_redacted
from inspector.tui.shell import MOST_TEXT

ACCOUNT_SECONDS = 10


class Probes:
    """``prober``: None where the app may not probe, as over a live capture. ``show``: opens a capture."""

    def __init__(self, app: App[int], state: AppState, prober: Prober | None, show: Callable[[str], object]) -> None:
        self._app = app
        self._state = state
        self._prober = prober
        self._show = show

    def propose(self, service: Service | None) -> None:
        """Show the command that would probe a service, and run it if that is wanted."""
        if service is None:
            self._app.notify("There is no service to probe here.", timeout=3)
            return
        if is_any_redacted(self._state.paths):
            self._app.notify("Redacted: its addresses are not those of the service.", severity="warning")
            return
        index = next(i for i, one in enumerate(self._state.document.services) if one is service)
        try:
            command = probe_command(self._state.now.case, index, service)
        except UsageError as error:
            self._app.notify(safe_text(str(error), MOST_TEXT), severity="warning", markup=False)
            return
        if self._prober is None:
            self._app.copy_to_clipboard(command)
            self._app.notify(
                f"Not while a live capture goes on here. Copied, for another terminal: {safe_text(command, MOST_TEXT)}",
                markup=False,
                timeout=ACCOUNT_SECONDS,
            )
            return
        proposal = ProbeProposal(title(service), command, self._prober)
        self._app.push_screen(proposal, partial(self._answered, service.id, title(service)))

    def _answered(self, service_id: str, subject: str, probe: ProposedProbe | None) -> None:
        if probe is not None:
            self._app.push_screen(ProbeProgress(subject, probe), partial(self._ended, service_id))

    def _ended(self, service_id: str, outcome: ProbeOutcome | None) -> None:
        if outcome is None:  # which Textual's type has, and no probe
            return
        kept = [f"Kept as {path_text(outcome.path)}"] if outcome.path else []
        account = safe_text(". ".join([*outcome.account, *kept]), MOST_TEXT)
        self._app.notify(
            account, markup=False, timeout=ACCOUNT_SECONDS, severity="information" if outcome.path else "warning"
        )
        if outcome.path:
            self._state.choose(service_id)
            self._show(outcome.path)
