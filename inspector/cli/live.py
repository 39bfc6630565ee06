"""The commands for live traffic: ``live`` and ``watch``."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from inspector.cli.live_options import capture_options, settings_option
from inspector.cli.live_start import loaded_before, open_sources, prepared
from inspector.errors import NotPermittedError, UsageError

if TYPE_CHECKING:
    pass


@click.command("live")
@capture_options
@click.option(
    "--ascii", "ascii_wanted", is_flag=True, help="Show ASCII only; the default where the locale is not UTF-8."
)
@settings_option
@click.argument("piped", required=False, type=click.Choice(["-"]), metavar="[-]")
def live_command(ascii_wanted: bool, settings: str | None, piped: str | None, **options: Any) -> None:
    """Open the terminal app over live traffic.

    \b
    sudo inspector live --vip 10.0.0.5:8081
    inspector live --via 'ssh ps1 sudo tcpdump -i any -U -s0 --immediate-mode -w - tcp port 8081'
    ssh ps1 sudo tcpdump -i any -U -s0 -w - tcp port 8081 | inspector live -
    """
    if options["list_interfaces"]:
        list_interfaces()
        return
    if not sys.stdout.isatty():
        raise UsageError("standard output is no terminal", "inspector watch prints a line for each finding")
    capture = keys_from_terminal() if piped else None
    if piped and capture is None:
        raise UsageError(
            "standard input is the capture and there is no terminal to read keys from",
            "inspector watch - prints a line for each finding",
        )
    from inspector.live.host.preloading import APP
    from inspector.settings import load
    from inspector.tui.app import InspectorApp
    from inspector.tui.app_state import View
    from inspector.tui.listening import Listening

    own = load(settings)
    opened = open_sources(options, capture, APP)
    watching = prepared(opened, options, journal_wanted=False)
    listening = Listening(watching, opened.filter, own)
    given = None
    if watching.keeping.keys is not None:
        from inspector.secrets.inputs import SecretInputs

        given = SecretInputs.of(watching.keeping.keys.secrets)
    ended: list[int] = []
    try:
        with loaded_before(opened):
            app = InspectorApp(
                paths=listening.paths,
                options=watching.options,
                settings=own,
                view=View(),
                ascii_wanted=ascii_wanted,
                loading=listening,
                secret_inputs=given,
            )

            def end(number: int, frame: object) -> None:
                ended.append(128 + number)
                app.exit(0)

            signal.signal(signal.SIGTERM, end)
            signal.signal(signal.SIGHUP, end)
            status = app.run()
    finally:
        listening.close()
    if app.problem:
        raise UsageError(app.problem)
    raise SystemExit(ended[0] if ended else status or 0)


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


@click.command("watch")
@capture_options
@click.option("--metrics", "metrics_path", metavar="FILE", help="Write metrics here, in Prometheus' text format.")
@click.option(
    "--exec",
    "execute",
    metavar="COMMAND",
    help="Run this on an incident; it is told by INSPECTOR_ variables. No shell.",
)
@click.option("--findings-only", is_flag=True, help="No lines for connections.")
@click.argument("piped", required=False, type=click.Choice(["-"]), metavar="[-]")
def watch_command(
    metrics_path: str | None, execute: str | None, findings_only: bool, piped: str | None, **options: Any
) -> None:
    """Watch live traffic without a screen: one JSON line for each connection and finding, until stopped.

    \b
    sudo inspector watch --vip 10.0.0.5:8081
    inspector watch --via 'ssh ps1 sudo tcpdump -i any -U -s0 --immediate-mode -w - tcp port 8081'

    SIGINT and SIGTERM end it after everything is written (130, 143); SIGHUP writes what is known.
    """
    if options["list_interfaces"]:
        list_interfaces()
        return
    from inspector.live.garbage import collect_rarely
    from inspector.live.outputs.execution import Execution
    from inspector.live.outputs.lines import LinePrinter
    from inspector.live.outputs.metrics import Metrics

    execution = Execution(execute) if execute else None
    opened = open_sources(options, 0 if piped else None)
    watching = prepared(opened, {**options, "metrics": metrics_path}, journal_wanted=True)
    lines = LinePrinter(
        watching, sys.stdout.buffer, Metrics(metrics_path) if metrics_path else None, execution, not findings_only
    )
    ended: list[int] = []

    def end(number: int, frame: object) -> None:
        ended.append(128 + number)
        watching.stop()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, lambda number, frame: watching.ask_flush())
    collect_rarely()
    try:
        with loaded_before(opened):
            watching.run(lines)
            lines.finish()
    finally:
        watching.close()
    if ended:
        raise SystemExit(ended[0])


@click.command("doctor")
@click.option(
    "--recipe", "recipe_wanted", is_flag=True, help="Print the tcpdump line for somebody who may run nothing else."
)
def doctor_command(recipe_wanted: bool) -> None:
    """Say what live capture needs here and what is missing, with the command that mends it. Exit status 4 where this
    user cannot capture.
    """
    from inspector.live.host.doctor import diagnosis, recipe, told
    from inspector.live.host.puppet import look
    from inspector.text.safe import safe_text

    host = look()
    if recipe_wanted:
        click.echo(recipe(host), nl=False)
        return
    found = diagnosis(host)
    click.echo(told(found.checks, lambda text: safe_text(text, 500)), nl=False)
    if not found.can_capture:
        raise NotPermittedError("this user cannot capture live")


def list_interfaces() -> None:
    """Print the interfaces that can be captured."""
    from inspector.live.sources.interfaces import interfaces

    for number, found in enumerate(interfaces(), 1):
        click.echo(f"{number}. {found.name}{f' ({found.text})' if found.text else ''}")
