"""From the options of a live capture to one that runs: sources opened, rights given up, outputs made, in this order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from inspector.cli.ending import let_signals_end
from inspector.cli.live_options import LiveOptions
from inspector.cli.written_files import require_apart
from inspector.errors import InspectorError, UsageError

if TYPE_CHECKING:
    from inspector.extract.journal import Journal
    from inspector.findings.jsse import Generation
    from inspector.findings.machine import Machine
    from inspector.live.keeping import Keeping
    from inspector.live.live_capture import LiveCapture
    from inspector.live.outputs.execution import Execution
    from inspector.live.sources.open_sources import OpenedSource, ReadySource, Request


@dataclass(frozen=True, slots=True)
class LivePlan:
    """What is captured, read beside it and judged by: what the options say, and where they say nothing what this
    machine says of itself. ``machine``: its Puppet Server, where it was looked for.
    """

    request: Request
    generation: Generation
    logs: tuple[str, ...]
    machine: Machine | None = None


def begin(
    options: LiveOptions,
    piped: int | None,
    *,
    metrics: str | None = None,
    keeps_journal: bool = False,
    packages: tuple[str, ...] = (),
    execution: Execution | None = None,
    before_rights_end: Callable[[], None] = lambda: None,
) -> tuple[OpenedSource, LiveCapture]:
    """Open what the options ask for, and say what is done. From then on this process has no rights. ``piped``: the
    descriptor of a capture; ``keeps_journal``: also where none is named; ``packages``: what is needed then beside the
    capture itself; ``execution``: what else is started; ``before_rights_end``: what else is opened. Raises
    InspectorError.
    """
    from inspector.live.host.preloading import SECRETS
    from inspector.live.sources.open_sources import prepared

    read = {
        "--log": options.logs,
        "--keylog": options.key_logs,
        "--server-key": options.server_keys,
        "standard input": () if piped is None else (f"/dev/fd/{piped}",),
    }
    require_apart(
        (("-w", options.path), ("--metrics", metrics), ("--journal", options.journal)),
        [(name, path) for name, paths in read.items() for path in paths],
    )
    plan = LivePlan(options.request(piped), options.generation, options.logs)
    if plan.request.is_open_to_choice:
        plan = by_this_machine(plan)
    let_signals_end()
    ready = prepared(plan.request, os.environ, execution)  # before what follows: its copy of this process stays small
    before_rights_end()

    import inspector.live.outputs.lines  # noqa: F401 - loaded while this process may still read it
    from inspector.live.keeping import Keeping

    keeping = Keeping()
    if plan.logs:
        from inspector.live.sources.growing import GrowingLogs

        keeping.logs = GrowingLogs(plan.logs)
    if options.key_logs or options.server_keys:
        from inspector.cli.captures import passphrase
        from inspector.live.sources.growing_keys import GrowingKeys

        keeping.keys = GrowingKeys(options.key_logs, options.server_keys, passphrase)
    journal = options.journal
    if journal is None and keeps_journal and not options.no_journal:
        journal = _place_for_journal(plan.request)
    if keeping.keys is not None:
        packages += SECRETS
    opened = _opened(ready, packages)
    return opened, _prepared(opened, plan, options, keeping, metrics=metrics, journal=journal)


def name_scarcity() -> None:
    """What the system gives too little of is said before anything is opened."""
    from inspector.live.host.limits import as_text, scarce

    for one in scarce():
        click.echo(f"inspector: {as_text(one)}", err=True)


def by_this_machine(plan: LivePlan) -> LivePlan:
    """Nothing was said on what to capture: the way from this machine's Puppet Server to its PuppetDB, where there is
    one; what is assumed is said.
    """
    from inspector.live.host.puppet import generation, look
    from inspector.text.safe import safe_text

    host = look()
    machine = host.machine
    if machine is not None:
        click.echo(
            f"inspector: Puppet Server here: process {machine.process}, JDK {safe_text(machine.jdk, 60) or 'unknown'}",
            err=True,
        )
        plan = replace(plan, machine=machine)
        if generation(machine.jdk) == "first":
            plan = replace(plan, generation="first")
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
            plan = replace(plan, logs=(*plan.logs, host.log))
    for note in host.notes:
        click.echo(f"inspector: {safe_text(note, 500)}", err=True)
    addressed = [(address, server.port) for server in host.servers for address in server.addresses]
    if not addressed:
        click.echo("inspector: no PuppetDB is configured here: all TLS is captured", err=True)
        return plan
    # the name that the client asks for makes the service; whatever else speaks to these addresses is shown too
    return replace(plan, request=replace(plan.request, interfaces=host.interfaces, vips=tuple(addressed)))


def _opened(ready: ReadySource, packages: tuple[str, ...]) -> OpenedSource:
    from inspector.live.host.preloading import preload, program
    from inspector.live.host.privileges import denied
    from inspector.live.sources.open_sources import opened
    from inspector.text.safe import safe_text

    who = ready.account
    hidden = denied(who, program()) if who is not None else []
    if who is not None and hidden:
        click.echo(
            f"inspector: {who.name} may not read {hidden[0]}: everything is loaded before rights are given up", err=True
        )
        preload(packages)
    source = opened(ready)
    for one in source.sources:
        if one.state == "lost":
            click.echo(f"inspector: {safe_text(one.text)}", err=True)
            continue
        click.echo(
            f"inspector: capturing {one.name} by {one.by}"
            + (f", filter: {source.filter}" if source.filter and one.is_here else ""),
            err=True,
        )
    if source.account is not None:
        click.echo(f"inspector: running as {source.account.name}, without rights", err=True)
    return source


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


def _prepared(
    opened: OpenedSource,
    plan: LivePlan,
    options: LiveOptions,
    keeping: Keeping,
    *,
    metrics: str | None,
    journal: str | None,
) -> LiveCapture:
    """The loop over open sources, with all that it keeps."""
    from inspector.findings.case import Options
    from inspector.findings.wording import worded
    from inspector.live.live_capture import LiveCapture
    from inspector.text.safe import safe_text

    capture = None
    try:
        _require_writable(opened, options, metrics)
        _keep_packets(opened, options, keeping)
        if journal and not options.no_journal:
            keeping.journal = _journal(journal, opened, options)
        capture = LiveCapture(
            opened.sources, Options(plan.generation, options.vips, plan.machine), keeping, opened.name
        )
        if keeping.journal is not None and keeping.journal.set_aside is not None:
            click.echo(f"inspector: {safe_text(worded(keeping.journal.set_aside), 1_000)}", err=True)
    finally:
        if capture is None:
            for source in opened.sources:
                source.stop()
            opened.close()
            if keeping.journal is not None:
                keeping.journal.close()
    return capture


def _require_writable(opened: OpenedSource, options: LiveOptions, metrics: str | None) -> None:
    """Raises UsageError where the user that this process has become cannot write what is asked for."""
    from inspector.live.host.privileges import unwritable

    if opened.account is None:
        return
    name = opened.account.name
    metrics_directory = os.path.dirname(os.path.abspath(metrics)) if metrics else None
    for option, path, written in (
        ("-w", options.path, options.path),
        ("--incidents", options.incidents, options.incidents),
        ("--journal", options.journal, options.journal),
        ("--metrics", metrics, metrics_directory),
    ):
        obstacle = unwritable(written) if written else ""
        if obstacle:
            remedy = (
                f"a directory for it: install -d -o {name} -m 700 /var/lib/inspector; or -Z USER becomes somebody who"
                " may, -Z root keeps rights"
            )
            raise UsageError(f"{option} {path}: this runs as {name}, who may not write to {obstacle}", remedy)


def _keep_packets(opened: OpenedSource, options: LiveOptions, keeping: Keeping) -> None:
    """``-w``, ``-b`` and ``--incidents``, and when to stop. Raises UsageError."""
    from inspector.live.outputs.recording import Recording, conditions
    from inspector.live.outputs.trigger import Trigger

    ring = conditions("-b", options.ring) if options.ring else None
    packets = [f"packets:{options.packets}"] if options.packets is not None else []
    keeping.stop = conditions("-a", (*options.autostop, *packets))
    if (ring is not None or options.full or keeping.stop.filesize or keeping.stop.files) and not options.path:
        raise UsageError("-b, --full and -a filesize or files need -w FILE")
    if options.path:
        keeping.recording = Recording(
            options.path, ring, [opened.name], is_full=options.full, least_mib=options.min_free
        )
    if options.incidents:
        keeping.trigger = Trigger(options.incidents, [opened.name], least_mib=options.min_free)


def _place_for_journal(request: Request) -> str | None:
    """Made while this process may, for whom it becomes; None, and a word, where there is none."""
    from inspector.live.host.places import journal_path, journal_path_of
    from inspector.live.sources.open_sources import becomes

    who = becomes(request, os.environ)
    if who is None:
        return journal_path()
    path = journal_path_of(who)
    if not path:
        click.echo(
            f"inspector: no journal is kept: {who.name}, whom this becomes, may write to no place for one\n"
            f"  --journal FILE where {who.name} may write, or -Z USER",
            err=True,
        )
    return path or None


def _journal(path: str, opened: OpenedSource, options: LiveOptions) -> Journal | None:
    """Where it was not named it may be missing. Raises InspectorError."""
    from inspector.extract.journal import Journal
    from inspector.text.safe import path_text, safe_text

    try:
        journal = Journal(path, options.journal_size << 20, opened.name)
    except InspectorError as error:
        if options.journal:
            raise
        click.echo(f"inspector: no journal is kept: {error}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        return None
    if not options.journal:
        click.echo(f"inspector: its journal: {safe_text(path_text(path), 1_000)}", err=True)
    return journal
