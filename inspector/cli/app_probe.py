"""Probes for the app: a command line is read by the command's own parser, so what is shown is what runs."""

from __future__ import annotations

import ipaddress
import os
import shlex
from collections.abc import Callable, Iterator
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from inspector.cli.client_certificate import offered, with_puppet
from inspector.cli.kept_capture import KeptCapture
from inspector.cli.probe import account, ask, intention, probe_command, remove, require_files
from inspector.cli.probe_options import ProbeOptions, credentials_of, ends_of, plan_of
from inspector.cli.streams import require_writable
from inspector.errors import UsageError
from inspector.probe.plan import DIRECT_CONNECTIONS
from inspector.text.safe import path_text
from inspector.tui.prober import ProbeOutcome

if TYPE_CHECKING:
    from inspector.probe.running import ProbeRun

PRINTING = {"form": "-T", "output": "-o", "fail_on": "--fail-on", "generation": "--jdk-generation"}
"""What says how the command prints and judges: the app has its own way."""


class AppProbe:
    """A probe that the app may run, once; nothing is looked up or sent before."""

    def __init__(self, target: str, options: ProbeOptions, capture: str) -> None:
        """``capture``: the path of one that is not there yet. Raises InspectorError."""
        self._target = target
        self._options = options
        self._capture = capture
        self._through, self._direct = ends_of(target, options)
        self._run: ProbeRun | None = None
        self._is_stopped = False

    @property
    def intention(self) -> list[str]:
        """What it would send, to whom and how fast, and what it would leave."""
        return list(self._intention())

    def _intention(self) -> Iterator[str]:
        options = self._options
        total = options.connections + DIRECT_CONNECTIONS * len(self._direct)
        ends = [f"{host} port {port}" for host, port in dict.fromkeys((*self._direct, self._through))]
        sent = intention(total, ends, options.models, options.rate, sends_head=options.sends_head)
        yield f"It sends {sent}, about {total / options.rate:,.0f} s in all. Servers may log them."
        names = [host for host, _ in dict.fromkeys((*self._direct, self._through)) if not _is_address(host)]
        if names:
            yield f"First the resolver is asked for {', '.join(names)}."
        if options.certificate:
            yield f"{path_text(options.certificate)} is shown to the servers that ask for a certificate."
        elif offered(options) is not None:
            yield "Puppet's own certificate of this host is not shown; with --puppet it is."
        yield f"{path_text(self._capture)} will hold what was said, with the secrets of these connections."

    def run(self, on_begun: Callable[[int, int], None]) -> ProbeOutcome:
        """Ask, and keep the capture. Raises InspectorError."""
        _require_free(self._capture)
        plan = plan_of(self._target, self._options, lambda: self._is_stopped)
        directory = mkdtemp(prefix="inspector-probe-")
        kept: KeptCapture | None = None
        try:
            kept = KeptCapture(self._capture)
            run = ask(plan, credentials_of(self._options), kept, directory, on_ready=self._begin, on_begun=on_begun)
        finally:
            remove(directory, kept)
        return ProbeOutcome(kept.path if kept.is_kept else "", list(account(run, plan)))

    def stop(self) -> None:
        """Also before it has begun."""
        self._is_stopped = True
        if self._run is not None:
            self._run.stop()

    def _begin(self, run: ProbeRun) -> None:
        self._run = run
        if self._is_stopped:
            run.stop()


def app_probe(command: str) -> AppProbe:
    """A command line as a shell reads it. Raises InspectorError where it is none that the app can run."""
    context = _parsed(command)
    options = with_puppet(ProbeOptions(**{name: context.params[name] for name in ProbeOptions._fields}))
    for name, option in PRINTING.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise UsageError(f"{option}: not here", "the app shows the analysis in its own way")
    capture: str | None = context.params["capture"]
    if not capture:
        raise UsageError("-w FILE is missing", "the app opens the capture of the probe")
    require_files(options, capture, None)
    _require_free(capture)
    require_writable(capture)
    return AppProbe(context.params["target"], options, capture)


def _require_free(capture: str) -> None:
    """What stands there may be open in the app. Raises UsageError."""
    if os.path.lexists(capture):
        raise UsageError(f"-w {path_text(capture)}: something stands there", "name a new file")


def _parsed(command: str) -> click.Context:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command cannot be read: {error}") from None
    if words[:2] != ["inspector", "probe"]:
        raise UsageError("the command does not begin with: inspector probe")
    try:
        # without --help, which would be printed over the app
        return probe_command.make_context("inspector probe", words[2:], help_option_names=[])
    except click.ClickException as error:
        raise UsageError(error.format_message()) from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
