"""The commands for live traffic: ``live`` and ``watch``."""

from __future__ import annotations

import signal
import sys

import click

from inspector.cli.live_options import LiveOptions, capture_options
from inspector.cli.live_start import begin, loaded_before, name_scarcity
from inspector.cli.open import keys_from_terminal, require_screen
from inspector.cli.options import ascii_option, settings_option
from inspector.errors import UsageError


@click.command("live")
@capture_options
@ascii_option
@settings_option
def live_command(options: LiveOptions, ascii_wanted: bool, settings: str | None) -> None:
    """Open the terminal app over live traffic.

    \b
    sudo inspector live --vip 10.0.0.5:8081
    inspector live --via 'ssh ps1 sudo tcpdump -i any -U -s0 --immediate-mode -w - tcp port 8081'
    ssh ps1 sudo tcpdump -i any -U -s0 -w - tcp port 8081 | inspector live -
    """
    if options.list_interfaces:
        list_interfaces()
        return
    require_screen("inspector watch prints a line for each finding")
    piped = keys_from_terminal() if options.piped or not sys.stdin.isatty() else None
    if piped is None and options.piped:
        raise UsageError(
            "standard input is the capture and there is no terminal to read keys from",
            "inspector watch - prints a line for each finding",
        )
    if piped is None and not sys.stdin.isatty():
        raise UsageError("there is no terminal to read keys from", "inspector watch prints a line for each finding")
    name_scarcity()
    from inspector.live.host.preloading import APP
    from inspector.settings import load
    from inspector.tui.app import InspectorApp
    from inspector.tui.app_state import View
    from inspector.tui.listening import Listening

    chosen = load(settings)
    opened, capture = begin(options, piped if options.piped else None, packages=APP)
    listening = Listening(capture, opened.filter, chosen)
    secrets = None
    if capture.keeping.keys is not None:
        from inspector.secrets.inputs import SecretInputs

        secrets = SecretInputs.of(capture.keeping.keys.secrets)
    ended: list[int] = []
    try:
        with loaded_before(opened):
            app = InspectorApp(
                paths=listening.paths,
                options=capture.options,
                settings=chosen,
                view=View(),
                ascii_wanted=ascii_wanted,
                loading=listening,
                secret_inputs=secrets,
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
@click.option(
    "--no-sandbox", is_flag=True, help="Keep the rights to open files, start programs and connect, once all is open."
)
def watch_command(
    options: LiveOptions, metrics_path: str | None, execute: str | None, findings_only: bool, no_sandbox: bool
) -> None:
    """Watch live traffic without a screen: one JSON line for each connection and finding, until stopped.

    \b
    sudo inspector watch --vip 10.0.0.5:8081
    inspector watch --via 'ssh ps1 sudo tcpdump -i any -U -s0 --immediate-mode -w - tcp port 8081'

    SIGINT and SIGTERM end it after everything is written (130, 143); SIGHUP writes what is known.
    """
    if options.list_interfaces:
        list_interfaces()
        return
    name_scarcity()
    from inspector.cli.confinement import confine_watch
    from inspector.live.garbage import collect_rarely
    from inspector.live.outputs.execution import Execution
    from inspector.live.outputs.lines import LinePrinter
    from inspector.live.outputs.metrics import Metrics

    execution = Execution(execute) if execute else None
    opened, capture = begin(options, 0 if options.piped else None, metrics=metrics_path, keeps_journal=True)
    lines = LinePrinter(
        capture, sys.stdout.buffer, Metrics(metrics_path) if metrics_path else None, execution, not findings_only
    )
    confine_watch(
        capture,
        opened,
        reads=(*(capture.keeping.logs.paths if capture.keeping.logs is not None else ()), *options.key_logs),
        writes=tuple(path for path in (options.path, metrics_path) if path),
        folders=(options.incidents,) if options.incidents else (),
        unless="--no-sandbox" if no_sandbox else "--exec" if execute else "--via" if options.commands else "",
    )
    ended: list[int] = []

    def end(number: int, frame: object) -> None:
        ended.append(128 + number)
        capture.stop()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, lambda number, frame: capture.ask_flush())
    collect_rarely()
    try:
        with loaded_before(opened):
            capture.run(lines)
            lines.finish()
    finally:
        capture.close()
    if ended:
        raise SystemExit(ended[0])
    if lines.output_error is not None:
        raise lines.output_error


def list_interfaces() -> None:
    """Print the interfaces that can be captured."""
    from inspector.live.sources.interfaces import interfaces

    for number, interface in enumerate(interfaces(), 1):
        click.echo(f"{number}. {interface.name}{f' ({interface.text})' if interface.text else ''}")
