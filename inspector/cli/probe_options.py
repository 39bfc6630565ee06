"""What ``probe`` takes, and the plan that this makes."""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.options import gathered
from inspector.errors import UsageError
from inspector.probe import pace
from inspector.text.hostport import split
from inspector.text.safe import path_text, safe_text

if TYPE_CHECKING:
    from inspector.probe.client_model import Credentials
    from inspector.probe.plan import ProbePlan

DEFAULT_PORT = 443
MOST_NAME_BYTES = 255
"""Of a name of the DNS (RFC 1035, section 2.3.4), and of a server name that OpenSSL sends."""
MODEL_NAMES = ("java17", "java11", "java8", "java8-no-ems", "java7")
EACH = "each"
PEM = click.Path(exists=True, dir_okay=False)


class Amount(click.FloatRange):
    """A number within a range, which ``nan`` is not: it compares as neither too small nor too large."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return float(number)


def _models(value: str) -> tuple[str, ...]:
    """Raises click.BadParameter."""
    names = MODEL_NAMES if value == EACH else tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    for name in names:
        if name not in MODEL_NAMES:
            raise click.BadParameter(f"{safe_text(name)!r} is none of {', '.join(MODEL_NAMES)}; or {EACH}")
    return names


def _completed(incomplete: str) -> list[str]:
    """For the shell: JVMs that begin as what stands behind the last comma."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in (*MODEL_NAMES, EACH) if name.startswith(last)]


class ProbeOptions(NamedTuple):
    """How a pool is asked, as the command line has it."""

    connections: int
    rate: float
    at_once: int
    models: tuple[str, ...]
    backends: tuple[str, ...]
    server_name: str | None
    certificate: str | None
    key: str | None
    authorities: str | None
    uses_puppet: bool | None
    sends_head: bool
    sends_proxy_header: bool
    starttls: str | None
    seconds: float
    owns_servers: bool


probe_options = gathered(
    ProbeOptions,
    [
        click.option(
            "-n",
            "--connections",
            type=click.IntRange(1, pace.MOST_CONNECTIONS),
            default=pace.CONNECTIONS,
            show_default=True,
            help="How many, through the name.",
        ),
        click.option(
            "--rate",
            type=Amount(0, pace.MOST_PER_SECOND, min_open=True),
            default=pace.PER_SECOND,
            show_default=True,
            help="Connections a second at most; over 50 only with --i-own-this.",
        ),
        click.option(
            "--at-once",
            type=click.IntRange(1, pace.MOST_AT_ONCE),
            default=pace.AT_ONCE,
            show_default=True,
            help="Connections that may be open at the same time.",
        ),
        click.option(
            "--as",
            "models",
            metavar="JVM,…",
            default="java17",
            show_default=True,
            callback=lambda context, option, value: _models(value),
            shell_complete=lambda context, option, incomplete: _completed(incomplete),
            help=f"The JVMs that are stood for, which share the connections: {', '.join(MODEL_NAMES)}; or {EACH}.",
        ),
        click.option(
            "--backend",
            "backends",
            multiple=True,
            metavar="HOST:PORT",
            help="A back end, asked twice directly to tell who answers; with commas between or repeated.",
        ),
        click.option(
            "--sni",
            "server_name",
            metavar="NAME",
            help="The server name to ask for, as it is; by default HOST as Java sends it, none without a dot.",
        ),
        click.option("--cert", "certificate", metavar="PEM", type=PEM, help="A client certificate."),
        click.option("--key", metavar="PEM", type=PEM, help="Its key, where it is not in the same file."),
        click.option(
            "--cacert",
            "authorities",
            metavar="PEM",
            type=PEM,
            help="Refuse servers of other authorities; by default none is refused.",
        ),
        click.option(
            "--puppet/--no-puppet",
            "uses_puppet",
            default=None,
            help="Use Puppet's own certificate, key and authority of this host; by default a terminal is asked.",
        ),
        click.option("--head", "sends_head", is_flag=True, help="Send one HEAD request on each connection."),
        click.option(
            "--proxy-protocol",
            "sends_proxy_header",
            is_flag=True,
            help="Begin each connection with a PROXY header of version 1.",
        ),
        click.option("--starttls", type=click.Choice(["ldap", "postgres"]), help="Ask for TLS in this protocol first."),
        click.option(
            "--timeout",
            "seconds",
            type=Amount(0, pace.MOST_SECONDS, min_open=True),
            default=pace.MOST_SECONDS,
            show_default=True,
            help="Seconds that one connection may last.",
        ),
        click.option("--i-own-this", "owns_servers", is_flag=True, help="Allow more than 50 connections a second."),
    ],
)
"""The options; the command is called with ``ProbeOptions``."""


