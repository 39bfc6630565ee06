"""The commands for live traffic: ``live`` and ``watch``."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from inspector.cli.ending import TimelyEnd, end_by, terminal_given_back
from inspector.cli.exit_status import SIGNALLED
from inspector.cli.live_options import LiveOptions, capture_options
from inspector.cli.live_start import begin, loaded_before, name_scarcity
from inspector.cli.metrics_options import ChosenOutputs, MetricsOptions, metrics_options
from inspector.cli.open import keys_from_terminal, require_screen
from inspector.cli.options import app_zone_option, ascii_option, settings_option
from inspector.cli.streams import unbuffered_output
from inspector.errors import InspectorError, OutputError, UsageError

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture
    from inspector.live.outputs.execution import Execution
    from inspector.live.outputs.line_queue import LineQueue
    from inspector.text.zones import TimeZone

LINE_FORMATS = ("jsonl", "ecs", "zeek")
"""The keys of ``line_forms.LINE_FORMS``, which are looked up when lines are printed."""

EXEC_SECONDS, HURRIED_SECONDS = 5.0, 0.3
"""What commands of ``--exec`` that still run at the end are given; after a signal."""


@click.command("live", short_help="The terminal app over live traffic.")
@capture_options
@app_zone_option
@ascii_option
@settings_option
def live_command(options: LiveOptions, ascii_wanted: bool, settings: str | None, zone: TimeZone | None) -> None:
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
    chosen.zone = zone or chosen.zone
    opened, capture = begin(options, piped if options.piped else None, packages=APP)
    listening = Listening(capture, opened.filter, chosen)
    secrets = None
    if capture.keeping.keys is not None:
        from inspector.secrets.inputs import SecretInputs

        secrets = SecretInputs.of(capture.keeping.keys.secrets)
    give_back = terminal_given_back()

    def at_last() -> None:
        kill(capture)
        give_back()

    ending = TimelyEnd(lambda: unfinished(capture), at_last)
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

            def leave(status: int) -> None:
                listening.stop()
                app.exit(status)

            end_by(ending, leave)
            listening.start()  # whatever becomes of its terminal
            status = app.run()
    finally:
        listening.close()
        opened.close()
    if app.problem:
        raise UsageError(app.problem)
    raise SystemExit(ending.status or status or 0)


@click.command("watch", short_help="Live traffic without a screen: JSON lines.")
@capture_options
@metrics_options
@click.option(
    "--exec",
    "execute",
    metavar="COMMAND",
    help="Run this on an incident; it is told by INSPECTOR_ variables. No shell.",
)
@click.option(
    "-T",
    "--format",
    "form",
    type=click.Choice(LINE_FORMATS),
    default=LINE_FORMATS[0],
    show_default=True,
    help="Of the lines: ours, ecs as Elastic Common Schema, zeek as Zeek's logs in JSON.",
)
@click.option("--findings-only", is_flag=True, help="No lines for connections.")
@click.option(
    "--no-sandbox", is_flag=True, help="Keep the rights to open files, start programs and connect, once all is open."
)
def watch_command(
    options: LiveOptions,
    metric_options: MetricsOptions,
    execute: str | None,
    form: str,
    findings_only: bool,
    no_sandbox: bool,
) -> None:
    """Watch live traffic without a screen: one JSON line for each connection and finding, until stopped.

    \b
    sudo inspector watch --vip 10.0.0.5:8081
    inspector watch --via 'ssh ps1 sudo tcpdump -i any -U -s0 --immediate-mode -w - tcp port 8081'

    SIGINT and SIGTERM end it after everything is written, in 2 seconds at most (130, 143); SIGHUP writes what is known.
    """
    if options.list_interfaces:
        list_interfaces()
        return
    name_scarcity()
    from inspector.live.host.supervisor import Supervisor
    from inspector.live.outputs.execution import Execution

    execution = Execution(execute) if execute else None
    supervisor = Supervisor(os.environ)
    metrics = ChosenOutputs(metric_options)
    opened, capture = begin(
        options,
        0 if options.piped else None,
        metrics=metrics.path,
        keeps_journal=True,
        execution=execution,
        before_rights_end=metrics.listen,
    )
    from inspector.cli.confinement import confine_watch
    from inspector.live.garbage import collect_rarely
    from inspector.live.outputs.line_forms import LINE_FORMS, LineForm
    from inspector.live.outputs.line_queue import LineQueue
    from inspector.live.outputs.lines import LinePrinter
    from inspector.live.outputs.severities import LeveledLines, goes_to_journal

    confine_watch(  # before any thread is started: each is confined by itself
        capture,
        opened,
        reads=(*(capture.keeping.logs.paths if capture.keeping.logs is not None else ()), *options.key_logs),
        writes=tuple(path for path in (options.path, metrics.path) if path),
        folders=(options.incidents,) if options.incidents else (),
        accepts=metrics.accepts_connections,
        is_wanted=not no_sandbox,
    )
    faulthandler.enable()  # a watchdog ends what hangs by SIGABRT: where it hung is worth knowing
    line_form: LineForm = LINE_FORMS[form]()
    if goes_to_journal(sys.stdout.fileno(), os.environ):
        line_form = LeveledLines(line_form)
    queue = LineQueue(unbuffered_output())
    lines = LinePrinter(
        capture,
        queue,
        metrics.start(),
        execution,
        not findings_only,
        form=line_form,
        take_lost=queue.take_lost,
        make_room=queue.make_room,
        supervisor=supervisor,
    )

    ended: list[int] = []

    def end(number: int, frame: object) -> None:
        ended.append(SIGNALLED + number)
        capture.stop()

    ending = TimelyEnd(lambda: unfinished(capture, queue), lambda: kill(capture, execution))
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, lambda number, frame: capture.ask_flush())
    ending.guard((signal.SIGINT, signal.SIGTERM))
    collect_rarely()
    try:
        with loaded_before(opened):
            supervisor.ready(f"capturing {opened.name}")
            capture.run(lines)
            supervisor.stopping()
            if execution is not None:
                execution.finish(HURRIED_SECONDS if ended else EXEC_SECONDS)
            lines.finish(is_hurried=bool(ended))
            capture.settle(lines)
    finally:
        capture.close()
        opened.close()
        metrics.close()
    try:
        queue.drain()
    except OutputError as error:
        lines.output_error = lines.output_error or error
    if ended:
        raise SystemExit(ended[0])
    if opened.starter is not None and opened.starter.has_ended:
        raise InspectorError("the process that starts what captures has ended")
    if lines.output_error is not None:
        raise lines.output_error


def kill(capture: LiveCapture, execution: Execution | None = None) -> None:
    """End at once what captures, and what runs on incidents."""
    for source in capture.sources:
        source.kill()
    if execution is not None:
        execution.kill()


def unfinished(capture: LiveCapture, queue: LineQueue | None = None) -> Iterator[str]:
    """What of a live capture is not done yet, for people."""
    if not capture.is_settled:
        yield "the last that was captured, and what was to be written of it"
    if queue is not None and queue.waiting:
        yield f"{queue.waiting:,} lines of standard output, which nobody reads"


def list_interfaces() -> None:
    """Print the interfaces that can be captured."""
    from inspector.live.sources.interfaces import interfaces

    for number, interface in enumerate(interfaces(), 1):
        click.echo(f"{number}. {interface.name}{f' ({interface.text})' if interface.text else ''}")
