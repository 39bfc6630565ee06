"""The commands for live traffic: ``live`` and ``watch``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from inspector.errors import InspectorError, NotPermittedError, UsageError
from inspector.text.hostport import parsed

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture
    from inspector.live.sources.plan import OpenedSource, Request
    from inspector.live.update import Keeping

JOURNAL_MIB = 1024


def _parsed(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """``--vip`` as hosts and ports."""
    return tuple(parsed(value) for value in values)


def capture_options(command: Any) -> Any:
    """The options of ``live`` and ``watch``: what is captured, and what is kept."""
    decorators = [
        click.option(
            "-i",
            "--interface",
            "interfaces",
            multiple=True,
            metavar="IFACE",
            help="Capture here; repeatable. any, the default, is all of them.",
        ),
        click.option(
            "--via",
            "commands",
            multiple=True,
            metavar="COMMAND",
            help="Capture by a command that writes pcap to its standard output, e.g. ssh and tcpdump; repeatable.",
        ),
        click.option("-D", "list_interfaces", is_flag=True, help="List the interfaces, and end."),
        click.option(
            "-f", "expression", metavar="FILTER", default="", help="Capture filter, as for tcpdump; joined with --vip."
        ),
        click.option(
            "--vip",
            "vips",
            multiple=True,
            callback=_parsed,
            metavar="HOST:PORT",
            help="Look at this service only; repeatable. [v6]:port. A name stands for its port.",
        ),
        click.option(
            "-s",
            "snaplen",
            type=click.IntRange(64, 262_144),
            default=262_144,
            show_default=True,
            metavar="BYTES",
            help="Capture so much of each packet.",
        ),
        click.option(
            "-B",
            "buffer_mib",
            type=click.IntRange(1, 2048),
            default=32,
            show_default=True,
            metavar="MIB",
            help="The kernel's buffer, for each interface.",
        ),
        click.option("--promiscuous", is_flag=True, help="See also what is not for this host: behind a mirror port."),
        click.option(
            "--capture-by",
            type=click.Choice(["any", "libpcap", "scapy"]),
            default="any",
            show_default=True,
            help="How interfaces are read.",
        ),
        click.option(
            "-Z",
            "user",
            metavar="USER",
            help="As root: become this user once the capture is open. By default the user behind sudo, else nobody.",
        ),
        click.option("-w", "path", metavar="FILE", help="Write handshakes and record headers to a pcapng file."),
        click.option("--full", is_flag=True, help="With -w: whole packets."),
        click.option(
            "-b",
            "ring",
            multiple=True,
            metavar="CONDITION",
            help="Ring of files: filesize:kB, duration:SECONDS, packets:N begin the next one; files:N are kept.",
        ),
        click.option(
            "-a",
            "autostop",
            multiple=True,
            metavar="CONDITION",
            help="Stop at duration:SECONDS, filesize:kB, files:N, packets:N or incident:N.",
        ),
        click.option(
            "--incidents", metavar="DIRECTORY", help="Write the packets of each incident into a file of its own here."
        ),
        click.option(
            "--log",
            "logs",
            multiple=True,
            metavar="FILE",
            help="puppetserver.log or HAProxy's log: read on as it grows, joined with the wire; repeatable.",
        ),
        click.option(
            "--keylog",
            "key_logs",
            multiple=True,
            metavar="FILE",
            help="NSS key log: read on as it grows, opens encrypted handshakes; repeatable.",
        ),
        click.option(
            "--server-key",
            "server_keys",
            multiple=True,
            metavar="PEM",
            help="RSA key of a server, for RSA key exchange; repeatable.",
        ),
        click.option(
            "--journal",
            metavar="FILE",
            help="Keep facts and findings here: inspector open FILE shows them. watch keeps one by default.",
        ),
        click.option("--no-journal", is_flag=True, help="Keep none."),
        click.option(
            "--journal-size",
            type=click.IntRange(1),
            default=JOURNAL_MIB,
            show_default=True,
            metavar="MIB",
            help="How large it may become; the oldest go first.",
        ),
        click.option(
            "--min-free",
            type=click.IntRange(0),
            default=200,
            show_default=True,
            metavar="MIB",
            help="Write nothing where less than this is free.",
        ),
        click.option(
            "--jdk-generation",
            type=click.Choice(["current", "first"]),
            default="current",
            show_default=True,
            help="Which identity rule: first is before 8u60 and 7u85.",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def settings_option(command: Any) -> Any:
    """Where names, theme, keys and columns come from."""
    return click.option(
        "--settings",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help=(
            "Settings in TOML; by default ~/.config/inspector/settings.toml, if there. See docs/reference/settings.md."
        ),
    )(command)


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
            app = InspectorApp(listening.paths, watching.options, own, View(), ascii_wanted, listening, given)

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


def open_sources(options: dict[str, Any], piped: int | None, packages: tuple[str, ...] = ()) -> OpenedSource:
    """Open what the options ask for, and say what is done. From then on this process has no rights. ``packages``: what
    is needed then beside the capture itself. Raises InspectorError.
    """
    import cryptography.x509  # noqa: F401 - all that is needed is loaded while this process may still read it

    import inspector.live.outputs.lines  # noqa: F401
    from inspector.live.host.preloading import preload, program
    from inspector.live.host.privileges import denied
    from inspector.live.sources.plan import becomes, opened

    request = _request(options, piped)
    if not (request.interfaces or request.commands or request.vips or request.expression or piped is not None):
        request = _looked_around(request, options)
    if options["logs"]:
        from inspector.live.sources.growing import GrowingLogs

        options["growing"] = GrowingLogs(options["logs"])
    if options["key_logs"] or options["server_keys"]:
        from inspector.cli.captures import passphrase
        from inspector.live.sources.growing_keys import GrowingKeys

        options["keys"] = GrowingKeys(options["key_logs"], options["server_keys"], passphrase)
    who = becomes(request, os.environ)
    hidden = denied(who, program()) if who is not None else []
    if who is not None and hidden:
        click.echo(
            f"inspector: {who.name} may not read {hidden[0]}: everything is loaded before rights are given up", err=True
        )
        preload(packages)
    found = opened(request, os.environ)
    for source in found.sources:
        click.echo(
            f"inspector: capturing {source.name} by {source.by}"
            + (f", filter: {found.filter}" if found.filter and source.is_here else ""),
            err=True,
        )
    if found.account is not None:
        click.echo(f"inspector: running as {found.account.name}, without rights", err=True)
    return found


@contextmanager
def loaded_before(opened: OpenedSource) -> Iterator[None]:
    """What was to be loaded after rights were given up, and lies where only root may read, is named.
    Raises UsageError.
    """
    try:
        yield
    except ImportError as error:
        if opened.account is None:
            raise
        raise UsageError(
            f"{opened.account.name} may not read this program: {error}",
            f"-Z root keeps rights; better, install it where {opened.account.name} may read: inspector doctor",
        ) from error


def _looked_around(request: Request, options: dict[str, Any]) -> Request:
    """Nothing was said on what to capture: the way from this machine's Puppet Server to its PuppetDB, where there is
    one; what is assumed is said.
    """
    from dataclasses import replace

    from inspector.live.host.puppet import generation, look
    from inspector.text.safe import safe_text

    host = look()
    machine = host.machine
    if machine is not None:
        click.echo(
            f"inspector: Puppet Server here: process {machine.process}, JDK {safe_text(machine.jdk, 60) or 'unknown'}",
            err=True,
        )
        options["machine"] = machine
        if generation(machine.jdk) == "first":
            options["jdk_generation"] = "first"
    for server in host.servers:
        click.echo(
            safe_text(
                f"inspector: PuppetDB by {host.configuration}: {server.host}:{server.port}"
                f" ({', '.join(server.addresses) or 'no address'})",
                500,
            ),
            err=True,
        )
    if host.log:
        click.echo(f"inspector: its log: {host.log}", err=True)
        if os.access(host.log, os.R_OK):
            options["logs"] = (*options["logs"], host.log)
    addressed = [(address, server.port) for server in host.servers for address in server.addresses]
    if not addressed:
        click.echo("inspector: no PuppetDB is configured here: all TLS is captured", err=True)
        return request
    # the name that the client asks for makes the service; whatever else speaks to these addresses is shown too
    return replace(request, interfaces=host.interfaces, vips=tuple(addressed))


def _request(options: dict[str, Any], piped: int | None) -> Request:
    from inspector.live.sources.plan import Request

    return Request(
        interfaces=options["interfaces"],
        commands=options["commands"],
        piped=piped,
        expression=options["expression"],
        vips=options["vips"],
        snaplen=options["snaplen"],
        buffer_mib=options["buffer_mib"],
        promiscuous=options["promiscuous"],
        user=options["user"],
        by=options["capture_by"],
    )


def prepared(opened: OpenedSource, options: dict[str, Any], journal_wanted: bool) -> LiveCapture:
    """The loop over open sources, with all that it keeps."""
    from inspector.findings.case import Options
    from inspector.live.live_capture import LiveCapture

    watching = keeping = None
    try:
        _require_writable(opened, options)
        keeping = _keeping(opened, options, journal_wanted)
        judged = Options(
            "first" if options["jdk_generation"] == "first" else "current", options["vips"], options.get("machine")
        )
        watching = LiveCapture(opened.sources, judged, keeping, opened.name)
    finally:
        if watching is None:
            for source in opened.sources:
                source.stop()
            if keeping is not None and keeping.journal is not None:
                keeping.journal.close()
    return watching


def _require_writable(opened: OpenedSource, options: dict[str, Any]) -> None:
    """Raises UsageError where the user that this process has become cannot write what is asked for."""
    from inspector.live.host.privileges import unwritable

    if opened.account is None:
        return
    name = opened.account.name
    for option, path in (
        ("-w", options["path"]),
        ("--incidents", options["incidents"]),
        ("--journal", options["journal"]),
        ("--metrics", options.get("metrics")),
    ):
        place = (
            unwritable(os.path.dirname(os.path.abspath(path)) if path and option == "--metrics" else path)
            if path
            else ""
        )
        if place:
            remedy = (
                f"a directory for it: install -d -o {name} -m 700 /var/lib/inspector; or -Z USER becomes somebody who"
                " may, -Z root keeps rights"
            )
            raise UsageError(f"{option} {path}: this runs as {name}, who may not write to {place}", remedy)


def _keeping(opened: OpenedSource, options: dict[str, Any], journal_wanted: bool) -> Keeping:
    from inspector.live.outputs.recording import Recording, conditions
    from inspector.live.outputs.trigger import Trigger
    from inspector.live.update import Keeping

    ring = conditions("-b", options["ring"]) if options["ring"] else None
    stop = conditions("-a", options["autostop"])
    path, least = options["path"], options["min_free"]
    if (ring is not None or options["full"] or stop.filesize or stop.files) and not path:
        raise UsageError("-b, --full and -a filesize or files need -w FILE")
    keeping = Keeping(stop=stop, logs=options.get("growing"), keys=options.get("keys"))
    if path:
        keeping.recording = Recording(path, ring, [opened.name], is_full=options["full"], least_mib=least)
    if options["incidents"]:
        keeping.trigger = Trigger(options["incidents"], [opened.name], least_mib=least)
    if not options["no_journal"] and (options["journal"] or journal_wanted):
        from inspector.extract.journal import Journal
        from inspector.live.host.places import journal_path

        try:
            keeping.journal = Journal(
                options["journal"] or journal_path(os.environ), options["journal_size"] << 20, opened.name
            )
        except InspectorError as error:
            if options["journal"]:
                raise
            click.echo(f"inspector: no journal is kept: {error}", err=True)
            if opened.account is not None:
                click.echo(
                    f"  this runs as {opened.account.name}: --journal FILE where {opened.account.name} may write, or -Z"
                    " USER",
                    err=True,
                )
    return keeping


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
