"""``watch`` gives up what it does not need once everything is open, and says what holds."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from inspector.live.live_capture import LiveCapture
from inspector.live.sources.interface import InterfaceSource
from inspector.live.sources.open_sources import OpenedSource
from inspector.text.safe import path_text, safe_text


def confine_watch(
    capture: LiveCapture,
    opened: OpenedSource,
    *,
    reads: Sequence[str],
    writes: Sequence[str],
    folders: Sequence[str],
    accepts: bool,
    is_wanted: bool,
) -> None:
    """Confine this process, or say why not. ``reads``: files that are followed; ``writes``: that are written, beside
    the journal; ``folders``: in which files are made. ``accepts``: connections to a socket that listens.
    ``is_wanted``: False where an option speaks against it.
    """
    from inspector.live.host.privileges import CAP_DAC_OVERRIDE, keep_only
    from inspector.live.host.sandbox import confine_loop

    interfaces = [source for source in opened.sources if isinstance(source, InterfaceSource)]
    for source in interfaces:
        if source.unconfined:
            click.echo(
                safe_text(f"inspector: what captures {source.name} is not confined: {source.unconfined}", 500), err=True
            )
    if opened.unconfined:
        click.echo(f"inspector: what starts the capture is not confined: {opened.unconfined}", err=True)
    if not is_wanted:
        click.echo("inspector: not confined: --no-sandbox", err=True)
        return
    journal = capture.keeping.journal
    files = [*writes, *([journal.path] if journal is not None else [])]
    written = sorted({*map(_folder, files), *map(os.path.abspath, folders)})
    try:
        keep_only((CAP_DAC_OVERRIDE,) if os.geteuid() == 0 else ())  # root writes where it was told to
    except OSError as error:
        click.echo(f"inspector: rights are not given up: {error.strerror or error}", err=True)
    try:
        confinement = confine_loop(map(_folder, reads), written, accepts=accepts)
    except OSError as error:
        click.echo(f"inspector: not confined: {error.strerror or error}", err=True)
        return
    means = [
        *(["Landlock"] if confinement.landlock else []),
        *(["a filter of system calls"] if confinement.is_filtered else []),
    ]
    if not means:
        click.echo("inspector: not confined: this kernel has neither Landlock nor filters of system calls", err=True)
        return
    where = f"it writes below {', '.join(map(path_text, written))} alone" if written else "it writes no file"
    if opened.starter is not None and opened.starter.has_commands:
        where += "; the commands that it was given are not confined"
    click.echo(safe_text(f"inspector: confined by {' and '.join(means)}: {where}", 1_000), err=True)


def _folder(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))
