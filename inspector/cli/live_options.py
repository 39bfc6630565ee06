"""The options of the commands for live traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.completion import interfaces
from inspector.cli.options import gathered, generation_option, log_option, numeric_option, vip_option
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.findings.jsse import Generation
    from inspector.live.sources.open_sources import Request
    from inspector.live.sources.sniff_messages import CaptureMethod

JOURNAL_MIB = 1024


def _standard_input(context: click.Context, argument: click.Parameter, word: str | None) -> str | None:
    """Raises UsageError for a file: those have an end."""
    if word is None or word == "-":
        return word
    raise UsageError(
        f"{context.info_name} takes live traffic, and no file: {word}",
        f"inspector analyze reads files; inspector {context.info_name} - takes a capture while it is written",
    )


class LiveOptions(NamedTuple):
    """What ``live`` and ``watch`` are to capture, what they judge it by, and what they keep: an option each, as
    ``--help`` says. ``journal_size``, ``buffer_mib`` and ``min_free`` in MiB.
    """

    piped: str | None
    list_interfaces: bool
    interfaces: tuple[str, ...]
    commands: tuple[str, ...]
    expression: str
    vips: tuple[tuple[str, int], ...]
    snaplen: int
    buffer_mib: int
    promiscuous: bool
    capture_by: CaptureMethod
    waits: bool
    user: str | None
    path: str | None
    full: bool
    ring: tuple[str, ...]
    packets: int | None
    autostop: tuple[str, ...]
    incidents: str | None
    logs: tuple[str, ...]
    key_logs: tuple[str, ...]
    server_keys: tuple[str, ...]
    journal: str | None
    no_journal: bool
    journal_size: int
    min_free: int
    generation: Generation

    def request(self, piped: int | None) -> Request:
        """What to capture. ``piped``: the descriptor that standard input's capture is read from."""
        from inspector.live.sources.open_sources import Request

        return Request(
            interfaces=self.interfaces,
            commands=self.commands,
            piped=piped,
            expression=self.expression,
            vips=self.vips,
            snaplen=self.snaplen,
            buffer_mib=self.buffer_mib,
            promiscuous=self.promiscuous,
            user=self.user,
            by=self.capture_by,
            waits=self.waits,
        )


capture_options = gathered(
    LiveOptions,
    [
        click.option(
            "-i",
            "--interface",
            "interfaces",
            multiple=True,
            metavar="IFACE",
            shell_complete=interfaces,
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
        numeric_option,
        vip_option("Look at this service only; repeatable. [v6]:port. A name stands for its port."),
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
            type=click.Choice(["any", "libpcap", "system-libpcap", "scapy"]),
            default="any",
            show_default=True,
            help="What reads interfaces; libpcap is the one that comes along, else the system's.",
        ),
        click.option("--wait", "waits", is_flag=True, help="Wait for interfaces that are not there yet."),
        click.option(
            "-Z",
            "user",
            metavar="USER",
            help="As root: become this user once all is open; by default the one behind sudo, else inspector, nobody.",
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
            "-c",
            "packets",
            type=click.IntRange(1),
            metavar="N",
            help="Stop after so many packets: -a packets:N.",
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
        log_option("puppetserver.log or HAProxy's log: read on as it grows, joined with the wire; repeatable."),
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
        generation_option(),
        click.argument("piped", required=False, callback=_standard_input, metavar="[-]"),
    ],
)
"""The options of ``live`` and ``watch``; both are called with ``LiveOptions``."""
