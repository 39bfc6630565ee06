"""What several commands take, and how what click hands over becomes typed: one value for the options that belong
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from inspector.cli.completion import time_zones
from inspector.errors import UsageError
from inspector.text.hostport import parsed

if TYPE_CHECKING:
    from inspector.text.zones import TimeZone

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


def gathered(kind: type[Any], decorators: Sequence[Decorator]) -> Decorator:
    """Options that a command takes as one argument, an instance of ``kind``: a NamedTuple with a field of each
    one's name; fields that have no option keep their defaults. Where several are gathered they come first, in the order
    of the decorators.
    """
    names: tuple[str, ...] = kind._fields

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(*before: object, **values: Any) -> None:  # by their names, as click hands them over
            command(*before, kind(**{name: values.pop(name) for name in names if name in values}), **values)

        decorated: Command = called
        for decorator in reversed(decorators):
            decorated = decorator(decorated)
        return decorated

    return decorate


def vip_option(text: str) -> Decorator:
    """``--vip`` as hosts and ports; UsageError is raised where one is none."""

    def hosts_and_ports(
        context: click.Context, option: click.Parameter, values: tuple[str, ...]
    ) -> tuple[tuple[str, int], ...]:
        return tuple(parsed(value) for value in values)

    return click.option("--vip", "vips", multiple=True, callback=hosts_and_ports, metavar="HOST:PORT", help=text)


def generation_option(text: str = "Which identity rule: first is before 8u60 and 7u85.") -> Decorator:
    """``--jdk-generation``."""
    return click.option(
        "--jdk-generation",
        "generation",
        type=click.Choice(["current", "first"]),
        default="current",
        show_default=True,
        help=text,
    )


def key_log_option(text: str) -> Decorator:
    """``--keylog``, of files that are there."""
    return click.option(
        "--keylog",
        "key_logs",
        multiple=True,
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help=text,
    )


INPUT = click.Path(readable=False)
"""A file that is read: what opens it says why it cannot be."""


def log_option(text: str) -> Decorator:
    """``--log``; a log that is not there is named when it is read."""
    return click.option("--log", "logs", multiple=True, metavar="FILE", type=INPUT, help=text)


def format_option(*formats: str) -> Decorator:
    """``-T``; text is the default."""
    return click.option(
        "-T",
        "--format",
        "form",
        type=click.Choice(formats),
        default="text",
        show_default=True,
        help="What to print.",
    )


cluster_option: Decorator = click.option(
    "--cluster",
    default="",
    metavar="ADDRESS",
    help="Read by Dask: tcp://HOST:PORT or tls://HOST:PORT of a scheduler, or local:N for N processes of this machine.",
)
vantage_option: Decorator = click.option(
    "--vantage",
    "vantages",
    multiple=True,
    metavar="NAME=GLOB",
    help="Captures that match are one vantage point's, one file after the other; repeatable. By default names tell.",
)


def zone_option(shown: str, default: str | None = "UTC") -> Decorator:
    """``--tz`` as a ``TimeZone``, None where it has no default and nobody says; UsageError is raised where it cannot be
    loaded. ``shown``: what of the output is for people.
    """

    def zone(context: click.Context, option: click.Parameter, name: str | None) -> TimeZone | None:
        if name is None or context.resilient_parsing:
            return None
        from inspector.text.zones import zone_named

        try:
            return zone_named(name)
        except UsageError as error:
            raise UsageError(f"--tz {error}", error.hint) from None

    return click.option(
        "--tz",
        "zone",
        callback=zone,
        metavar="local|UTC|NAME",
        default=default,
        show_default=default is not None,
        shell_complete=time_zones,
        help=(
            f"Show {shown} in this time zone, with the offset: an IANA name such as Europe/Berlin. What programs read"
            " (JSON, CSV, ecs, zeek) stays RFC 3339 in UTC."
            + (" By default that of the settings, else UTC." if default is None else "")
        ),
    )


numeric_option: Decorator = click.option(
    "-n", is_flag=True, expose_value=False, help="Accepted, as tcpdump and tshark have it: no name is ever looked up."
)
ascii_option: Decorator = click.option(
    "--ascii", "ascii_wanted", is_flag=True, help="Show ASCII only; the default where the locale is not UTF-8."
)

app_zone_option: Decorator = zone_option("times", default=None)

settings_option: Decorator = click.option(
    "--settings",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Settings in TOML; by default ~/.config/inspector/settings.toml, if there. See docs/reference/settings.md.",
)