def passphrase_of(path: str) -> Callable[[], str]:
    """What asks for the passphrase of a key once, where somebody is there who can be asked."""
    from inspector.probe.client_model import no_passphrase

    @cache
    def prompted() -> str:
        if not sys.stdin.isatty():
            return no_passphrase()
        return str(click.prompt(f"Passphrase of {path_text(path)}", hide_input=True, err=True))

    return prompted


HostAndPort = tuple[str, int]


def ends_of(target: str, options: ProbeOptions) -> tuple[HostAndPort, list[HostAndPort]]:
    """The service, and the back ends that are asked directly; nobody is asked for addresses. Raises UsageError where
    the options do not go together, or ask for too much.
    """
    if options.key and not options.certificate:
        raise UsageError("--key without --cert: no client certificate", "give the certificate of that key as --cert")
    pace.require_polite(options.rate, owns_servers=options.owns_servers)
    if options.connections < len(options.models):
        raise UsageError(
            f"-n {options.connections}: fewer connections than JVMs to stand for ({len(options.models)})",
            "more connections by -n, or fewer JVMs by --as",
        )
    host, port = host_and_port(target)
    _server_name(options, host)
    backends = [backend.strip() for several in options.backends for backend in several.split(",")]
    return (host, port), [host_and_port(backend, port) for backend in backends]


def plan_of(target: str, options: ProbeOptions, is_stopped: Callable[[], bool] = lambda: False) -> ProbePlan:
    """Names are looked up, nothing is sent to anybody else yet. ``is_stopped``: as ``destinations`` has it. Raises
    UsageError.
    """
    from inspector.probe.client_model import MODELS
    from inspector.probe.destination import destinations
    from inspector.probe.plan import ProbePlan
    from inspector.probe.starttls import StartTls

    (host, port), backends = ends_of(target, options)
    direct = [
        destination
        for backend in backends
        for destination in destinations(*backend, is_direct=True, is_stopped=is_stopped)
    ]
    return ProbePlan(
        server_name=_server_name(options, host),
        through=tuple(destinations(host, port, is_stopped=is_stopped)),
        models=tuple(MODELS[name] for name in options.models),
        direct=tuple(direct),
        connections=options.connections,
        per_second=options.rate,
        at_once=options.at_once,
        seconds=options.seconds,
        sends_head=options.sends_head,
        sends_proxy_header=options.sends_proxy_header,
        starttls=StartTls(options.starttls) if options.starttls else None,
    )


def credentials_of(options: ProbeOptions, passphrase: Callable[[], str] | None = None) -> Credentials:
    """The files of ``--cert``, ``--key`` and ``--cacert``. ``passphrase``: as ``Credentials`` has it; None where nobody
    is there who could be asked.
    """
    from inspector.probe.client_model import Credentials, no_passphrase

    return Credentials(
        options.certificate or "", options.key or "", options.authorities or "", passphrase or no_passphrase
    )


def _server_name(options: ProbeOptions, host: str) -> str:
    """By ``--sni``, else as Java does. Raises UsageError where it cannot be asked for."""
    return _java_server_name(host) if options.server_name is None else _askable(options.server_name)


def _java_server_name(host: str) -> str:
    """What Java asks for that is told to connect to a host: nothing for an address, or for a name without a dot, and
    the final dot is no part of a name (``Utilities.rawToSNIHostName`` of JDK 8 to 25). Raises UsageError.
    """
    name = host.removesuffix(".")
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return _askable(name) if "." in name else ""
    return ""


def _askable(name: str) -> str:
    """Raises UsageError where it cannot be asked for."""
    try:
        encoded = name.encode("idna")
    except UnicodeError:
        raise UsageError(f"--sni {safe_text(name)}: no host name") from None
    if name.startswith(".") or not name.isprintable() or len(encoded) > MOST_NAME_BYTES:
        raise UsageError(f"--sni {safe_text(name)}: no host name")
    return name


def host_and_port(text: str, port: int = DEFAULT_PORT) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT``, ``[v6]:PORT`` or an address of IPv6. Raises UsageError."""
    if "://" in text:
        raise UsageError(f"{safe_text(text)}: not HOST or HOST:PORT", "no URL: without the scheme and the path")
    host, colon, _ = text.rpartition(":")
    has_port = colon and not text.endswith("]") and (":" not in host or host.endswith("]"))
    ends = split(text if has_port else f"{text}:{port}")
    if ends is None:
        raise UsageError(
            f"{safe_text(text)}: not HOST or HOST:PORT", "an IPv6 address stands in brackets: [2001:db8::1]:8081"
        )
    return ends
