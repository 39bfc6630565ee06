"""The app: reads in the background, shows what matters first, and keeps six areas, each with its own
stack of screens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen

from inspector.document import Service
from inspector.findings.case import Options
from inspector.packets.messages import RawMessage
from inspector.settings import Settings
from inspector.text.safe import safe_text
from inspector.tui import check_settings, clipboard, go_to, output_filter, palette, recent, wireshark
from inspector.tui.app_keys import KEYS
from inspector.tui.app_state import AppState, View
from inspector.tui.areas import AREAS
from inspector.tui.connections import COLUMNS, ConnectionsScreen
from inspector.tui.dialogs.filter import FilterDialog
from inspector.tui.dialogs.go import go_dialog
from inspector.tui.dialogs.keys import KeysDialog, listed
from inspector.tui.dialogs.open import open_dialog
from inspector.tui.dialogs.probe import ProbeProgress
from inspector.tui.exporting import Exporter
from inspector.tui.feed import Feed
from inspector.tui.finding_rows import finding_rows
from inspector.tui.incidents import open_story
from inspector.tui.loading import Loading
from inspector.tui.loading_screen import LoadingScreen
from inspector.tui.message import MessageScreen
from inspector.tui.output_filter import OutputFilter
from inspector.tui.page import Area, AreaBar, Page
from inspector.tui.picks import Picks
from inspector.tui.prober import Prober
from inspector.tui.probes import Probes
from inspector.tui.shell import Target
from inspector.tui.terminal import HUNG_UP, HungUp, driver_of
from inspector.tui.themes import HIGH_CONTRAST

if TYPE_CHECKING:
    from inspector.secrets.inputs import SecretInputs


def screen_class(area: str) -> type[Area]:
    """The screen of an area."""
    return cast("type[Area]", getattr(import_module(f"inspector.tui.{area}"), AREAS[area]))


class InspectorApp(App[int]):
    """Six areas, each a mode with a stack of screens of its own. Returns the exit status."""

    CSS = Path(__file__).with_name("shared.tcss").read_text(encoding="utf-8")
    TITLE = "Inspector"
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(
        self,
        paths: Sequence[str],
        options: Options,
        settings: Settings | None = None,
        view: View | None = None,
        ascii_wanted: bool = False,
        loading: Loading | None = None,
        secret_inputs: SecretInputs | None = None,
        prober: Prober | None = None,
    ) -> None:
        """``loading``: already at work. ``prober``: None where this app may not probe. Raises UsageError where settings
        or view name something that does not exist.
        """
        super().__init__()
        chosen_settings = settings or Settings()
        self.problem = ""
        """Why nothing could be shown, for whoever started the app."""
        self.output_filter = OutputFilter(output_filter.ascii_wanted(ascii_wanted or chosen_settings.ascii))
        self.state = AppState(list(paths), chosen_settings, view or View())
        self.state.is_live = loading is not None and not loading.is_repeatable
        self.state.secret_inputs = secret_inputs
        self.state.recent = recent.load()
        self._visited: set[str] = set()
        self._shown_status: str | None = None
        self.feed = Feed(loading or Loading(paths, options, chosen_settings, secret_inputs))
        self._exporter = Exporter(self, self.state)
        self._picks = Picks(self, self.state)
        self._probes = Probes(self, self.state, prober, self._show_probe)
        self._generation = options.generation
        self._before: list[Loading] = []
        """What was open before the captures of probes, the last one last."""
        self.register_theme(HIGH_CONTRAST)
        kinds = {area: screen_class(area) for area in AREAS}  # imported before the names of keys are checked
        check_settings.check(chosen_settings, self.available_themes, COLUMNS, self.state.view)
        if chosen_settings.theme:
            self.theme = chosen_settings.theme
        if chosen_settings.keys:
            self.set_keymap(chosen_settings.keys)
        self.add_mode("loading", lambda: LoadingScreen(self.feed.loading))
        for area, kind in kinds.items():
            self.add_mode(area, self._made(kind))

    def get_driver_class(self) -> type[Driver]:
        """One that notices when the terminal goes."""
        return driver_of(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        """All that is painted goes through ours last."""
        return [*super().get_line_filters(), self.output_filter]

    def _made(self, kind: type[Area]) -> Callable[[], Screen[None]]:
        return lambda: kind(self.state)

    def on_mount(self) -> None:
        self.switch_mode("loading")
        self.feed.loading.start()
        self._looking = self.set_interval(1 / self.feed.loading.looks_per_second, self._look)

    def _look(self) -> None:
        """What the reading thread has by now."""
        feed = self.feed
        if isinstance(self.screen, LoadingScreen) and self.screen.is_mounted:
            self.screen.look()
        self._announce_incidents()
        is_done = feed.loading.is_done  # asked before the newest analysis is shown: none comes after it
        if feed.is_behind and not (feed.is_frozen and self.state.analysis is not None):
            self._show_newest()
        elif self.state.analysis is not None:
            self._refresh_bar()
        if is_done and feed.loading.problem is not None:
            self._looking.stop()
            self._fail(str(feed.loading.problem))
        elif is_done and not feed.is_behind:
            self._looking.stop()
            self._refresh_bar()

    def _announce_incidents(self) -> None:
        """Incidents that were met live: a bell, the terminal's title, a word."""
        if not self.feed.new_incidents():
            return
        count = self.feed.loading.incident_count()
        self.bell()
        if self._driver is not None:
            self._driver.write(clipboard.title_of(count))
        self.feed.announce()

    def action_incident(self) -> None:
        """The story of the last incident."""
        incidents = self.state.document.incidents
        if not incidents:
            self.notify("There was no incident.", timeout=2)
            return
        self.open_area("incidents")
        base = self.screen_stack[0]
        if isinstance(base, Page):
            rows = finding_rows(self.state.document, None, self.state.zone, newest_first=self.state.is_live)
            self.call_after_refresh(
                open_story, base, rows, next(i for i, one in enumerate(rows) if one.incident is incidents[-1])
            )

    def _fail(self, problem: str) -> None:
        if self.state.analysis is None:
            self.problem = problem
            self.exit(2)
        else:
            self.notify(safe_text(problem, 500), title="cannot be read", severity="error", markup=False, timeout=10)
            self.switch_mode(self.state.view.area)

    def _show_newest(self) -> None:
        analysis, loading = self.feed.newest(), self.feed.loading
        if analysis is None:
            return
        self.state.paths, self.state.whole_from_ns = loading.paths, loading.whole_from_ns
        self.state.forgotten, self.state.unseen = loading.forgotten, loading.unseen.stretches
        self.state.take(analysis, loading.columns, is_settled=not loading.is_repeatable or len(self.screen_stack) > 1)
        if self.current_mode == "loading":
            self.action_area(self.state.view.area or ("overview" if analysis.document.services else "services"))
        base = self.screen_stack[0]
        if isinstance(base, Area):
            base.fill()

    def _refresh_bar(self) -> None:
        """Where there is other news: this is asked for ever, perhaps at the far end of a slow line."""
        status = self.status()
        if status == self._shown_status:
            return
        self._shown_status = status
        for bar in self.screen_stack[0].query(AreaBar):
            bar.look()

    def status(self) -> str:
        """What goes on, for the line of areas."""
        state = self.state
        parts = [
            self.feed.incident_status(state.settings.keys.get("incident", "i")) or self.feed.loading.status(),
            f"{len(state.marks)} marked" if state.marks else "",
            f"/ {safe_text(state.view.filter, 60)}" if state.view.filter else "",
            f"a probe, {state.settings.keys.get('before_probe', 'b')}: back" if self._before else "",
            self.feed.frozen_status(state.analysis.count if state.analysis is not None else 0),
        ]
        return "   ".join(filter(None, parts))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Before there is something to show, one can only leave, or open something else."""
        if action == "return":
            return bool(self._before)
        if self.state.analysis is None or isinstance(self.screen, LoadingScreen):
            return action not in ("area", "filter", "step", "incident", "go", "export", "copy", "freeze", "again")
        return self.feed.loading.is_repeatable or action not in ("again", "open")

    def action_area(self, area: str) -> None:
        """To an area, as it was left; its key again leads to its first screen."""
        if self.current_mode == area:
            self._close_details()
        self.state.view.area = area
        self._visited.add(area)
        self.switch_mode(area)

    def open_area(self, area: str) -> None:
        """To the first screen of an area, whatever was open there."""
        self.action_area(area)
        self._close_details()

    def _close_details(self) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def action_keys(self) -> None:
        self.push_screen(KeysDialog(listed(self.screen.active_bindings.values())))

    def action_filter(self) -> None:
        """Ask for a filter, then show what matches."""

        def chosen(expression: str | None) -> None:
            if expression is None:
                return
            self.state.view.filter = expression
            if expression:
                self.state.remember(expression)
                recent.save(self.state.recent)
            self._show_connections()

        self.push_screen(FilterDialog(self.state), chosen)

    def _show_connections(self) -> None:
        self.open_area("connections")
        base = self.screen_stack[0]
        if isinstance(base, Area):
            base.fill()

    def action_step(self, step: int) -> None:
        screen = self.screen
        if isinstance(screen, Page) and not screen.step(step):
            self.notify("No further finding here.", timeout=2)

    def action_go(self) -> None:
        def find(text: str) -> int | str:
            return go_to.find(self.state.now, text, self.state.zone)

        def go(text: str | None) -> None:
            index = find(text) if text is not None else ""
            if isinstance(index, str):
                return
            self._show_connections()
            base = self.screen_stack[0]
            if isinstance(base, ConnectionsScreen):
                self.call_after_refresh(base.go, index)

        self.push_screen(go_dialog(find), go)

    def action_copy(self) -> None:
        if isinstance(self.screen, Page):
            name, text = self.screen.to_copy()
            self.notify(f"Copied {name}.", timeout=3, markup=False)
            self.copy_to_clipboard(text)

    def copy_to_clipboard(self, text: str) -> None:
        """Through the terminal, also behind tmux; says where that failed."""
        self._clipboard = text
        problem = clipboard.copy(text, self._driver.write) if self._driver is not None else ""
        if problem:
            self.clear_notifications()
            self.notify(safe_text(problem), title="perhaps not copied", severity="warning", timeout=10, markup=False)

    def action_freeze(self) -> None:
        feed = self.feed
        feed.is_frozen = not feed.is_frozen
        if not feed.is_frozen and feed.is_behind:
            self._show_newest()
        self._refresh_bar()

    def action_open(self) -> None:
        def opened(text: str | None) -> None:
            if text is not None:
                self._read([str(Path(text).expanduser())])

        self.push_screen(open_dialog(self.state.paths), opened)

    def action_again(self) -> None:
        """The same captures, from the start."""
        if "-" in self.state.paths:
            self.notify("Standard input cannot be read a second time.", severity="warning")
        else:
            self._read(self.state.paths)

    def _read(self, paths: list[str]) -> None:
        self.feed.loading.stop()
        if paths != self.state.paths:
            self.state.forget()
        self._turn_to(self.feed.loading.again(paths))

    def propose_probe(self, service: Service | None) -> None:
        """Show the command that would probe a service; it runs after a yes alone."""
        self._probes.propose(service)

    def _show_probe(self, path: str) -> None:
        """The capture of a probe; what was open stays as it is, and is read on if it was not whole."""
        self._before.append(self.feed.loading)
        self.state.forget(is_same_service=True)
        self.open_area("overview")
        self._turn_to(Loading([path], Options(self._generation), self.state.settings))

    def action_return(self) -> None:
        """To what was open before the capture of a probe."""
        self.feed.loading.stop()
        self.state.forget(is_same_service=True)
        self._turn_to(self._before.pop())

    def _turn_to(self, loading: Loading) -> None:
        """Show other captures, or the same anew, in the area in which one is."""
        self.feed = Feed(loading)
        self.state.is_live = not loading.is_repeatable
        now = self.current_mode
        for area in [a for a in AREAS if a in self._visited and a != now]:
            self.switch_mode(area)
            self._close_details()
        self.switch_mode(now)
        self._close_details()
        self.feed.loading.start()
        self._looking.stop()
        self._looking = self.set_interval(1 / self.feed.loading.looks_per_second, self._look)

    def open_message(self, targets: list[Target], index: int) -> None:
        """Decode the messages of a rung, one of those on the page."""
        self.push_screen(MessageScreen(self.state, targets, index))

    def pick(self, target: Target) -> None:
        """Pick the first message of a rung for a comparison."""
        self._picks.pick(target)

    def picked(self, title: str, message: RawMessage) -> None:
        """A message for a comparison; the second one shows the difference."""
        self._picks.picked(title, message)

    def go_on_in_wireshark(self, reference: int) -> None:
        """Open a frame there, or copy the command that does."""
        wireshark.go_on(self, self.state.now.case.facts.captures, reference)

    def action_export(self) -> None:
        """Ask what to write, then where to."""
        self._exporter.ask()

    def save_connections(self, indexes: list[int]) -> None:
        """Ask for a path and write the packets of some connections there."""
        self._exporter.ask_packets(indexes)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers."""
        return palette.commands(self, screen)

    async def action_quit(self) -> None:
        """Leave at once, whatever is going on."""
        self._leave(0)

    def action_quit_or_stop(self) -> None:
        """The first time while a probe runs, stop that."""
        if isinstance(self.screen, ProbeProgress) and not self.screen.is_stopping:
            self.screen.action_stop()
        else:
            self._leave(0)

    @on(HungUp)
    def _hung_up(self) -> None:
        self._leave(HUNG_UP)

    def _leave(self, status: int) -> None:
        for loading in (self.feed.loading, *self._before):
            loading.stop()
        self.exit(status)
