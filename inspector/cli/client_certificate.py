"""Puppet's own certificate of this host as a probe's: used where that was asked for, or after a yes on the terminal."""

from __future__ import annotations

import sys

import click

from inspector.cli.probe_options import ProbeOptions
from inspector.cli.streams import note
from inspector.errors import UsageError
from inspector.live.host.puppet_certificate import PuppetCertificate, puppet_certificate
from inspector.text.safe import path_text


def with_puppet(options: ProbeOptions) -> ProbeOptions:
    """The options, with Puppet's files where ``--puppet`` is among them. Raises UsageError where these cannot be
    used.
    """
    if not options.uses_puppet:
        return options
    if options.certificate or options.key:
        raise UsageError("--puppet with --cert or --key: one client certificate is shown", "leave one of them out")
    known = puppet_certificate()
    if known is None:
        raise UsageError(
            "--puppet: Puppet keeps no certificate of this host here", "--cert FILE and --key FILE name one"
        )
    if known.obstacle is not None:
        path, reason = known.obstacle
        raise UsageError(
            f"--puppet: {path_text(path)}: {reason}", "as root, or as the user who owns it, it can be used"
        )
    return _with(options, known)


def offered(options: ProbeOptions) -> PuppetCertificate | None:
    """Puppet's certificate where none is named, and nobody said whether Puppet's is wanted."""
    return puppet_certificate() if options.uses_puppet is None and not options.certificate else None


def with_puppet_if_wanted(options: ProbeOptions) -> ProbeOptions:
    """The same where somebody at the terminal says yes to it; without a terminal it is named, and not used."""
    known = offered(options)
    if known is None:
        return options
    if known.obstacle is not None:
        path, reason = known.obstacle
        note(f"Puppet's certificate of this host cannot be used: {path_text(path)}: {reason}")
        return options
    shown = path_text(known.certificate)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        note(f"not used, without --puppet: Puppet's certificate of this host, {shown}")
        return options
    others = f", and refuse those of other authorities than {path_text(known.authorities)}" if known.authorities else ""
    note(f"this host has a certificate by Puppet, {shown}: show it to the servers{others}?")
    click.echo("  [y/N] ", err=True, nl=False)
    is_wanted = sys.stdin.readline().strip().lower() in ("y", "yes")
    return _with(options, known) if is_wanted else options


def _with(options: ProbeOptions, known: PuppetCertificate) -> ProbeOptions:
    authorities = options.authorities or known.authorities or None
    return options._replace(certificate=known.certificate, key=known.key, authorities=authorities)
