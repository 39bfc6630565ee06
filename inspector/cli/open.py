"""``open`` and ``demo``: captures in the terminal app."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.analyze import print_analysis
from inspector.cli.captures import CaptureArguments, analysis_of, reading_options
from inspector.cli.completion import filters, sort_columns
from inspector.cli.ending import TimelyEnd, end_by, terminal_given_back
from inspector.cli.options import app_zone_option, ascii_option, settings_option
from inspector.cli.streams import is_dumb
from inspector.errors import UsageError
from inspector.text.zones import UTC, TimeZone
from inspector.tui.areas import AREAS

if TYPE_CHECKING:
    from inspector.tui.prober import ProposedProbe


class Opening(NamedTuple):
    """What the app begins with. ``sort``: the name of a column, with ``-`` before it for the largest first.
    ``zone``: of times, None for that of the settings.
    """

    area: str = ""
    expression: str = ""
    sort: str = ""
    is_followed: bool = False
    is_cached: bool = False
    zone: TimeZone | None = None


@click.command("open", short_help="The terminal app over captures or a journal.")
@reading_options
@click.option("--area", type=click.Choice(list(AREAS)), help="The area to begin with.")
@click.option(
    "-Y",
    "--filter",
    "expression",
    metavar="EXPRESSION",
    shell_complete=filters,
    default="",
    help="Begin with this filter on the connections. See docs/reference/filters.md.",
)
@click.option(
    "--sort",
    metavar="COLUMN",
    shell_complete=sort_columns,
    default="",
    help="Begin with the connections sorted by this column; -COLUMN for the largest first.",
)
@click.option("--follow", is_flag=True, help="Show a journal as it grows, written by a running watch or live.")
@click.option("--no-cache", is_flag=True, help="Keep no facts of large captures, and use none that were kept.")
@app_zone_option
@ascii_option
@settings_option
def open_command(
    arguments: CaptureArguments,
    area: str | None,
    expression: str,
    sort: str,
    follow: bool,
    no_cache: bool,
    ascii_wanted: bool,
    settings: str | None,
    *,
    zone: TimeZone | None,
) -> None:
    """Open captures, or a journal, in the terminal app."""
    if follow and len(arguments.files) != 1:
        raise UsageError("--follow shows one journal")
    if expression:
        from inspector.query.language import compile_filter

        compile_filter(expression)
    area = area or ("connections" if expression or sort else "")
    _open(arguments, Opening(area, expression, sort, follow, not no_cache, zone), ascii_wanted, settings)


@click.command("demo", short_help="The bundled recording of a real Puppet Server.")
@app_zone_option
@ascii_option
@settings_option
def demo_command(ascii_wanted: bool, settings: str | None, zone: TimeZone | None) -> None:
    """Open the bundled recording of a real Puppet Server; print its text analysis where there is no terminal."""
    capture, *logs = demo_files()
    arguments = CaptureArguments((str(capture),), logs=tuple(map(str, logs)))
    if all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        _open(arguments, Opening(zone=zone), ascii_wanted, settings)
        return
    print_analysis(analysis_of(arguments), zone=zone or UTC)


def demo_files() -> list[Path]:
    """The bundled capture, then the logs beside it: in the package, or in ``captures/`` of a clone."""
    names = [f"puppet-session-ids.{what}.gz" for what in ("pcap", "puppetserver.log", "haproxy.log")]
    packaged = Path(__file__).parent.parent / "demo"
    folder = packaged if (packaged / names[0]).exists() else Path(__file__).parent.parent.parent / "captures"
    return [folder / name for name in names]


def _open(arguments: CaptureArguments, opening: Opening, ascii_wanted: bool, settings_path: str | None) -> None:
    require_screen("inspector analyze prints the same analysis")
    from inspector.capture.files import Story
    from inspector.capture.inputs import holds_facts

    files, options, secrets = arguments.files, arguments.options(), arguments.secrets()
    if "-" not in files:
        captures = [path for path in files if not holds_facts(path)]
        if captures:
            Story(captures)  # what cannot be read is said before the screen changes
        if not sys.stdin.isatty() and keys_from_terminal() is None:
            raise UsageError("there is no terminal to read keys from", "inspector analyze prints the same analysis")
    elif not _capture_from_input():
        raise UsageError(
            "standard input is the capture and there is no terminal to read keys from",
            "inspector analyze - prints the analysis",
        )
    from inspector.extract.cache import FactsCache
    from inspector.settings import facts_folder, load
    from inspector.tui.loading import Loading

    settings = load(settings_path)
    settings.zone = opening.zone or settings.zone
    loading: Loading
    if opening.is_followed:
        from inspector.tui.listening import Following

        loading = Following(files, options, settings)
    elif arguments.cluster or arguments.vantages:
        from inspector.tui.fleet_loading import FleetLoading

        loading = FleetLoading(files, options, settings, secrets, arguments.cluster, arguments.vantages)
    else:
        is_cached = opening.is_cached and arguments.most_packets is None
        cache = FactsCache(facts_folder()) if is_cached else None
        loading = Loading(files, options, settings, secrets, cache, arguments.most_packets)
    loading.start()  # reads while the app is imported
    from inspector.tui.app import InspectorApp
    from inspector.tui.app_state import View

    app = InspectorApp(
        paths=files,
        options=options,
        settings=settings,
        view=View(opening.area, opening.expression, opening.sort),
        ascii_wanted=ascii_wanted,
        loading=loading,
        secret_inputs=secrets,
        prober=_app_probe,
    )
    ending = TimelyEnd(at_last=terminal_given_back())
    end_by(ending, app.exit)
    status = app.run()
    if app.problem:
        raise UsageError(app.problem)
    raise SystemExit(ending.status or status or 0)


def _app_probe(command: str) -> ProposedProbe:
    """As ``app_probe``, which is loaded when it is asked for."""
    from inspector.cli.app_probe import app_probe

    return app_probe(command)


def require_screen(hint: str) -> None:
    """Raises UsageError where the app cannot be seen: it is painted on standard error, as Textual does."""
    for name, stream in (("standard output", sys.stdout), ("standard error", sys.stderr)):
        if not stream.isatty():
            raise UsageError(f"{name} is no terminal", hint)
    if is_dumb():
        raise UsageError("this terminal cannot show the app: it is dumb (TERM)", hint)


def _capture_from_input() -> bool:
    """Read the capture from standard input and the keys from the terminal; False where there is no terminal."""
    import io

    from inspector.capture import files

    capture = keys_from_terminal()
    if capture is not None:
        files.standard_input = io.BufferedReader(io.FileIO(capture, "rb"), 1 << 20)
    return capture is not None


def keys_from_terminal() -> int | None:
    """Move what is on standard input to another descriptor, and the terminal to standard input; None where there is no
    terminal.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return None
    moved = os.dup(0)
    os.dup2(terminal, 0)
    os.close(terminal)
    return moved
