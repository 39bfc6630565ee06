"""From the options of a live capture to one that runs: sources opened, rights given up, outputs made, in this order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from inspector.errors import InspectorError, UsageError

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture
    from inspector.live.sources.plan import OpenedSource, Request
    from inspector.live.update import Keeping


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
