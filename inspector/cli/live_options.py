"""The options of the commands for live traffic."""

from __future__ import annotations

from typing import Any

import click

from inspector.text.hostport import parsed

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
